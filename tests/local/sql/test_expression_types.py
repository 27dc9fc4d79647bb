"""Values whose type DuckDB would change: averages, quotients, dates, time zones; and values drawn at random.

Also tests ``local/sql/expressions.py``.
"""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pytest
import snowflake.connector
from snowflake.connector import SnowflakeConnection
from snowflake.connector.constants import FIELD_NAME_TO_ID

from tests.local.statement_calls import error, execute

ZONED = "'2024-07-01 23:00:00 -0500'::TIMESTAMP_TZ"
REFUSED = "not supported by the local Snowflake"


@pytest.fixture
def table(connection: SnowflakeConnection, schema: str) -> SnowflakeConnection:
    execute(connection, "ALTER SESSION SET TIMEZONE = 'UTC'")
    execute(connection, "CREATE TABLE T (N INT, M NUMBER(10, 2), F FLOAT, D DATE, Z TIMESTAMP_TZ, L TIMESTAMP_LTZ)")
    moments = "'2024-01-31', '2024-07-01 23:00:00 -0500', '2024-07-01 23:00:00 -0500'"
    execute(connection, f"INSERT INTO T VALUES (1, 1.10, 1, {moments}), (2, 2.25, 2, NULL, NULL, NULL)")
    return connection


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ("AVG(N), AVG(M), AVG(N + M) FROM T", "1.500000 1.67500000 3.17500000"),
        ("AVG(DISTINCT M), AVG(N) FILTER (WHERE N > 1) FROM T", "1.67500000 2.000000"),
        ("AVG(X) FROM (SELECT M AS X FROM T)", "1.67500000"),
        ("AVG(M) OVER (ORDER BY N) FROM T ORDER BY N DESC LIMIT 1", "1.67500000"),
        ("1 / 3, -2 / 3, M / N, N / M, SUM(M) / COUNT(*) FROM T WHERE N = 2 GROUP BY ALL",
         "0.333333 -0.666667 1.12500000 0.888889 2.25000000"),
        ("AVG(X) / 2 FROM (WITH C AS (SELECT N + 1 AS X FROM T) SELECT X FROM C)", "1.250000000000"),
        ("100 * 1 / 3, ROUND(1 / 7, 2), 12345678901234567 / 3", "33.333333 0.14 4115226300411522.333333"),
        ("DATEDIFF(DAY, D, '2024-02-02') / 7, (D - '2024-01-01'::DATE) / 7, YEAR(D) / 7 FROM T WHERE N = 1",
         "0.285714 4.285714 289.142857"),
        ("LENGTH('ab') / 3, N % 3 / 3 FROM T WHERE N = 1", "0.666667 0.333333"),
        ("COUNT_IF(N = 1) / 3, AVG(DATEDIFF(DAY, '2024-01-01', D)) FROM T", "0.333333 30.000000"),
        ("1.23456789 * 1.23456789, SUM(M * 0.00000000002), 0.1 * 0.0000000000001 FROM T",
         "1.524157875019 6.7E-11 0E-13"),
    ],
)  # fmt: skip
def test_averages_and_quotients_of_numbers_are_numbers(table: SnowflakeConnection, query: str, values: str) -> None:
    got = execute(table, f"SELECT {query}")[0]
    assert [str(value) for value in got] == values.split(), "as text, for the scale"
    assert all(isinstance(value, Decimal) for value in got)


