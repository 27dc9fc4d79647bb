"""Temporary tables and views: a session's own, under their qualified Snowflake names.

DuckDB keeps temporary objects in one schema of its own per connection. There each lies under its whole Snowflake name,
and every reference to that name is pointed at it. So it hides a permanent table of the same name, in this session only,
and ends with the session.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.errors import SnowflakeError, not_supported
from airflow_provider_snowflake_batch.local.sql.catalog import Name
from airflow_provider_snowflake_batch.local.sql.translate import table_parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_snowflake_batch.local.sessions import Session

_ALIASED = (exp.From, exp.Join, exp.Update, exp.Delete, exp.Merge)


class TemporaryTables:
    """One session's temporary tables and views."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._physical: dict[Name, str] = {}
        self.declared: dict[Name, dict[str, str]] = {}
        """The declared column types, as far as they are known."""
        self.created: dict[Name, datetime.datetime] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._physical

    def __getitem__(self, name: Name) -> str:
        return self._physical[name]

    def __iter__(self) -> Iterator[Name]:
        return iter(self._physical)

    def change(self, tree: Expr) -> Name | None:
        """The temporary table that a CREATE or DROP is about; a CREATE is pointed at DuckDB's schema for it.

        :raises SnowflakeError: for ALTER of one, which DuckDB's names do not allow.
        """
        table = table_of_statement(tree)
        if table is None:
            return None
        if isinstance(tree, exp.Create):
            if tree.find(exp.TemporaryProperty) is None or str(tree.args.get("kind")).upper() not in ("TABLE", "VIEW"):
                return None
            name = self._session.qualify(table_parts(table))
            _point(table, ".".join(name))
            return name
        if isinstance(tree, (exp.Drop, exp.Alter)):
            try:
                name = self._session.qualify(table_parts(table))
            except SnowflakeError:
                return None
            if name in self._physical and isinstance(tree, exp.Alter) and _renames(tree):
                raise not_supported("ALTER TABLE … RENAME of a temporary table")
            return name if name in self._physical and isinstance(tree, exp.Drop) else None
        return None

    def changed(self, tree: Expr, name: Name, declared: dict[str, str]) -> str:
        """Note that the CREATE or DROP has succeeded; the answer's text."""
        if isinstance(tree, exp.Drop):
            del self._physical[name]
            self.declared.pop(name, None)
            self.created.pop(name, None)
            return f"{name[2]} successfully dropped."
        self._physical[name] = ".".join(name)
        self.declared[name] = declared
        self.created[name] = datetime.datetime.now(datetime.UTC)
        return f"{str(tree.args['kind']).capitalize()} {name[2]} successfully created."

    def redirect(self, tree: Expr) -> None:
        """Point every reference to one of them at where it lies."""
        if not self._physical:
            return
        ctes = {cte.alias_or_name.upper() for cte in tree.find_all(exp.CTE)}
        target = table_of_statement(tree) if isinstance(tree, exp.Create) else None
        for table in list(tree.find_all(exp.Table)):
            if table is target or not isinstance(table.this, exp.Identifier):
                continue
            parts = table_parts(table)
            if len(parts) == 1 and parts[0] in ctes:
                continue
            try:
                physical = self._physical.get(self._session.qualify(parts))
            except SnowflakeError:
                continue
            if physical is None:
                continue
            if not table.alias and isinstance(table.parent, _ALIASED):
                table.set("alias", exp.TableAlias(this=exp.to_identifier(parts[-1], quoted=True)))
            _point(table, physical)


def _point(table: exp.Table, physical: str) -> None:
    for part, name in (("this", physical), ("db", "main"), ("catalog", "temp")):
        table.set(part, exp.to_identifier(name, quoted=True))


def _renames(tree: exp.Alter) -> bool:
    return any(isinstance(action, exp.AlterRename) for action in tree.args.get("actions") or [])


def table_of_statement(tree: Expr) -> exp.Table | None:
    """The table that a DDL statement is about."""
    target = (tree.args.get("tables") or [None])[0] or tree.this
    if isinstance(target, exp.Schema):
        target = target.this
    return target if isinstance(target, exp.Table) else None
