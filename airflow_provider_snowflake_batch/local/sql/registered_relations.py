"""What the server itself has, as relations that one statement of the engine can read: rows of bind variables and
literals, and the results of table functions.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa

from airflow_provider_snowflake_batch.local.quoting import quoted
from airflow_provider_snowflake_batch.local.sql.arrow import table_of
from airflow_provider_snowflake_batch.local.sql.translate import REGISTERED
from airflow_provider_snowflake_batch.local.statements import Result


class RegisteredRelations:
    """Relations of one connection, which are gone after the statement that reads them."""

    def __init__(self, duck: duckdb.DuckDBPyConnection) -> None:
        self._duck = duck
        self._registered = itertools.count()

    @contextmanager
    def rows(self, columns: Sequence[Sequence[Any]]) -> Iterator[tuple[str, list[str]]]:
        """A relation of these columns, for one statement: its name and theirs."""
        names = [f"B{number}" for number in range(1, len(columns) + 1)]
        source = f"{REGISTERED}{next(self._registered)}"
        self._duck.register(source, pa.table({n: pa.array(c) for n, c in zip(names, columns, strict=True)}))
        try:
            yield source, names
        finally:
            self._duck.unregister(source)

    @contextmanager
    def results(self) -> Iterator[Any]:
        """Results of table functions, readable for one statement."""
        names: list[str] = []

        def register(result: Result) -> str:
            name = f"{REGISTERED}{next(self._registered)}"
            table = table_of(result)
            self._duck.register(name, table)
            names.append(name)
            listed = ", ".join(
                f"PARSE_JSON({quoted(column.name)}) AS {quoted(column.name)}"
                if column.type in ("VARIANT", "OBJECT", "ARRAY")
                else quoted(column.name)
                for column in result.columns
            )
            return f"(SELECT {listed} FROM {quoted(name)})"

        try:
            yield register
        finally:
            for name in names:
                self._duck.unregister(name)
