"""Constructs of queries that DuckDB writes in other words: FLATTEN with options, ASOF JOIN, PIVOT over any values."""

from __future__ import annotations

import json
from typing import Any

import pytest
from snowflake.connector import SnowflakeConnection

from tests.local.statement_calls import error, execute

REFUSED = "not supported by the local Snowflake"
OF_VALUES = "SELECT OBJECT_CONSTRUCT(*) AS O FROM VALUES (1, 2) V (A, B)"
VALUES = ('{"b": 2, "a": {"c": [10, 20]}}', '[1, "x"]', "[]", None)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("INPUT => V", [(1, "a", "a", None), (1, "b", "b", None), (2, None, "[0]", 0), (2, None, "[1]", 1)]),
        ("INPUT => V, OUTER => FALSE, MODE => 'OBJECT'", [(1, "a", "a", None), (1, "b", "b", None)]),
        ("INPUT => V, OUTER => TRUE, MODE => 'ARRAY'",
         [(1, None, "", None), (2, None, "[0]", 0), (2, None, "[1]", 1), (3, None, "", None), (4, None, "", None)]),
        ("INPUT => V, PATH => 'a.c'", [(1, None, "a.c[0]", 0), (1, None, "a.c[1]", 1)]),
        ("INPUT => V:a, PATH => 'c', OUTER => TRUE",
         [(1, None, "c[0]", 0), (1, None, "c[1]", 1), *((number, None, "c", None) for number in (2, 3, 4))]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["LATERAL FLATTEN({0})", "TABLE(FLATTEN({0}))"])
def test_flatten(
    connection: SnowflakeConnection, schema: str, form: str, options: str, found: list[tuple[Any, ...]]
) -> None:
    execute(connection, "CREATE TABLE T (ID INT, V VARIANT)")
    for number, value in enumerate(VALUES, start=1):
        execute(connection, "INSERT INTO T SELECT %s, PARSE_JSON(%s)", (number, value))
    query = f"SELECT ID, F.KEY, F.PATH, F.INDEX FROM T, {form.format(options)} F ORDER BY ID, F.PATH"
    assert execute(connection, query) == found


def test_elements_come_in_their_order(connection: SnowflakeConnection, schema: str) -> None:
    execute(connection, "CREATE TABLE T (ID INT, A ARRAY) AS SELECT 1, [3, 1, 2] UNION ALL SELECT 2, [9, 8, 7]")
    for options in ("INPUT => A", "INPUT => A, OUTER => TRUE"):
        rows = execute(connection, f"SELECT ID, VALUE::INT FROM T, LATERAL FLATTEN({options})")
        assert rows == [(1, 3), (1, 1), (1, 2), (2, 9), (2, 8), (2, 7)]


def test_elements_of_what_no_table_holds_come_in_their_order(connection: SnowflakeConnection) -> None:
    of_one = "SELECT F.INDEX FROM (SELECT PARSE_JSON('[5, 6, 7]') AS V) T, LATERAL FLATTEN(INPUT => T.V) F"
    assert execute(connection, of_one) == [(0,), (1,), (2,)]
    of_values = "(SELECT PARSE_JSON($1) AS V FROM VALUES ('[5, 6, 7]'))"
    assert execute(connection, f"SELECT F.VALUE::INT FROM {of_values}, TABLE(FLATTEN(V)) F") == [(5,), (6,), (7,)]
    of_two = "SELECT F.INDEX, G.VALUE FROM (SELECT [[5, 6], [7]] V), LATERAL FLATTEN(V) F, LATERAL FLATTEN(F.VALUE) G"
    assert execute(connection, of_two) == [(0, "5"), (0, "6"), (1, "7")]


