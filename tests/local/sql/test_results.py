"""What a result says besides its values: names, whether NULL is possible, how semi-structured values are written.

Also tests ``local/semi_structured.py``, ``local/sql/arrow.py``, ``local/sql/query_types.py``, ``local/sql/types.py``.
"""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pytest
from snowflake.connector import SnowflakeConnection

from tests.local.statement_calls import execute

PARSED = """PARSE_JSON('{"b": {"z": 1, "y": [true, {}, []]}, "a": null}')"""


@pytest.mark.parametrize(
    ("projections", "names"),
    [
        ("1.0::float, v:n::int , 'x', n + 1", ["1.0::FLOAT", "V:N::INT", "'X'", "N + 1"]),
        ("n||'a,b' , max( n ) over (), \"N\", n as m", ["N||'A,B'", "MAX( N ) OVER ()", "N", "M"]),
        ("distinct 'it''s', (1), [1, 2][0]", ["'IT''S'", "(1)", "[1, 2][0]"]),
        ("top 1 case when n = 1 then 'y' end, *", ["CASE WHEN N = 1 THEN 'Y' END", "V", "N"]),
        ("listagg(n) within group (order by n), max( n )", ["LISTAGG(N) WITHIN GROUP (ORDER BY N)", "MAX( N )"]),
        ("extract(year from current_date()), n-- why\n+1", ["EXTRACT(YEAR FROM CURRENT_DATE())", "N +1"]),
    ],
)
def test_a_column_without_an_alias_is_named_by_its_text(
    connection: SnowflakeConnection, schema: str, projections: str, names: list[str]
) -> None:
    execute(connection, "CREATE TABLE T (V VARIANT, N INT)")
    for query in (
        f"SELECT {projections} FROM T",
        f"WITH Q AS (SELECT * FROM T WHERE N > 0) SELECT {projections} FROM Q",
        f"(SELECT {projections} FROM T)",
    ):
        cursor = connection.cursor().execute(query)
        assert cursor is not None
        assert [column.name for column in cursor.description] == names


def test_a_column_has_the_name_of_a_variable_not_of_its_value(connection: SnowflakeConnection) -> None:
    execute(connection, "SET LOW = 5")
    cursor = connection.cursor().execute("SELECT $low, $LOW + 1, $LOW AS X")
    assert cursor is not None
    assert ([column.name for column in cursor.description], cursor.fetchall()) == (
        ["$LOW", "$LOW + 1", "X"],
        [(5, 6, 5)],
    )


def test_values_alone_are_rows(connection: SnowflakeConnection) -> None:
    cursor = connection.cursor().execute("VALUES (1, 'a'), (2, 'b')")
    assert cursor is not None
    assert [column.name for column in cursor.description] == ["COLUMN1", "COLUMN2"]
    assert cursor.fetchall() == [(1, "a"), (2, "b")]


def test_such_a_column_of_a_subquery_has_this_name_too(connection: SnowflakeConnection, schema: str) -> None:
    execute(connection, "CREATE TABLE T (A INT) AS SELECT 1 UNION ALL SELECT 2")
    for query in (
        """SELECT "AVG(""A"")" FROM (SELECT avg("A") FROM T)""",
        """WITH Q AS (SELECT (SELECT max(A) FROM T), avg( a ) FROM T) SELECT "AVG( A )" FROM Q""",
        """SELECT X."AVG(A)" FROM (SELECT avg(A) FROM T UNION ALL SELECT 5) X WHERE X."AVG(A)" < 2""",
        """SELECT "A/2" + 1.000000 FROM (SELECT a/2 FROM T WHERE A IN (SELECT MIN(A) FROM T))""",
    ):
        assert execute(connection, query) == [(Decimal("1.500000"),)], query
    described = execute(connection, "CREATE TABLE U AS SELECT * FROM (SELECT count(*), 'x' || A FROM T GROUP BY A)")
    assert described == [("Table U successfully created.",)]
    assert [row[0] for row in execute(connection, "DESCRIBE TABLE U")] == ["COUNT(*)", "'X' || A"]


