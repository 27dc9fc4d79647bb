"""Which files a table was loaded from, so that COPY INTO does not load one twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.local.state import StateDirectory

Name = tuple[str, str, str]
Files = dict[str, str | None]
"""The checksum by name of a file, None for one that was not loaded."""


class LoadHistory:
    """The load history of all tables; that of a table ends when it is created anew, truncated or dropped."""

    def __init__(self, state: StateDirectory) -> None:
        self._connection = state.connect()
        self._lock = threading.Lock()
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS loads (database TEXT, schema TEXT, relation TEXT, file TEXT, md5 TEXT, "
            "PRIMARY KEY (database, schema, relation, file))"
        )

    def loaded(self, table: Name) -> set[tuple[str, str]]:
        """Names and checksums of the files that are in the table."""
        with self._lock:
            return set(
                self._connection.execute(
                    "SELECT file, md5 FROM loads WHERE (database, schema, relation) = (?, ?, ?)", table
                ).fetchall()
            )

    def record(self, table: Name, files: Sequence[tuple[str, str]]) -> Files:
        """Note that files were loaded, all or none of them; what was noted of these names before."""
        with self._lock, self._atomic():
            before = {name: self._md5(table, name) for name, _ in files}
            self._connection.executemany(
                "INSERT OR REPLACE INTO loads VALUES (?, ?, ?, ?, ?)", [(*table, name, md5) for name, md5 in files]
            )
        return before

    def restore(self, table: Name, before: Files | None) -> None:
        """Take back what :meth:`record` noted: the rows were not committed after all."""
        if not before:
            return
        with self._lock, self._atomic():
            for name, md5 in before.items():
                self._connection.execute(
                    "DELETE FROM loads WHERE (database, schema, relation, file) = (?, ?, ?, ?)", (*table, name)
                )
                if md5 is not None:
                    self._connection.execute("INSERT INTO loads VALUES (?, ?, ?, ?, ?)", (*table, name, md5))

    def _md5(self, table: Name, file: str) -> str | None:
        row = self._connection.execute(
            "SELECT md5 FROM loads WHERE (database, schema, relation, file) = (?, ?, ?, ?)", (*table, file)
        ).fetchone()
        return None if row is None else str(row[0])

    @contextmanager
    def _atomic(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            # A full disk has rolled it back already.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def swap(self, first: Name, second: Name) -> None:
        """Two tables of one schema have exchanged their names."""
        with self._lock:
            for old, new in ((first[2], "\0"), (second[2], first[2]), ("\0", second[2])):
                self._connection.execute(
                    "UPDATE loads SET relation = ? WHERE (database, schema, relation) = (?, ?, ?)",
                    (new, first[0], first[1], old),
                )

    def forget(self, table: Name) -> None:
        with self._lock:
            self._connection.execute("DELETE FROM loads WHERE (database, schema, relation) = (?, ?, ?)", table)

    def forget_all(self, database: str, schema: str | None = None) -> None:
        with self._lock:
            self._connection.execute(
                "DELETE FROM loads WHERE database = ? AND (? IS NULL OR schema = ?)", (database, schema, schema)
            )
