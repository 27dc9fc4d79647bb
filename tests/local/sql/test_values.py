"""Values that DuckDB would compare, sort, cast or write in another way than Snowflake.

Also tests ``local/sql/texts.py``, ``local/sql/variants.py``.
"""

from __future__ import annotations

import datetime
import json
from decimal import Decimal
from typing import Any

import pytest
from snowflake.connector import SnowflakeConnection

from tests.local.statement_calls import error, execute

OBJECT = """PARSE_JSON('{"x": "y", "n": 1.4, "i": 12345678901234567, "b": true, "d": "2024-01-02", "none": null}')"""
MOMENT = "'2024-02-03 14:05:06.5'::TIMESTAMP_NTZ"


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("V:x = 'y'", True),
        ("V:x <> 'y'", False),
        ("'y' = V:x", True),
        ("V:x IN ('a', 'y')", True),
        ("V:x NOT IN ('a', 'b')", True),
        ("V:x IN (SELECT 'y')", True),
        ("V:x LIKE 'y%'", True),
        ("V:x || '!'", "y!"),
        ("CONCAT(V:x, '!')", "y!"),
        ("UPPER(V:x)", "Y"),
        ("LENGTH(V:x)", 1),
        ("REPLACE(V:x, 'y', 'z')", "z"),
        ("CASE V:x WHEN 'y' THEN 1 ELSE 0 END", 1),
        ("V:n > 1", True),
        ("V:n = 1", False),
        ("V:n BETWEEN 1.3 AND 1.5", True),
        ("V:i = 12345678901234567", True),
        ("V:i = 12345678901234568", False),
        ("V:b = TRUE", True),
        ("V:d = '2024-01-02'::DATE", True),
        ("V:x = V:x", True),
        ("V:n < V:i", True),
        ("V:none = 'y'", None),
        ("COALESCE(V:nowhere, 'z')", '"z"'),
        ("TYPEOF(NVL(V:nowhere, '5'))", "VARCHAR"),
        ("IFF(FALSE, V:x, 'z')::VARCHAR", "z"),
        ("IFF(TRUE, V:x, 'z') = 'y'", True),
        ("CASE WHEN V:n > 2 THEN V:x WHEN V:n > 1 THEN 'z' END", '"z"'),
        ("DECODE(1, 2, V:x, 3, 'q', 'z')", '"z"'),
        ("NVL2(V:nowhere, V:x, 'z')", '"z"'),
        ("COALESCE(V:nowhere, 0)::INT", 0),
        ("V:x = NULL", None),
        ("V:x IS NOT DISTINCT FROM NULL", False),
        ("NULL IS DISTINCT FROM V:n", True),
        ("EQUAL_NULL(V:nowhere, NULL)", True),
        ("V:none::VARCHAR", None),
        ("V:x::VARCHAR", "y"),
        ("V:b::VARCHAR", "true"),
        ("GET(V, 'x') = 'y'", True),
        ("GET(ARRAY_CONSTRUCT('a', 'b'), 1)", '"b"'),
        ("ARRAY_CONSTRUCT('a', 'b')[1] = 'b'", True),
        ("TYPEOF(V:x)", "VARCHAR"),
        ("TYPEOF(V:n)", "DECIMAL"),
        ("TYPEOF(V:none)", "NULL_VALUE"),
    ],
)
def test_a_variant_counts_as_what_it_holds(
    connection: SnowflakeConnection, schema: str, expression: str, value: Any
) -> None:
    execute(connection, f"CREATE TABLE T AS SELECT {OBJECT} AS V")
    assert execute(connection, f"SELECT {expression} FROM T") == [(value,)]
    assert execute(connection, f"WITH C AS (SELECT {OBJECT} AS V) SELECT {expression} FROM C") == [(value,)]


@pytest.mark.parametrize("expression", ["V:n + 1", "SUM(V:n)"])
def test_arithmetic_of_a_variant_asks_for_a_cast(connection: SnowflakeConnection, schema: str, expression: str) -> None:
    execute(connection, f"CREATE TABLE T AS SELECT {OBJECT} AS V")
    errno, _, message = error(connection, f"SELECT {expression} FROM T")
    assert errno == 1003
    assert "not supported by the local Snowflake" in message
    assert execute(connection, f"SELECT {expression.replace('V:n', 'V:n::NUMBER(5, 2)')} > 1 FROM T") == [(True,)]


