"""Moments: the offsets at which they are shown, and the digits of a second that they keep.

Also tests ``local/sql/offsets.py``.
"""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from snowflake.connector import SnowflakeConnection
from snowflake.connector.constants import FIELD_ID_TO_NAME

from tests.local.statement_calls import error, execute

EST = "'2024-07-01 23:00:00 -0530'::TIMESTAMP_TZ"


@pytest.fixture
def table(connection: SnowflakeConnection, schema: str) -> SnowflakeConnection:
    execute(connection, "ALTER SESSION SET TIMEZONE = 'America/New_York'")
    execute(connection, "CREATE TABLE T (S VARCHAR, N TIMESTAMP_NTZ, D DATE, E INT, Z TIMESTAMP_TZ)")
    text = "2024-07-01 23:00:00 +0200"
    execute(connection, f"INSERT INTO T VALUES ('{text}', '2024-07-01 23:00:00', '2024-01-01', 1372680000, '{text}')")
    return connection


@pytest.mark.parametrize("result_format", ["ARROW", "JSON"])
@pytest.mark.parametrize(
    ("expression", "kind", "shown"),
    [
        (EST, "TIMESTAMP_TZ", "2024-07-01T23:00:00-05:30"),
        ("CONVERT_TIMEZONE('Asia/Tokyo', Z)", "TIMESTAMP_TZ", "2024-07-02T06:00:00+09:00"),
        ("N::TIMESTAMP_TZ", "TIMESTAMP_TZ", "2024-07-01T23:00:00-04:00"),
        ("TO_TIMESTAMP_TZ(N)", "TIMESTAMP_TZ", "2024-07-01T23:00:00-04:00"),
        ("D::TIMESTAMP_TZ", "TIMESTAMP_TZ", "2024-01-01T00:00:00-05:00"),
        ("TO_TIMESTAMP_LTZ(S)", "TIMESTAMP_LTZ", "2024-07-01T17:00:00-04:00"),
        ("S::TIMESTAMP_LTZ", "TIMESTAMP_LTZ", "2024-07-01T17:00:00-04:00"),
        ("TO_TIMESTAMP_NTZ(S)", "TIMESTAMP_NTZ", "2024-07-01T23:00:00"),
        ("TO_TIMESTAMP_LTZ(E)", "TIMESTAMP_LTZ", "2013-07-01T08:00:00-04:00"),
        ("TO_TIMESTAMP_TZ(E)", "TIMESTAMP_TZ", "2013-07-01T08:00:00-04:00"),
        ("TO_TIMESTAMP_LTZ(1372680000)", "TIMESTAMP_LTZ", "2013-07-01T08:00:00-04:00"),
        ("TO_TIMESTAMP_TZ(1372680000500, 3)", "TIMESTAMP_TZ", "2013-07-01T08:00:00.500000-04:00"),
        ("TO_TIMESTAMP_TZ('04/05/2013 01:02:03', 'MM/DD/YYYY HH24:MI:SS')", "TIMESTAMP_TZ",
         "2013-04-05T01:02:03-04:00"),
        ("TIMESTAMP_TZ_FROM_PARTS(2013, 1, 5, 12, 0, 0, 0, 'America/Los_Angeles')", "TIMESTAMP_TZ",
         "2013-01-05T12:00:00-08:00"),
        ("TIMESTAMP_TZ_FROM_PARTS(2013, 7, 5, 12, 0, 0)", "TIMESTAMP_TZ", "2013-07-05T12:00:00-04:00"),
        ("TIMESTAMP_TZ_FROM_PARTS(2013, 7, 5, 12, 0, 0, 250000000)", "TIMESTAMP_TZ",
         "2013-07-05T12:00:00.250000-04:00"),
        ("TIMESTAMP_LTZ_FROM_PARTS(2013, 1, 5, 12, 0, 0)", "TIMESTAMP_LTZ", "2013-01-05T12:00:00-05:00"),
        ("TIMESTAMP_LTZ_FROM_PARTS(2013, 1, 5, 12, 0, 1, 250000000)", "TIMESTAMP_LTZ",
         "2013-01-05T12:00:01.250000-05:00"),
        (f"DATE_TRUNC('DAY', {EST})", "TIMESTAMP_TZ", "2024-07-01T00:00:00-05:30"),
        ("DATE_TRUNC('DAY', N::TIMESTAMP_TZ)", "TIMESTAMP_TZ", "2024-07-01T00:00:00-04:00"),
        (f"DATEADD(MONTH, 8, {EST})", "TIMESTAMP_TZ", "2025-03-01T23:00:00-05:30"),
        ("ADD_MONTHS(D, 1)", "DATE", "2024-02-01"),
    ],
)  # fmt: skip
def test_a_moment_is_shown_at_its_offset(
    table: SnowflakeConnection, result_format: str, expression: str, kind: str, shown: str
) -> None:
    execute(table, f"ALTER SESSION SET PYTHON_CONNECTOR_QUERY_RESULT_FORMAT = '{result_format}'")
    for query in (f"SELECT {expression} FROM T", f"SELECT X FROM (SELECT {expression} AS X FROM T)"):
        cursor = table.cursor().execute(query)
        assert cursor is not None
        assert FIELD_ID_TO_NAME[cursor.description[0].type_code] == kind
        ((value,),) = cursor.fetchall()
        assert value.isoformat() == shown


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("HOUR(X)", 6),
        ("X::DATE::TEXT", "2024-07-02"),
        ("X::VARCHAR", "2024-07-02 06:00:00.000 +0900"),
        ("TO_VARCHAR(DATE_TRUNC('DAY', X))", "2024-07-02 00:00:00.000 +0900"),
        ("EXTRACT(TIMEZONE_HOUR FROM X)", 9),
        (f"DATE_PART(TIMEZONE_MINUTE, {EST})", -30),
        (f"{EST}::TEXT", "2024-07-01 23:00:00.000 -0530"),
    ],
)
def test_what_is_asked_of_a_moment_is_asked_of_its_clock(
    table: SnowflakeConnection, expression: str, value: Any
) -> None:
    query = f"SELECT {expression} FROM (SELECT CONVERT_TIMEZONE('Asia/Tokyo', Z) AS X FROM T)"
    assert execute(table, query) == [(value,)]


