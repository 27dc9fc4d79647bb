"""Files of a stage, and those elsewhere that LIST and GET find by URLs such as ``snow://model/…``."""

from __future__ import annotations

import datetime
import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from airflow_provider_snowflake_batch.local.errors import SnowflakeError, compilation_error
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.sessions import Session
from airflow_provider_snowflake_batch.local.stages.stages import Stage, Stages, inside, split_location
from airflow_provider_snowflake_batch.local.statements import CURRENT

_CHECKSUMS: OrderedDict[tuple[str, int, int], str] = OrderedDict()
_KEPT_CHECKSUMS = 10_000


@dataclass(frozen=True, slots=True)
class StageFile:
    """One file.

    :param name: as LIST shows it: the stage's name in lower case, then the path.
    :param path: its path inside the stage.
    :param relative: its path after the location that was asked for.
    """

    name: str
    path: str
    relative: str
    local: Path
    size: int
    modified: datetime.datetime

    @property
    def md5(self) -> str:
        status = self.local.stat()
        key = (str(self.local), status.st_mtime_ns, status.st_size)
        known = _CHECKSUMS.get(key)
        if known is None:
            with self.local.open("rb") as file:
                known = hashlib.file_digest(file, "md5").hexdigest()
            _CHECKSUMS[key] = known
            while len(_CHECKSUMS) > _KEPT_CHECKSUMS:
                _CHECKSUMS.popitem(last=False)
        return known


def stage_files(
    stages: Stages, session: Session, location: str, pattern: str | None = None, *, anchored: bool = False
) -> list[StageFile]:
    """The files below a location, which is a prefix of their paths, in order of path.

    :param pattern: a regular expression that must match the whole of the path.
    :param anchored: match the path inside the stage, as COPY INTO does; otherwise the listed name, or what follows
        the location, may match as well.
    :raises SnowflakeError: 2003 for an unknown stage, 100093 for a malformed pattern.
    """
    stage, _ = stages.resolve(session, location)
    _, prefix = split_location(location)
    expression = _compiled(pattern)
    found = []
    asking = CURRENT.get()
    for path, local in stages.faults.visible(list(_walk(stage, prefix)), asking.text if asking is not None else None):
        if not path.startswith(prefix):
            continue
        name = path if stage.short_name.startswith(("~", "%")) else f"{stage.short_name.lower()}/{path}"
        relative = path[len(prefix) :].lstrip("/") or path.rsplit("/", 1)[-1]
        candidates = (path, f"/{path}") if anchored else (name, path, relative)
        if expression is not None and not any(expression.fullmatch(candidate) for candidate in candidates):
            continue
        status = local.stat()
        modified = datetime.datetime.fromtimestamp(int(status.st_mtime), datetime.UTC)
        found.append(StageFile(name, path, relative, local, status.st_size, modified))
    return sorted(found, key=lambda file: file.path)


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    if pattern is None:
        return None
    try:
        return re.compile(pattern, re.DOTALL)
    except re.error as error:
        raise SnowflakeError(
            f"Invalid regular expression: '{pattern}', {error}", errno=100048, sqlstate="2201B"
        ) from None


def _walk(stage: Stage, prefix: str) -> Iterator[tuple[str, Path]]:
    """Paths in the stage and files, from the deepest folder that the prefix names whole."""
    root = stage.folder
    start = inside(root, prefix.rpartition("/")[0])
    if not start.is_dir():
        return
    for local in start.rglob("*"):
        if local.is_file():
            yield local.relative_to(root).as_posix(), local


def remove_files(files: list[StageFile], root: Path) -> None:
    """Delete files, and the folders that are empty then: a stage has no folders of its own."""
    for file in files:
        file.local.unlink(missing_ok=True)
        for parent in file.local.parents:
            if parent == root or not parent.is_relative_to(root):
                break
            try:
                parent.rmdir()
            except OSError:
                break


class ListedFile(Protocol):
    """A file as LIST tells it."""

    @property
    def name(self) -> str:
        """As LIST shows it."""

    @property
    def path(self) -> str:
        """Inside the folder that holds all files of the place."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def md5(self) -> str:
        """The checksum of its content, in hexadecimal digits."""

    @property
    def modified(self) -> datetime.datetime:
        """When it was written."""


Find = Callable[[Session, str], tuple[Path, Sequence[ListedFile]]]
"""The folder that holds all files of a place, and those at or below a URL."""


class OtherFiles:
    """The other rooms' files, by how their URLs begin."""

    def __init__(self) -> None:
        self._by_scheme: dict[str, Find] = {}

    def add(self, scheme: str, find: Find) -> None:
        """Let a room find the files whose URLs begin so."""
        self._by_scheme[scheme] = find

    def follow(self, cursor: Cursor) -> bool:
        """Whether the next token is the quoted URL of such files."""
        token = cursor.peek()
        return token is not None and token.kind == "string" and token.value.startswith(tuple(self._by_scheme))

    def find(self, session: Session, url: str) -> tuple[Path, Sequence[ListedFile]]:
        """The folder and the files that a URL names.

        :raises SnowflakeError: 1003 for a URL that no room knows, and what the room says of one that it does.
        """
        for scheme, find in self._by_scheme.items():
            if url.startswith(scheme):
                return find(session, url)
        raise compilation_error(f"invalid URL '{url}'.")