@pytest.mark.parametrize("relation", ["VALUES (1, 'x')", "VALUES (1, 'x') T", "(VALUES (1, 'x')) T"])
def test_columns_of_values_have_names_and_numbers(connection: SnowflakeConnection, relation: str) -> None:
    cursor = connection.cursor().execute(f"SELECT * FROM {relation}")
    assert cursor is not None
    assert [column.name for column in cursor.description] == ["COLUMN1", "COLUMN2"]
    assert execute(connection, f"SELECT $2, COLUMN1 FROM {relation} WHERE $1 = 1") == [("x", 1)]
    if relation.endswith("T"):
        assert execute(connection, f"SELECT T.$2, T.COLUMN1 / 2 FROM {relation}") == [("x", Decimal("0.500000"))]


def test_counts_of_rows_are_never_null(connection: SnowflakeConnection, schema: str) -> None:
    execute(connection, "CREATE TABLE T (A INT)")
    described = connection.cursor().describe("INSERT INTO T VALUES (1)")
    assert [column.is_nullable for column in described] == [False]


@pytest.mark.parametrize(
    ("query", "possible"),
    [
        ("1, 'a', NULL, TRUE, A, B FROM T", [False, False, True, False, False, True]),
        ("A + 1, A + B, COALESCE(B, 0), A = 1, B IS NULL FROM T", [False, True, False, False, False]),
        ("COUNT(*), MAX(A), COUNT(B) FROM T", [False, True, False]),
        ("$1, $2 FROM VALUES ('31'::BINARY, '32'::BINARY(4)), (NULL::BINARY, ''::BINARY(4))", [True, False]),
        ("IFF(B > 1, 1, 2), CASE WHEN A = 1 THEN 1 END FROM T", [False, True]),
        ("* FROM (SELECT A, B FROM T)", [False, True]),
        ("X.A, Y.A FROM T X LEFT JOIN T Y ON X.A = Y.B", [True, True]),
        ("A FROM T UNION ALL SELECT B FROM T", [True]),
        ("SEQ4(), ROW_NUMBER() OVER (ORDER BY 1), LAG(1) OVER (ORDER BY 1) FROM TABLE(GENERATOR(ROWCOUNT => 1))",
         [False, False, True]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["TABLE", "TEMPORARY TABLE"])
def test_a_column_says_whether_it_may_be_null(
    connection: SnowflakeConnection, schema: str, kind: str, query: str, possible: list[bool]
) -> None:
    execute(connection, f"CREATE {kind} T (A INT NOT NULL, B INT)")
    cursor = connection.cursor().execute(f"SELECT {query}")
    assert cursor is not None
    assert [column.is_nullable for column in cursor.description] == possible


@pytest.mark.parametrize("result_format", ["ARROW", "JSON"])
@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (PARSED, '{\n  "a": null,\n  "b": {\n    "y": [\n      true,\n      {},\n      []\n    ],\n    "z": 1\n  }\n}'),
        ("ARRAY_CONSTRUCT(10, 'é')", '[\n  10,\n  "é"\n]'),
        ("OBJECT_CONSTRUCT('b', 123456789012345678901, 'a', 1.5)", '{\n  "a": 1.5,\n  "b": 123456789012345678901\n}'),
        ("'{\"b\": 1}'::VARIANT", '"{\\"b\\": 1}"'),
        (f"TO_JSON({PARSED})", '{"a":null,"b":{"y":[true,{},[]],"z":1}}'),
        (f"{PARSED}::VARCHAR", '{"a":null,"b":{"y":[true,{},[]],"z":1}}'),
        ("TO_JSON('a'::VARIANT)", '"a"'),
        ('\'{"b": 1, "a": 2}\'::VARIANT::VARCHAR', '{"b": 1, "a": 2}'),
    ],
)
def test_semi_structured_values_are_laid_out(connect: Any, result_format: str, expression: str, text: str) -> None:
    connection = connect(session_parameters={"PYTHON_CONNECTOR_QUERY_RESULT_FORMAT": result_format})
    assert execute(connection, f"SELECT {expression}") == [(text,)]


def test_the_time_zone_of_who_sets_none(connection: SnowflakeConnection) -> None:
    assert execute(connection, "SHOW PARAMETERS LIKE 'TIMEZONE'")[0][1:3] == ("America/Los_Angeles",) * 2
    assert execute(connection, "SELECT '2024-01-01 00:00:00'::TIMESTAMP_LTZ")[0][0].utcoffset() == datetime.timedelta(
        hours=-8
    )
