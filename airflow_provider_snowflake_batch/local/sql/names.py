"""Which tables and columns a statement may name: those of exactly this name.

DuckDB finds a table or column whatever the case of its name; to Snowflake ``"id"`` and ``ID`` are two names
(https://docs.snowflake.com/en/sql-reference/identifiers-syntax). DuckDB also has system tables of its own in reach.
A column that cannot be traced for certain is left to the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from sqlglot import Expr, exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.scope import Scope, traverse_scope

from airflow_provider_snowflake_batch.local.errors import (
    SnowflakeError,
    ambiguous_column,
    invalid_identifier,
    not_supported,
)
from airflow_provider_snowflake_batch.local.sql.declarations import changed_columns
from airflow_provider_snowflake_batch.local.sql.temporary import table_of_statement
from airflow_provider_snowflake_batch.local.sql.translate import REGISTERED, projection_name, stored_name, table_parts

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.local.sessions import Session

Name = tuple[str, str, str]
Columns = Callable[[Name], Collection[str] | None]
_TEMPORARY = ("temp", "main")


class Names:
    """The names that one session's statements may use.

    :param columns: the columns of a table or view of this qualified name, None if there is none. Temporary ones are
        asked for as ``temp.main.<name>``.
    :param has_twin: whether there is a table or view whose name differs from this one in case only.
    """

    def __init__(self, session: Session, columns: Columns, has_twin: Callable[[Name], bool]) -> None:
        self._session = session
        self._columns = columns
        self._has_twin = has_twin

    def check(self, tree: Expr) -> None:
        """Refuse names that only the engine would find.

        :raises SnowflakeError: 2003 for a table, 904 for a column; 90105 or 90106 for a table's name that the
            session's namespace does not complete; "not supported" for columns whose names differ in case only.
        """
        self._check_tables(tree)
        self._check_new_columns(tree)
        if isinstance(tree, (exp.Update, exp.Delete, exp.Merge)):
            self._check_dml(tree)
        elif isinstance(tree, exp.Insert):
            self._check_listed(tree)
        elif isinstance(tree, exp.Alter):
            target = table_of_statement(tree)
            known = self._of_table(target) if target is not None else None
            for name, _, _ in changed_columns(tree):
                _require(name, known)
        if tree.find(exp.Column, exp.Subquery, exp.CTE) is None:
            return
        for query in _queries(tree):
            try:
                for scope in traverse_scope(query):
                    self._check_scope(scope)
            except SqlglotError:
                # Not a query that can be traced.
                continue

    # Tables

    def _check_tables(self, tree: Expr) -> None:
        ctes = {stored_name(cte.args["alias"].this) for cte in tree.find_all(exp.CTE)}
        created = table_of_statement(tree) if isinstance(tree, exp.Create) else None
        renamed = [action.this for action in tree.find_all(exp.AlterRename)]
        if created is not None and self._has_twin(self._session.qualify(table_parts(created))):
            raise not_supported(f"A table whose name differs from another's in case only ({table_parts(created)[-1]})")
        if isinstance(tree, exp.Drop) and str(tree.args.get("kind")).upper() == "SEQUENCE":
            return
        for table in tree.find_all(exp.Table):
            if table is created or table in renamed or not isinstance(table.this, exp.Identifier):
                continue
            parts = table_parts(table)
            if len(parts) == 1 and (parts[0] in ctes or parts[0].startswith(REGISTERED)):
                continue
            if self._of_table(table, tree.key.upper()) is None:
                name = parts[-1].split(".")[-1] if parts[:2] == _TEMPORARY else ".".join(parts)
                raise SnowflakeError(
                    f"SQL compilation error:\nObject '{name}' does not exist or not authorized.",
                    errno=2003,
                    sqlstate="42S02",
                )

    def _of_table(self, table: exp.Table, kind: str = "SELECT") -> Collection[str] | None:
        parts = table_parts(table)
        try:
            return self._columns(self._session.qualify(parts))
        except SnowflakeError as error:
            words = error.message.replace("this operation", kind, 1)
            raise SnowflakeError(words, errno=error.errno, sqlstate=error.sqlstate) from None

    # Columns

    def _check_new_columns(self, tree: Expr) -> None:
        if isinstance(tree, exp.Create) and isinstance(tree.this, exp.Schema):
            _refuse_twins(stored_name(one.this) for one in tree.this.expressions if isinstance(one, exp.ColumnDef))

    def _check_listed(self, tree: exp.Insert) -> None:
        if isinstance(tree.this, exp.Schema):
            known = self._of_table(tree.this.this)
            for identifier in tree.this.expressions:
                _require(stored_name(identifier), known)

    def _check_dml(self, tree: Expr) -> None:
        """Columns outside of subqueries, sought in all of the statement's tables."""
        target = self._of_table(tree.this) or []
        for assignment in _assignments(tree):
            _require(stored_name(_identifier(assignment.this)), target)
        if isinstance(tree, exp.Merge):
            for when in tree.args["whens"].expressions:
                then = when.args["then"]
                if isinstance(then, exp.Insert) and isinstance(then.this, exp.Tuple):
                    for column in then.this.expressions:
                        _require(stored_name(_identifier(column)), target)
        known: list[str] = []
        for node in _outside_queries(tree):
            if isinstance(node, exp.Subquery) or (isinstance(node, exp.Table) and not _is_named(node)):
                return
            if isinstance(node, exp.Table):
                known += self._of_table(node) or []
        for node in _outside_queries(tree):
            if isinstance(node, exp.Column) and isinstance(node.this, exp.Identifier):
                _require(stored_name(node.this), known)

    def _check_scope(self, scope: Scope) -> None:
        for _, source in scope.selected_sources.values():
            self._outputs(source)
        aliases = {
            stored_name(one.args["alias"])
            for one in scope.expression.args.get("expressions") or []
            if isinstance(one, exp.Alias) and isinstance(one.args["alias"], exp.Identifier)
        }
        for column in scope.columns:
            if not isinstance(column.this, exp.Identifier):
                continue
            name = stored_name(column.this)
            known = self._visible(scope, column, name)
            if known is None:
                continue
            if not column.table:
                known = [*known, *aliases]
            _require(name, known)

    def _visible(self, scope: Scope, column: exp.Column, name: str) -> list[str] | None:
        """The columns that a column may be one of, outer queries' included; None if that cannot be said."""
        known: list[str] = []
        place: Scope | None = scope
        while place is not None:
            for called, (_, source) in place.selected_sources.items():
                if column.table and called.upper() != column.table.upper():
                    continue
                outputs = self._outputs(source)
                if outputs is None:
                    return None
                if isinstance(source, Scope) and list(outputs).count(name) > 1:
                    # The engine would take the first.
                    raise ambiguous_column(name)
                known += outputs
            if name in known:
                return known
            place = place.parent
        return known

    def _outputs(self, source: Scope | Expr) -> Collection[str] | None:
        """The columns of one source of a FROM."""
        if isinstance(source, exp.Table):
            if not isinstance(source.this, exp.Identifier) or table_parts(source)[0].startswith(REGISTERED):
                return None
            return self._of_table(source)
        if not isinstance(source, Scope):
            return None
        query = source.expression
        alias = getattr(query.parent, "args", {}).get("alias")
        if isinstance(alias, exp.TableAlias) and alias.args.get("columns"):
            return [stored_name(column) for column in alias.args["columns"]]
        if isinstance(query, exp.SetOperation):
            parts: Sequence[Scope] = getattr(source, "union_scopes", None) or ()
            return self._outputs(parts[0]) if parts else None
        if not isinstance(query, exp.Select):
            return None
        names: list[str] = []
        for projection in query.expressions:
            if projection.is_star:
                listed = self._starred(source, projection)
                if listed is None:
                    return None
                names += listed
            elif isinstance(projection, exp.Alias):
                names.append(stored_name(projection.args["alias"]))
            elif isinstance(projection, exp.Column) and isinstance(projection.this, exp.Identifier):
                names.append(stored_name(projection.this))
            else:
                names.append(projection_name(projection))
        _refuse_twins(names)
        return names

    def _starred(self, scope: Scope, star: Expr) -> list[str] | None:
        inner = star.this if isinstance(star, exp.Column) else star
        if not isinstance(inner, exp.Star) or any(inner.args.values()):
            return None
        names: list[str] = []
        for called, (_, source) in scope.selected_sources.items():
            if isinstance(star, exp.Column) and called.upper() != star.table.upper():
                continue
            outputs = self._outputs(source)
            if outputs is None:
                return None
            names += outputs
        # Those in parentheses, too, but not those of the queries that are joined.
        own = scope.expression.walk(prune=lambda node: isinstance(node, exp.Select) and node is not scope.expression)
        joins = [node for node in own if isinstance(node, exp.Join)]
        if any(join.args.get("using") or join.args.get("method") == "NATURAL" for join in joins):
            # The columns that two tables are joined by are there once.
            names = list(dict.fromkeys(names))
        return names