@pytest.mark.parametrize(
    ("query", "values"),
    [
        (f"WITH D AS ({OF_VALUES}) SELECT KEY FROM D, LATERAL FLATTEN(D.O) ORDER BY KEY", ["A", "B"]),
        (f"SELECT KEY FROM ({OF_VALUES}) D, LATERAL FLATTEN(D.O)", ["A", "B"]),
        ("SELECT F.VALUE::INT FROM VALUES (5) V (RANGE), LATERAL FLATTEN(ARRAY_CONSTRUCT(RANGE, 3, 4)) F", [5, 3, 4]),
        ("SELECT (SELECT RANGE) + F.INDEX FROM VALUES (5) V (RANGE), TABLE(FLATTEN([1, 2])) F", [5, 6]),
        ("SELECT T.A + F.VALUE::INT FROM (SELECT * FROM VALUES (5)) T (A), TABLE(FLATTEN([3, 1])) F", [8, 6]),
        ("SELECT V.$1 + F.VALUE::INT FROM VALUES (5), (7) V, TABLE(FLATTEN([3, 1])) F ORDER BY V.$1", [8, 6, 10, 8]),
        ("SELECT COUNT(*) FROM (SELECT * FROM VALUES (1, 2) V (A, B), TABLE(FLATTEN([3, 1])) F)", [2]),
    ],
)  # fmt: skip
def test_elements_beside_values(connection: SnowflakeConnection, query: str, values: list[Any]) -> None:
    assert [value for (value,) in execute(connection, query)] == values
    if query.startswith("SELECT COUNT"):
        cursor = connection.cursor().execute(query.removeprefix("SELECT COUNT(*) FROM (").removesuffix(")"))
        assert cursor is not None
        assert [one.name for one in cursor.description][:3] == ["A", "B", "SEQ"]


def test_unpivot_has_the_names_of_columns(connection: SnowflakeConnection) -> None:
    source = '(SELECT 1 AS K, 2 AS X, 3 AS "y z")'
    unpivoted = f"""SELECT * FROM {source} UNPIVOT (V FOR N IN (x, "y z")) ORDER BY V"""
    assert execute(connection, unpivoted) == [(1, "X", 2), (1, "y z", 3)]
    assert execute(connection, unpivoted.replace("x,", "\"X\" AS 'first',"))[0] == (1, "first", 2)


def test_the_path_of_a_key_that_is_no_name_is_in_brackets(connection: SnowflakeConnection) -> None:
    flattened = 'SELECT PATH FROM TABLE(FLATTEN(INPUT => PARSE_JSON(\'{"x": {"a b": 1, "c": 2}}\'), PATH => \'x\'))'
    assert execute(connection, flattened) == [("x['a b']",), ("x.c",)]


def test_flatten_says_what_it_took_apart(connection: SnowflakeConnection, schema: str) -> None:
    execute(connection, 'CREATE TABLE T AS SELECT PARSE_JSON(\'{"b": {"c": [5]}}\') AS V')
    for options, value, this in (
        ("INPUT => V", {"c": [5]}, {"b": {"c": [5]}}),
        ("INPUT => V, PATH => 'b'", [5], {"c": [5]}),
        ("INPUT => V:b:c", 5, [5]),
        ("V:b, OUTER => TRUE", [5], {"c": [5]}),
        ("OBJECT_CONSTRUCT('x', V:b:c)", [5], {"x": [5]}),
        ("{'x': 5}", 5, {"x": 5}),
    ):
        ((got, whole),) = execute(connection, f"SELECT F.VALUE, F.THIS FROM T, LATERAL FLATTEN({options}) F")
        assert (json.loads(got), json.loads(whole)) == (value, this)


@pytest.fixture
def trades(connection: SnowflakeConnection, schema: str) -> SnowflakeConnection:
    execute(connection, "CREATE TABLE TRADES (T TIMESTAMP_NTZ, S VARCHAR, Q INT)")
    execute(connection, "CREATE TABLE QUOTES (T TIMESTAMP_NTZ, S VARCHAR, P INT)")
    execute(
        connection,
        "INSERT INTO TRADES VALUES ('2024-01-01 10:00:05', 'A', 1), ('2024-01-01 10:00:15', 'A', 2), "
        "('2023-01-01', 'A', 3), ('2024-01-01 10:00:15', 'B', 4)",
    )
    execute(
        connection, "INSERT INTO QUOTES VALUES ('2024-01-01 10:00:00', 'A', 100), ('2024-01-01 10:00:10', 'A', 110)"
    )
    return connection