def test_variants_are_sorted_by_value(connection: SnowflakeConnection, schema: str) -> None:
    execute(connection, "CREATE TABLE T (ID INT, V VARIANT)")
    execute(connection, "INSERT INTO T SELECT COLUMN1, PARSE_JSON(COLUMN2) FROM VALUES (1, '9'), (2, '100'), (3, '-5')")
    for sql in (
        "SELECT ID FROM T ORDER BY V",
        "SELECT ID, V AS W FROM T ORDER BY W",
        "SELECT ID, V FROM T ORDER BY 2",
        "SELECT ID FROM (SELECT ID, V AS W FROM T) ORDER BY W",
    ):
        assert [row[0] for row in execute(connection, sql)] == [3, 1, 2], sql
    flattened = "SELECT VALUE AS W FROM TABLE(FLATTEN(PARSE_JSON('[3, 1, 22]'))) ORDER BY W DESC"
    assert execute(connection, flattened) == [("22",), ("3",), ("1",)]
    assert execute(connection, "SELECT MAX(V), MIN(V), MAX(ID) FROM T") == [("100", "-5", 3)]


def test_a_variant_is_joined_and_written_as_what_it_holds(connection: SnowflakeConnection, schema: str) -> None:
    execute(connection, f"CREATE TABLE T AS SELECT 1 AS ID, {OBJECT} AS V")
    execute(connection, "CREATE TABLE U (ID INT, S VARCHAR, SHORT VARCHAR(1))")
    execute(connection, "INSERT INTO U SELECT ID, V:x, V:x FROM T")
    assert execute(connection, "SELECT S, SHORT FROM U JOIN T ON T.V:x = U.S") == [("y", "y")]
    execute(connection, "UPDATE U SET S = T.V:d FROM T WHERE T.V:x = U.S")
    execute(connection, "MERGE INTO U USING T ON U.S = T.V:d WHEN MATCHED THEN UPDATE SET SHORT = T.V:x, ID = 2")
    assert execute(connection, "SELECT * FROM U") == [(2, "2024-01-02", "y")]
    assert execute(connection, "DELETE FROM U WHERE S IN (SELECT V:d FROM T)") == [(1,)]


