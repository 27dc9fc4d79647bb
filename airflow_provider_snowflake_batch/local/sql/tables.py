"""The tables and views of all databases, as DuckDB's catalog and this server's own know them."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from fakesnow.instance import GLOBAL_DATABASE_NAME

from airflow_provider_snowflake_batch.local.errors import does_not_exist
from airflow_provider_snowflake_batch.local.parsing import quoted
from airflow_provider_snowflake_batch.local.sql.catalog import Catalog, Name, Relation, TableColumn
from airflow_provider_snowflake_batch.local.sql.databases import HIDDEN_SCHEMAS, STREAM_COPIES
from airflow_provider_snowflake_batch.local.sql.types import TEXT_LENGTH, declared, result_column

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.local.sessions import Session
    from airflow_provider_snowflake_batch.local.sql.engine import Engine

_GLOBAL = f"{GLOBAL_DATABASE_NAME}._fs_information_schema"
_COMMENTS = f"{_GLOBAL}._fs_tables_ext x ON (ext_table_catalog, ext_table_schema, ext_table_name) ="
_COLUMN_TYPES = (
    "SELECT column_name, data_type, is_nullable FROM duckdb_columns() "
    "WHERE (database_name, schema_name, table_name) = (?, ?, ?) AND NOT internal ORDER BY column_index"
)
_SEQUENCE = re.compile(r"nextval\('(.+)'\)")
# What the engine names the sequence behind AUTOINCREMENT.
_IDENTITY = "_fs_seq_"


class TableKeeper(Protocol):
    """Another room that keeps something of tables: their stages, say."""

    def table_emptied(self, name: Name) -> None:
        """The table holds nothing any more of what was loaded into it."""

    def table_dropped(self, name: Name) -> None:
        """The table is gone."""

    def tables_swapped(self, first: Name, second: Name) -> None:
        """The two tables have exchanged their names."""


class Tables:
    """All tables and views.

    :param engine: what asks the engine's own catalog.
    :param catalog: what the engine's own does not keep.
    """

    def __init__(self, engine: Engine, catalog: Catalog) -> None:
        self.keepers: list[TableKeeper] = []
        """Those that are told of what becomes of a table."""
        self._engine = engine
        self._catalog = catalog
        self._lock = threading.Lock()
        self._known: dict[Name, dict[str, str] | None] = {}
        self._required: dict[Name, frozenset[str]] = {}
        self._known_version = 0

    def has_table(self, session: Session, name: Name) -> bool:
        """Whether this session sees a table or view of this qualified name."""
        return name in self._engine.connection(session).temporary or self.known_columns(name) is not None

    def known_columns(self, name: Name) -> Mapping[str, str] | None:
        """The columns of a permanent table or view of exactly this name with the engine's types, None if there is none.

        Those of INFORMATION_SCHEMA, which are the engine's affair, are none at all.
        """
        if name[1] == "INFORMATION_SCHEMA":
            return {}
        with self._lock:
            if name in self._known:
                return self._known[name]
            version = self._known_version
        hidden = name[1] in set(HIDDEN_SCHEMAS) - {STREAM_COPIES} or name[0] not in self._engine.databases.names()
        rows = [] if hidden else self._engine.query(_COLUMN_TYPES, name)
        found = {column: str(kind) for column, kind, _ in rows} or None
        with self._lock:
            # What was read before a change of the catalog must not outlive it.
            if version == self._known_version:
                self._known[name] = found
                self._required[name] = frozenset(column for column, _, is_nullable in rows if not is_nullable)
        return found

    def required_columns(self, name: Name) -> frozenset[str]:
        """The columns of a permanent table that are NOT NULL."""
        self.known_columns(name)
        return self._required.get(name, frozenset())

    def has_twin(self, name: Name) -> bool:
        """Whether there is a permanent table or view whose name differs from this one in case only."""
        rows = self._engine.query(
            "SELECT 1 FROM duckdb_columns() WHERE (database_name, schema_name) = (?, ?) AND table_name <> ? "
            "AND upper(table_name) = upper(?)",
            [*name, name[2]],
        )
        return bool(rows)

    def changed(self) -> None:
        """Note that a table, view, schema or database was made, changed or dropped."""
        with self._lock:
            self._known_version += 1
            self._known.clear()
            self._required.clear()

    def keep_comment(self, name: Name, comment: str | None) -> None:
        """The comment of a table or view, where fakesnow's information schema looks for it."""
        if comment is not None:
            self._engine.query(f"INSERT OR REPLACE INTO {_GLOBAL}._fs_tables_ext VALUES (?, ?, ?, ?)", [*name, comment])

    def keep_text_lengths(self, name: Name, lengths: Sequence[tuple[str, int]]) -> None:
        """The declared lengths of text columns, where fakesnow's information schema looks for them."""
        for column, length in lengths:
            values = [*name, column, length, min(length * 4, TEXT_LENGTH)]
            self._engine.query(f"INSERT OR REPLACE INTO {_GLOBAL}._fs_columns_ext VALUES (?, ?, ?, ?, ?, ?)", values)

    def emptied(self, name: Name) -> None:
        """Note that a table holds nothing any more of what was loaded into it."""
        for keeper in self.keepers:
            keeper.table_emptied(name)

    def dropped(self, name: Name) -> None:
        """Note that a table is gone, and what was loaded into it and its stage with it."""
        self._catalog.forget(name)
        self.emptied(name)
        for keeper in self.keepers:
            keeper.table_dropped(name)

    def swapped(self, first: Name, second: Name) -> None:
        """Note that two tables have exchanged their names: what is known of each goes with it."""
        self.changed()
        self._catalog.swap(first, second)
        for keeper in self.keepers:
            keeper.tables_swapped(first, second)
        for table in ("_fs_tables_ext", "_fs_columns_ext"):
            key = "(ext_table_catalog, ext_table_schema, ext_table_name) = (?, ?, ?)"
            for old, new in ((first[2], "\0"), (second[2], first[2]), ("\0", second[2])):
                self._engine.query(
                    f"UPDATE {_GLOBAL}.{table} SET ext_table_name = ? WHERE {key}", [new, *first[:2], old]
                )

    def relations(self, session: Session) -> list[Relation]:
        """All tables and views that a session sees."""
        found = [
            Relation(
                database,
                schema,
                name,
                "TABLE" if self._catalog.created("TRANSIENT", database, schema, name) is None else "TRANSIENT",
                self._catalog.created("TABLE", database, schema, name),
                comment or "",
            )
            for database, schema, name, comment in self._engine.query(
                "SELECT database_name, schema_name, table_name, x.comment FROM duckdb_tables() "
                f"LEFT JOIN {_COMMENTS} (database_name, schema_name, table_name) WHERE NOT temporary AND NOT internal"
            )
            if schema not in HIDDEN_SCHEMAS and database != GLOBAL_DATABASE_NAME
        ]
        texts = self._catalog.view_texts()
        found += [
            Relation(
                database,
                schema,
                name,
                "VIEW",
                self._catalog.created("VIEW", database, schema, name),
                comment or "",
                texts.get((database, schema, name), text),
            )
            for database, schema, name, comment, text in self._engine.query(
                "SELECT database_name, schema_name, view_name, x.comment, sql FROM duckdb_views() "
                f"LEFT JOIN {_COMMENTS} (database_name, schema_name, view_name) WHERE NOT internal"
            )
            if schema not in HIDDEN_SCHEMAS and database != GLOBAL_DATABASE_NAME
        ]
        temporary = self._engine.connection(session).temporary
        return [one for one in found if (one.database, one.schema, one.name) not in temporary] + [
            Relation(*name, "TEMPORARY", temporary.created[name]) for name in temporary
        ]

    def row_count(self, session: Session, name: Name) -> int:
        """The rows that the session sees in a table."""
        connection = self._engine.connection(session)
        with session.lock:
            physical = ("temp", "main", connection.temporary[name]) if name in connection.temporary else name
            return int(connection.query(f"SELECT count(*) FROM {quoted(*physical)}", [])[0][0])

    def columns(self, session: Session, name: Name) -> list[TableColumn]:
        """The columns of a table or view.

        :raises SnowflakeError: 2003 if the session sees none of this name.
        """
        connection = self._engine.connection(session)
        with session.lock:
            physical = ("temp", "main", connection.temporary[name]) if name in connection.temporary else name
            rows = connection.query(
                "SELECT column_name, data_type, is_nullable, column_default, comment FROM duckdb_columns() "
                "WHERE (database_name, schema_name, table_name) = (?, ?, ?) ORDER BY column_index",
                list(physical),
            )
        if not rows:
            raise does_not_exist("Table", ".".join(name))
        keys = [] if name in connection.temporary else self._catalog.keys(name)
        primary = {key.column for key in keys if key.kind == "PRIMARY KEY"}
        unique = {key.column for key in keys if key.kind == "UNIQUE"}
        known = connection.declared(name)
        return [
            TableColumn(
                column,
                known.get(column) or declared(result_column(column, kind)),
                nullable,
                self._default(default),
                column in primary,
                column in unique,
                comment,
                is_identity=_IDENTITY in (default or ""),
            )
            for column, kind, nullable, default, comment in rows
        ]

    def _default(self, default: str | None) -> str | None:
        """A column's default as Snowflake shows it: no name of the sequence behind AUTOINCREMENT."""
        match = _SEQUENCE.fullmatch(default or "")
        if match is None:
            return default
        *_, name = match[1].replace('"', "").split(".")
        if not name.startswith(_IDENTITY):
            return f"{match[1].replace(chr(34), '')}.NEXTVAL"
        ((start, increment),) = self._engine.query(
            "SELECT start_value, increment_by FROM duckdb_sequences() WHERE upper(sequence_name) = upper(?)", [name]
        )
        return f"IDENTITY START {start} INCREMENT {increment} NOORDER"
