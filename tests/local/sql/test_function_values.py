"""What Snowflake's documentation says that its functions give, over the network with the real driver.

Also tests ``local/sql/aggregates.py``, ``local/sql/casts.py``, ``local/sql/dates.py``, ``local/sql/macros.py``,
``local/sql/math_functions.py``, ``local/sql/rewrites.py``.
"""

from __future__ import annotations

import datetime
import json
from decimal import Decimal
from typing import Any

import pytest
from snowflake.connector import SnowflakeConnection

from tests.local.statement_calls import error, execute

_OF_ROWS = "OVER (ORDER BY A ROWS"
_LAST = "FROM VALUES (1), (1), (3) T (A) ORDER BY A DESC LIMIT 1"
_PARTS = "BETWEEN INTERVAL '1 day, 12 hours' PRECEDING AND CURRENT ROW"
_THREE_DAYS = "('2024-05-01'::TIMESTAMP), ('2024-05-02 12:00:00'), ('2024-05-04') T (A)"
NUMBERS = [
    ("DIV0(1, 0)", Decimal("0.000000")),
    ("DIV0(10, 4)", Decimal("2.500000")),
    ("CEIL(135.135, -2)", 200),
    ("CEIL(135.135, 1)", Decimal("135.2")),
    ("CEIL(135.135, 5)", Decimal("135.135")),
    ("CEIL(1.25::FLOAT, 1)", 1.3),
    ("FLOOR(135.135, -2)", 100),
    ("FLOOR(-135.135, 1)", Decimal("-135.2")),
    ("FLOOR(135.135, 1) / 3", Decimal("45.0333333")),
    ("ROUND(135.135, -2)", 100),
    ("ROUND(-2.5)", -3),
    ("ROUND(2.5, 0, 'HALF_TO_EVEN')", 2),
    ("ROUND(7 / 3, 2) / 2", Decimal("1.16500000")),
    ("TRUNC(-975.975, -1)", -970),
    ("MOD(-7, 3)", -1),
    ("COALESCE(NULL, 1, 2.5) / 2", Decimal("0.5000000")),
    ("GREATEST(1, 2.5) / 2", Decimal("1.2500000")),
    ("IFF(TRUE, 1, 2.5) / 2", Decimal("0.5000000")),
    ("(SELECT AVG(A) FROM VALUES (1.5), (2) T (A))", Decimal("1.7500000")),
    ("(SELECT MEDIAN(A) FROM VALUES (1.10), (1.11) T (A))", Decimal("1.10500")),
    ("(SELECT MEDIAN(A) FROM VALUES (1), (2), (4) T (A))", Decimal("2.000")),
    ("(SELECT PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY A) FROM VALUES (1.1), (1.2) T (A))", Decimal("1.1500")),
    ("(SELECT PERCENTILE_DISC(0.5) WITHIN GROUP (ORDER BY A) FROM VALUES (1.1), (1.2) T (A))", Decimal("1.1")),
    ("(SELECT MEDIAN(A) FROM VALUES (1.5::FLOAT) T (A))", 1.5),
    ("(SELECT APPROX_PERCENTILE(A, 0.5) FROM VALUES (1), (1) T (A))", 1.0),
    ("(SELECT AVG(X) FROM (SELECT $1 AS X FROM VALUES (1::INT), (2::INT), (2::INT)))", Decimal("1.666667")),
    ("(SELECT DIV0($1, $2) FROM VALUES (1, 0.5))", Decimal("2.000000")),
    ("(SELECT MAX($1) FROM VALUES ('a'), ('b'))", "b"),
    ("(SELECT VAR_POP(A) FROM VALUES (1), (-1), (1), (-1), (-1) T (A))", Decimal("0.960000")),
    ("(SELECT VARIANCE(A) OVER () FROM VALUES (1), (-1) T (A) LIMIT 1)", Decimal("2.000000")),
    ("(SELECT STDDEV(A) FROM VALUES (1), (3), (3) T (A))", 1.1547003940416753),
    ("(SELECT STDDEV_SAMP(DISTINCT A) OVER () FROM VALUES (1), (2), (4) T (A) LIMIT 1)", 1.5275251225429978),
    ("(SELECT STDDEV_POP(A) FROM VALUES (1), (2), (4) T (A))", 1.2472193070987956),
    ("(SELECT STDDEV(A) FROM VALUES (1::FLOAT), (2), (4) T (A))", 1.5275252316519465),
    ("(SELECT KURTOSIS(A) FROM VALUES (1), (3), (10), (1), (3) T (A))", Decimal("3.613736609956")),
    ("(SELECT ROUND(SKEW(A), 9) FROM VALUES (1), (1), (2), (2), (2) T (A))", -0.608581106),
    ("(SELECT SKEW(A) FROM VALUES (1), (2) T (A))", None),
    ("(SELECT CORR(A, B) FROM VALUES (1::FLOAT, 1), ('NaN', 2) T (A, B))::VARCHAR", "NaN"),
    ("(SELECT CORR(A, B) FROM VALUES (1::FLOAT, 1), (2, 2), (NULL, 'NaN'::FLOAT) T (A, B))", 1.0),
    ("(SELECT CORR(A, B) FROM VALUES (1::FLOAT, 1) T (A, B))", None),
    (
        "(SELECT ROUND(SKEW(A::FLOAT) OVER (), 9) FROM VALUES (1), (1), (2), (2), (3), (3), (3) T (A) LIMIT 1)",
        -0.353044463,
    ),
    (f"(SELECT AVG(A) {_OF_ROWS} BETWEEN CURRENT ROW AND 2 FOLLOWING) {_LAST})", Decimal("3.000")),
    (f"(SELECT AVG(A) {_OF_ROWS} BETWEEN 2 PRECEDING AND CURRENT ROW) {_LAST})", Decimal("1.666")),
    (f"(SELECT AVG(A) {_OF_ROWS} BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) {_LAST})", Decimal("1.666667")),
    ("(SELECT MAX_BY(A, B) FROM VALUES (NULL, 5), (2, 1), (3, NULL) T (A, B))", None),
    ("(SELECT MIN_BY(A, B) FROM VALUES (NULL, 5), (2, 1), (3, NULL) T (A, B))", 2),
    ("(SELECT HLL(A) FROM VALUES (1), (2), (2) T (A))", 2),
    ("(SELECT FACTORIAL(A) FROM VALUES (10::INT) T (A))", 3628800),
    ("(SELECT 1 FROM DUAL)", 1),
    ("(WITH DUAL AS (SELECT 2 AS A) SELECT A FROM DUAL)", 2),
    ("SQRT(16)", 4.0),
    ("LN(1)", 0.0),
    ("LOG(2, 8)", 3.0),
    ("LN(NULL)", None),
    ("ASIN(1) = PI() / 2", True),
    ("HASH(10::NUMBER(38, 0)) = HASH(10::NUMBER(5, 3)) AND HASH(10) = HASH(10::FLOAT)", True),
    ("HASH('a', 1.50) = HASH('a', 1.5) AND HASH('1') <> HASH(1) AND HASH(10) <> HASH(1)", True),
    ("(SELECT COUNT_IF(HASH(SEQ4())::INT < 0) BETWEEN 300 AND 700 FROM TABLE(GENERATOR(ROWCOUNT => 1000)))", True),
    ("2147483647 + 1 + 1", 2147483649),
    ("3 - 2147483648 - 5", -2147483650),
    ("TRY_CAST('1_000' AS INT)", None),
    ("TRY_CAST('0x1F' AS INT)", None),
    ("TRY_CAST('0b11' AS NUMBER(5, 2))", None),
    ("TRY_CAST('1_0' AS FLOAT)", None),
    ("(SELECT TRY_CAST(A AS INT) FROM VALUES ('1_0') T (A))", None),
    ("' 12 '::INT", 12),
    ("WIDTH_BUCKET(5, 0, 10, 5)", 3),
    ("WIDTH_BUCKET(-1, 0, 10, 5)", 0),
    ("WIDTH_BUCKET(10, 0, 10, 5)", 6),
    ("WIDTH_BUCKET(290000.00, 200000, 600000, 4)", 1),
    ("WIDTH_BUCKET(0.3, 0, 1, 10)", 4),
    ("WIDTH_BUCKET(0.29999999, 0, 1, 10)", 3),
    ("WIDTH_BUCKET(NULL, 0, 1, 10)", None),
    ("WIDTH_BUCKET(12345678901.123456::NUMBER(17, 6), 0, 100000000000::NUMBER(18, 6), 100000)", 12346),
    ("WIDTH_BUCKET(0.00000000000000003, 0, 0.0000000000000001, 10)", 4),
    ("WIDTH_BUCKET(2.5::FLOAT, 0, 10::FLOAT, 4)", 2),
    ("(SELECT COUNT(A, B) FROM VALUES (1, NULL), (1, 2), (NULL, 3), (2, 2) T (A, B))", 2),
    ("(SELECT MAX(R) FROM (SELECT RATIO_TO_REPORT(A) OVER () AS R FROM VALUES (1), (3) T (A)))", Decimal("0.750000")),
    ("(SELECT RATIO_TO_REPORT(A) OVER (PARTITION BY B) FROM VALUES (0, 1) T (A, B))", None),
    ("'1e2'::INT", 100),
    ("'.5'::FLOAT", 0.5),
    ("'on'::BOOLEAN", True),
    ("(SELECT A::BOOLEAN FROM VALUES ('OFF') T (A))", False),
]
TEXTS = [
    ("(SELECT CHR(A) FROM VALUES (8364::INT) T (A))", "€"),
    ("BIT_LENGTH('é')", 16),
    ("BIT_LENGTH(TO_BINARY('abcd', 'HEX'))", 16),
    ("(SELECT CONTAINS($1, $2) FROM VALUES (123::INT, 23::INT))", True),
    ("LTRIM(' a ') || '|'", "a |"),
    ("RTRIM(' a ') || '|'", " a|"),
    ("TRIM(' a ') || '|'", "a|"),
    ("LTRIM('#00ab', '0#')", "ab"),
    ("LTRIM(12)", "12"),
    ("REPEAT('ab', 2) || REPEAT('x', -1) || SPACE(1)", "abab "),
    ("REPEAT('x', NULL)", None),
    ("REPEAT(PARSE_JSON('\"ab\"'), 2)", "abab"),
    ("SUBSTR('abcdef', -3, 2)", "de"),
    ("SUBSTR('abcdef', 0, 2)", "ab"),
    ("SPLIT_PART('a.b.c', '.', -1)", "c"),
    ("OCTET_LENGTH('é')", 2),
    ("LENGTH('é')", 1),
    ("UPPER(TRUE)", "TRUE"),
    ("LEFT('2024-01-01'::DATE, 7)", "2024-01"),
    ("LEFT('2024-01-01 10:00:00'::TIMESTAMP_NTZ, 23)", "2024-01-01 10:00:00.000"),
    ("SUBSTR(12345, 2, 2)", "23"),
    ("LPAD(5, 3, '0')", "005"),
    ("LENGTH(TO_BINARY('0a0b'))", 2),
    ("SPLIT_PART('2024-01-01'::DATE, '-', 2)", "01"),
    ("'2024-01-01'::DATE LIKE '2024%'", True),
    ("CONTAINS(123, '2')", True),
    ("CHARINDEX('2', 121212, 3)", 4),
    ("REGEXP_REPLACE(123, '2', 'x')", "1x3"),
    ("MD5(1)", "c4ca4238a0b923820dcc509a6f75849b"),
    ("SHA2('test1', 224)", "aff3c83c40e2f1ae099a0166e1f27580525a9de6acd995f21717e984"),
    ("LENGTH(SHA2(1, 384)) = 96 AND SHA2('a', 0) = SHA2('a') AND SHA2_BINARY('a', 512) = SHA2('a', 512)::BINARY", True),
    ("HEX_ENCODE(1)", "31"),
    ("(SELECT LISTAGG(A, ',') WITHIN GROUP (ORDER BY A) FROM VALUES (1.5::FLOAT), (2::FLOAT) T (A))", "1.5,2"),
    ("(SELECT LISTAGG(A, ',') FROM VALUES ('2024-01-01'::TIMESTAMP_NTZ) T (A))", "2024-01-01 00:00:00.000"),
    ("(SELECT LISTAGG(DISTINCT A, ',') WITHIN GROUP (ORDER BY A) FROM VALUES (10), (9), (9), (NULL) T (A))", "9,10"),
    ("(SELECT LISTAGG(DISTINCT A) WITHIN GROUP (ORDER BY A DESC) FROM VALUES (1.50), (2) T (A))", "2.001.50"),
    ("(SELECT LISTAGG(A) WITHIN GROUP (ORDER BY A) FROM VALUES ('b'), ('a'), (NULL) T (A))", "ab"),
    ("(SELECT MAX(L) FROM (SELECT LISTAGG(A) OVER (PARTITION BY 1) AS L FROM VALUES (7), (7) T (A)))", "77"),
    ("(SELECT LISTAGG(DISTINCT A, '|') WITHIN GROUP (ORDER BY A) FROM VALUES (1) T (A) WHERE A > 1)", ""),
    ("INITCAP('the quick-brown fox')", "The Quick-Brown Fox"),
    ("TRANSLATE('abc', 'ab', 'x')", "xc"),
    ("REGEXP_SUBSTR('abc=12', '(\\\\w+)=(\\\\d+)', 1, 1, 'e', 2)", "12"),
    ("REGEXP_INSTR('nevermore1, nevermore2', 'nevermore\\\\d', 5)", 13),
    ("REGEXP_LIKE('abc', 'ab')", False),
    ("EDITDISTANCE('Gute nacht', 'Ich weis nicht')", 8),
]
MOMENTS = [
    ("MONTHS_BETWEEN('2020-05-01 13:11:20'::TIMESTAMP, '2020-08-21 01:30:05'::TIMESTAMP)", Decimal("-3.629452")),
    ("MONTHS_BETWEEN('2024-02-29'::DATE, '2024-01-31'::DATE)", Decimal("1.000000")),
    ("MONTHS_BETWEEN('2024-03-15'::DATE, '2024-02-15 10:00:00'::TIMESTAMP)", Decimal("1.000000")),
    ("TO_DATE('2024-01-02', 'AUTO')", datetime.date(2024, 1, 2)),
    ("TO_CHAR('13:05:00'::TIME, 'HH12:MI AM')", "01:05 PM"),
    ("TRY_TO_DATE('2024-01', 'auto')", None),
    ("TO_TIME('10:00:01', 'AUTO')", datetime.time(10, 0, 1)),
    ("TO_TIMESTAMP('2024-01-02 10:00:01', 'AUTO')", datetime.datetime(2024, 1, 2, 10, 0, 1)),
    ("TRY_CAST('x' AS TIMESTAMP)", None),
    ("(SELECT TRY_CAST(A AS TIMESTAMP_NTZ(3)) FROM VALUES ('x') T (A))", None),
    ("(SELECT TRY_TO_TIMESTAMP(A) FROM VALUES ('x') T (A))", None),
    ("(SELECT TRY_TO_TIMESTAMP_TZ(A) FROM VALUES ('x') T (A))", None),
    ("TRY_TO_TIMESTAMP('2024-05-09 10:20:30')", datetime.datetime(2024, 5, 9, 10, 20, 30)),
    ("TRY_CAST('2024-05-09 10:20:30.123456' AS TIMESTAMP_NTZ(3))", datetime.datetime(2024, 5, 9, 10, 20, 30, 123000)),
    ("TO_TIMESTAMP('1700000000')", datetime.datetime(2023, 11, 14, 22, 13, 20)),
    ("TO_TIMESTAMP('1700000000123')", datetime.datetime(2023, 11, 14, 22, 13, 20, 123000)),
    ("TO_TIMESTAMP('1700000000123456')", datetime.datetime(2023, 11, 14, 22, 13, 20, 123456)),
    ("TO_TIMESTAMP('1700000000123456000')", datetime.datetime(2023, 11, 14, 22, 13, 20, 123456)),
    ("DATE_PART(EPOCH_SECOND, '2024-01-01 00:00:00.9'::TIMESTAMP)", 1704067200),
    ("EXTRACT(EPOCH FROM '1969-12-31 23:59:59.9'::TIMESTAMP)", -1),
    ("TO_TIMESTAMP(1700000000.25)", datetime.datetime(2023, 11, 14, 22, 13, 20, 250000)),
    ("TO_TIMESTAMP(-1.5::FLOAT)", datetime.datetime(1969, 12, 31, 23, 59, 58, 500000)),
    ("TO_TIMESTAMP(1700000000)", datetime.datetime(2023, 11, 14, 22, 13, 20)),
    ("TO_TIMESTAMP('2/18/2008 02:36:48')", datetime.datetime(2008, 2, 18, 2, 36, 48)),
    ("TO_TIMESTAMP('2013-04-28T20')", datetime.datetime(2013, 4, 28, 20)),
    ("TO_DATE('12/17/1980')", datetime.date(1980, 12, 17)),
    ("'17-DEC-1980'::DATE", datetime.date(1980, 12, 17)),
    ("TO_DATE('31536000')", datetime.date(1971, 1, 1)),
    ("(SELECT TO_DATE(A) FROM VALUES ('12/17/1980') T (A))", datetime.date(1980, 12, 17)),
    ("TRY_TO_DATE('nope')", None),
    ("'2024-05-09'::TIMESTAMP + INTERVAL '1 day, 2 hours'", datetime.datetime(2024, 5, 10, 2)),
    ("'2024-05-09'::DATE + INTERVAL '1 year, 2 months'", datetime.date(2025, 7, 9)),
    ("'2024-05-09'::DATE - INTERVAL '1 month, 1 d'", datetime.date(2024, 4, 8)),
    ("TO_TIMESTAMP('Tue, 02 Jan 2024 03:04:05 +0100')", datetime.datetime(2024, 1, 2, 3, 4, 5)),
    (f"(SELECT MAX(C) FROM (SELECT COUNT(*) OVER (ORDER BY A RANGE {_PARTS}) AS C FROM VALUES {_THREE_DAYS}))", 2),
    ("TIME('2024-05-09 10:20:30'::TIMESTAMP)", datetime.time(10, 20, 30)),
    ("LAST_DAY('2024-05-09'::DATE, 'week')", datetime.date(2024, 5, 12)),
    ("DATEDIFF(week, '2024-01-07'::DATE, '2024-01-08'::DATE)", 1),
    ("TIME_SLICE('2019-02-28'::DATE, 4, 'MONTH', 'END')", datetime.date(2019, 5, 1)),
    ("DATE_FROM_PARTS(2010, 1, 100)", datetime.date(2010, 4, 10)),
    ("'nan'::FLOAT::TEXT", "NaN"),
    ("'-inf'::FLOAT::TEXT", "-inf"),
    ("BIT_OR_AGG(1)", 1),
    ("ARRAYAGG(1)[0]::INT", 1),
    ("REGEXP_COUNT('aA', 'a', 1, 'ic')", 1),
    ("REGEXP_INSTR('aA', 'A', 1, 1, 0, 'ci')", 1),
    ("REGEXP_INSTR('aA', 'A', 1, 1, 0, 'c')", 2),
    ("ADD_MONTHS('2024-02-29'::DATE, 1)", datetime.date(2024, 3, 31)),
]
JSON = "PARSE_JSON('[1, 2]')"
VARIANTS = [
    (f"{JSON}[-1]", None),
    (f"GET({JSON}, -1)", None),
    ("PARSE_JSON('{\"a\": [1, 2]}'):a[-1]", None),
    ("ARRAY_SIZE(ARRAY_CONSTRUCT(1, NULL, 3))", 3),
    ("ARRAY_MAX(ARRAY_CONSTRUCT(1, 3, 2))", "3"),
    ("TO_ARRAY(1)", [1]),
    (f"TO_ARRAY({JSON})", [1, 2]),
    ("TO_ARRAY(NULL)", None),
    ("TO_ARRAY(PARSE_JSON('{\"a\": 1}'))", [{"a": 1}]),
    ("(SELECT APPROX_TOP_K(A) FROM VALUES ('x'), ('y'), ('x') T (A))", [["x", 2]]),
    ("(SELECT APPROX_TOP_K(A, 2) FROM VALUES (5), (5), (7) T (A))", [[5, 2], [7, 1]]),
    ("TO_VARIANT('2024-01-01 10:00:00'::TIMESTAMP_NTZ)", '"2024-01-01 10:00:00.000"'),
    ("TO_VARIANT('2024-01-01 10:00:00.5'::TIMESTAMP_NTZ)::VARCHAR", "2024-01-01 10:00:00.500"),
    ("TO_VARIANT('2024-01-01 10:00:00 +05:30'::TIMESTAMP_TZ)::VARCHAR", "2024-01-01 10:00:00.000 +0530"),
    (
        "TO_VARIANT('2024-01-01 10:00:00.123456'::TIMESTAMP_NTZ)::TIMESTAMP_NTZ",
        datetime.datetime(2024, 1, 1, 10, 0, 0, 123456),
    ),
    ("TO_VARIANT(TO_BINARY('ab'))::VARCHAR", "AB"),
    ("OBJECT_CONSTRUCT('a', '2024-01-01'::TIMESTAMP_NTZ)", {"a": "2024-01-01 00:00:00.000"}),
    ("OBJECT_AGG('a', '2024-01-01'::TIMESTAMP_NTZ::VARIANT)", {"a": "2024-01-01 00:00:00.000"}),
    ("(SELECT ARRAY_AGG(A) FROM VALUES ('2024-01-01'::TIMESTAMP_NTZ) T (A))", ["2024-01-01 00:00:00.000"]),
    ("'2024-01-01 00:30:00 +02:00'::TIMESTAMP_TZ = '2023-12-31 22:30:00 +00:00'", True),
    ("TYPEOF(PARSE_JSON('1'))", "INTEGER"),
    ("TYPEOF(PARSE_JSON('1.5'))", "DECIMAL"),
    ("TYPEOF(PARSE_JSON('null'))", "NULL_VALUE"),
    ("TYPEOF(TO_VARIANT(1.5::FLOAT))", "DOUBLE"),
    ("TYPEOF(2::FLOAT::VARIANT)", "DOUBLE"),
    ("TYPEOF(TO_VARIANT(1.5))", "DECIMAL"),
    ("TYPEOF(TO_VARIANT('2024-01-01'::DATE))", "DATE"),
    ("TYPEOF(TO_VARIANT('10:00'::TIME))", "TIME"),
    ("TYPEOF(TO_VARIANT('2024-01-01'::TIMESTAMP_NTZ))", "TIMESTAMP_NTZ"),
    ("TYPEOF(TO_VARIANT('2024-01-01 00:00:00 +01:00'::TIMESTAMP_TZ))", "TIMESTAMP_TZ"),
    ("TYPEOF(TO_VARIANT('2024-01-01'::TIMESTAMP_LTZ))", "TIMESTAMP_LTZ"),
    ("TYPEOF(TO_VARIANT(TO_BINARY('ab')))", "BINARY"),
    ("TYPEOF(NULL)", None),
]


