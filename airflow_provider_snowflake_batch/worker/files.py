"""Columns that hold full stage paths: the model gets the files' content.

A full stage path is ``@DB.SCHEMA.STAGE/dir/file`` (the ``@`` may be missing), the only input format of Snowflake's
``column_handling`` (https://docs.snowflake.com/en/developer-guide/snowflake-ml/inference/batch-inference-jobs).
"""

from __future__ import annotations

import base64
import mimetypes
import os
from collections.abc import Mapping
from pathlib import Path

from airflow_provider_snowflake_batch.worker.errors import DataError
from airflow_provider_snowflake_batch.worker.job import FileEncoding


class StageFiles:
    """Files on mounted stages, by full stage path.

    :param mounts: fully qualified stage name to the folder where it is mounted.
    """

    def __init__(self, mounts: Mapping[str, Path]) -> None:
        self._mounts = {_canonical(name): (name, Path(os.path.realpath(folder))) for name, folder in mounts.items()}

    def resolve(self, stage_path: str) -> Path:
        """Where the file is.

        :raises DataError: no full stage path, the stage is not mounted, or the path leaves its stage.
        """
        stage, rest = _split(stage_path)
        mount = self._mounts.get(_canonical(stage))
        if mount is None:
            known = ", ".join(sorted(name for name, _ in self._mounts.values())) or "none"
            raise DataError(f"file {stage_path!r}: stage {stage} is not mounted here (mounted: {known})")
        folder = mount[1]
        if "\0" in rest:
            raise DataError(f"file {stage_path!r}: a path holds no NUL")
        real = Path(os.path.realpath(folder / rest))
        if real == folder or folder not in real.parents or ".." in rest.split("/"):
            raise DataError(f"file {stage_path!r} leaves its stage {stage}")
        return real

    def read(self, stage_path: str) -> bytes:
        """The file's bytes.

        :raises DataError: as `resolve`, or the file cannot be read.
        """
        path = self.resolve(stage_path)
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise DataError(f"file {stage_path!r} does not exist") from None
        except OSError as error:
            raise DataError(f"file {stage_path!r} cannot be read: {error.strerror or error}") from None

    def load(self, stage_path: str | None, encoding: FileEncoding) -> bytes | str | None:
        """The file's content in the form the model wants; None for no path.

        :raises DataError: as `read`.
        """
        if stage_path is None:
            return None
        return encode(self.read(stage_path), encoding, stage_path)


def encode(data: bytes, encoding: FileEncoding, name: str) -> bytes | str:
    """Bytes in one of the forms of ``FileEncoding``; a data URL takes its media type from the file's name."""
    if encoding is FileEncoding.RAW_BYTES:
        return data
    text = base64.b64encode(data).decode("ascii")
    if encoding is FileEncoding.BASE64:
        return text
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return f"data:{media_type};base64,{text}"


def _split(stage_path: str) -> tuple[str, str]:
    text = stage_path.strip()
    body = text[1:] if text.startswith("@") else text
    quoted = False
    for index, character in enumerate(body):
        if character == '"':
            quoted = not quoted
        elif character == "/" and not quoted:
            if index and len(_parts(body[:index])) == 3 and body[index + 1 :]:
                return body[:index], body[index + 1 :]
            break
    raise DataError(f"{stage_path!r} is not a full stage path (@DB.SCHEMA.STAGE/dir/file)")


def _parts(stage: str) -> list[str]:
    parts, current, quoted = [], "", False
    for character in stage:
        if character == '"':
            quoted = not quoted
        if character == "." and not quoted:
            parts.append(current)
            current = ""
        else:
            current += character
    return [*parts, current]


def _canonical(stage: str) -> tuple[str, ...]:
    """Identifiers as Snowflake resolves them: unquoted ones without regard to case."""
    return tuple(
        part[1:-1].replace('""', '"') if part.startswith('"') and part.endswith('"') and len(part) > 1 else part.upper()
        for part in _parts(stage.lstrip("@"))
    )
