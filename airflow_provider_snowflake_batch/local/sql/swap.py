"""ALTER TABLE … SWAP WITH: two tables exchange their names.

Source: https://docs.snowflake.com/en/sql-reference/sql/alter-table
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.errors import does_not_exist, not_supported
from airflow_provider_snowflake_batch.local.quoting import quoted
from airflow_provider_snowflake_batch.local.sql.translate import table_parts

if TYPE_CHECKING:
    import duckdb

    from airflow_provider_snowflake_batch.local.sessions import Session
    from airflow_provider_snowflake_batch.local.sql.catalog import Name
    from airflow_provider_snowflake_batch.local.sql.engine import Engine


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
