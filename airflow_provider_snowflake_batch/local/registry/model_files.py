"""The files of a model version as clients list and fetch them: ``snow://model/<model>/versions/<version>/<path>``."""

from __future__ import annotations

import datetime
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_snowflake_batch.local.errors import compilation_error, does_not_exist
from airflow_provider_snowflake_batch.local.parsing import Cursor

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.local.registry.registry import ModelRegistry
    from airflow_provider_snowflake_batch.local.sessions import Session

SCHEME = "snow://model/"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """:param name: as LIST shows it, ``versions/<version>/<path>``. :param path: inside the version's folder."""

    name: str
    path: str
    local: Path

    @property
    def size(self) -> int:
        return self.local.stat().st_size

    @property
    def md5(self) -> str:
        with self.local.open("rb") as file:
            return hashlib.file_digest(file, "md5").hexdigest()

    @property
    def modified(self) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(int(self.local.stat().st_mtime), datetime.UTC)


def model_files(registry: ModelRegistry, session: Session, url: str) -> tuple[Path, list[ModelFile]]:
    """The version's folder, and the files at or below the path that the URL names.

    :raises SnowflakeError: 2003 for an unknown model or version, 1003 for a malformed URL.
    """
    model, separator, rest = url.removeprefix(SCHEME).partition("/versions/")
    version_name, _, path = rest.partition("/")
    if not url.startswith(SCHEME) or not separator or not version_name:
        raise compilation_error(f"invalid URL '{url}', expected {SCHEME}<model>/versions/<version>/<path>.")
    cursor = Cursor(model)
    parts = cursor.name()
    cursor.end()
    version = registry.resolve(session, parts, version_name)
    folder = version.folder
    wanted = path.strip("/").removeprefix("./").strip(".")
    start = folder / wanted
    if ".." in Path(path).parts or not start.resolve().is_relative_to(folder.resolve()):
        raise does_not_exist("File", url)
    found = [start] if start.is_file() else sorted(item for item in start.rglob("*") if item.is_file())
    files = []
    for local in found:
        relative = local.relative_to(folder).as_posix()
        files.append(ModelFile(f"versions/{version.name}/{relative}", relative, local))
    return folder, files