def test_averages_and_quotients_of_others(table: SnowflakeConnection) -> None:
    assert execute(table, "SELECT AVG(F), M / F FROM T WHERE N = 1 GROUP BY ALL") == [(1.0, 1.1)]
    assert execute(table, "SELECT AVG(N), N / NULLIF(0, 0) FROM T WHERE N > 5 GROUP BY N") == []
    assert execute(table, "SELECT AVG(N), AVG(M) FROM T WHERE N > 5") == [(None, None)]
    assert error(table, "SELECT N / (M - M) FROM T")[0] == 100051
    execute(table, "CREATE TABLE U AS SELECT AVG(M) AS A, MAX(Z) AS Z FROM T")
    assert [row[1] for row in execute(table, "DESCRIBE TABLE U")] == ["NUMBER(38,8)", "TIMESTAMP_TZ(9)"]
    execute(table, "CREATE VIEW V AS SELECT AVG(M) AS A FROM T")
    assert execute(table, "SELECT A FROM V") == [(Decimal("1.675"),)]


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO T (N, F) VALUES (3, 1 / 3)",
        "UPDATE T SET N = 3, F = N / 3 WHERE N / 3 = 0.333333",
        "UPDATE T X SET N = 3, F = X.N / S.K FROM (SELECT 3 AS K) S WHERE X.N = 1",
        "UPDATE T SET N = 3, F = (SELECT MIN(Y.N) / (T.N + 2) FROM T Y) WHERE N = 1",
        "MERGE INTO T USING (SELECT 3 AS K) ON N + 2 = K WHEN MATCHED AND N / K < 1 THEN UPDATE SET F = N / K, N = 3",
        "MERGE INTO T USING (SELECT 3 K) ON N < K WHEN MATCHED AND ABS(N)::TEXT = '1' THEN UPDATE SET F = N / K, N = K",
        "MERGE INTO T USING (SELECT 3 AS K) S ON N = K WHEN NOT MATCHED THEN INSERT (N, F) VALUES (S.K, 1 / S.K)",
    ],
)
def test_a_change_computes_with_the_same_types_as_a_query(table: SnowflakeConnection, change: str) -> None:
    execute(table, change)
    assert execute(table, "SELECT F FROM T WHERE N = 3") == [(0.333333,)]
    execute(table, "DELETE FROM T USING (SELECT 9 AS K) S WHERE N / S.K = 0.333333")
    assert execute(table, "SELECT COUNT(*) FROM T WHERE N = 3") == [(0,)]


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("DATEADD(DAY, B, A) FROM (SELECT * FROM VALUES ('2020-08-01'::DATE, 1) AS T (A, B))",
         datetime.date(2020, 8, 2)),
        ("DATE_TRUNC('MONTH', X) FROM (SELECT D AS X FROM T WHERE N = 1)", datetime.date(2024, 1, 1)),
        ("DATEADD(HOUR, 1, X) FROM (SELECT D AS X FROM T WHERE N = 1)", datetime.datetime(2024, 1, 31, 1)),
        (f"{ZONED}::DATE", datetime.date(2024, 7, 1)),
        (f"HOUR({ZONED})", 23),
        (f"HOUR(DATEADD(HOUR, 2, {ZONED}))", 1),
        (f"{ZONED}::TIMESTAMP_NTZ", datetime.datetime(2024, 7, 1, 23)),
        (f"({ZONED} + INTERVAL '1 day')::DATE", datetime.date(2024, 7, 2)),
        (f"CONVERT_TIMEZONE('Asia/Tokyo', {ZONED})::DATE", datetime.date(2024, 7, 2)),
        (f"DATEADD(MONTH, 8, {ZONED})::DATE", datetime.date(2025, 3, 1)),
        ("DATEADD(MONTH, 1, '2024-02-29 23:00:00 -0800'::TIMESTAMP_TZ)::TIMESTAMP_LTZ::TIMESTAMP_NTZ",
         datetime.datetime(2024, 3, 30, 7)),
        ("DATEADD(YEAR, 1, CONVERT_TIMEZONE('Asia/Tokyo', '2024-02-28 16:00:00 +0000'::TIMESTAMP_TZ))::DATE",
         datetime.date(2025, 2, 28)),
        ("DATEDIFF(DAY, '2024-01-01 23:00:00 -0800'::TIMESTAMP_TZ, '2024-01-02 01:00:00 -0800'::TIMESTAMP_TZ)", 1),
        (f"DATEDIFF(DAY, CONVERT_TIMEZONE('UTC', {ZONED}), '2024-07-03'::DATE)", 1),
        (f"DATEDIFF(SECOND, Z, {ZONED}) FROM T WHERE N = 1", 0),
        ("HOUR(CONVERT_TIMEZONE('Asia/Tokyo', L)) FROM T WHERE N = 1", 13),
        ("CONVERT_TIMEZONE('UTC', 'Asia/Tokyo', '2024-01-01 00:00:00'::TIMESTAMP_NTZ)",
         datetime.datetime(2024, 1, 1, 9)),
    ],
)  # fmt: skip
def test_dates_and_clocks(table: SnowflakeConnection, query: str, value: Any) -> None:
    assert execute(table, f"SELECT {query}") == [(value,)]