def test_flatten(connection: SnowflakeConnection, schema: str) -> None:
    execute(connection, "CREATE TABLE T AS SELECT ARRAY_CONSTRUCT('a', 'b', 3) AS A")
    assert execute(connection, "SELECT F.INDEX FROM T, LATERAL FLATTEN(INPUT => A) F WHERE F.VALUE = 'b'") == [(1,)]
    assert execute(connection, "SELECT F.INDEX FROM T, LATERAL FLATTEN(A) F WHERE F.VALUE IN ('c', '3')") == [(2,)]
    _, _, message = error(connection, "SELECT * FROM T, LATERAL FLATTEN(INPUT => A, RECURSIVE => TRUE) F")
    assert "not supported by the local Snowflake" in message


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        (f"{MOMENT}::VARCHAR", "2024-02-03 14:05:06.500"),
        (f"{MOMENT} || ''", "2024-02-03 14:05:06.500"),
        ("'2024-02-03 14:05:06 +0000'::TIMESTAMP_LTZ::VARCHAR", "2024-02-03 14:05:06.000 +0000"),
        ("'2024-02-03'::DATE::VARCHAR", "2024-02-03"),
        ("3::FLOAT::VARCHAR", "3"),
        ("0.5::FLOAT || ''", "0.5"),
        ("1.50::VARCHAR", "1.50"),
        ("X'0AFF'::VARCHAR", "0AFF"),
        ("TRUE::VARCHAR", "true"),
        (f"TO_CHAR({MOMENT}, 'YYYY-MM-DD\"T\"HH24:MI:SS.FF3')", "2024-02-03T14:05:06.500"),
        (f"TO_VARCHAR({MOMENT}, 'yyyy-mm-dd HH24:MI' || 'UTC')", "2024-02-03 14:05UTC"),
        (f"TO_VARCHAR({MOMENT}, 'Mon dd, yyyy hh12:mi am')", "Feb 03, 2024 02:05 PM"),
        ("TO_CHAR(D, 'DY DD.MM.YY')", "Sat 03.02.24"),
        ("LTRIM('xxa', 'x') || RTRIM('bxx', 'x') || TRIM('*-c-*', '*-')", "abc"),
        ("REGEXP_REPLACE('a1b2', '[0-9]', 'x', 1, 0, 'c')", "axbx"),
        ("TO_VARCHAR(LTRIM(CURRENT_DATABASE(), 'L'))", "OCAL"),
        ("ARRAY_CONSTRUCT(CURRENT_DATABASE(), 1)::VARCHAR", '["LOCAL",1]'),
        ("'ab'::VARCHAR(2)", "ab"),
        ("TRY_CAST('abcd' AS VARCHAR(2))", None),
        ("DATE_TRUNC('MONTH', D)", datetime.date(2024, 2, 1)),
        ("DATEADD('MONTH', 1, D)", datetime.date(2024, 3, 3)),
        ("D + INTERVAL '1 day'", datetime.date(2024, 2, 4)),
        ("D + N", datetime.date(2024, 2, 8)),
        ("DATEADD('HOUR', 1, D)", datetime.datetime(2024, 2, 3, 1)),
        (f"DATE_TRUNC('MONTH', {MOMENT})", datetime.datetime(2024, 2, 1)),
        ("1000000000 * 1000000000", 10**18),
    ],
)
def test_text_and_dates_are_snowflakes(
    connection: SnowflakeConnection, schema: str, expression: str, value: Any
) -> None:
    execute(connection, "ALTER SESSION SET TIMEZONE = 'UTC'")
    execute(connection, "CREATE TABLE T AS SELECT '2024-02-03'::DATE AS D, 5 AS N")
    assert execute(connection, f"SELECT {expression} FROM T") == [(value,)]


def test_aggregates_of_nothing(connection: SnowflakeConnection, schema: str) -> None:
    execute(connection, "CREATE TABLE T (A INT, S VARCHAR)")
    query = "SELECT ARRAY_AGG(A), LISTAGG(S, ','), SUM(A), COUNT(A) FROM T"
    assert execute(connection, query) == [("[]", "", None, 0)]
    execute(connection, "INSERT INTO T VALUES (2, 'b'), (1, 'a'), (NULL, NULL)")
    assert execute(connection, f"{query} WHERE A IS NULL") == [("[]", "", None, 0)]
    ordered = "SELECT ARRAY_AGG(A) WITHIN GROUP (ORDER BY A), LISTAGG(S, ',') WITHIN GROUP (ORDER BY S DESC) FROM T"
    assert execute(connection, ordered) == [("[\n  1,\n  2\n]", "b,a")]
    cursor = connection.cursor().execute(ordered)
    assert cursor is not None
    assert [column.type_code for column in cursor.description] == [10, 2], "ARRAY and TEXT"
    over = "SELECT ARRAY_AGG(S) OVER (PARTITION BY A) FROM T ORDER BY A NULLS LAST"
    assert execute(connection, over) == [('[\n  "a"\n]',), ('[\n  "b"\n]',), ("[]",)]


def test_text_that_does_not_fit_its_cast_is_an_error(connection: SnowflakeConnection, schema: str) -> None:
    execute(connection, "CREATE TABLE T AS SELECT 'abcd' AS S, PARSE_JSON('{\"k\": \"abcd\"}') AS V")
    for expression in ("S::VARCHAR(2)", "CAST(S AS CHAR)", "V:k::VARCHAR(3)", "'abcd'::STRING(3)"):
        errno, _, message = error(connection, f"SELECT {expression} FROM T")
        assert errno == 100078, expression
        assert "String 'abcd' is too long and would be truncated" in message


