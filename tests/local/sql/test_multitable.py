"""``INSERT ALL`` and ``INSERT FIRST``, of which each table gets what its conditions say of rows that are read once."""

from __future__ import annotations

from typing import Any

import pytest
from snowflake.connector import SnowflakeConnection

from tests.local.statement_calls import error, execute


@pytest.fixture
def tables(connection: SnowflakeConnection, schema: str) -> SnowflakeConnection:
    for name in ("T", "U"):
        execute(connection, f"CREATE TABLE {name} (A INT, B VARCHAR)")
    execute(connection, "CREATE TABLE S (A INT, B VARCHAR, N NUMBER(10, 2))")
    execute(connection, "INSERT INTO S VALUES (1, 'a', 1.5), (2, 'b', 2.5), (NULL, 'c', NULL)")
    return connection


def rows(connection: SnowflakeConnection, table: str) -> list[Any]:
    return execute(connection, f"SELECT * FROM {table} ORDER BY A, B")


@pytest.mark.parametrize(
    ("insert", "in_t", "in_u"),
    [
        ("ALL INTO T INTO U (B) VALUES (B) SELECT A, B FROM S WHERE A = 1", [(1, "a")], [(None, "a")]),
        ("ALL INTO T (B) VALUES (N / 3) INTO U VALUES (A, 'x') SELECT * FROM S WHERE A = 1",
         [(None, "0.50000000")], [(1, "x")]),
        ("ALL WHEN A > 1 THEN INTO T WHEN A > 0 THEN INTO U SELECT A, B FROM S", [(2, "b")], [(1, "a"), (2, "b")]),
        ("FIRST WHEN A > 1 THEN INTO T WHEN A > 0 THEN INTO U SELECT A, B FROM S", [(2, "b")], [(1, "a")]),
        ("ALL WHEN A > 1 THEN INTO T INTO U ELSE INTO U SELECT A, B FROM S",
         [(2, "b")], [(1, "a"), (2, "b"), (None, "c")]),
        ("FIRST WHEN A > 1 THEN INTO T WHEN A > 0 THEN INTO T ELSE INTO U SELECT A, B FROM S",
         [(1, "a"), (2, "b")], [(None, "c")]),
        ("ALL INTO T INTO U SELECT A + 1, B FROM S WHERE A = 1", [(2, "a")], [(2, "a")]),
    ],
)  # fmt: skip
def test_rows_for_several_tables(tables: SnowflakeConnection, insert: str, in_t: list[Any], in_u: list[Any]) -> None:
    cursor = tables.cursor()
    cursor.execute(f"INSERT {insert}")
    assert cursor.fetchall() == [(len(in_t), len(in_u))]
    assert [column.name for column in cursor.description] == [f"number of rows inserted into {one}" for one in "TU"]
    assert cursor.rowcount == len(in_t) + len(in_u)
    assert (rows(tables, "T"), rows(tables, "U")) == (in_t, in_u)


def test_all_tables_get_their_rows_or_none(tables: SnowflakeConnection) -> None:
    assert error(tables, "INSERT ALL INTO T VALUES (A, B) INTO U VALUES ('x', B) SELECT A, B FROM S")[0] == 100038
    execute(tables, "BEGIN")
    execute(tables, "INSERT ALL INTO T INTO U SELECT A, B FROM S")
    execute(tables, "ROLLBACK")
    assert (rows(tables, "T"), rows(tables, "U")) == ([], [])
    described = tables.cursor().describe("INSERT ALL INTO T SELECT A, B FROM S")
    assert ([column.name for column in described], rows(tables, "T")) == (["number of rows inserted into T"], [])


def test_the_query_is_read_once(tables: SnowflakeConnection) -> None:
    execute(tables, "CREATE SEQUENCE Q")
    execute(tables, "INSERT ALL INTO T INTO U INTO S (A, B) VALUES (A, B) SELECT Q.NEXTVAL AS A, B FROM S WHERE A = 1")
    assert rows(tables, "T") == rows(tables, "U") == [(1, "a")]
    assert len(execute(tables, "SELECT * FROM S")) == 4


def test_a_stream_moves_on(tables: SnowflakeConnection) -> None:
    execute(tables, "CREATE STREAM X ON TABLE S")
    execute(tables, "INSERT INTO S (A, B) VALUES (9, 'z')")
    assert execute(tables, "INSERT ALL INTO T INTO U SELECT A, B FROM X") == [(1, 1)]
    assert execute(tables, "SELECT COUNT(*) FROM X") == [(0,)]
