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
        ("ARRAY_INSERT(V, 3, 'x')", [1, 2, 2, "x"]),
        ("ARRAY_REMOVE(A, 'a'::VARIANT)", [1, 2.5]),
        ("ARRAY_REMOVE(V, 2)", [1]),
        ("ARRAY_REVERSE(A)", [2.5, "a", 1]),
        ("ARRAY_SLICE(A, 0, -1)", [1, "a"]),
        ("ARRAY_DISTINCT(ARRAY_CONSTRUCT('x', 'x'))", ["x"]),
        ("ARRAY_DISTINCT(PARSE_JSON('[3, 1, null, 3, 2, 1, null]')::ARRAY)", [3, 1, None, 2]),
        ("OBJECT_KEYS(O)", ["a", "b"]),
        ("SPLIT('x,y', ',')", ["x", "y"]),
        ("ARRAY_CONSTRUCT_COMPACT(N, NULL)", [7]),
        ("ARRAY_CONSTRUCT_COMPACT(N, 'a', NULL, 1.5)", [7, "a", 1.5]),
        ("OBJECT_KEYS(OBJECT_CONSTRUCT('b', 1, 'a', 2))", ["a", "b"]),
    ],
)
def test_arrays(table: SnowflakeConnection, expression: str, value: list[Any]) -> None:
    cursor = table.cursor().execute(f"SELECT {expression} FROM T")
    assert cursor is not None
    assert FIELD_ID_TO_NAME[cursor.description[0].type_code] == "ARRAY"
    ((got,),) = cursor.fetchall()
    assert json.loads(got) == value


def test_elements_of_elements(table: SnowflakeConnection) -> None:
    source = '(SELECT PARSE_JSON(\'{"a": [{"b": [1, "x"]}]}\') AS W, 1 AS I, \'a\' AS K)'
    elements = ["W['a'][0]['b'][1]", "W[K][I - 1]['b'][I]", "GET(GET(W, K)[0], 'b')[I]", "W:a[0]['b'][1]"]
    for element in elements:
        found = execute(table, f"SELECT {element}, {element}::VARCHAR, {element} = 'x' FROM {source}")
        assert found == [('"x"', "x", True)], element
    assert error(table, "SELECT A[0:2] FROM T")[0] == 2
    assert execute(table, "SELECT PARSE_JSON(' NULL '), TYPEOF(PARSE_JSON('NULL'))") == [("null", "NULL_VALUE")]
    assert execute(table, "SELECT A[N - 7], A[-N], V[N], O['\"'], A[1::VARIANT] FROM T") == [
        ("1", None, None, None, '"a"')
    ]


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
        ("ARRAY_SIZE(ARRAY_CONSTRUCT(1, NULL))", 2),
        ("ARRAY_CONTAINS(2::VARIANT, ARRAY_CONSTRUCT(NULL, 2))", True),
        ("ARRAY_POSITION(2::VARIANT, ARRAY_CONSTRUCT(NULL, 2))", 1),
        ("ARRAY_TO_STRING(ARRAY_CONSTRUCT(1, NULL, 'x'), '-')", "1--x"),
        ("(SELECT X[1] FROM (SELECT ARRAY_CONSTRUCT('it''s [x', PARSE_JSON('null'), 1.5) AS X))", "null"),
        ("(SELECT X[0]::TEXT FROM (SELECT ARRAY_CONSTRUCT('it''s [x', PARSE_JSON('null'), 1.5) AS X))", "it's [x"),
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
        ("TO_OBJECT(PARSE_JSON('{\"b\": [1]}'))", {"b": [1]}),
        ("TO_OBJECT(O)", {"a": 2, "b": 1}),
        ("ARRAYS_TO_OBJECT(ARRAY_CONSTRUCT('x', NULL, 'y'), A)", {"x": 1, "y": 2.5}),
        ("ARRAYS_TO_OBJECT(ARRAY_CONSTRUCT('x', 'y'), ARRAY_CONSTRUCT(N, NULL))", {"x": 7, "y": None}),
        ("ARRAYS_TO_OBJECT(ARRAY_CONSTRUCT(), ARRAY_CONSTRUCT())", {}),
    ],
)
def test_objects(table: SnowflakeConnection, expression: str, value: dict[str, Any]) -> None:
    cursor = table.cursor().execute(f"SELECT {expression} FROM T")
    assert cursor is not None
    assert FIELD_ID_TO_NAME[cursor.description[0].type_code] == "OBJECT"
    ((got,),) = cursor.fetchall()
    assert json.loads(got) == value


