"""What DuckDB's catalog does not keep: when an object was created, and the type a column was declared with."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_snowflake_batch.local.sql.declarations import Key
from airflow_provider_snowflake_batch.local.state import StateDirectory

_SCHEMA = """
CREATE TABLE IF NOT EXISTS created_objects (
    kind TEXT, database TEXT, schema TEXT, name TEXT, created TEXT, PRIMARY KEY (kind, database, schema, name));
CREATE TABLE IF NOT EXISTS declared_columns (
    database TEXT, schema TEXT, relation TEXT, name TEXT, declared TEXT,
    PRIMARY KEY (database, schema, relation, name));
CREATE TABLE IF NOT EXISTS key_columns (
    database TEXT, schema TEXT, relation TEXT, kind TEXT, name TEXT, constraint_name TEXT);
CREATE TABLE IF NOT EXISTS view_texts (
    database TEXT, schema TEXT, name TEXT, text TEXT, PRIMARY KEY (database, schema, name));
CREATE TABLE IF NOT EXISTS foreign_keys (
    database TEXT, schema TEXT, relation TEXT, pk_database TEXT, pk_schema TEXT, pk_relation TEXT, record TEXT);
"""
Name = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view.

    :param kind: TABLE, TRANSIENT, TEMPORARY or VIEW.
    """

    database: str
    schema: str
    name: str
    kind: str
    created: datetime.datetime | None
    comment: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column as DESCRIBE TABLE shows it; ``declared`` is its Snowflake type."""

    name: str
    declared: str
    nullable: bool = True
    default: str | None = None
    primary_key: bool = False
    unique: bool = False
    comment: str | None = None
    is_identity: bool = False


class Catalog:
    """Creation times and declared types, in the control database."""

    def __init__(self, state: StateDirectory) -> None:
        self._control = state.control(_SCHEMA)
        if "constraint_name" not in {row[1] for row in self._control.rows("PRAGMA table_info(key_columns)")}:
            # A state directory of a version that did not keep the names.
            self._control.run("ALTER TABLE key_columns ADD COLUMN constraint_name TEXT")
        self._declared: dict[Name, dict[str, str]] = {}
        for database, schema, relation, name, declared in self._control.rows(
            "SELECT database, schema, relation, name, declared FROM declared_columns"
        ):
            self._declared.setdefault((database, schema, relation), {})[name] = declared

    def record(self, kind: str, database: str, schema: str = "", name: str = "") -> None:
        """Note that an object was created just now."""
        now = datetime.datetime.now(datetime.UTC).isoformat()
        self._control.insert("created_objects", kind, database, schema, name, now, verb="INSERT OR REPLACE")

    def unrecord(self, kind: str, database: str, schema: str, name: str) -> None:
        """Note that an object of this name is none of this kind any more."""
        self._control.run(
            "DELETE FROM created_objects WHERE (kind, database, schema, name) = (?, ?, ?, ?)",
            kind,
            database,
            schema,
            name,
        )

    def keep_text(self, view: Name, text: str) -> None:
        """Note the statement that has made a view."""
        self._control.insert("view_texts", *view, text, verb="INSERT OR REPLACE")

    def view_texts(self) -> dict[Name, str]:
        """The statements that have made views, by the view's name."""
        rows = self._control.rows("SELECT * FROM view_texts")
        return {row[:3]: row[3] for row in rows}

    def created(self, kind: str, database: str, schema: str = "", name: str = "") -> datetime.datetime | None:
        row = self._control.row(
            "SELECT created FROM created_objects WHERE (kind, database, schema, name) = (?, ?, ?, ?)",
            kind,
            database,
            schema,
            name,
        )
        return datetime.datetime.fromisoformat(row[0]) if row else None

    def declare(self, relation: Name, columns: Iterable[tuple[str, str]], *, replace: bool = True) -> None:
        """Note the declared types of a table's columns.

        :param replace: forget the table's other columns.
        """
        with self._control.lock:
            if replace:
                self._forget(relation)
            for name, declared in columns:
                self._declared.setdefault(relation, {})[name] = declared
                self._control.insert("declared_columns", *relation, name, declared, verb="INSERT OR REPLACE")

    def declared(self, relation: Name) -> dict[str, str]:
        """The declared types by column name; a column whose engine type says all is not among them."""
        return self._declared.get(relation, {})

    def change_column(self, relation: Name, name: str, new_name: str | None, declared: str | None) -> None:
        """Note that a column was renamed, dropped (no new name) or declared anew."""
        with self._control.lock:
            kept = self._declared.get(relation, {}).pop(name, None)
            self._control.run(
                "DELETE FROM declared_columns WHERE (database, schema, relation, name) = (?, ?, ?, ?)", *relation, name
            )
            if new_name is None:
                self._control.run(
                    "DELETE FROM key_columns WHERE (database, schema, relation) = (?1, ?2, ?3) AND constraint_name IN "
                    "(SELECT constraint_name FROM key_columns "
                    "WHERE (database, schema, relation, name) = (?1, ?2, ?3, ?4))",
                    *relation,
                    name,
                )
            elif new_name != name:
                self._control.run(
                    "UPDATE key_columns SET name = ? WHERE (database, schema, relation, name) = (?, ?, ?, ?)",
                    new_name,
                    *relation,
                    name,
                )
        kind = declared or kept
        if new_name is not None and kind is not None:
            self.declare(relation, [(new_name, kind)], replace=False)

    def add_keys(self, relation: Name, keys: Iterable[Key]) -> None:
        """Note columns of a table's keys."""
        with self._control.lock:
            for key in keys:
                self._control.insert("key_columns", *relation, *key)

    def keys(self, relation: Name) -> list[Key]:
        """The columns of a table's keys, in the order of the keys."""
        rows = self._control.rows(
            "SELECT kind, name, coalesce(constraint_name, 'SYS_CONSTRAINT_' || replace(kind, ' ', '_')) "
            "FROM key_columns WHERE (database, schema, relation) = (?, ?, ?) ORDER BY rowid",
            *relation,
        )
        return [Key(*row) for row in rows]

    def add_foreign_key(self, relation: Name, to: Name, record: Mapping[str, Any]) -> None:
        """Note a foreign key of a table.

        :param to: the table that it refers to.
        """
        self._control.insert("foreign_keys", *relation, *to, json.dumps(record))

    def foreign_keys(self) -> list[tuple[Name, Name, dict[str, Any]]]:
        """All foreign keys: the table that has it, the one that it refers to, and what was noted of it."""
        rows = self._control.rows("SELECT * FROM foreign_keys ORDER BY rowid")
        return [(row[:3], row[3:6], json.loads(row[6])) for row in rows]

    def rename(self, relation: Name, to: Name) -> None:
        columns, keys = dict(self.declared(relation)), self.keys(relation)
        kinds = {kind: self.created(kind, *relation) for kind in ("TABLE", "TRANSIENT", "VIEW")}
        text = self.view_texts().get(relation)
        foreign_keys = [key for key in self.foreign_keys() if relation in key[:2]]
        self.forget(relation)
        self.declare(to, columns.items())
        self.add_keys(to, keys)
        if text is not None:
            self.keep_text(to, text)
        for table, other, record in foreign_keys:
            self.add_foreign_key(to if table == relation else table, to if other == relation else other, record)
        for kind, created in kinds.items():
            if created is not None:
                self._control.insert("created_objects", kind, *to, created.isoformat(), verb="INSERT OR REPLACE")

    def swap(self, first: Name, second: Name) -> None:
        """Two tables have exchanged their names."""
        between = (first[0], first[1], "\0")
        for old, new in ((first, between), (second, first), (between, second)):
            self.rename(old, new)

    def forget(self, relation: Name) -> None:
        with self._control.lock:
            self._forget(relation)
            for table in ("created_objects", "view_texts"):
                self._control.run(f"DELETE FROM {table} WHERE (database, schema, name) = (?, ?, ?)", *relation)
            self._control.run(
                "DELETE FROM foreign_keys WHERE (pk_database, pk_schema, pk_relation) = (?, ?, ?)", *relation
            )

    def forget_all(self, database: str, schema: str | None = None) -> None:
        """Forget a database or schema with everything in it."""
        for relation in [name for name in self._declared if name[0] == database and schema in (None, name[1])]:
            self.forget(relation)
        with self._control.lock:
            tables = ("key_columns", "foreign_keys", "view_texts", "created_objects")
            for table, prefix in (*((table, "") for table in tables), ("foreign_keys", "pk_")):
                self._control.run(
                    f"DELETE FROM {table} WHERE {prefix}database = ? AND (? IS NULL OR {prefix}schema = ?)",
                    database,
                    schema,
                    schema,
                )

    def _forget(self, relation: Name) -> None:
        self._declared.pop(relation, None)
        for table in ("declared_columns", "key_columns", "foreign_keys"):
            self._control.run(f"DELETE FROM {table} WHERE (database, schema, relation) = (?, ?, ?)", *relation)

    def close(self) -> None:
        self._control.close()
