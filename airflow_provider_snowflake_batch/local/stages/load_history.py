"""Which files a table was loaded from, so that COPY INTO does not load one twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.local.state import StateDirectory

Name = tuple[str, str, str]
Files = dict[str, str | None]
"""The checksum by name of a file, None for one that was not loaded."""


class LoadHistory:
    """The load history of all tables; that of a table ends when it is created anew, truncated or dropped."""

    def __init__(self, state: StateDirectory) -> None:
        self._control = state.control(
            "CREATE TABLE IF NOT EXISTS loads (database TEXT, schema TEXT, relation TEXT, file TEXT, md5 TEXT, "
            "PRIMARY KEY (database, schema, relation, file))"
        )

    def loaded(self, table: Name) -> set[tuple[str, str]]:
        """Names and checksums of the files that are in the table."""
        return set(
            self._control.rows("SELECT file, md5 FROM loads WHERE (database, schema, relation) = (?, ?, ?)", *table)
        )

    def record(self, table: Name, files: Sequence[tuple[str, str]]) -> Files:
        """Note that files were loaded, all or none of them; what was noted of these names before."""
        with self._control.atomic():
            before = {name: self._md5(table, name) for name, _ in files}
            for name, md5 in files:
                self._control.insert("loads", *table, name, md5, verb="INSERT OR REPLACE")
        return before

    def restore(self, table: Name, before: Files | None) -> None:
        """Take back what :meth:`record` noted: the rows were not committed after all."""
        if not before:
            return
        with self._control.atomic():
            for name, md5 in before.items():
                self._control.run(
                    "DELETE FROM loads WHERE (database, schema, relation, file) = (?, ?, ?, ?)", *table, name
                )
                if md5 is not None:
                    self._control.insert("loads", *table, name, md5)

    def _md5(self, table: Name, file: str) -> str | None:
        row = self._control.row(
            "SELECT md5 FROM loads WHERE (database, schema, relation, file) = (?, ?, ?, ?)", *table, file
        )
        return None if row is None else str(row[0])

    def swap(self, first: Name, second: Name) -> None:
        """Two tables of one schema have exchanged their names."""
        with self._control.lock:
            for old, new in ((first[2], "\0"), (second[2], first[2]), ("\0", second[2])):
                self._control.run(
                    "UPDATE loads SET relation = ? WHERE (database, schema, relation) = (?, ?, ?)",
                    new,
                    first[0],
                    first[1],
                    old,
                )

    def forget(self, table: Name) -> None:
        self._control.run("DELETE FROM loads WHERE (database, schema, relation) = (?, ?, ?)", *table)

    def forget_all(self, database: str, schema: str | None = None) -> None:
        self._control.run(
            "DELETE FROM loads WHERE database = ? AND (? IS NULL OR schema = ?)", database, schema, schema
        )