def test_what_makes_no_object_is_an_error(table: SnowflakeConnection) -> None:
    errno, _, message = error(table, "SELECT ARRAYS_TO_OBJECT(ARRAY_CONSTRUCT('x'), A) FROM T")
    assert (errno, "differ in length" in message) == (100183, True), message
    assert error(table, "SELECT TO_OBJECT(V) FROM T")[0] == 100071
    assert error(table, "SELECT TO_OBJECT('{}') FROM T")[0] == 1044
    assert execute(table, "SELECT ARRAYS_TO_OBJECT(NULL, A), TO_OBJECT(NULL) FROM T") == [(None, None)]


def test_a_key_that_is_there_is_not_inserted(table: SnowflakeConnection) -> None:
    errno, _, message = error(table, "SELECT OBJECT_INSERT(O, 'a', 1) FROM T")
    assert (errno, message.endswith("Duplicate field key 'a'")) == (100199, True), message


_TEXT_FUNCTIONS = (
    "TO_BINARY({k}, 'UTF-8')", "TRY_TO_BINARY({k}, 'UTF-8')", "TO_BINARY({h})", "TRY_TO_BINARY({h})",
    "TO_BINARY({b}, 'BASE64')", "HEX_DECODE_STRING({h})", "HEX_DECODE_BINARY({h})", "HEX_ENCODE({k})",
    "BASE64_DECODE_STRING({b})", "BASE64_DECODE_BINARY({b})", "BASE64_ENCODE({k})", "MD5({k})", "MD5_BINARY({k})",
    "SHA1({k})", "SHA1_BINARY({k})", "SHA2({k})", "SHA2_BINARY({k})", "RTRIMMED_LENGTH({k})", "LENGTH({k})",
    "UPPER({k})", "SUBSTR({k}, 2)", "SPLIT_PART({k}, 'b', 1)", "REGEXP_REPLACE({k}, 'a', 'z')",
    "TO_TIMESTAMP({t}, 'YYYY-MM-DD HH24:MI')",
    "TRY_TO_DATE({t}, 'YYYY-MM-DD HH24:MI')", "{t}::TIMESTAMP_NTZ", "{t}::TIMESTAMP_LTZ", "TO_TIMESTAMP_LTZ({t})",
    "{t}::TIMESTAMP_TZ::TIMESTAMP_LTZ", "TRY_PARSE_JSON({j}):a::INT", "PARSE_JSON({j}):a::INT", "CHECK_JSON({j})",
    "OBJECT_CONSTRUCT({k}, 1):ab::INT",
)  # fmt: skip


@pytest.mark.parametrize(
    "source",
    [
        "SELECT {calls} FROM W",
        "SELECT V:k AS K, V:h AS H, V:b AS B, V:t AS T, V:j AS J, {calls} FROM W",
        "WITH Q AS (SELECT V:k AS K, V:h AS H, V:b AS B, V:t AS T, V:j AS J FROM W) SELECT {calls} FROM Q",
    ],
    ids=["path", "alias", "query"],
)
def test_functions_of_text_and_bytes_read_the_text_of_a_variant(
    connection: SnowflakeConnection, schema: str, source: str
) -> None:
    texts = {"k": "ab", "h": "6162", "b": "YWI=", "t": "2024-07-31 10:11", "j": '{"a": 1}'}
    execute(connection, "CREATE TABLE W (V VARIANT)")
    listed = ", ".join(f"'{key}', '{text}'" for key, text in texts.items())
    execute(connection, f"INSERT INTO W SELECT OBJECT_CONSTRUCT({listed})")
    columns = {key: f"V:{key}" if source == "SELECT {calls} FROM W" else key.upper() for key in texts}
    of_variants = ", ".join(call.format(**columns) for call in _TEXT_FUNCTIONS)
    of_texts = ", ".join(call.format(**{key: f"'{text}'" for key, text in texts.items()}) for call in _TEXT_FUNCTIONS)
    ((*found,),) = execute(connection, source.format(calls=of_variants))
    ((*right,),) = execute(connection, f"SELECT {of_texts}")
    values = dict(zip(_TEXT_FUNCTIONS, found[-len(right) :], strict=True))
    assert values == dict(zip(_TEXT_FUNCTIONS, right, strict=True))
    assert values["TO_BINARY({k}, 'UTF-8')"] == b"ab"
    assert values["RTRIMMED_LENGTH({k})"] == 2


