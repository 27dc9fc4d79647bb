"""Functions of arrays and objects, of literals and of columns.

Also tests ``local/sql/arrays_and_objects.py``.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from snowflake.connector import SnowflakeConnection
from snowflake.connector.constants import FIELD_ID_TO_NAME

from tests.local.statement_calls import error, execute


@pytest.fixture
def table(connection: SnowflakeConnection, schema: str) -> SnowflakeConnection:
    """A is [1, "a", 2.5], V the VARIANT [1, 2, 2], O {"a": 2, "b": 1}, N 7."""
    execute(connection, "CREATE TABLE T (A ARRAY, V VARIANT, O OBJECT, N INT)")
    execute(
        connection,
        "INSERT INTO T SELECT ARRAY_CONSTRUCT(1, 'a', 2.5), PARSE_JSON('[1, 2, 2]'), {'b': 1, 'a': 2}, 7",
    )
    return connection


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("ARRAY_APPEND(A, N)", [1, "a", 2.5, 7]),
        ("ARRAY_APPEND(ARRAY_CONSTRUCT(1, 2), 'x')", [1, 2, "x"]),
        ("ARRAY_PREPEND(A, 'z')", ["z", 1, "a", 2.5]),
        ("ARRAY_CAT(A, V)", [1, "a", 2.5, 1, 2, 2]),
        ("ARRAY_CAT(ARRAY_CONSTRUCT(), ARRAY_CONSTRUCT('x'))", ["x"]),
        ("ARRAY_COMPACT(ARRAY_CONSTRUCT(1, NULL, 'x'))", [1, "x"]),
        ("ARRAY_EXCEPT(V, ARRAY_CONSTRUCT(2))", [1, 2]),
        ("ARRAY_INTERSECTION(V, ARRAY_CONSTRUCT(2, 3))", [2]),
        ("ARRAY_INSERT(A, 1, 'x')", [1, "x", "a", 2.5]),
        ("ARRAY_INSERT(V, -1, 'x')", [1, 2, "x", 2]),
        ("ARRAY_INSERT(V, 5, 'x')", [1, 2, 2, None, None, "x"]),
        ("ARRAY_REMOVE(A, 'a'::VARIANT)", [1, 2.5]),
        ("ARRAY_REMOVE(V, 2)", [1]),
        ("ARRAY_REVERSE(A)", [2.5, "a", 1]),
        ("ARRAY_SLICE(A, 0, -1)", [1, "a"]),
        ("ARRAY_DISTINCT(ARRAY_CONSTRUCT('x', 'x'))", ["x"]),
        ("OBJECT_KEYS(O)", ["a", "b"]),
        ("SPLIT('x,y', ',')", ["x", "y"]),
        ("ARRAY_CONSTRUCT_COMPACT(N, NULL)", [7]),
        ("OBJECT_KEYS(OBJECT_CONSTRUCT('b', 1, 'a', 2))", ["a", "b"]),
    ],
)
def test_arrays(table: SnowflakeConnection, expression: str, value: list[Any]) -> None:
    cursor = table.cursor().execute(f"SELECT {expression} FROM T")
    assert cursor is not None
    assert FIELD_ID_TO_NAME[cursor.description[0].type_code] == "ARRAY"
    ((got,),) = cursor.fetchall()
    assert json.loads(got) == value


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("ARRAY_CONTAINS('a'::VARIANT, A)", True),
        ("ARRAY_CONTAINS('1'::VARIANT, A)", False),
        ("ARRAY_CONTAINS(1, A)", True),
        ("ARRAY_CONTAINS(N::VARIANT, V)", False),
        ("ARRAY_POSITION('a'::VARIANT, A)", 1),
        ("ARRAY_POSITION(2, V)", 1),
        ("ARRAY_POSITION('q'::VARIANT, A)", None),
        ("ARRAYS_OVERLAP(A, V)", True),
        ("ARRAYS_OVERLAP(A, ARRAY_CONSTRUCT('q'))", False),
        ("ARRAY_SIZE(A)", 3),
        ("ARRAY_APPEND(NULL::ARRAY, 1)", None),
        ("ARRAY_CONSTRUCT(1, NULL)[0]", "1"),
        ("(SELECT X[1] FROM (SELECT ARRAY_CONSTRUCT('it''s [x', NULL, 1.5) AS X))", "null"),
        ("(SELECT X[0]::TEXT FROM (SELECT ARRAY_CONSTRUCT('it''s [x', NULL, 1.5) AS X))", "it's [x"),
        ("(SELECT COUNT(VALUE) FROM TABLE(FLATTEN(PARSE_JSON('[1, null]'))))", 2),
        ("(SELECT IS_NULL_VALUE(VALUE) FROM TABLE(FLATTEN(PARSE_JSON('[null]'))))", True),
        ("(SELECT SUM(VALUE::INT) FROM TABLE(FLATTEN(PARSE_JSON('[1, null]'))))", 1),
        ("PARSE_JSON('')", None),
        ("PARSE_JSON(' ' || REPEAT(' ', N))", None),
        ("OBJECT_INSERT(NULL, 'a', 1)", None),
    ],
)
def test_what_is_asked_of_arrays(table: SnowflakeConnection, expression: str, value: Any) -> None:
    assert execute(table, f"SELECT {expression} FROM T") == [(value,)]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("OBJECT_INSERT(O, 'c', N)", {"a": 2, "b": 1, "c": 7}),
        ("OBJECT_INSERT(O, 'c', A)", {"a": 2, "b": 1, "c": [1, "a", 2.5]}),
        ("OBJECT_INSERT(O, 'a', 'x', TRUE)", {"a": "x", "b": 1}),
        ("OBJECT_INSERT(O, 'a', NULL, TRUE)", {"b": 1}),
        ("OBJECT_INSERT(O, 'c', PARSE_JSON('null'))", {"a": 2, "b": 1, "c": None}),
        ("OBJECT_INSERT(OBJECT_CONSTRUCT(), 'k', OBJECT_CONSTRUCT_KEEP_NULL('n', NULL))", {"k": {"n": None}}),
        ("OBJECT_DELETE(O, 'a')", {"b": 1}),
        ("OBJECT_DELETE(O, 'a', 'b', 'c')", {}),
        ("OBJECT_DELETE(OBJECT_CONSTRUCT('a\"x', 1, 'b', 2), 'b')", {'a"x': 1}),
        ("OBJECT_PICK(O, 'a', 'c')", {"a": 2}),
        ("OBJECT_AGG('k', N)", {"k": 7}),
        ("OBJECT_CONSTRUCT(*)", {"A": [1, "a", 2.5], "V": [1, 2, 2], "O": {"a": 2, "b": 1}, "N": 7}),
        ("OBJECT_PICK(O, ARRAY_CONSTRUCT('a', 'b'))", {"a": 2, "b": 1}),
    ],
)
def test_objects(table: SnowflakeConnection, expression: str, value: dict[str, Any]) -> None:
    cursor = table.cursor().execute(f"SELECT {expression} FROM T")
    assert cursor is not None
    assert FIELD_ID_TO_NAME[cursor.description[0].type_code] == "OBJECT"
    ((got,),) = cursor.fetchall()
    assert json.loads(got) == value


def test_a_key_that_is_there_is_not_inserted(table: SnowflakeConnection) -> None:
    errno, _, message = error(table, "SELECT OBJECT_INSERT(O, 'a', 1) FROM T")
    assert (errno, message.endswith("Duplicate field key 'a'")) == (100199, True), message