def test_a_timestamp_with_an_offset_stays_one(table: SnowflakeConnection) -> None:
    moments = f"Z + INTERVAL '1 day', DATE_TRUNC('DAY', {ZONED}), CONVERT_TIMEZONE('UTC', Z), MAX(Z) OVER ()"
    cursor = table.cursor().execute(f"SELECT {moments} FROM T WHERE N = 1")
    assert cursor is not None
    assert [column.type_code for column in cursor.description] == [FIELD_NAME_TO_ID["TIMESTAMP_TZ"]] * 4
    assert [value.astimezone(datetime.UTC).strftime("%d %H") for value in cursor.fetchall()[0]] == [
        "03 04", "01 05", "02 04", "02 04",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "expression",
    [
        "Z::DATE", "HOUR(Z)", "DATE_TRUNC('DAY', Z)", "Z::TEXT", "TO_CHAR(Z, 'HH')", "DATEADD(MONTH, 1, Z)",
        "ADD_MONTHS(Z, 1)", "DATEDIFF(DAY, Z, Z)", "TIMESTAMPDIFF(HOUR, Z, CURRENT_TIMESTAMP)",
        "(Z + INTERVAL '1 day')::DATE", "DATE_PART(TIMEZONE_HOUR, Z)", "EXTRACT(TIMEZONE_MINUTE FROM Z)",
        f"DATEDIFF(DAY, {ZONED}, '2024-01-01 00:00:00 +0000'::TIMESTAMP_TZ)",
    ],
)  # fmt: skip
def test_what_an_unknown_offset_decides_is_refused(table: SnowflakeConnection, expression: str) -> None:
    message = error(table, f"SELECT {expression} FROM (SELECT Z FROM T)")[2]
    assert REFUSED in message
    assert "TIMESTAMP_LTZ" in message


def test_an_array_keeps_the_types_of_its_elements(table: SnowflakeConnection) -> None:
    query = (
        "SELECT TO_JSON(ARRAY_CONSTRUCT(N, F, D, N = 1)), ARRAY_CONSTRUCT(N, 0.5 + F)[0], ARRAY_CONTAINS(1, X), X[2]"
    )
    found = execute(table, f"{query} FROM (SELECT *, ARRAY_CONSTRUCT(N, F, M) AS X FROM T WHERE N = 1)")
    assert found == [('[1,1.0,"2024-01-31",true]', "1", True, "1.1")]
    assert execute(table, "SELECT ARRAY_MAX(ARRAY_CONSTRUCT(M, F)) FROM T WHERE N = 2") == [("2.25",)]
    for function in ("ARRAY_MAX", "ARRAY_MIN", "ARRAY_SORT"):
        assert REFUSED in error(table, f"SELECT {function}(X) FROM (SELECT ARRAY_CONSTRUCT(N, F) AS X FROM T)")[2]


@pytest.mark.parametrize("value", ["N", "1.5", "D", "Z", "PARSE_JSON('1')", "PARSE_JSON('{}'):a", "MAX(F)", "TRUE"])
def test_what_is_no_text_is_not_tried_to_be_cast(table: SnowflakeConnection, value: str) -> None:
    errno, _, message = error(table, f"SELECT TRY_CAST({value} AS INT) FROM T WHERE N > 5")
    assert (errno, "TRY_CAST cannot be used with arguments of types" in message) == (1065, True), message


def test_text_is_tried_to_be_cast(table: SnowflakeConnection) -> None:
    values = ("'x'", "N::TEXT", "NULL", 'PARSE_JSON(\'{"a": "7"}\'):a::TEXT', "N || '2'", "LEFT('12', 1)")
    tried = ", ".join(f"TRY_CAST({value} AS INT)" for value in values)
    assert execute(table, f"SELECT {tried} FROM T WHERE N = 1") == [(None, 1, None, 7, 12, 1)]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE T SET D = Z::DATE",
        "DELETE FROM T WHERE HOUR(Z) = 4",
        "MERGE INTO T USING (SELECT 1 AS K) S ON N = K WHEN MATCHED THEN UPDATE SET D = DATE(T.Z)",
        "UPDATE T SET D = Z",
        "UPDATE T SET D = CONVERT_TIMEZONE('UTC', Z)",
        "INSERT INTO T (N, D) SELECT N, Z FROM T",
        "INSERT INTO T (N, D) SELECT 3, MAX(Z) FROM T",
        "INSERT INTO T SELECT N, M, F, Z, Z, L FROM T UNION ALL SELECT * FROM T",
        f"MERGE INTO T USING (SELECT {ZONED} AS K) S ON N = 3 WHEN NOT MATCHED THEN INSERT (D) VALUES (S.K)",
        f"MERGE INTO T USING (SELECT {ZONED} AS K) S ON N = 1 WHEN MATCHED THEN UPDATE SET D = S.K",
    ],
)
def test_nor_does_it_decide_what_is_changed(table: SnowflakeConnection, change: str) -> None:
    assert REFUSED in error(table, change)[2]
    assert execute(table, "SELECT COUNT(*), MIN(D) FROM T") == [(2, datetime.date(2024, 1, 31))]


