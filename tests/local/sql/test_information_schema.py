"""What SHOW, DESCRIBE and INFORMATION_SCHEMA say of tables and columns, through the real driver.

Also tests ``local/sql/show.py``, ``local/sql/show_columns.py``.
"""

from __future__ import annotations

import pytest
import snowflake.connector
from snowflake.connector import SnowflakeConnection

from tests.local.statement_calls import error, execute


def _make(connection: SnowflakeConnection) -> None:
    execute(connection, "CREATE SEQUENCE NUMBERS START 100")
    execute(
        connection,
        "CREATE TABLE T (ID INT AUTOINCREMENT START 10 INCREMENT 5, AT TIMESTAMP_LTZ, A ARRAY, O OBJECT, "
        "S VARCHAR(5) DEFAULT 'x', D NUMBER(10, 2), N INT DEFAULT NUMBERS.NEXTVAL)",
    )
    execute(connection, "INSERT INTO T (D) VALUES (1), (2), (3)")
    execute(connection, "DELETE FROM T WHERE D = 1")


def test_rows_are_counted(connection: SnowflakeConnection, schema: str) -> None:
    _make(connection)
    execute(connection, "CREATE TEMPORARY TABLE U AS SELECT 1 AS A")
    cursor = connection.cursor(snowflake.connector.DictCursor).execute("SHOW TABLES")
    assert cursor is not None
    assert {row["name"]: row["rows"] for row in cursor} == {"T": 2, "U": 1}  # type: ignore[call-overload]
    assert execute(
        connection,
        "SELECT TABLE_NAME, TABLE_TYPE, ROW_COUNT, CREATED > DATEADD('minute', -10, CURRENT_TIMESTAMP()) "
        f"FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = '{schema}' ORDER BY 1",
    ) == [("T", "BASE TABLE", 2, True), ("U", "LOCAL TEMPORARY", 1, True)]


def test_columns_have_their_declared_types_and_defaults(connection: SnowflakeConnection, schema: str) -> None:
    _make(connection)
    default = "IDENTITY START 10 INCREMENT 5 NOORDER"
    sequence = f"LOCAL.{schema}.NUMBERS.NEXTVAL"
    assert execute(
        connection,
        "SELECT COLUMN_NAME, DATA_TYPE, CHARACTER_MAXIMUM_LENGTH, NUMERIC_PRECISION, NUMERIC_SCALE, COLUMN_DEFAULT, "
        f"IS_IDENTITY FROM LOCAL.INFORMATION_SCHEMA.COLUMNS WHERE TABLE_SCHEMA = '{schema}' ORDER BY ORDINAL_POSITION",
    ) == [
        # SQLAlchemy refuses a column that has both an identity and a default.
        ("ID", "NUMBER", None, 38, 0, None, "YES"),
        ("AT", "TIMESTAMP_LTZ", None, None, None, None, "NO"),
        ("A", "ARRAY", None, None, None, None, "NO"),
        ("O", "OBJECT", None, None, None, None, "NO"),
        ("S", "TEXT", 5, None, None, "'x'", "NO"),
        ("D", "NUMBER", None, 10, 2, None, "NO"),
        ("N", "NUMBER", None, 38, 0, sequence, "NO"),
    ]
    assert [row[4] for row in execute(connection, "DESCRIBE TABLE T")][::6] == [default, sequence]
    assert [row[-1] for row in execute(connection, "SHOW COLUMNS IN T")] == [default, "", "", "", "", "", ""]


@pytest.mark.parametrize("kind", ["TABLE", "TEMPORARY TABLE", "VIEW"])
def test_texts_that_a_query_makes_may_be_of_any_length(connection: SnowflakeConnection, schema: str, kind: str) -> None:
    execute(connection, "CREATE TABLE T (N INT, S VARCHAR(5))")
    execute(connection, f"CREATE {kind} U AS SELECT 'a' AS A, UPPER(S) AS B, N || 'x' AS C, LEFT(S, 1) AS D FROM T")
    assert execute(
        connection,
        "SELECT COLUMN_NAME, DATA_TYPE, CHARACTER_MAXIMUM_LENGTH, CHARACTER_OCTET_LENGTH "
        "FROM INFORMATION_SCHEMA.COLUMNS "
        f"WHERE TABLE_SCHEMA = '{schema}' AND TABLE_NAME = 'U' ORDER BY ORDINAL_POSITION",
    ) == [(name, "TEXT", 16777216, 16777216) for name in "ABCD"]
    assert [row[1] for row in execute(connection, f"DESCRIBE {kind.split()[-1]} U")] == ["VARCHAR(16777216)"] * 4