@pytest.mark.parametrize(
    ("join", "found"),
    [
        ("MATCH_CONDITION (X.T >= Y.T) ON X.S = Y.S", [(1, 100), (2, 110), (3, None), (4, None)]),
        ("MATCH_CONDITION (X.T > Y.T) ON X.S = Y.S", [(1, 100), (2, 110), (3, None), (4, None)]),
        ("MATCH_CONDITION (X.T <= Y.T) ON X.S = Y.S", [(1, 110), (2, None), (3, 100), (4, None)]),
        ("MATCH_CONDITION (X.T >= Y.T)", [(1, 100), (2, 110), (3, None), (4, 110)]),
    ],
)
def test_asof_join(trades: SnowflakeConnection, join: str, found: list[tuple[Any, ...]]) -> None:
    assert execute(trades, f"SELECT X.Q, Y.P FROM TRADES X ASOF JOIN QUOTES Y {join} ORDER BY Q") == found


def test_asof_join_using_is_refused(trades: SnowflakeConnection) -> None:
    query = "SELECT * FROM TRADES X ASOF JOIN QUOTES Y MATCH_CONDITION (X.T >= Y.T) USING (S)"
    assert REFUSED in error(trades, query)[2]


@pytest.mark.parametrize(
    ("source", "values", "columns", "row"),
    [
        ("(SELECT S, P FROM QUOTES)", "ANY", ["'A'", "'B'"], (210, 7)),
        ("(SELECT S, P FROM QUOTES)", "ANY ORDER BY S DESC", ["'B'", "'A'"], (7, 210)),
        ("(SELECT S, P FROM QUOTES)", "SELECT DISTINCT S FROM QUOTES WHERE P < 50", ["'B'"], (7,)),
        ("Q", "ANY", ["'A'", "'B'"], (210, 7)),
        ("(SELECT LENGTH(S) AS S, P FROM QUOTES)", "ANY", ["1"], (217,)),
    ],
)
def test_pivot_over_any_values(
    trades: SnowflakeConnection, source: str, values: str, columns: list[str], row: tuple[int, ...]
) -> None:
    execute(trades, "INSERT INTO QUOTES VALUES ('2024-01-01', 'B', 7), ('2024-01-01', NULL, 9)")
    query = f"WITH Q AS (SELECT S, P FROM QUOTES) SELECT * FROM {source} PIVOT (SUM(P) FOR S IN ({values}))"
    cursor = trades.cursor().execute(query)
    assert cursor is not None
    assert [column.name for column in cursor.description] == columns
    assert cursor.fetchall() == [row]


def test_a_pivot_is_named_after_casts_as_an_account_writes_them(connection: SnowflakeConnection) -> None:
    values = "1::INT, DATE '2024-01-01', 'x', 2::INT AS Y"
    cursor = connection.cursor().execute(f"SELECT * FROM (SELECT '1' AS A, 5 AS B) PIVOT (SUM(B) FOR A IN ({values}))")
    assert cursor is not None
    names = ["CAST(1 AS NUMBER(38,0))", "TO_DATE('2024-01-01')", "'x'", "Y"]
    assert [column.name for column in cursor.description] == names


def test_pivot_over_values_that_are_no_literals_is_refused(trades: SnowflakeConnection) -> None:
    for column, condition in (("T", "TRUE"), ("S", "FALSE")):
        query = f"SELECT * FROM (SELECT {column}, P FROM QUOTES WHERE {condition}) PIVOT (SUM(P) FOR {column} IN (ANY))"
        assert REFUSED in error(trades, query)[2]


def test_import_of_a_model_is_refused_with_what_to_do(connection: SnowflakeConnection) -> None:
    errno, _, message = error(connection, "SELECT SYSTEM$IMPORT_MODEL('model: x')")
    assert (errno, REFUSED in message, "compute_pool_for_log=None" in message) == (2, True, True)
