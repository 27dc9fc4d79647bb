"""GRANT, REVOKE and SHOW GRANTS keep a record, and say where they keep none.

Also tests ``local/account_objects.py``, ``local/grants.py``.
"""

from __future__ import annotations

from typing import Any

import pytest
from snowflake.connector import DictCursor, ProgrammingError, SnowflakeConnection


def execute(connection: SnowflakeConnection, sql: str) -> list[Any]:
    return list(connection.cursor().execute(sql).fetchall())  # type: ignore[union-attr]


def granted(connection: SnowflakeConnection, which: str) -> set[tuple[str, str, str]]:
    """Privilege, kind and name of each row of SHOW GRANTS."""
    rows = connection.cursor(DictCursor).execute(f"SHOW GRANTS {which}").fetchall()  # type: ignore[union-attr]
    return {(row["privilege"], row["granted_on"], row["name"]) for row in rows}  # type: ignore[call-overload]


@pytest.fixture
def role(connection: SnowflakeConnection, schema: str) -> str:
    """A role of its own, and a stage and a compute pool in the test's schema."""
    execute(connection, f"CREATE OR REPLACE ROLE R_{schema}")
    execute(connection, "CREATE STAGE S")
    execute(connection, f"CREATE COMPUTE POOL P_{schema} MIN_NODES = 1 MAX_NODES = 1 INSTANCE_FAMILY = CPU_X64_XS")
    return f"R_{schema}"


def test_what_is_granted_is_shown_until_it_is_revoked(connection: SnowflakeConnection, schema: str, role: str) -> None:
    assert granted(connection, f"TO ROLE {role}") == set()
    execute(connection, f"GRANT READ, WRITE ON STAGE S TO ROLE {role}")
    execute(connection, f"GRANT CREATE SERVICE, CREATE FILE FORMAT ON SCHEMA {schema} TO ROLE {role}")
    execute(connection, "CREATE SECRET K TYPE = GENERIC_STRING SECRET_STRING = 'x'")
    execute(connection, f"GRANT READ ON SECRET K TO ROLE {role}")
    execute(connection, f"GRANT USAGE ON COMPUTE POOL P_{schema} TO {role} WITH GRANT OPTION")
    execute(connection, f"GRANT BIND SERVICE ENDPOINT ON ACCOUNT TO ROLE {role}")
    stage = f"LOCAL.{schema}.S"
    assert granted(connection, f"TO ROLE {role}") == {
        ("READ", "STAGE", stage),
        ("WRITE", "STAGE", stage),
        ("READ", "SECRET", f"LOCAL.{schema}.K"),
        ("CREATE SERVICE", "SCHEMA", f"LOCAL.{schema}"),
        ("CREATE FILE FORMAT", "SCHEMA", f"LOCAL.{schema}"),
        ("USAGE", "COMPUTE_POOL", f"P_{schema}"),
        ("BIND SERVICE ENDPOINT", "ACCOUNT", "LOCAL"),
    }
    assert granted(connection, "ON STAGE S") == {
        ("OWNERSHIP", "STAGE", stage),
        ("READ", "STAGE", stage),
        ("WRITE", "STAGE", stage),
    }
    execute(connection, f"REVOKE WRITE ON STAGE S FROM ROLE {role} CASCADE")
    execute(connection, f"REVOKE GRANT OPTION FOR USAGE ON COMPUTE POOL P_{schema} FROM ROLE {role}")
    assert ("WRITE", "STAGE", stage) not in granted(connection, f"TO ROLE {role}")
    assert ("USAGE", "COMPUTE_POOL", f"P_{schema}") in granted(connection, f"TO ROLE {role}")


def test_roles_are_granted_to_roles(connection: SnowflakeConnection, schema: str, role: str) -> None:
    execute(connection, f"CREATE OR REPLACE ROLE UPPER_{schema}")
    execute(connection, f"GRANT ROLE {role} TO ROLE UPPER_{schema}")
    assert granted(connection, f"TO ROLE UPPER_{schema}") == {("USAGE", "ROLE", role)}
    rows = execute(connection, f"SHOW GRANTS OF ROLE {role}")
    assert [row[1:4] for row in rows] == [(role, "USER", "LOCAL"), (role, "ROLE", f"UPPER_{schema}")]
    assert ("USAGE", "ROLE", "SYSADMIN") in granted(connection, "TO ROLE ACCOUNTADMIN")
    execute(connection, f"REVOKE ROLE {role} FROM ROLE UPPER_{schema}")
    assert granted(connection, f"TO ROLE UPPER_{schema}") == set()


@pytest.mark.parametrize("change", ["CREATE OR REPLACE STAGE S", "DROP STAGE S", "CREATE OR REPLACE ROLE {role}"])
def test_a_grant_ends_with_its_object_and_its_role(connection: SnowflakeConnection, role: str, change: str) -> None:
    execute(connection, f"GRANT READ ON STAGE S TO ROLE {role}")
    execute(connection, change.format(role=role))
    assert granted(connection, f"TO ROLE {role}") == set()


def test_what_is_owned_is_shown(connection: SnowflakeConnection, schema: str, role: str) -> None:
    owned = granted(connection, "TO ROLE SYSADMIN")
    assert {("OWNERSHIP", "STAGE", f"LOCAL.{schema}.S"), ("OWNERSHIP", "SCHEMA", f"LOCAL.{schema}")} <= owned


@pytest.mark.parametrize(
    "sql",
    [
        "GRANT ALL PRIVILEGES ON STAGE S TO ROLE {role}",
        "GRANT SELECT ON ALL TABLES IN SCHEMA LOCAL.PUBLIC TO ROLE {role}",
        "GRANT SELECT ON FUTURE TABLES IN DATABASE LOCAL TO ROLE {role}",
        "GRANT OWNERSHIP ON STAGE S TO ROLE {role} COPY CURRENT GRANTS",
        "GRANT SELECT (A, B) ON TABLE T TO ROLE {role}",
        "GRANT ROLE {role} TO USER LOCAL",
        "GRANT READ ON STAGE S TO SHARE X",
    ],
)
def test_a_grant_that_is_not_kept_says_so(connection: SnowflakeConnection, role: str, sql: str) -> None:
    assert "no grant of this kind is kept" in execute(connection, sql.format(role=role))[0][0]
    assert granted(connection, f"TO ROLE {role}") == set()


@pytest.mark.parametrize(
    ("sql", "errno"),
    [
        ("GRANT READ ON STAGE NOPE TO ROLE {role}", 2003),
        ("GRANT READ ON STAGE S TO ROLE NOPE", 2003),
        ("GRANT ROLE NOPE TO ROLE {role}", 2003),
        ("SHOW GRANTS TO ROLE NOPE", 2003),
        ("SHOW GRANTS ON TABLE T", 2),
        ("SHOW GRANTS TO SHARE S", 2),
        ("REVOKE SELECT ON ALL TABLES IN SCHEMA LOCAL.PUBLIC FROM ROLE {role}", 2),
    ],
)
def test_what_is_not_there_or_not_kept_is_refused(
    connection: SnowflakeConnection, role: str, sql: str, errno: int
) -> None:
    with pytest.raises(ProgrammingError) as caught:
        execute(connection, sql.format(role=role))
    assert caught.value.errno == errno


def test_the_users_roles_are_all_roles(connection: SnowflakeConnection) -> None:
    shown = {row[1] for row in execute(connection, "SHOW GRANTS")}
    assert {"ACCOUNTADMIN", "PUBLIC", "SYSADMIN"} <= shown
    assert {row[3] for row in execute(connection, "SHOW GRANTS TO USER LOCAL")} == {"LOCAL"}