@pytest.mark.parametrize(
    "expression",
    [
        "S:a",
        "S['a']",
        "GET(S, 'a')",
        "GET_PATH(S, 'a')",
        "ARRAY_SIZE(S)",
        "OBJECT_KEYS(S)",
        "ARRAY_APPEND(S, 1)",
        "F.VALUE",
    ],
)
def test_text_is_no_array_or_object(table: SnowflakeConnection, expression: str) -> None:
    source = """(SELECT '{"a": 1}' AS S)""" + (", LATERAL FLATTEN(INPUT => S) F" if expression == "F.VALUE" else "")
    errno, sqlstate, message = error(table, f"SELECT {expression} FROM {source}")
    assert (errno, sqlstate) == (1044, "42P13")
    assert "PARSE_JSON" in message


@pytest.mark.parametrize(
    "expression",
    [
        "ARRAY_CONSTRUCT(1, NULL)",
        "[N, NULL]",
        "ARRAY_CONSTRUCT(N, NULLIF(N, 7))",
        "ARRAY_CONSTRUCT('x', V[5])",
        "OBJECT_CONSTRUCT('a', ARRAY_CONSTRUCT(NULLIF(N, 7)))",
        "ARRAY_APPEND(A, NULLIF(N, 7))",
        "ARRAY_PREPEND(V, NULL)",
        "ARRAY_INSERT(V, 0, NULLIF(N, 7))",
        "ARRAY_INSERT(V, 5, 'x')",
    ],
)
def test_null_in_an_array_is_no_null_of_json(table: SnowflakeConnection, expression: str) -> None:
    errno, _, message = error(table, f"SELECT {expression} FROM T")
    assert errno == 2
    assert "NULL as an element of an ARRAY, which reads undefined" in message
    assert message.endswith("is not supported by the local Snowflake.")


def test_null_is_neither_the_largest_nor_the_smallest_element(table: SnowflakeConnection) -> None:
    execute(table, "CREATE OR REPLACE TABLE E AS SELECT * FROM VALUES (1, 3), (NULL, 2) AS V (A, B)")
    both = "ARRAY_MIN(ARRAY_CONSTRUCT(A, B)), ARRAY_MAX(ARRAY_CONSTRUCT(A, B))"
    found = execute(table, f"SELECT {both} FROM E ORDER BY B")
    assert [tuple(map(int, row)) for row in found] == [(2, 2), (1, 3)]