@pytest.mark.parametrize("table", [NUMBERS, TEXTS, MOMENTS, VARIANTS], ids=["numbers", "texts", "moments", "variants"])
def test_functions_give_what_is_documented(connection: SnowflakeConnection, table: list[tuple[str, Any]]) -> None:
    different = []
    for expression, value in table:
        [(found,)] = execute(connection, f"SELECT {expression}")
        if isinstance(value, (list, dict)):
            found = json.loads(found)
        if found != value or type(found) is not type(value) or str(found) != str(value):
            different.append((expression, found, value))
    assert different == []


@pytest.mark.parametrize(
    ("expression", "errno", "words"),
    [
        ("SQRT(-1)", 100046, "Invalid floating point operation: sqrt"),
        (":a", 2049, "Bind variable :a not set"),
        ("LN(0)", 100046, "Invalid floating point operation: ln"),
        ("LOG(10, 0)", 100046, "Invalid floating point operation: log"),
        ("LOG(1, 5)", 100046, "Invalid floating point operation: log"),
        ("LOG(0, 5)", 100046, "Invalid floating point operation: log"),
        ("LOG(5)", 938, "not enough arguments for function [LOG(5)]"),
        ("ACOS(-2)", 100046, "Invalid floating point operation: acos"),
        ("'1_000'::INT", 100038, "Numeric value '1_000' is not recognized"),
        ("(SELECT A::NUMBER(5, 2) FROM VALUES ('0x1F') T (A))", 100038, "Numeric value '0x1F' is not recognized"),
        ("'2024-13-01'::DATE", 100040, "Date '2024-13-01' is not recognized"),
        ("'25:00:00'::TIME", 100108, "Time '25:00:00' is not recognized"),
        ("'a' REGEXP '+*'", 100048, "Invalid regular expression: no argument for repetition operator"),
        ("REGEXP_SUBSTR('a', '[')", 100048, "Invalid regular expression: missing ]"),
        ("NTILE(0) OVER (ORDER BY 1)", 100183, "NTILE argument must be at least 1"),
        ("ROW_NUMBER() OVER (PARTITION BY 1)", 1003, "type [ROW_NUMBER] requires ORDER BY in window specification"),
        ("LAG(1) IGNORE NULLS OVER ()", 1003, "type [LAG] requires ORDER BY in window specification"),
        ("7 DIV 2", 2, "not supported by the local Snowflake"),
        ("(FROM (SELECT 1))", 1003, "syntax error line 1 at position 8 unexpected 'FROM'"),
        ("REPEAT('xy', 1000000000)", 100078, "String 'xy…' is too long"),
        ("SPACE(3000000000)", 100078, "is too long"),
        ("(SELECT LPAD(A, B) FROM VALUES ('a', 30000000000) T (A, B))", 100078, "String 'a…' is too long"),
        ("(SELECT OBJECT_AGG(A, 1::VARIANT) OVER () FROM VALUES ('a') T (A))", 1003, "not supported by the local"),
        ("(SELECT A + 1 FROM VALUES (2147483647) T (A))", 2, "not supported by the local Snowflake"),
        ("(SELECT COUNT(T.*) FROM VALUES (1) T (A))", 2, "not supported by the local Snowflake"),
        ("COLLATE('a', 'en-ci')", 2, "not supported by the local Snowflake"),
        ("HASH(*)", 1003, "not supported by the local Snowflake"),
        ("(SELECT SUM(A) FROM VALUES ('1') T (A))", 1003, "not supported by the local Snowflake"),
        ("'1' + '2'", 1003, "not supported by the local Snowflake"),
        ("999999999999::NUMBER(12, 0) * 999999999999::NUMBER(12, 0)", 2, "not supported by the local Snowflake"),
    ],
)
def test_what_has_no_value_or_is_lacking_says_so(
    connection: SnowflakeConnection, expression: str, errno: int, words: str
) -> None:
    found, _, message = error(connection, f"SELECT {expression}")
    assert found == errno
    assert words in message


