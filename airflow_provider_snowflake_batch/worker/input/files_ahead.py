"""The files of a task, in order: small ones some hundred at a time, so that they can be decoded together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from airflow_provider_snowflake_batch.worker.input.joined_files import Joined, JoinedRows, Joiner
from airflow_provider_snowflake_batch.worker.input.read_ahead import ReadAhead
from airflow_provider_snowflake_batch.worker.input.sources import Source

# So many files are in memory at a time, of so many bytes together. More of them are not decoded faster.
FILES_AT_ONCE = 1024
BYTES_AT_ONCE = 16 * 1024 * 1024


class SmallRows(NamedTuple):
    """A row group that was decoded with those of other files.

    :param digest: SHA-256 of its file. :param seen: what was seen of that (`content.seen`).
    """

    decoded: JoinedRows
    digest: bytes
    seen: int


class FilesAhead:
    """Opens files.

    :param joiner: joins those that are small; None where each is to be decoded alone.
    """

    def __init__(self, reads: ReadAhead[str, Source], joiner: Joiner | None) -> None:
        self._reads, self._joiner = reads, joiner
        self._names: Sequence[str] = ()
        self._begun = 0
        self._coming: Iterator[Source] = iter(())
        self._files: dict[str, Source | OSError] = {}
        self._joined: dict[str, Joined] = {}

    def begin(self, names: Sequence[str]) -> None:
        """Have the files of a task come, in this order."""
        self._forget()
        self._names, self._begun, self._coming = names, 0, self._reads.results(names)

    def take(self, path: str) -> Source:
        """The next file, or one of those that `small_rows` was asked for last.

        :raises OSError: it cannot be read.
        """
        self._have(path)
        found = self._files.pop(path)
        if isinstance(found, OSError):
            raise found
        return found

    def small_rows(self, path: str, row_group: int) -> SmallRows | None:
        """A row group of the next file, or of the one before; None where it has to be decoded alone."""
        if self._joiner is None:
            return None
        self._have(path)
        joined = self._joined.get(path)
        rows = None if joined is None else joined.rows(path, row_group)
        source = self._files.get(path)
        if rows is None or not isinstance(source, Source):
            return None
        return SmallRows(rows, source.whole_digest(), source.seen)

    def _have(self, path: str) -> None:
        if path in self._files:
            return
        self._forget()
        size, most = 0, 1 if self._joiner is None else FILES_AT_ONCE
        small: list[tuple[str, bytes]] = []
        for name in self._names[self._begun : self._begun + most]:
            self._begun += 1
            try:
                source = self._files[name] = next(self._coming)
            except OSError as error:
                # The rows before it come first.
                self._files[name] = error
                break
            size += source.size
            if source.whole is None:
                break
            small.append((name, source.whole))
            if size >= BYTES_AT_ONCE:
                break
        if self._joiner is not None:
            self._joined = self._joiner.join(small)

    def _forget(self) -> None:
        for source in self._files.values():
            if isinstance(source, Source):
                source.close()
        self._files, self._joined = {}, {}