@pytest.mark.parametrize("function", ["FLATTEN(SPLIT(T.X, ' '))", "SPLIT_TO_TABLE(T.X, ' ')"])
def test_what_rows_that_are_taken_apart_share(table: SnowflakeConnection, function: str) -> None:
    rows = f"(SELECT COLUMN1 AS X FROM VALUES ('a b'), ('c d'), ('c d')) T, TABLE({function}) F"
    assert execute(table, f"SELECT X, F.VALUE::TEXT FROM {rows} WHERE X = 'a b'") == [("a b", "a"), ("a b", "b")]
    passed_on = execute(table, f"SELECT SEQ, VALUE FROM (SELECT F.SEQ, F.VALUE FROM {rows})")
    assert len({seq for seq, _ in passed_on}) == 2
    for query in (
        f"SELECT F.SEQ, COUNT(*) FROM {rows} GROUP BY 1",
        f"SELECT DISTINCT SEQ FROM {rows}",
        f"SELECT F.VALUE FROM {rows} ORDER BY F.SEQ, F.INDEX",
        f"SELECT SEQ, ARRAY_AGG(VALUE) FROM (SELECT F.* FROM {rows}) GROUP BY SEQ",
        f"SELECT S, COUNT(*) FROM (SELECT F.SEQ AS S FROM {rows}) GROUP BY S",
        f"SELECT COUNT(DISTINCT F.SEQ) FROM {rows}",
    ):
        errno, _, message = error(table, query)
        assert (errno, "SEQ of FLATTEN" in message) == (2, True), query


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("SELECT E.SEQ FROM E WHERE E.SEQ > 5 AND E.ID IN (SELECT F.VALUE::INT FROM E, {split})", [6]),
        ("SELECT SEQ FROM E WHERE SEQ > 5 AND ID IN (SELECT F.VALUE::INT FROM E, {split})", [6]),
        ("WITH I AS (SELECT F.VALUE V FROM E, {split}) SELECT MAX(E.SEQ) FROM E JOIN I ON V = ID", [6]),
        ("WITH I AS (SELECT SEQ AS S, X FROM E) SELECT I.S FROM I, {split} ORDER BY 1", [5, 5, 6]),
        ("SELECT VALUE FROM TABLE(SPLIT_TO_TABLE('a b', ' ')) ORDER BY SEQ, INDEX", ["a", "b"]),
    ],
)
def test_a_column_of_a_table_may_have_that_name(table: SnowflakeConnection, query: str, found: list[Any]) -> None:
    rows = "VALUES (1, 5, '1 2'), (2, 6, '2') AS V (ID, SEQ, X)"
    execute(table, f"CREATE OR REPLACE TABLE E AS SELECT * FROM {rows}")
    assert [value for (value,) in execute(table, query.format(split="TABLE(FLATTEN(SPLIT(X, ' '))) F"))] == found


@pytest.mark.parametrize("expression", ["GREATEST(V[0], 3)", "LEAST(3, V[0])", "MEDIAN(V[0])", "MEDIAN(TO_VARCHAR(N))"])
def test_what_would_put_text_in_order_needs_a_cast(table: SnowflakeConnection, expression: str) -> None:
    errno, _, message = error(table, f"SELECT {expression} FROM T")
    assert errno == 2
    assert message.endswith("without a cast is not supported by the local Snowflake.")


@pytest.mark.parametrize(
    "text",
    [
        "[1, 2,]",
        '{"a": 1,}',
        "[1, undefined]",
        "undefined",
        '["a,]", 1 , ]',
        "[1,,2]",
        "{a: 1}",
        "{''a'': 1}",
        "[''x'']",
    ],
)
@pytest.mark.parametrize("function", ["PARSE_JSON", "TRY_PARSE_JSON", "CHECK_JSON"])
def test_json_that_the_engine_reads_otherwise(table: SnowflakeConnection, function: str, text: str) -> None:
    for argument in (f"'{text}'", f"'{text}' || SUBSTR('x', 1 + N)"):
        errno, _, message = error(table, f"SELECT {function}({argument}) FROM T")
        assert (errno, "not supported by the local Snowflake" in message) == (2, True), message


def test_check_json_says_whether_but_not_what(table: SnowflakeConnection) -> None:
    checked = "SELECT CHECK_JSON(A) IS NULL, CHECK_JSON('[1]') FROM VALUES ('{}'), ('{\"a\"') T (A)"
    assert execute(table, checked) == [(True, None), (False, None)]
    errno, _, message = error(table, "SELECT CHECK_JSON(A) FROM VALUES ('{\"a\"') T (A)")
    assert (errno, "not supported by the local Snowflake" in message) == (2, True)


def test_such_signs_in_the_text_of_json(table: SnowflakeConnection) -> None:
    (value,) = execute(table, """SELECT PARSE_JSON('["undefined", ",]"]')[1]::TEXT FROM T""")
    assert value == (",]",)


@pytest.mark.parametrize("step", ["0", "N - 7"])
def test_a_range_has_a_step(table: SnowflakeConnection, step: str) -> None:
    assert error(table, f"SELECT ARRAY_GENERATE_RANGE(1, 5, {step}) FROM T")[0] == 100183