def test_a_moment_is_written_where_its_offset_does_not_matter(table: SnowflakeConnection) -> None:
    execute(table, "INSERT INTO T (N, D, Z, L) SELECT 3, Z::TIMESTAMP_LTZ, L, Z FROM T WHERE N = 1")
    execute(table, "UPDATE T SET L = DATEADD(DAY, 1, Z) WHERE N = 3")
    assert execute(table, "SELECT D, DATEDIFF(SECOND, Z, L) FROM T WHERE N = 3") == [(datetime.date(2024, 7, 2), 86400)]


@pytest.mark.parametrize("number", ["1.5", "M", "F"])
def test_a_part_of_a_unit_is_not_added(table: SnowflakeConnection, number: str) -> None:
    assert (
        f"A number with decimal places in DATEADD(DAY, {number}, D)"
        in error(table, f"SELECT DATEADD(DAY, {number}, D) FROM T")[2]
    )
    assert execute(table, "SELECT DATEADD(DAY, ROUND(M), D), DATEADD(DAY, N, D) FROM T WHERE N = 1") == [
        (datetime.date(2024, 2, 1), datetime.date(2024, 2, 1))
    ]


def test_random_numbers(connection: SnowflakeConnection, schema: str) -> None:
    execute(connection, "CREATE TABLE B AS SELECT SEQ4() AS I FROM TABLE(GENERATOR(ROWCOUNT => 1000))")
    assert execute(connection, "SELECT COUNT(*) FROM (SELECT I FROM B ORDER BY RANDOM() LIMIT 10)") == [(10,)]
    distinct = "WITH S AS (SELECT RANDOM() AS R FROM B) SELECT COUNT(DISTINCT R), MIN(R) < 0, MAX(R) > 0 FROM S"
    assert execute(connection, distinct) == [(1000, True, True)]
    for rest in (0, 1):
        (found,) = execute(connection, f"SELECT COUNT(*) FROM B WHERE MOD(ABS(RANDOM()), 10) = {rest}")[0]
        assert 30 < found < 200
    drawn = "SELECT MIN(U), MAX(U), COUNT(DISTINCT U) FROM (SELECT UNIFORM(-2, 2, RANDOM()) AS U FROM B)"
    assert execute(connection, drawn) == [(-2, 2, 5)]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT RANDOM(42), UNIFORM(1, 1000, RANDOM(7)), UNIFORM(0::FLOAT, 1::FLOAT, RANDOM(7)) FROM B",
        "SELECT I FROM B ORDER BY RANDOM(3)",
    ],
)
def test_a_seed_gives_the_same_values(connection: SnowflakeConnection, schema: str, query: str) -> None:
    execute(connection, "CREATE TABLE B AS SELECT SEQ4() AS I FROM TABLE(GENERATOR(ROWCOUNT => 50))")
    first = execute(connection, query)
    assert len(set(first)) == 50
    assert execute(connection, query) == first
    assert execute(connection, "SELECT RANDOM(1) = RANDOM(1), RANDOM(1) = RANDOM(2)") == [(True, False)]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT I FROM B WHERE RANDOM(1) > 0",
        "SELECT RANDSTR(5, RANDOM()) FROM B",
        "SELECT I FROM B QUALIFY ROW_NUMBER() OVER (ORDER BY RANDOM()) = 1",
        "SELECT I FROM B START WITH I = 1 CONNECT BY I = PRIOR I + 1",
        "SELECT 1.5::DECFLOAT",
        "SELECT COUNT(*) FROM TABLE(GENERATOR(TIMELIMIT => 1))",
    ],
)
def test_what_would_be_wrong_is_refused(connection: SnowflakeConnection, schema: str, query: str) -> None:
    execute(connection, "CREATE TABLE B AS SELECT 1 AS I")
    assert REFUSED in error(connection, query)[2]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("ARRAY_TO_STRING(ARRAY_CONSTRUCT(1, 'a'), '-')", "1-a"),
        ("ARRAY_TO_STRING(SPLIT('a,b', ','), '-')", "a-b"),
        ('PARSE_JSON(\'{"b": 1, "a": [2]}\') = PARSE_JSON(\'{"a": [2], "b": 1}\')', True),
        ("PARSE_JSON('[1, 2]') = PARSE_JSON('[2, 1]')", False),
        ("'off'::BOOLEAN", False),
        ("'ON'::BOOLEAN", True),
        ("TRY_CAST('x' AS BOOLEAN)", None),
    ],
)
def test_arrays_objects_and_booleans(connection: SnowflakeConnection, expression: str, value: Any) -> None:
    assert execute(connection, f"SELECT {expression}") == [(value,)]