def _require(name: str, known: Iterable[str] | None) -> None:
    """Refuse a name that is known in another case only."""
    listed = list(known or ())
    if name not in listed and name.upper() in {one.upper() for one in listed}:
        raise invalid_identifier(name)


def _refuse_twins(names: Iterable[str]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.upper(), name)
        if other != name:
            raise not_supported(f"Columns whose names differ in case only ({other}, {name}), in one table or subquery,")


def _queries(tree: Expr) -> Iterator[exp.Query]:
    """The outermost queries of a statement."""
    if isinstance(tree, exp.Query):
        yield tree
        return
    for node in tree.walk(prune=lambda one: isinstance(one, exp.Query)):
        if isinstance(node, exp.Query) and not isinstance(node, exp.Subquery):
            yield node
        elif isinstance(node, exp.Subquery) and isinstance(node.this, exp.Query):
            yield node.this


def _outside_queries(tree: Expr) -> Iterator[Expr]:
    yield from tree.walk(prune=lambda node: isinstance(node, exp.Query))


def _is_named(table: exp.Table) -> bool:
    return isinstance(table.this, exp.Identifier)


def _identifier(column: Expr) -> Expr:
    inner: Expr = column.this if isinstance(column, exp.Column) else column
    return inner


def _assignments(tree: Expr) -> Iterator[Expr]:
    """``column = value`` of UPDATE … SET, also in a MERGE."""
    updates = [tree] if isinstance(tree, exp.Update) else []
    if isinstance(tree, exp.Merge):
        updates = [then for when in tree.args["whens"].expressions if isinstance(then := when.args["then"], exp.Update)]
    for update in updates:
        yield from (one for one in update.expressions if isinstance(one, exp.EQ))