def test_a_view_is_among_the_tables(connection: SnowflakeConnection, schema: str) -> None:
    execute(connection, "CREATE VIEW V AS SELECT 1 AS A")
    query = f"SELECT TABLE_NAME, TABLE_TYPE FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = '{schema}'"
    assert execute(connection, query) == [("V", "VIEW")]
    assert error(connection, "SELECT COUNT(*) FROM NOPE.INFORMATION_SCHEMA.TABLES")[0] == 2003


def test_terse(connection: SnowflakeConnection, schema: str) -> None:
    execute(connection, "CREATE TABLE T (A INT)")
    execute(connection, "CREATE VIEW V AS SELECT 1 AS A")
    for kind, rows in {
        "TABLES": [("T", "TABLE", "LOCAL", schema)],
        "VIEWS": [("V", "VIEW", "LOCAL", schema)],
        f"SCHEMAS LIKE '{schema}'": [(schema, None, "LOCAL", None)],
        "DATABASES LIKE 'LOCAL'": [("LOCAL", "STANDARD", None, None)],
    }.items():
        cursor = connection.cursor().execute(f"SHOW TERSE {kind}")
        assert cursor is not None
        names = [column.name for column in cursor.description]
        assert names == ["created_on", "name", "kind", "database_name", "schema_name"]
        assert [row[1:] for row in cursor] == rows, kind  # type: ignore[index]


def test_truncate_if_exists(connection: SnowflakeConnection, schema: str) -> None:
    execute(connection, "CREATE TABLE T AS SELECT 1 AS A")
    execute(connection, "TRUNCATE TABLE IF EXISTS T")
    assert execute(connection, "SELECT COUNT(*) FROM T") == [(0,)]
    execute(connection, "TRUNCATE TABLE IF EXISTS NOPE")
    assert error(connection, "TRUNCATE TABLE NOPE")[0] == 2003


def test_views_schemas_and_databases_are_those_of_show(connection: SnowflakeConnection, schema: str) -> None:
    execute(connection, "CREATE VIEW V COMMENT = 'c' AS SELECT 1 AS A")
    # Its copies lie in a schema of the server's own.
    execute(connection, "CREATE TABLE T (A INT)")
    execute(connection, "CREATE STREAM S ON TABLE T")
    recent = "CREATED > DATEADD('minute', -10, CURRENT_TIMESTAMP())"
    query = (
        f"SELECT TABLE_NAME, COMMENT, IS_SECURE, {recent} FROM INFORMATION_SCHEMA.VIEWS WHERE TABLE_SCHEMA = '{schema}'"
    )
    assert execute(connection, query) == [("V", "c", "NO", True)]
    schemas = execute(connection, "SELECT SCHEMA_NAME FROM INFORMATION_SCHEMA.SCHEMATA ORDER BY 1")
    assert [name for (name,) in schemas] == sorted(row[1] for row in execute(connection, "SHOW SCHEMAS IN DATABASE"))
    query = f"SELECT {recent} FROM INFORMATION_SCHEMA.SCHEMATA WHERE SCHEMA_NAME = '{schema}'"
    assert execute(connection, query) == [(True,)]
    # SHOW tells milliseconds.
    query = "SELECT DATABASE_NAME, DATE_TRUNC('ms', CREATED) FROM INFORMATION_SCHEMA.DATABASES ORDER BY 1"
    assert execute(connection, query) == [(row[1], row[0]) for row in execute(connection, "SHOW DATABASES")]


def test_the_text_of_a_view_is_the_statement_that_made_it(connection: SnowflakeConnection, schema: str) -> None:
    def texts() -> list[tuple[str, str]]:
        shown = [(row[1], row[7]) for row in execute(connection, "SHOW VIEWS")]
        query = f"FROM INFORMATION_SCHEMA.VIEWS WHERE TABLE_SCHEMA = '{schema}' ORDER BY 1"
        assert execute(connection, f"SELECT TABLE_NAME, VIEW_DEFINITION {query}") == shown
        return shown

    text = "create or replace view v as\n  select iff(a > 1, 'x', 'y') as b from t -- why"
    execute(connection, "CREATE TABLE T (A INT)")
    execute(connection, "CREATE VIEW V AS SELECT 1 AS A")
    execute(connection, text)
    assert texts() == [("V", text)]
    execute(connection, "ALTER VIEW V RENAME TO W")
    assert texts() == [("W", text)]
    assert execute(connection, "SHOW VIEWS")[0][0] is not None
    execute(connection, "DROP VIEW W")
    assert texts() == []


@pytest.mark.parametrize("view", ["TABLE_CONSTRAINTS", "LOAD_HISTORY", "SEQUENCES", "KEY_COLUMN_USAGE"])
def test_a_view_that_is_lacking_says_so(connection: SnowflakeConnection, view: str) -> None:
    number, state, message = error(connection, f"SELECT COUNT(*) FROM LOCAL.INFORMATION_SCHEMA.{view}")
    assert (number, state) == (2003, "42S02")
    assert "not supported by the local Snowflake" in message.replace("\n", " ")