@pytest.mark.parametrize(
    "source",
    [
        "TABLE(FLATTEN(PARSE_JSON('[\"abcd\"]'))) F",
        "(SELECT PARSE_JSON('[\"abcd\"]') V) T, LATERAL FLATTEN(INPUT => T.V) F",
    ],
)
def test_an_element_of_flatten_keeps_to_the_length_of_its_cast(connection: SnowflakeConnection, source: str) -> None:
    for expression in ("VALUE::VARCHAR(3)", "F.VALUE::STRING(3)", "CAST(VALUE AS VARCHAR(3))", "VALUE::CHAR"):
        errno, _, message = error(connection, f"SELECT {expression} FROM {source}")
        assert errno == 100078, expression
        assert "String 'abcd' is too long and would be truncated" in message
    fits = "VALUE::VARCHAR(4), VALUE::VARCHAR, VALUE::VARCHAR(9) || '!', TRY_CAST(VALUE AS VARCHAR(3))"
    assert execute(connection, f"SELECT {fits} FROM {source}") == [("abcd", "abcd", "abcd!", None)]


@pytest.mark.parametrize(
    "expression", ["TO_VARCHAR(1234.5, '9,999.0')", "TO_CHAR(5, '000')", "TO_CHAR(D, 'Q')", "TO_CHAR(D, S)"]
)
def test_a_format_that_is_missing_is_refused(connection: SnowflakeConnection, schema: str, expression: str) -> None:
    execute(connection, "CREATE TABLE T AS SELECT '2024-02-03'::DATE AS D, 'YYYY' AS S")
    assert "not supported by the local Snowflake" in error(connection, f"SELECT {expression} FROM T")[2]


def test_views_keep_the_meaning(connection: SnowflakeConnection, schema: str) -> None:
    execute(connection, f"CREATE TABLE T AS SELECT {OBJECT} AS V, {MOMENT} AS TS")
    execute(connection, "CREATE VIEW W AS SELECT V:x AS X, TS::VARCHAR AS S, V FROM T WHERE V:x = 'y'")
    assert execute(connection, "SELECT X, S, V:b FROM W WHERE X = 'y'") == [('"y"', "2024-02-03 14:05:06.500", "true")]
    assert json.loads(execute(connection, "SELECT V FROM W")[0][0])["n"] == 1.4


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        (
            "TO_TIMESTAMP_NTZ('9999-12-31 23:59:59.999999000', '{0}')",
            datetime.datetime(9999, 12, 31, 23, 59, 59, 999999),
        ),
        ("TO_TIMESTAMP_NTZ('0001-01-01 00:00:00.5', '{0}')", datetime.datetime(1, 1, 1, 0, 0, 0, 500000)),
        ("TO_TIMESTAMP_TZ('2026-01-01 00:00:00.123456000 +0100', '{0} TZHTZM')::TIMESTAMP_LTZ", None),
        ("TO_TIME('23:59:59.999999000', 'HH24:MI:SS.FF9')", datetime.time(23, 59, 59, 999999)),
    ],
)
def test_nine_digits_of_a_second_are_read_in_every_year(
    connection: SnowflakeConnection, schema: str, expression: str, value: Any
) -> None:
    read = expression.format("YYYY-MM-DD HH24:MI:SS.FF9")
    if value is None:
        assert execute(connection, f"SELECT DATE_PART(MICROSECOND, ({read}))") == [(123456,)]
    else:
        assert execute(connection, f"SELECT {read}") == [(value,)]


@pytest.mark.parametrize(
    "text",
    [
        "123456789012345678901",
        "0.1",
        "[1.50000000000000000000]",
        "0.30000000000000004",
        '{"a":"1.00000000000000000001"}',
    ],
)
def test_numbers_of_json_keep_all_digits(connection: SnowflakeConnection, text: str) -> None:
    for statement in (f"SELECT PARSE_JSON('{text}')", f"SELECT PARSE_JSON(T) FROM (SELECT '{text}' AS T)"):
        ((found,),) = execute(connection, statement)
        assert json.loads(found, parse_float=Decimal) == json.loads(text, parse_float=Decimal)


