"""``TYPEOF``, ``IS_<type>`` and ``AS_<type>`` of what a statement makes and of what is stored."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pytest
from snowflake.connector import SnowflakeConnection

from tests.local.statement_calls import error, execute

STORED = "(SELECT PARSE_JSON(COLUMN1) AS V FROM VALUES ('1'), ('1.5'), ('\"x\"'), ('[1]'), ('{}'), ('true'), ('null'))"
"""A whole number, one with a fraction, a text, an array, an object, a flag and JSON's null."""


@pytest.mark.parametrize(
    ("function", "fitting"),
    [
        ("INTEGER", ["1"]),
        ("DECIMAL", ["1", "1.5"]),
        ("DOUBLE", ["1", "1.5"]),
        ("REAL", ["1", "1.5"]),
        ("VARCHAR", ["x"]),
        ("CHAR", ["x"]),
        ("ARRAY", ["[1]"]),
        ("OBJECT", ["{}"]),
        ("BOOLEAN", ["true"]),
        ("DATE", []),
        ("DATE_VALUE", []),
        ("TIME", []),
        ("TIMESTAMP_NTZ", []),
        ("TIMESTAMP_LTZ", []),
        ("TIMESTAMP_TZ", []),
        ("BINARY", []),
    ],
)
def test_is_of_stored_values(connection: SnowflakeConnection, schema: str, function: str, fitting: list[str]) -> None:
    execute(connection, f"CREATE TABLE T AS SELECT V FROM {STORED}")
    rows = execute(connection, f"SELECT V::VARCHAR, IS_{function}(V) FROM T")
    assert [text for text, is_one in rows if is_one] == fitting
    assert {is_one for _, is_one in rows} <= {True, False}


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("AS_INTEGER(V)", [1, 2]),
        ("AS_NUMBER(V)", [1, 2]),
        ("AS_DECIMAL(V, 10, 2)", [Decimal("1.00"), Decimal("1.50")]),
        ("AS_DOUBLE(V)", [1.0, 1.5]),
        ("AS_REAL(V)", [1.0, 1.5]),
        ("AS_VARCHAR(V)", ["x"]),
        ("AS_CHAR(V)", ["x"]),
        ("AS_ARRAY(V)", ["[\n  1\n]"]),
        ("AS_OBJECT(V)", ["{}"]),
        ("AS_BOOLEAN(V)", [True]),
        ("AS_DATE(V)", []),
    ],
)
def test_as_of_stored_values(connection: SnowflakeConnection, schema: str, expression: str, values: list[Any]) -> None:
    execute(connection, f"CREATE TABLE T AS SELECT V FROM {STORED}")
    assert [value for (value,) in execute(connection, f"SELECT {expression} FROM T") if value is not None] == values


MADE = [
    ("DATE", "'2020-01-01'::DATE", datetime.date(2020, 1, 1)),
    ("TIME", "'10:00:00'::TIME", datetime.time(10)),
    ("TIMESTAMP_NTZ", "'2020-01-01 10:00:00'::TIMESTAMP_NTZ", datetime.datetime(2020, 1, 1, 10)),
    ("BINARY", "TO_BINARY('F0A5')", b"\xf0\xa5"),
    ("DOUBLE", "1.5::FLOAT", 1.5),
]


@pytest.mark.parametrize(("kind", "expression", "value"), MADE)
@pytest.mark.parametrize(
    "source",
    ["(SELECT {}::VARIANT AS V)", "(SELECT TO_VARIANT(X) AS V FROM (SELECT {} AS X))", "(SELECT ({})::VARIANT) T (V)"],
)
def test_what_a_statement_makes_a_variant_of_is_known(
    connection: SnowflakeConnection, kind: str, expression: str, value: Any, source: str
) -> None:
    columns = f"TYPEOF(V), IS_{kind}(V), AS_{kind}(V), IS_VARCHAR(V), AS_VARCHAR(V), IS_DECIMAL(V)"
    rows = execute(connection, f"SELECT {columns} FROM {source.format(expression)}")
    assert rows == [(kind, True, value, False, None, False)]
    (held,) = execute(connection, f"WITH C AS (SELECT * FROM {source.format(expression)}) SELECT TYPEOF(V) FROM C")
    assert held == (kind,)


def test_the_offset_of_a_timestamp_is_its_type(connection: SnowflakeConnection) -> None:
    made = "(SELECT '2020-01-01 10:00:00 +02:00'::TIMESTAMP_TZ::VARIANT AS V)"
    rows = execute(connection, f"SELECT IS_TIMESTAMP_TZ(V), IS_TIMESTAMP_LTZ(V), AS_TIMESTAMP_TZ(V) FROM {made}")
    assert rows == [(True, False, datetime.datetime(2020, 1, 1, 8, tzinfo=datetime.UTC))]
    made = "(SELECT '2020-01-01 10:00:00 +02:00'::TIMESTAMP_TZ AS T)"
    rows = execute(connection, f"SELECT AS_TIMESTAMP_TZ(TO_VARIANT(T)), AS_TIMESTAMP_TZ(T::VARIANT) FROM {made}")
    assert rows == [(datetime.datetime(2020, 1, 1, 8, tzinfo=datetime.UTC),) * 2]


@pytest.mark.parametrize(
    ("function", "text"),
    [
        ("IS_DATE", "2020-01-01"),
        ("AS_TIME", "10:00:00"),
        ("IS_TIMESTAMP_NTZ", "2020-01-01 10:00:00.000"),
        ("AS_TIMESTAMP_TZ", "2020-01-01 10:00:00.000 +0200"),
        ("IS_BINARY", "F0A5"),
    ],
)
def test_a_stored_text_that_looks_like_one_is_refused(
    connection: SnowflakeConnection, schema: str, function: str, text: str
) -> None:
    execute(connection, f"CREATE TABLE T AS SELECT '{text}'::VARIANT AS V")
    errno, _, message = error(connection, f"SELECT {function}(V) FROM T")
    assert (errno, f"{function} of a VARIANT without a cast is not supported by the local" in message) == (2, True)
    assert execute(connection, "SELECT IS_VARCHAR(V), IS_ARRAY(V) FROM T") == [(True, False)]


def test_a_table_made_of_one_declares_a_variant(connection: SnowflakeConnection, schema: str) -> None:
    execute(connection, "CREATE TABLE T AS SELECT DATE '2020-01-01'::VARIANT AS D, 1.5::FLOAT::VARIANT AS F")
    described = execute(connection, "DESC TABLE T")
    assert [(row[0], row[1]) for row in described] == [("D", "VARIANT"), ("F", "VARIANT")]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("DATE '2020-01-01'::TIMESTAMP_NTZ", datetime.datetime(2020, 1, 1)),
        ("TIMESTAMP '2020-01-01 10:00:00'::DATE", datetime.date(2020, 1, 1)),
        ("time'10:00:00'::VARCHAR", "10:00:00"),
        ("'DATE ''2020-01-01''::TIMESTAMP'", "DATE '2020-01-01'::TIMESTAMP"),
    ],
)
def test_the_literal_of_a_type_is_made_before_it_is_cast(
    connection: SnowflakeConnection, expression: str, value: Any
) -> None:
    assert execute(connection, f"SELECT {expression}") == [(value,)]