@pytest.mark.parametrize(
    "expression",
    [
        "A || ''",
        "LISTAGG(A, ',')",
        "TO_VARIANT(A)",
        "OBJECT_CONSTRUCT('a', A)",
        "ARRAY_AGG(A)",
        "LEFT(A, 10)",
        "TIME_SLICE(A, 1, 'DAY')",
        "A + INTERVAL '1 month'",
    ],
)
def test_the_text_of_a_moment_without_its_offset_is_refused(
    connection: SnowflakeConnection, schema: str, expression: str
) -> None:
    execute(connection, "CREATE TABLE T (A TIMESTAMP_TZ)")
    execute(connection, "INSERT INTO T VALUES ('2024-01-01 00:30:00 +02:00')")
    errno, _, message = error(connection, f"SELECT {expression} FROM T")
    assert (errno, "whose offset is not kept" in message) == (2, True), message
    assert execute(connection, "SELECT A = '2024-01-01 00:30:00 +02:00' FROM T") == [(True,)]


def test_values_made_of_values_are_bound_once(connection: SnowflakeConnection) -> None:
    # Each of these once repeated what is in it several times: twelve of them would take the engine years.
    value = "A"
    for _ in range(6):
        value = f"TO_VARIANT({value}::VARCHAR)"
    rows = "FROM VALUES (1.50), (1.50), (NULL) T (A)"
    assert execute(connection, f"SELECT {value}::VARCHAR {rows}") == [("1.50",), ("1.50",), (None,)]
    grouped = f"SELECT {value}::VARCHAR, COUNT(*) {rows} GROUP BY {value}::VARCHAR ORDER BY {value}::VARCHAR"
    assert execute(connection, grouped) == [("1.50", 2), (None, 1)]
    summed = value.replace("A::", "SUM(A)::")
    assert execute(connection, f"SELECT {summed}::VARCHAR {rows}") == [("3.00",)]
    assert execute(connection, f"SELECT MAX({value}::VARCHAR) OVER () {rows}") == [("1.50",)] * 3
    inner = value.replace("A::", f"(SELECT MAX(A) {rows})::")
    assert execute(connection, f"SELECT {inner}::VARCHAR") == [("1.50",)]


