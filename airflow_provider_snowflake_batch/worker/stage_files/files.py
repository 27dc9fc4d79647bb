"""Columns that hold full stage paths: the model gets the files' content.

A full stage path is ``@DB.SCHEMA.STAGE/dir/file`` (the ``@`` may be missing), the only input format of Snowflake's
``column_handling`` (https://docs.snowflake.com/en/developer-guide/snowflake-ml/inference/batch-inference-jobs).
"""

from __future__ import annotations

import base64
import errno
import functools
import mimetypes
import os
from collections.abc import Mapping
from pathlib import Path

from airflow_provider_snowflake_batch.contract.vocabulary import FileEncoding
from airflow_provider_snowflake_batch.worker.errors import DataError
from airflow_provider_snowflake_batch.worker.input.read_ahead import Admit, freely

# So many folders are remembered: resolving one takes longer than reading a small file.
FOLDERS_KNOWN = 4096
# Files that do not state their size are read in such chunks.
CHUNK_BYTES = 1024 * 1024
# Opening does not follow a link: first it has to be known where it leads.
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW


class StageFiles:
    """Files on mounted stages, by full stage path.

    :param mounts: fully qualified stage name to the folder where it is mounted.
    """

    def __init__(self, mounts: Mapping[str, Path]) -> None:
        self._mounts = {_canonical(name): (name, Path(os.path.realpath(folder))) for name, folder in mounts.items()}
        self._folder = functools.lru_cache(FOLDERS_KNOWN)(self._resolve_folder)

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

    def _resolve_folder(self, stage_path: str) -> str | None:
        """Where a folder is, or None if that takes a closer look at each of its files."""
        try:
            stage, rest = _split(stage_path + "/.")
        except DataError:
            return None
        mount = self._mounts.get(_canonical(stage))
        if mount is None or ".." in rest.split("/") or "\0" in rest:
            return None
        real = os.path.realpath(mount[1] / rest)
        return real if mount[1] in (Path(real), *Path(real).parents) else None

    def _open(self, stage_path: str) -> int:
        text = stage_path.strip()
        folder_path, _, name = text.rpartition("/")
        # In a stage's name in quotes, a slash does not separate folders.
        if name and name not in (".", "..") and '"' not in name and "\0" not in name:
            folder = self._folder(folder_path)
            if folder is not None:
                try:
                    return os.open(f"{folder}/{name}", _FLAGS)
                except OSError as error:
                    if error.errno != errno.ELOOP:
                        raise
        return os.open(self.resolve(stage_path), _FLAGS)

    def read(self, stage_path: str, admit: Admit = freely) -> bytes:
        """The file's bytes.

        :param admit: asked for the memory.
        :raises DataError: as `resolve`, or the file cannot be read.
        """
        try:
            descriptor = self._open(stage_path)
            try:
                return _content(descriptor, admit)
            finally:
                os.close(descriptor)
        except FileNotFoundError:
            raise DataError(f"file {stage_path!r} does not exist") from None
        except UnicodeEncodeError:
            # JSON may hold one, as an escape.
            raise DataError(f"file {stage_path!r}: a path holds no half of a character") from None
        except OSError as error:
            raise DataError(f"file {stage_path!r} cannot be read: {error.strerror or error}") from None

    def load(self, stage_path: str | None, encoding: FileEncoding, admit: Admit = freely) -> bytes | str | None:
        """The file's content in the form the model wants; None for no path.

        :raises DataError: as `read`.
        """
        if stage_path is None:
            return None
        return encode(self.read(stage_path, admit), encoding, stage_path)


def _content(descriptor: int, admit: Admit) -> bytes:
    """All bytes of a file. Python's file objects would release the interpreter twice as often."""
    size = os.fstat(descriptor).st_size
    admit(size)
    data = os.read(descriptor, size or CHUNK_BYTES)
    if len(data) == size:
        return data
    # The file is larger than one read, has become shorter, or states no size.
    parts = [data]
    while parts[-1]:
        parts.append(os.read(descriptor, CHUNK_BYTES))
    return b"".join(parts)


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