def test_text_with_an_offset_that_only_its_row_says(table: SnowflakeConnection) -> None:
    assert execute(table, "SELECT S::TIMESTAMP_TZ = Z, TRY_CAST(S AS TIMESTAMP_TZ) = Z FROM T") == [(True, True)]
    assert "not supported by the local Snowflake" in error(table, "SELECT HOUR(TO_TIMESTAMP_TZ(S)) FROM T")[2]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("TO_TIMESTAMP(1372680000)", datetime.datetime(2013, 7, 1, 12)),
        ("TO_TIMESTAMP(1372680000123, 3)", datetime.datetime(2013, 7, 1, 12, 0, 0, 123000)),
        ("E::TIMESTAMP_NTZ FROM T", datetime.datetime(2013, 7, 1, 12)),
        ("'2024-01-01 10:00:00.123456000'::TIMESTAMP", datetime.datetime(2024, 1, 1, 10, 0, 0, 123456)),
        ("'2024-01-01 10:00:00.123956'::TIMESTAMP_NTZ(3)", datetime.datetime(2024, 1, 1, 10, 0, 0, 123000)),
        ("'1960-01-01 10:00:00.123956'::TIMESTAMP(3)", datetime.datetime(1960, 1, 1, 10, 0, 0, 123000)),
        ("'10:00:00.987654'::TIME(0)", datetime.time(10)),
        ("DATEADD(NANOSECOND, 5000, '2024-01-01'::TIMESTAMP)", datetime.datetime(2024, 1, 1, 0, 0, 0, 5)),
        ("DATEADD(NANOSECOND, -5000, '10:00:00.000005'::TIME)", datetime.time(10)),
        ("DATE_PART(NANOSECOND, '10:00:01.123456'::TIME)", 123_456_000),
        ("EXTRACT(NSEC FROM C) FROM (SELECT '10:00:01.5'::TIME AS C)", 500_000_000),
        ("DATE_PART('ns', N) FROM (SELECT '1960-01-01 10:00:01.000001'::TIMESTAMP_NTZ AS N)", 1000),
        ("DATE_PART(NANOSECOND, '1960-01-01'::DATE)", 0),
        ("DATE_PART(NANOSECOND, Z) FROM (SELECT '2024-01-01 10:00:00.5 +0530'::TIMESTAMP_TZ AS Z)", 500_000_000),
        ("DATE_PART(NANOSECOND, NULL::TIME)", None),
        ("DATEDIFF(NANOSECOND, '10:00:00.000001'::TIME, '10:00:00'::TIME)", -1000),
        ("DATEDIFF(NS, '0001-01-01'::DATE, '9999-12-31'::DATE)", 315_537_811_200 * 10**9),
        ("DATE_TRUNC(NANOSECOND, '10:00:00.000001'::TIME)", datetime.time(10, 0, 0, 1)),
    ],
)
def test_digits_of_a_second(table: SnowflakeConnection, expression: str, value: Any) -> None:
    assert execute(table, f"SELECT {expression}") == [(value,)]


