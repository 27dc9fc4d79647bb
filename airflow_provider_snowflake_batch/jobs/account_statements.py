"""The text of statements about the account itself: what the session may do, and what an administrator does about it.

The second kind is never sent; it is shown to somebody who may.
"""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName
from airflow_provider_snowflake_batch.jobs.statement_text import literal

# https://docs.snowflake.com/en/sql-reference/functions-context
SESSION_FUNCTIONS = {
    "organization": "CURRENT_ORGANIZATION_NAME",
    "account": "CURRENT_ACCOUNT_NAME",
    "user": "CURRENT_USER",
    "role": "CURRENT_ROLE",
    "warehouse": "CURRENT_WAREHOUSE",
    "database": "CURRENT_DATABASE",
    "schema": "CURRENT_SCHEMA",
    "version": "CURRENT_VERSION",
}


def current_session() -> str:
    """One row about the session; answered without a warehouse."""
    return "SELECT " + ", ".join(f"{function}() AS {name.upper()}" for name, function in SESSION_FUNCTIONS.items())


def show_parameter(name: str, *, of_account: bool = False) -> str:
    """``SHOW PARAMETERS`` of one name, as the session has it or as the account sets it."""
    return f"SHOW PARAMETERS LIKE {literal(name)} IN {'ACCOUNT' if of_account else 'SESSION'}"


def show_warehouse(warehouse: Identifier) -> str:
    """``SHOW WAREHOUSES`` of one name, and of those that it matches as a pattern."""
    return f"SHOW WAREHOUSES LIKE {literal(warehouse.value)}"


def show_grants_to_role(role: QualifiedName) -> str:
    """``SHOW GRANTS TO ROLE``; a name of two parts is one of a database's roles."""
    return f"SHOW GRANTS TO {'DATABASE ' if role.schema is not None else ''}ROLE {role.sql()}"


def grant(privileges: str, kind: str, name: QualifiedName, role: Identifier) -> str:
    """``GRANT``.

    :param kind: of the object: ``COMPUTE POOL``.
    """
    return f"GRANT {privileges} ON {kind} {name.sql()} TO ROLE {role.sql()};"


def grant_role(role: Identifier, user: Identifier) -> str:
    return f"GRANT ROLE {role.sql()} TO USER {user.sql()};"


def create_compute_pool(pool: Identifier, family: str) -> str:
    return (
        f"CREATE COMPUTE POOL {pool.sql()} MIN_NODES = 1 MAX_NODES = 1 INSTANCE_FAMILY = {family} "
        "AUTO_SUSPEND_SECS = 300;"
    )


def resume_compute_pool(pool: Identifier) -> Sequence[str]:
    """Resume it now, and whenever a job comes."""
    return (f"ALTER COMPUTE POOL {pool.sql()} SET AUTO_RESUME = TRUE;", f"ALTER COMPUTE POOL {pool.sql()} RESUME;")


def resume_warehouse(warehouse: Identifier) -> str:
    return f"ALTER WAREHOUSE {warehouse.sql()} SET AUTO_RESUME = TRUE;"


def create_stage(stage: QualifiedName) -> str:
    """An internal stage with server-side encryption.

    https://docs.snowflake.com/en/sql-reference/sql/create-stage#internal-stage-parameters-internalstageparams
    """
    return f"CREATE STAGE {stage.sql()} ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE') DIRECTORY = (ENABLE = TRUE);"


def create_schema(schema: QualifiedName) -> str:
    return f"CREATE SCHEMA IF NOT EXISTS {schema.sql()};"


def set_for_user(user: Identifier, name: str, value: str) -> str:
    return f"ALTER USER {user.sql()} SET {name} = {value};"


def set_for_account(name: str, value: str) -> str:
    return f"ALTER ACCOUNT SET {name} = {value};"
