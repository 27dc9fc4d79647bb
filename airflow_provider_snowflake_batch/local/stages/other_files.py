"""Files that LIST and GET find elsewhere than on a stage, by URLs such as ``snow://model/…``."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from airflow_provider_snowflake_batch.local.errors import compilation_error
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.sessions import Session


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
