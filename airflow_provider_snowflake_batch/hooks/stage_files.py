"""Files on a stage: listed, and small ones read, written and removed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from airflow_provider_snowflake_batch.contract.output_layout import SUCCESS
from airflow_provider_snowflake_batch.exceptions import JobInputError
from airflow_provider_snowflake_batch.hooks.session import SnowflakeSessionHook
from airflow_provider_snowflake_batch.jobs import statements
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError, does_not_exist, file_does_not_exist
from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName, StagePath


@dataclass(frozen=True, slots=True)
class StageFile:
    """One row of ``LIST``.

    :param path: path inside the stage.
    :param size: bytes.
    :param md5: as Snowflake reports it, or None.
    :param last_modified: as Snowflake writes it, for example ``Sun, 22 Nov 2026 10:00:00 GMT``.
    """

    path: str
    size: int
    md5: str | None
    last_modified: str


def path_in_stage(name: str, url: str = "") -> str:
    """The path inside its stage of a file that ``LIST`` shows.

    :param url: of an external stage, with a slash at its end.
    """
    if "://" not in name:
        return name.partition("/")[2]
    if not url or not name.startswith(url):
        raise JobInputError(f"{name} does not lie under its stage's URL {url or '(unknown)'}.")
    return name.removeprefix(url)


def _is(row: dict[str, Any], stage: QualifiedName) -> bool:
    """Whether a row of SHOW STAGES is about this stage: LIKE reads its name as a pattern, so other rows may come."""
    return bool(row["name"] == stage.name)


class SnowflakeStageHook(SnowflakeSessionHook):
    """Lists the files on a stage; reads, writes and removes small ones."""

    def _stage_rows(self, sql: str, location: StagePath) -> list[dict[str, Any]]:
        """The rows of a statement about a stage location.

        :raises JobInputError: if the stage does not exist.
        """
        try:
            return self.rows(sql)
        except Exception as error:
            if does_not_exist(error):
                raise JobInputError(
                    f"The stage of {location} does not exist, or this role may not see it. SHOW STAGES IN ACCOUNT "
                    "lists the ones that it can see."
                ) from error
            raise

    def list_files(self, location: str | StagePath, *, pattern: str | None = None) -> list[StageFile]:
        """``LIST`` of a stage location.

        :param location: ``@database.schema.stage/path/``; without the slash it is a prefix, as in Snowflake.
        :param pattern: regular expression that the whole name has to match.
        :raises JobInputError: if the stage does not exist.
        """
        qualified = self.qualify_location(location)
        rows = self._stage_rows(statements.list_stage(qualified, pattern=pattern), qualified)
        # LIST writes names as stage/path, the stage in lower case; on an external stage as URL/path.
        url = ""
        if rows and "://" in str(rows[0]["name"]):
            shown = [row for row in self.rows(statements.show_stages(qualified.stage)) if _is(row, qualified.stage)]
            url = str(shown[0]["url"]).rstrip("/") + "/" if shown else ""
        return [
            StageFile(
                path=path_in_stage(str(row["name"]), url),
                size=int(row["size"]),
                md5=row.get("md5"),
                last_modified=str(row["last_modified"]),
            )
            for row in rows
        ]

    def is_complete(self, directory: str | StagePath) -> bool:
        """Whether a job's output directory holds ``_SUCCESS``: only then may its files be read.

        :raises JobInputError: if the stage does not exist.
        """
        return self.success_time(directory) is not None

    def success_time(self, directory: str | StagePath) -> datetime | None:
        """When ``_SUCCESS`` was written, or None if it is not there.

        :raises JobInputError: if the stage does not exist.
        """
        marker = self.qualify_location(directory).directory().child(SUCCESS)
        for file in self.list_files(marker):
            if file.path == marker.path:
                return parsedate_to_datetime(file.last_modified)
        return None

    def read_file(self, location: str | StagePath) -> bytes:
        """The content of one small file on a stage.

        :raises FileNotFoundError: if there is no such file.
        """
        with self.fetched(location) as file:
            return file.read_bytes()

    @contextmanager
    def fetched(self, location: str | StagePath) -> Iterator[Path]:
        """One file on a stage, as a file of this machine until the block ends.

        :raises FileNotFoundError: if there is no such file.
        """
        qualified = self._file_location(location)
        with tempfile.TemporaryDirectory(prefix="snowflake-batch-") as folder:
            try:
                self._stage_rows(statements.get_stage_file(qualified, folder), qualified)
            except Exception as error:
                if file_does_not_exist(error):
                    raise FileNotFoundError(f"{qualified} does not exist.") from error
                raise
            # GET takes the location for a prefix, so other files may have been fetched as well.
            file = Path(folder) / qualified.path.rpartition("/")[2]
            if not file.is_file():
                raise FileNotFoundError(f"{qualified} does not exist.")
            yield file

    def write_file(self, location: str | StagePath, content: bytes) -> None:
        """Put one small file on a stage, over whatever is there."""
        qualified = self._file_location(location)
        directory, _, name = qualified.path.rpartition("/")
        with tempfile.TemporaryDirectory(prefix="snowflake-batch-") as folder:
            local = Path(folder) / name
            local.write_bytes(content)
            self.put_file(StagePath(qualified.stage, directory), local)

    def put_file(self, directory: StagePath, local: Path) -> None:
        """Put a file of this machine on a stage under its own name, over whatever is there.

        :param directory: qualified.
        """
        self._stage_rows(statements.put_stage_file(str(local), directory), directory)

    def _file_location(self, location: str | StagePath) -> StagePath:
        qualified = self.qualify_location(location)
        if not qualified.path or qualified.path.endswith("/"):
            raise InvalidJobError("location", f"{qualified} is a directory: name a file.")
        return qualified

    def remove_files(self, location: str | StagePath) -> int:
        """``REMOVE`` of everything under a stage location; returns the number of files removed."""
        qualified = self.qualify_location(location)
        return len(self._stage_rows(statements.remove_stage_files(qualified), qualified))
