"""CREATE, ALTER, DROP, TRUNCATE and COMMENT of tables, views and sequences, and what the catalog keeps of them.

Source of SWAP WITH: https://docs.snowflake.com/en/sql-reference/sql/alter-table
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import duckdb
from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.errors import (
    SnowflakeError,
    does_not_exist,
    invalid_identifier,
    not_supported,
)
from airflow_provider_snowflake_batch.local.parsing import quoted
from airflow_provider_snowflake_batch.local.sql import translate
from airflow_provider_snowflake_batch.local.sql.catalog import Name
from airflow_provider_snowflake_batch.local.sql.declarations import (
    Key,
    changed_columns,
    comment_statement,
    declarations,
    is_wider,
    take_comments,
    take_foreign_keys,
    take_keys,
)
from airflow_provider_snowflake_batch.local.sql.expression_types import kind_of
from airflow_provider_snowflake_batch.local.sql.expressions import engine_sql
from airflow_provider_snowflake_batch.local.sql.query_types import declared_outputs
from airflow_provider_snowflake_batch.local.sql.temporary import table_of_statement
from airflow_provider_snowflake_batch.local.sql.translate import table_parts
from airflow_provider_snowflake_batch.local.sql.variant_types import unheld
from airflow_provider_snowflake_batch.local.statements import Result, nothing_dropped

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.local.sessions import Session
    from airflow_provider_snowflake_batch.local.sql.connection import EngineConnection
    from airflow_provider_snowflake_batch.local.sql.engine import Engine


class Definitions:
    """The definitions of one connection. Use it with the session's lock held."""

    def __init__(
        self, engine: Engine, connection: EngineConnection, session: Session, duck: duckdb.DuckDBPyConnection
    ) -> None:
        self._engine = engine
        self._connection = connection
        self._session = session
        self._duck = duck

    def run(self, tree: Expr) -> Result:
        """:param tree: the statement; it is changed."""
        columns = declarations(tree)
        if not columns and isinstance(tree, exp.Create) and isinstance(tree.expression, exp.Query):
            outputs = declared_outputs(tree.expression, self._connection.lookup, kind_of)
            columns = [(name, unheld(kind)) for name, kind in outputs.items()]
        self._check_types(tree)
        foreign_keys = self._foreign_keys(tree)
        keys = take_keys(tree)
        comments = take_comments(tree)
        copied = _copied_table(tree)
        columns = columns or list(self._connection.lookup(copied).items() if copied is not None else [])
        rules = self._rules(copied) if copied is not None else []
        change = self._connection.temporary.change(tree)
        self._connection.temporary.redirect(tree)
        if change is not None:
            self._run(tree, rules)
            self._comment(tree, comments)
            return Result.message(self._connection.temporary.changed(tree, change, dict(columns)))
        target = self._connection.target(tree)
        if target is not None and (other := swapped_table(tree)) is not None:
            swap(self._engine, self._session, self._duck, target, other)
            return Result.message("Statement executed successfully.")
        if (already := self._done_already(tree, target)) is not None:
            return Result.message(already)
        if not isinstance(tree, exp.Alter) or tree.args.get("actions"):
            self._define(tree, rules)
        self._comment(tree, comments)
        if isinstance(tree, exp.TruncateTable):
            for table in tree.expressions:
                self._engine.tables.emptied(self._session.qualify(translate.table_parts(table)))
        elif target is not None:
            self._note(tree, target, columns, keys)
            for to, record in foreign_keys:
                self._engine.catalog.add_foreign_key(target, to, record)
            if isinstance(tree, exp.Drop):
                return Result.dropped(target[2], was_there=True)
            if isinstance(tree, exp.Create):
                return Result.message(f"{str(tree.args['kind']).capitalize()} {target[2]} successfully created.")
        return Result.message("Statement executed successfully.")

    def _check_types(self, tree: Expr) -> None:
        """:raises SnowflakeError: 2108 for a type that a column's values may not fit."""
        target = self._connection.target(tree) if isinstance(tree, exp.Alter) else None
        if target is None or not self._engine.tables.has_table(self._session, target):
            return
        before = {one.name: one.declared for one in self._engine.tables.columns(self._session, target)}
        for column, _, declared in changed_columns(tree):
            if declared is None or column not in before or is_wider(before[column], declared):
                continue
            if is_wider(declared, before[column]) and declared.startswith("NUMBER"):
                raise not_supported(f"{declared} for {before[column]}, where an account sees whether the values fit,")
            raise SnowflakeError(
                f"SQL compilation error: cannot change column {column} from type {before[column]} to {declared}",
                errno=2108,
                sqlstate="22000",
            )

    def _foreign_keys(self, tree: Expr) -> list[tuple[Name, dict[str, Any]]]:
        """The foreign keys of a definition, each with the table that it refers to.

        :raises SnowflakeError: 2003 for a table, 904 for a column that is not there.
        """
        found = []
        for key in take_foreign_keys(tree):
            to = self._session.qualify(key.table)
            is_own = to == self._connection.target(tree) and isinstance(tree, exp.Create)
            columns = [] if is_own else self._engine.tables.columns(self._session, to)
            referenced = key.referenced or tuple(one.name for one in columns if one.primary_key)
            for name in () if is_own else referenced:
                if name not in {one.name for one in columns}:
                    raise invalid_identifier(name)
            found.append((to, asdict(key) | {"referenced": referenced}))
        return found

    def _done_already(self, tree: Expr, target: Name | None) -> str | None:
        """What IF EXISTS or IF NOT EXISTS answers when there is nothing to do; None when there is."""
        if not tree.args.get("exists"):
            return None
        if isinstance(tree, exp.TruncateTable):
            # DuckDB's TRUNCATE has no IF EXISTS.
            tree.set("exists", None)
            target = self._session.qualify(translate.table_parts(tree.expressions[0]))
            return None if self._engine.tables.has_table(self._session, target) else "Statement executed successfully."
        is_sequence = str(tree.args.get("kind")).upper() == "SEQUENCE"
        has = self._has_sequence if is_sequence else partial(self._engine.tables.has_table, self._session)
        is_there = target is not None and has(target)
        if isinstance(tree, (exp.Alter, exp.Comment)) and target is not None and not is_there:
            return "Statement executed successfully."
        if isinstance(tree, exp.Drop) and target is not None and not is_there:
            return nothing_dropped(target[2])
        if isinstance(tree, exp.Create) and target is not None and is_there:
            return f"{target[2]} already exists, statement succeeded."
        return None

    def _has_sequence(self, name: Name) -> bool:
        query = "SELECT 1 FROM duckdb_sequences() WHERE (database_name, schema_name, sequence_name) = (?, ?, ?)"
        return bool(self._connection.query(query, name))

    def _note(self, tree: Expr, name: Name, columns: Sequence[tuple[str, str]], keys: Sequence[Key]) -> None:
        """Keep the catalog up with DDL that has succeeded."""
        catalog, kind = self._engine.catalog, str(tree.args.get("kind")).upper()
        if isinstance(tree, exp.Create):
            catalog.record(kind, *name)
            (catalog.record if tree.find(exp.TransientProperty) else catalog.unrecord)("TRANSIENT", *name)
            catalog.declare(name, columns)
            catalog.add_keys(name, keys)
            if kind == "VIEW" and (text := tree.meta.get("text")) is not None:
                catalog.keep_text(name, text)
            self._engine.tables.emptied(name)
        elif isinstance(tree, exp.Drop):
            self._engine.tables.dropped(name)
        elif isinstance(tree, exp.Alter):
            for action in tree.args.get("actions") or []:
                if isinstance(action, exp.AlterRename):
                    catalog.rename(name, self._session.qualify(translate.table_parts(action.this)))
            catalog.declare(name, columns, replace=False)
            for column, new_name, declared in changed_columns(tree):
                catalog.change_column(name, column, new_name, declared)
            catalog.add_keys(name, keys)

    def _rules(self, source: exp.Table) -> list[str]:
        """What a copy of a table has to be told of its columns: the engine copies names and types only.

        :raises SnowflakeError: "not supported" for a column of values from a sequence: that of a copy starts anew.
        """
        name = self._session.qualify(translate.table_parts(source))
        temporary = self._connection.temporary
        rows = self._connection.query(
            "SELECT column_name, column_default, is_nullable FROM duckdb_columns() "
            "WHERE (database_name, schema_name, table_name) = (?, ?, ?)",
            ("temp", "main", temporary[name]) if name in temporary else name,
        )
        rules = []
        for column, default, is_nullable in rows:
            if "nextval(" in (default or "").lower():
                raise not_supported(f"LIKE or CLONE of a table whose column {column} takes its values from a sequence")
            rules += [f"ALTER COLUMN {quoted(column)} SET DEFAULT {default}"] if default is not None else []
            rules += [] if is_nullable else [f"ALTER COLUMN {quoted(column)} SET NOT NULL"]
        return rules

    def _define(self, tree: Expr, rules: Sequence[str]) -> None:
        """Run DDL, and keep what the information schema shows of it and DuckDB has no place for."""
        parts = self._connection.translated(tree)
        with self._engine.write_lock, self._connection.transactions.atomic():
            for part in parts:
                self._duck.execute(engine_sql(part)).fetchall()
                self._follow(part, rules)
                if found := part.args.get("table_comment"):
                    table, comment = found
                    self._engine.tables.keep_comment(self._session.qualify(translate.table_parts(table)), comment)
                if found := part.args.get("text_lengths"):
                    target = table_of_statement(part)
                    assert target is not None
                    self._engine.tables.keep_text_lengths(self._session.qualify(translate.table_parts(target)), found)
        self._engine.tables.changed()

    def _comment(self, tree: Expr, comments: Mapping[str, str]) -> None:
        table = table_of_statement(tree)
        if table is None or not comments:
            return
        name = self._session.qualify(translate.table_parts(table))
        with self._engine.write_lock:
            for column, comment in comments.items():
                self._duck.execute(comment_statement(name, column, comment))
        self._engine.tables.changed()

    def _run(self, tree: Expr, rules: Sequence[str]) -> None:
        with self._engine.write_lock:
            for part in self._connection.translated(tree):
                self._duck.execute(engine_sql(part))
                self._follow(part, rules)

    def _follow(self, part: Expr, rules: Sequence[str]) -> None:
        """Give a new table's columns the rules of those that they are copied from."""
        for rule in rules:
            table = table_of_statement(part)
            assert table is not None
            self._duck.execute(f"ALTER TABLE {engine_sql(table)} {rule}")