@pytest.mark.parametrize("query", ["REGEXP_LIKE('a', '(')", "NTILE(0) OVER (ORDER BY 1)", "TO_DATE('x', 'YYYY')"])
def test_a_value_that_a_function_does_not_take_is_an_error_of_the_statement(
    connection: SnowflakeConnection, query: str
) -> None:
    errno, sqlstate, _ = error(connection, f"SELECT {query}")
    assert errno != 603
    assert sqlstate != "XX000"


def test_a_year_beyond_9999_in_a_json_result_is_the_clients_to_report(connect: Any) -> None:
    connection = connect(session_parameters={"PYTHON_CONNECTOR_QUERY_RESULT_FORMAT": "JSON"})
    with pytest.raises(snowflake.connector.errors.InterfaceError) as caught:
        execute(connection, "SELECT '12345-01-02'::TIMESTAMP_NTZ")
    assert caught.value.errno == 252005
    assert execute(connection, "SELECT '9999-12-31 23:59:59.5'::TIMESTAMP_NTZ, '1969-12-31'::DATE") == [
        (datetime.datetime(9999, 12, 31, 23, 59, 59, 500000), datetime.date(1969, 12, 31))
    ]


def test_bind_variables_that_a_driver_would_put_into_a_stage(connect: Any, schema: str) -> None:
    connection = connect(schema=schema, paramstyle="qmark")
    execute(connection, "CREATE TABLE T (A INT, D DATE)")
    connection._session_parameters["CLIENT_STAGE_ARRAY_BINDING_THRESHOLD"] = 1
    cursor = connection.cursor()
    cursor.executemany("INSERT INTO T VALUES (?, ?)", [(n, datetime.date(2024, 1, n)) for n in (1, 2, 3)])
    assert cursor.rowcount == 3
    assert execute(connection, "SELECT MAX(A), MAX(D) FROM T") == [(3, datetime.date(2024, 1, 3))]


def test_transactions_and_statistics(connection: SnowflakeConnection, schema: str) -> None:
    execute(connection, "CREATE TABLE T (A INT)")
    execute(connection, "BEGIN")
    assert execute(connection, "SELECT CURRENT_TRANSACTION()")[0][0].isdigit()
    cursor = connection.cursor().execute("INSERT INTO T VALUES (1), (2)")
    assert cursor is not None
    if hasattr(cursor, "stats"):
        assert cursor.stats.num_rows_inserted == 2
    execute(connection, "ROLLBACK")
    assert execute(connection, "SELECT CURRENT_TRANSACTION()") == [(None,)]
    assert error(connection, "INSERT INTO T (MISSING) VALUES (1)")[0] == 904


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("'2' = 2", True),
        ("'10.5' > 9.5 AND 9.5 < '10000.5'", True),
        ("A.S = B.N AND A.S > 0 AND B.N < '10'", True),
        ("A.S IN (1, 2) AND B.N IN ('1', '2') AND A.S BETWEEN 0 AND '10'", True),
        ("CASE B.N WHEN '1' THEN TRUE END", True),
        ("NULLIF(A.S, 1) IS NULL AND EQUAL_NULL(A.S, 1)", True),
        ("'1.50' = 1.5 AND '1e0' = B.N AND ' 1 ' = B.N", True),
        ("'2.25' = B.M OR '2.25' = 2.25::FLOAT", True),
        ("TRIM(A.S) || '0' = 10 AND A.S <> 2", True),
        ("'x' = B.N", 100038),
    ],
)
def test_text_that_is_compared_with_numbers(table: SnowflakeConnection, condition: str, holds: bool | int) -> None:
    query = f"SELECT {condition} FROM (SELECT '1' AS S) A, T B WHERE B.N = 1"
    if holds is True:
        assert execute(table, query) == [(True,)]
    else:
        assert error(table, query)[0] == holds