def test_a_column_keeps_the_digits_that_it_declares(table: SnowflakeConnection) -> None:
    execute(table, "CREATE TABLE C (T TIMESTAMP_NTZ(3), S TIMESTAMP_NTZ(0), C TIME(1))")
    text = "2024-01-01 10:00:00.987654"
    execute(table, f"INSERT INTO C VALUES ('{text}', '{text}', '10:00:00.987')")
    execute(table, f"INSERT INTO C SELECT '{text}'::TIMESTAMP_NTZ, '{text}', NULL")
    moments = (datetime.datetime(2024, 1, 1, 10, 0, 0, 987000), datetime.datetime(2024, 1, 1, 10))
    assert execute(table, "SELECT * FROM C ORDER BY C") == [
        (*moments, datetime.time(10, 0, 0, 900000)), (*moments, None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT '2024-01-01 10:00:00.123456789'::TIMESTAMP_NTZ",
        "SELECT '2024-01-01 10:00:00.1234567 +0100'::TIMESTAMP_TZ",
        "SELECT '10:00:00.123456789'::TIME",
        "SELECT TO_TIMESTAMP_NTZ('2024-01-01 10:00:00.123456789', 'YYYY-MM-DD HH24:MI:SS.FF9')",
        "SELECT TO_TIMESTAMP(F) FROM FINE",
        "SELECT F::TIMESTAMP_LTZ FROM FINE",
        "SELECT TO_TIMESTAMP_NTZ(F, 'YYYY-MM-DD HH24:MI:SS.FF9') FROM FINE",
        "INSERT INTO T (N) VALUES ('2024-01-01 10:00:00.123456789')",
        "INSERT INTO T (N) SELECT F FROM FINE",
        "INSERT INTO T (Z) SELECT F FROM FINE",
        "UPDATE T SET N = '2024-01-01 10:00:00.123456789'",
        "SELECT DATEADD(NANOSECOND, 1, N) FROM T",
        "SELECT DATEADD(NANOSECOND, N1000, N) FROM (SELECT N, 1 AS N1000 FROM T)",
    ],
)
def test_nanoseconds_are_refused_instead_of_cut(table: SnowflakeConnection, statement: str) -> None:
    execute(table, "CREATE TABLE FINE AS SELECT '2024-01-01 10:00:00.123456789' AS F")
    errno, _, message = error(table, statement)
    assert errno == 2, message
    assert "not supported by the local Snowflake" in message
    assert "digits of a second" in message or "microseconds" in message


@pytest.mark.parametrize(
    "expression", ["CONVERT_TIMEZONE(S, Z)", "TIMESTAMP_TZ_FROM_PARTS(2013, 7, 5, 12, 0, 0, 0, 'Asia/' || S)"]
)
def test_a_zone_of_each_row_is_refused(table: SnowflakeConnection, expression: str) -> None:
    errno, _, message = error(table, f"SELECT {expression} FROM T")
    assert (errno, "A TIMESTAMP_TZ in a zone that is no literal" in message) == (2, True)