def _copied_table(tree: Expr) -> exp.Table | None:
    """The table that ``CREATE TABLE … LIKE`` or ``CLONE`` copies."""
    like = tree.find(exp.LikeProperty) if isinstance(tree, exp.Create) else None
    copy = like if like is not None else tree.args.get("clone")
    return copy.this if isinstance(copy, Expr) and isinstance(copy.this, exp.Table) else None


def swapped_table(tree: Expr) -> exp.Table | None:
    """The other table, if the statement swaps one."""
    actions = tree.args.get("actions") or [] if isinstance(tree, exp.Alter) else []
    return actions[0].this if len(actions) == 1 and isinstance(actions[0], exp.SwapTable) else None


def swap(engine: Engine, session: Session, duck: duckdb.DuckDBPyConnection, first: Name, other: exp.Table) -> None:
    """Exchange the tables' names, with what the catalog and the load history know of each: all of it or nothing.

    :raises SnowflakeError: 2003 for a table that is not there; "not supported" across schemas and for temporary ones.
    """
    second = session.qualify(table_parts(other))
    for name in (first, second):
        if not engine.tables.has_table(session, name):
            raise does_not_exist("Table", ".".join(name))
        if name in engine.connection(session).temporary:
            raise not_supported("ALTER TABLE … SWAP WITH of a temporary table")
    if first[:2] != second[:2]:
        raise not_supported("ALTER TABLE … SWAP WITH a table of another schema")
    if first == second:
        return
    between = f"_swap_{secrets.token_hex(8)}"
    with engine.write_lock, engine.atomic(session):
        for old, new in ((first[2], between), (second[2], first[2]), (between, second[2])):
            duck.execute(f"ALTER TABLE {quoted(*first[:2], old)} RENAME TO {quoted(new)}")
    engine.tables.swapped(first, second)