def test_text_of_a_union_is_of_the_type_of_its_column(table: SnowflakeConnection) -> None:
    ids = "SELECT N AS ID, NULL::VARCHAR AS X FROM T UNION ALL SELECT N + 2, N FROM T ORDER BY ID"
    assert execute(table, ids) == [(1, None), (2, None), (3, 1), (4, 2)]
    last = datetime.date(9999, 12, 31)
    query = "SELECT CURRENT_DATE() > '2024-01-01'::DATE AND X = '9999-12-31' FROM"
    assert execute(table, f"{query} (SELECT CURRENT_DATE() X UNION ALL SELECT '9999-12-31') ORDER BY 1")[1] == (True,)
    dates = "SELECT '9999-12-31' AS A UNION ALL SELECT D FROM T WHERE N = 1 UNION ALL (SELECT '01/02/2024') ORDER BY A"
    assert execute(table, dates) == [(datetime.date(2024, 1, 2),), (datetime.date(2024, 1, 31),), (last,)]
    cursor = table.cursor().execute("SELECT '2024-01-31' UNION SELECT D FROM T WHERE N = 1")
    assert cursor is not None
    assert [one.name for one in cursor.description] == ["'2024-01-31'"]
    assert cursor.fetchall() == [(datetime.date(2024, 1, 31),)]
    assert error(table, "SELECT D FROM T UNION SELECT 'x'")[0] == 100040


def test_text_beside_numbers_is_the_number_that_it_says(table: SnowflakeConnection) -> None:
    choices = (
        "COALESCE(N, '0'), NVL(M, '0'), NVL(NULLIF(M, M), '1000.5'), CASE WHEN N > 5 THEN '1' ELSE 0 END, "
        "IFF(N = 1, '7', N), DECODE(N, 1, '9', N), GREATEST(N, '3'), LEAST(M, '-2.50'), "
        "COALESCE(NULLIF(N, 1), ' +4.0 ')"
    )
    values = execute(table, f"SELECT {choices} FROM T WHERE N = 1")[0]
    assert values == (1, Decimal("1.10"), Decimal("1000.5"), 0, 7, 9, 3, Decimal("-2.50"), 4)
    totals = "NVL(COUNT(*), '0'), NVL(MAX(N), '-1'), NVL(SUM(N), '-1'), IFF(TRUE, '1.5', MAX(F))"
    assert execute(table, f"SELECT {totals} FROM T WHERE N > 5") == [(0, -1, -1, 1.5)]
    sums = "5 - '2', '2' + 5, MOD(10, '3'), MOD('10', 4), '-3' * N, M + '1.5', 10 / '4', F * '2', 5 - '-2'"
    found = execute(table, f"SELECT {sums} FROM T WHERE N = 2")
    assert found == [(3, 7, 1, 2, -6, Decimal("3.75"), Decimal("2.5"), 4.0, 7)]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT '2.4' = 2",
        "SELECT N IN ('1.4', '2') FROM T",
        "SELECT CASE N WHEN '1.4' THEN 1 ELSE 0 END FROM T",
        "SELECT A = 1 FROM VALUES ('1.4') X (A)",
        "SELECT COUNT(*) FROM T JOIN (SELECT '1.4' AS S) ON S = N",
        "DELETE FROM T WHERE N = '1.4'",
        "SELECT IFF(TRUE, '1.5', N) FROM T",
        "SELECT COALESCE('1.5', 2)",
        "SELECT COALESCE(N, '1e0') FROM T",
        "SELECT NVL(M, '1.125') FROM T",
        "SELECT 1 + '1.5'",
        "SELECT '1.5' + 1",
        "SELECT '10' / 3",
        "SELECT CASE WHEN TRUE THEN '1.5' ELSE 1 END",
        "SELECT GREATEST('1.5', 1)",
        "SELECT DECODE(1, 1, '2.5', 3)",
        "SELECT '1.7' * 1",
        "SELECT MOD('7.5', 2)",
        "SELECT SUM(N) + '1.5' FROM T",
        "SELECT N FROM T UNION ALL SELECT 'x'",
        "SELECT D FROM T UNION SELECT S FROM (SELECT '2024-01-03' AS S)",
        "SELECT NULL::VARCHAR UNION ALL SELECT N FROM T UNION ALL SELECT 'x'",
        "SELECT * FROM (SELECT 'a' AS A UNION SELECT M FROM T)",
        "SELECT SUM(N > 1) FROM T",
        "SELECT SUM(NOT (N = 1)) FROM T",
        "SELECT SUM((N = 1 AND M IS NULL)) FROM T",
        "SELECT SUM(A) FROM (SELECT TRUE AS A)",
    ],
)
def test_text_and_numbers_that_no_cast_tells_apart_are_refused(table: SnowflakeConnection, query: str) -> None:
    assert REFUSED in error(table, query)[2]