def test_order_by_all_sorts_by_every_column(connection: SnowflakeConnection) -> None:
    rows = "FROM VALUES (2, 'a'), (1, 'b'), (1, 'a') T (A, B) ORDER BY ALL"
    assert execute(connection, f"SELECT A, B {rows}") == [(1, "a"), (1, "b"), (2, "a")]
    assert execute(connection, f"SELECT B, A {rows} DESC") == [("b", 1), ("a", 2), ("a", 1)]
    assert error(connection, f"SELECT * {rows}")[0] == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("5, 0, 10, 0", "The number of buckets of WIDTH_BUCKET must be positive"),
        ("A, 0, 10, -1", "The number of buckets of WIDTH_BUCKET must be positive"),
        ("5, 5, 5, 5", "The bounds of WIDTH_BUCKET must differ"),
        ("A, 10::FLOAT, A * 2, 5", "The bounds of WIDTH_BUCKET must differ"),
        ("A, 10, 0, 5", "WIDTH_BUCKET whose last bound is below the first is not supported by the local Snowflake"),
    ],
)
def test_buckets_that_there_cannot_be(connection: SnowflakeConnection, arguments: str, words: str) -> None:
    errno, _, message = error(connection, f"SELECT WIDTH_BUCKET({arguments}) FROM VALUES (5) T (A)")
    assert errno != 603
    assert words in message