@pytest.mark.parametrize(
    "text", ["12345678901234567890.5", '{"a": [1.00000000000000000001]}', "-0.12345678901234567891"]
)
def test_numbers_of_json_that_would_lose_digits_are_refused(connection: SnowflakeConnection, text: str) -> None:
    for statement in (f"SELECT PARSE_JSON('{text}')", f"SELECT PARSE_JSON(T) FROM (SELECT '{text}' AS T)"):
        found = error(connection, statement)
        assert "A number in JSON with more digits than a 64-bit floating-point number holds is not supported" in str(
            found
        )


@pytest.mark.parametrize(
    ("text", "source"), [('\'{"a": 1, "a": 2}\'', ""), ("T", 'FROM (SELECT \'[{"b": {"a": 1, "a": 2}}]\' AS T)')]
)
def test_json_with_a_key_twice(connection: SnowflakeConnection, text: str, source: str) -> None:
    errno, _, message = error(connection, f"SELECT PARSE_JSON({text}) {source}")
    assert (errno, message.endswith('duplicate object attribute "a"')) == (100069, True), message
    assert execute(connection, f"SELECT TRY_PARSE_JSON({text}) {source}") == [(None,)]
    for function in ("PARSE_JSON", "TRY_PARSE_JSON"):
        ((found,),) = execute(connection, f"SELECT {function}({text}, 'd') {source}")
        assert json.loads(found) in ({"a": 2}, [{"b": {"a": 2}}])


def test_json_with_a_key_in_several_objects(connection: SnowflakeConnection) -> None:
    texts = ['[{"a": 1}, {"a": 2}]', '{"a": {"a": "x"}}', '{"a": "\\", \\"a\\": "}', "1", " ", None]
    found = execute(connection, "SELECT PARSE_JSON(C) FROM (VALUES (%s), (%s), (%s), (%s), (%s), (%s)) V (C)", texts)
    assert [one and json.loads(one) for (one,) in found] == [
        [{"a": 1}, {"a": 2}], {"a": {"a": "x"}}, {"a": '", "a": '}, 1, None, None,
    ]  # fmt: skip


def test_json_with_a_key_twice_in_some_rows(connection: SnowflakeConnection) -> None:
    texts = [
        '{"a": 1, "b": 0.5, "a": {"c": 1, "c": "ü"}}',
        '{"a": 1234567890123, "a": 3}',
        '{"a": 1}',
        None,
        "[1",
    ]
    source = "FROM (VALUES (%s), (%s), (%s), (%s), (%s)) V (C)"
    found = execute(connection, f"SELECT TRY_PARSE_JSON(C, 'd') {source}", texts)
    assert [one and json.loads(one) for (one,) in found] == [
        {"a": {"c": "ü"}, "b": 0.5},
        {"a": 3},
        {"a": 1},
        None,
        None,
    ]


def test_the_slope_of_rows_with_one_x_is_null(connection: SnowflakeConnection) -> None:
    rows = "FROM (VALUES (1, 1, 2), (1, 2, 4), (2, 1, 7), (2, 3, 7), (2, 5, NULL)) V (G, Y, X)"
    assert execute(connection, f"SELECT G, REGR_SLOPE(Y, X) {rows} GROUP BY G ORDER BY G") == [(1, 0.5), (2, None)]
    windows = f"SELECT DISTINCT G, REGR_SLOPE(Y, X) OVER (PARTITION BY G) {rows} ORDER BY G"
    assert execute(connection, windows) == [(1, 0.5), (2, None)]
    assert execute(connection, f"SELECT REGR_SLOPE(Y, X) + 1 AS S {rows} WHERE G = 1") == [(1.5,)]