@pytest.mark.parametrize("value", ["[1, 2]", "{'a': 1}", "PARSE_JSON('1')", "OBJECT_CONSTRUCT('a', 1)"])
@pytest.mark.parametrize("statement", ["INSERT INTO T (V) VALUES ({})", "SELECT * FROM VALUES (1), ({})"])
def test_values_makes_nothing_semi_structured(table: SnowflakeConnection, statement: str, value: str) -> None:
    errno, sqlstate, message = error(table, statement.format(value))
    assert (errno, sqlstate) == (2014, "22000")
    assert message.endswith("in VALUES clause")


@pytest.mark.parametrize("made", ["OBJECT_CONSTRUCT('a', 1, 'a', 2)", "{'a': 1, 'b': 2, 'a': 3}"])
def test_an_object_has_a_key_once(table: SnowflakeConnection, made: str) -> None:
    errno, _, message = error(table, f"SELECT {made}")
    assert (errno, message.endswith("Duplicate field key 'a'")) == (100199, True), message


@pytest.mark.parametrize(
    "joined",
    [
        "T, LATERAL {}(T.A, ' ') AS X",
        "T, TABLE({}(T.A, ' ')) AS X",
        "T JOIN TABLE({}(A, ' ')) AS X",
    ],
)
@pytest.mark.parametrize(
    ("function", "empty"),
    [("SPLIT_TO_TABLE", [(3, 1, ""), (4, 1, "z"), (4, 2, "")]), ("STRTOK_SPLIT_TO_TABLE", [(4, 1, "z")])],
)
def test_a_text_is_split_to_rows(
    connection: SnowflakeConnection, schema: str, joined: str, function: str, empty: list[Any]
) -> None:
    execute(connection, "CREATE TABLE T (N INT, A VARCHAR)")
    execute(connection, "INSERT INTO T VALUES (1, 'x y'), (2, NULL), (3, ''), (4, 'z ')")
    rows = execute(connection, f"SELECT N, X.INDEX, X.VALUE FROM {joined.format(function)} ORDER BY 1, 2")
    assert rows == [(1, 1, "x"), (1, 2, "y"), *empty]


def test_a_text_is_split_at_each_of_several_signs(connection: SnowflakeConnection) -> None:
    rows = execute(connection, "SELECT INDEX, VALUE FROM TABLE(STRTOK_SPLIT_TO_TABLE('a,b c', ', '))")
    assert rows == [(1, "a"), (2, "b"), (3, "c")]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("V:n::VARCHAR", "1"),
        ("V['n']::VARCHAR", "1"),
        ("V:n || 'x'", "1x"),
        ("LOWER(V:n)", "1"),
        ("1::FLOAT::VARIANT::VARCHAR", "1"),
        ("V:a::VARCHAR", '{"b":[1,2.5],"z":0}'),
        ("V:t", '"1.0"'),
        ("V:t::VARCHAR", "1.0"),
        ("V:t || 'x'", "1.0x"),
        ("(SELECT VALUE::VARCHAR FROM TABLE(FLATTEN(V)) WHERE KEY = 'n')", "1"),
        ("(SELECT VALUE::VARCHAR FROM TABLE(FLATTEN(V)) WHERE KEY = 'a')", '{"b":[1,2.5],"z":0}'),
        ("(SELECT VALUE::VARCHAR FROM TABLE(FLATTEN(V)) WHERE KEY = 't')", "1.0"),
        ("PARSE_JSON('-0.0')::VARCHAR", "0"),
    ],
)
def test_the_text_of_an_element(connection: SnowflakeConnection, schema: str, expression: str, value: str) -> None:
    execute(connection, "CREATE TABLE T (V VARIANT)")
    text = '{"a": {"z": 0, "b": [1, 2.50]}, "n": 1.0, "t": "1.0"}'
    execute(connection, f"INSERT INTO T SELECT PARSE_JSON('{text}')")
    assert execute(connection, f"SELECT {expression} FROM T") == [(value,)]