def test_text_beside_a_variant_becomes_one(connection: SnowflakeConnection, schema: str) -> None:
    execute(connection, "CREATE TABLE T (ID INT, V VARIANT, S VARCHAR)")
    execute(connection, "INSERT INTO T SELECT 1, PARSE_JSON('7'), 'a' UNION ALL SELECT 2, NULL, '8'")
    assert execute(connection, "SELECT NVL(V, S), NVL(V, 'none') FROM T ORDER BY ID") == [("7", "7"), ('"8"', '"none"')]
    unions = "SELECT V FROM T WHERE ID = 1 UNION ALL SELECT S FROM T UNION ALL SELECT 'q' ORDER BY 1"
    assert execute(connection, unions) == [('"8"',), ('"a"',), ('"q"',), ("7",)]
    # A name that the statement gives to text is text.
    assert execute(connection, "SELECT NVL(V, 'z') FROM (SELECT S AS V FROM T) ORDER BY 1") == [("8",), ("a",)]


@pytest.mark.parametrize(
    "expression",
    [
        "ASCII({})", "BASE64_ENCODE({})", "BIT_LENGTH({})", "CHARINDEX('c', {})", "EDITDISTANCE({}, 'abc')",
        "HEX_ENCODE({})", "INSERT({}, 1, 2, 'Z')", "JAROWINKLER_SIMILARITY({}, 'abc')", "LISTAGG({}, ',')",
        "LISTAGG(DISTINCT {}, ',')", "REGEXP_COUNT({}, 'ab')", "REGEXP_INSTR({}, 'c')", "REGEXP_SUBSTR_ALL({}, 'a')",
        "SHA1({})", "SHA2({})", "SPLIT({}, 'c')", "STRTOK({}, 'c', 2)", "STRTOK_TO_ARRAY({}, 'c')",
        "TRANSLATE({}, 'a', 'z')", "UNICODE({})", "EQUAL_NULL({}, 'abcab')", "{} IS DISTINCT FROM 'abcab'",
        "DECODE({}, 'x', 1, 'abcab', 2)", "NULLIF({}, 'abcab')",
    ],
)  # fmt: skip
def test_a_variant_in_functions_of_text_is_its_text(
    connection: SnowflakeConnection, schema: str, expression: str
) -> None:
    """Its JSON has quotes, which neither lengths and places nor digests may count."""
    execute(
        connection,
        "CREATE TABLE T AS SELECT S, TO_VARIANT(S) AS V, OBJECT_CONSTRUCT('k', S) AS O FROM VALUES ('abcab') T (S)",
    )
    for given in ("V", "O:k", "NVL(O:none, V)"):
        calls = f"SELECT {expression.format('S')}, {expression.format(given)} FROM T"
        ((wanted, found),) = execute(connection, calls)
        assert found == wanted, given


def test_the_row_before_the_first_has_a_variant(connection: SnowflakeConnection, schema: str) -> None:
    execute(connection, "CREATE TABLE T AS SELECT ID, TO_VARIANT(ID) AS V FROM VALUES (1), (2) T (ID)")
    assert execute(connection, "SELECT LAG(V, 1, 'none') OVER (ORDER BY ID) FROM T ORDER BY ID") == [
        ('"none"',),
        ("1",),
    ]


def test_a_variant_cast_to_an_array_or_an_object(connection: SnowflakeConnection, schema: str) -> None:
    execute(connection, "CREATE TABLE T (ID INT, V VARIANT)")
    texts = ["5", '{"a": [1, {"b": 2}]}', "null"]
    execute(connection, "INSERT INTO T SELECT C, PARSE_JSON(J) FROM VALUES (1, %s), (2, %s), (3, %s) T (C, J)", texts)
    found = execute(connection, "SELECT V::ARRAY FROM T ORDER BY ID")
    assert [one and json.loads(one) for (one,) in found] == [[5], [{"a": [1, {"b": 2}]}], None]
    ((found_object, inner, whole, single),) = execute(
        connection, "SELECT V::OBJECT, V:a[1]::OBJECT, V:a::ARRAY, V:a[0]::ARRAY FROM T WHERE ID = 2"
    )
    assert [json.loads(one) for one in (found_object, inner, whole, single)] == [
        {"a": [1, {"b": 2}]}, {"b": 2}, [1, {"b": 2}], [1],
    ]  # fmt: skip
    assert error(connection, "SELECT V::OBJECT FROM T WHERE ID = 1")[0] == 100071
    assert error(connection, "SELECT PARSE_JSON('[1]')::OBJECT")[0] == 100071
