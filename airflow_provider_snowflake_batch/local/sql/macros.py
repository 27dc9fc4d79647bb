"""Macros of the engine that this server adds: what depends on the type that only the engine knows when it binds.

They live in the engine's memory and are made at each start, so that views of any age use those of this version.
"""

from __future__ import annotations

import hashlib
import re

import duckdb
from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.semi_structured import on_one_line, repeated_key, with_last_values

DIVISION_BY_ZERO = "Division by zero"
_PREFIX = "memory.main._local_"
TO_JSON = f"{_PREFIX}to_json"
_OBJECT_OF_ROW = f"{_PREFIX}object_of_row"
RANDOM, RANDOM_OF = f"{_PREFIX}random", f"{_PREFIX}random_of"
UNIFORM, UNIFORM_WHOLE = f"{_PREFIX}uniform", f"{_PREFIX}uniform_whole"
ARRAY_INSERT, ARRAY_DISTINCT = f"{_PREFIX}array_insert", f"{_PREFIX}array_distinct"
AS_LIST, AS_KEYS, PATH = f"{_PREFIX}as_list", f"{_PREFIX}as_keys", f"{_PREFIX}path"
OBJECT_WITH, OBJECT_ONLY = f"{_PREFIX}object_with", f"{_PREFIX}object_only"
OBJECT_OF_ARRAYS, ARRAY_TO_STRING = f"{_PREFIX}object_of_arrays", f"{_PREFIX}array_to_string"
OF_ONE_TYPE = f"{_PREFIX}of_one_type"
UNDEFINED = "NULL as an element of an ARRAY, which reads undefined (ARRAY_CONSTRUCT_COMPACT leaves it out),"
SORTS_ANY = "The order of elements that may be of several types"
CANONICAL = f"{_PREFIX}canonical"
TEXT_OF, TO_JSON_OF = f"{_PREFIX}text_of", f"{_PREFIX}to_json_of"
JSON_TEXT, TEXT = f"{_PREFIX}json_text", f"{_PREFIX}text"
WHOLE_MICROSECONDS, CUT_TIMESTAMP = f"{_PREFIX}whole_microseconds", f"{_PREFIX}cut_timestamp"
CUT_TIME, CLOCK, SKEW = f"{_PREFIX}cut_time", f"{_PREFIX}clock", f"{_PREFIX}skew"
_TO_TIMESTAMP = f"{_PREFIX}to_timestamp"
TRY_TO_TIMESTAMP = f"{_PREFIX}try_to_timestamp"
SIZE, SPLIT_ROWS = f"{_PREFIX}size", f"{_PREFIX}split_rows"
SIGNED, NUMBER_KEY, OTHER_KEY = f"{_PREFIX}signed", f"{_PREFIX}number_key", f"{_PREFIX}other_key"
TEXTS = f"{_PREFIX}texts"
BOOLEAN_TEXT, DATE_TEXT, NUMBER_TEXT = f"{_PREFIX}boolean_text", f"{_PREFIX}date_text", f"{_PREFIX}number_text"
NO_VARIANT, NO_TEXT, NUMERAL = f"{_PREFIX}no_variant", f"{_PREFIX}no_text", f"{_PREFIX}numeral"
WITHOUT_CAST = "without a cast"
NO_NUMBER = "\u2060"
"""What a text ends with that the engine would read as a number and Snowflake does not."""
_TEXTS = "('VARCHAR', 'STRING_LITERAL')"
# What AUTO recognizes beside the ISO formats, which the engine reads itself. Source:
# https://docs.snowflake.com/en/sql-reference/date-time-input-output (AUTO detection).
_AUTO = [
    f"{date}{time}" for date in ("%m/%d/%Y", "%d-%b-%Y") for time in ("", " %H:%M:%S", " %H:%M", " %H:%M:%S.%f")
] + ["%Y-%m-%dT%H", "%a, %d %b %Y %H:%M:%S"]
NANOSECONDS = r"[.]\d{6}\d*[1-9]"
"""What has more digits of a second than the engine keeps."""
TOO_FINE = "has nanoseconds"
FLATTEN_OPTIONS = f"{_PREFIX}flatten_options"
_FLATTEN = f"{_PREFIX}flatten"
OFFSET_HOUR, OFFSET_MINUTE = f"{_PREFIX}offset_hour", f"{_PREFIX}offset_minute"
OFFSET_TEXT = f"{_PREFIX}offset_text"
TO_JSON_TEXT = f"{_PREFIX}to_json_text"
TOP_K, TYPE_OF = f"{_PREFIX}top_k", f"{_PREFIX}type_of"
HELD_TYPE = f"{_PREFIX}held_type"
AS_ARRAY, AS_OBJECT = f"{_PREFIX}as_array", f"{_PREFIX}as_object"
NO_OBJECT = "Failed to cast variant value"
TOO_LONG = "is too long and would be truncated"
BINARY, TRY_BINARY = f"{_PREFIX}binary", f"{_PREFIX}try_binary"
SHORT_BINARY, SHORT_TEXT = f"{_PREFIX}short_binary", f"{_PREFIX}short_text"
MOMENT, TRY_MOMENT = f"{_PREFIX}moment", f"{_PREFIX}try_moment"
CHARACTER, FACTORIAL, MONTHS_BETWEEN = f"{_PREFIX}chr", f"{_PREFIX}factorial", f"{_PREFIX}months_between"
SEMI_STRUCTURED, BYTES = f"{_PREFIX}semi_structured", f"{_PREFIX}bytes"
_LONGEST_TEXT = 128 * 2**20
"""Of a VARCHAR. Source: https://docs.snowflake.com/en/sql-reference/data-types-text"""
_ON_ONE_LINE = "_local_on_one_line"
_LENIENT = r",\s*[\],}]|\[\s*,|\bundefined\b|[{,]\s*[A-Za-z_$][\w$]*\s*:|^\s*[\[{][\s\S]*\x27"
_EXACT_JSON, _DIGITS = f"{_PREFIX}exact_json", f"{_PREFIX}digits"
UNIQUE_JSON, _REPEATED_KEY = f"{_PREFIX}unique_json", "_local_repeated_key"
LAST_VALUES, _LAST_VALUES = f"{_PREFIX}last_values", "_local_last_values"
SHA2 = "_local_sha2"
REPEATED = "duplicate object attribute"
NO_WORDS, _NO_WORDS = "What CHECK_JSON says of text that is no JSON (IS NULL asks whether it is)", f"{_PREFIX}no_words"
WIDTH_BUCKET = f"{_PREFIX}width_bucket"
BOUNDS_DOWN = "WIDTH_BUCKET whose last bound is below the first"
_NESTED = f"{_PREFIX}nested"
TAKES_NO_TEXT = "Text where a VARIANT, ARRAY or OBJECT is needed"
LENIENT = "JSON with undefined, a comma too many, or a name or text without double quotes"
"""What Snowflake reads and the engine does not."""
INEXACT = "A number in JSON with more digits than a 64-bit floating-point number holds"

# A NUMBER in a VARIANT is what its digits say: 2 and not 2.0 for a NUMBER(10,0), 1.5 for a NUMBER(10,2). DuckDB's own
# to_json takes some of them through DOUBLE. Lists of them are one text, whose NULLs are JSON's.
_MACROS = rf"""
CREATE OR REPLACE MACRO {_PREFIX}moment_text(t) AS
    regexp_extract(t, '^[^.+]{{19}}') || rpad(coalesce(nullif(regexp_extract(t, '[.]\d+'), ''), '.'),
        CAST(greatest(4, length(regexp_extract(t, '[.]\d+'))) AS INTEGER), '0')
    || CASE WHEN regexp_matches(t, '[+-]\d\d(:\d\d)?$') AND length(t) > 19
        THEN ' ' || rpad(replace(regexp_extract(t, '[+-]\d\d(:\d\d)?$'), ':', ''), 5, '0') ELSE '' END;
CREATE OR REPLACE MACRO {TO_JSON}(v) AS CASE
    WHEN regexp_matches(typeof(v), '^DECIMAL\(\d+,\d+\)(\[\d*\])*$') THEN CAST(regexp_replace(regexp_replace(
        lower(replace(CAST(v AS VARCHAR), ', ', ',')),
        '(\.\d*?)0+([,\]]|$)', '\1\2', 'g'), '\.([,\]]|$)', '\1', 'g') AS JSON)
    WHEN typeof(v) IN ('TIMESTAMP', 'TIMESTAMP WITH TIME ZONE') THEN to_json({_PREFIX}moment_text(CAST(v AS VARCHAR)))
    WHEN typeof(v) IN ('TIMESTAMP[]', 'TIMESTAMP WITH TIME ZONE[]') THEN to_json(list_transform(
        TRY_CAST(CAST(v AS VARCHAR) AS VARCHAR[]), lambda e: {_PREFIX}moment_text(e)))
    WHEN typeof(v) = 'BLOB' THEN to_json(hex(CAST(CAST(v AS VARCHAR) AS BLOB)))
    ELSE to_json(v) END;
CREATE OR REPLACE MACRO {_DIGITS}(x) AS trim(replace(split_part(lower(x), 'e', 1), '.', ''), '-0');
CREATE OR REPLACE MACRO {_PREFIX}without_texts(t) AS
    regexp_replace(CAST(t AS VARCHAR), '"(?:[^"\\]|\\.)*"', '""', 'g');
CREATE OR REPLACE MACRO {_EXACT_JSON}(t) AS CASE
    WHEN regexp_matches(CAST(t AS VARCHAR), '{_LENIENT}')
        AND regexp_matches({_PREFIX}without_texts(t), '{_LENIENT}')
    THEN CAST(CAST('{LENIENT}' AS INTEGER) AS VARCHAR)
    WHEN regexp_matches(CAST(t AS VARCHAR), '[0-9.]{{17}}') AND len(list_filter(
        regexp_extract_all(
            {_PREFIX}without_texts(t),
            '[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?'),
        lambda x: regexp_matches(x, '[.eE]') AND len({_DIGITS}(x)) > 15
            AND {_DIGITS}(x) <> {_DIGITS}(CAST(TRY_CAST(x AS DOUBLE) AS VARCHAR)))) > 0
    -- A cast that fails with the words in it: error() is not allowed where the errors of a load are counted.
    THEN CAST(CAST('{INEXACT}' AS INTEGER) AS VARCHAR)
    ELSE nullif(trim(CAST(t AS VARCHAR)), '') END;
CREATE OR REPLACE MACRO {_PREFIX}keys(t) AS regexp_extract_all(t, '"((?:[^"\\]|\\.)*)"\s*:', 1);
-- What has the same key in several objects is read once more, in Python.
CREATE OR REPLACE MACRO {UNIQUE_JSON}(t, words) AS CASE
    WHEN len(list_distinct({_PREFIX}keys(t))) < len({_PREFIX}keys(t)) AND {_REPEATED_KEY}(t) <> ''
    THEN CASE WHEN words = '' THEN '' ELSE CAST(CAST(words || ' ' || {_REPEATED_KEY}(t) AS INTEGER) AS VARCHAR) END
    ELSE t END;
CREATE OR REPLACE MACRO {LAST_VALUES}(t) AS
    CASE WHEN len(list_distinct({_PREFIX}keys(t))) < len({_PREFIX}keys(t)) THEN {_LAST_VALUES}(t) ELSE t END;
CREATE OR REPLACE MACRO {_OBJECT_OF_ROW}(row_value) AS (
    SELECT coalesce(json_group_object(key, value::JSON), '{{}}'::JSON)
    FROM (
        UNPIVOT (SELECT {TO_JSON}(COLUMNS(*)) FROM (SELECT unnest(row_value))) ON COLUMNS(*)::VARCHAR
        INTO NAME key VALUE value
    )
);
CREATE OR REPLACE MACRO {SIGNED}(h) AS CAST(CAST(h AS HUGEINT) - 9223372036854775808 AS BIGINT);
CREATE OR REPLACE MACRO {RANDOM}() AS {SIGNED}(hash(gen_random_uuid()));
CREATE OR REPLACE MACRO {RANDOM_OF}(seed, number) AS {SIGNED}(hash(CAST(seed AS VARCHAR), number));
CREATE OR REPLACE MACRO {UNIFORM_WHOLE}(low, high, drawn) AS CAST(
    low + (CAST(drawn AS HUGEINT) + 9223372036854775808) % (CAST(high AS HUGEINT) - low + 1) AS BIGINT);
CREATE OR REPLACE MACRO {UNIFORM}(low, high, drawn) AS
    low + CAST(CAST(drawn AS HUGEINT) + 9223372036854775808 AS DOUBLE) / 18446744073709551616.0 * (high - low);
-- Text is no ARRAY or OBJECT, whatever it says: the engine would parse it, or take it for an empty one.
CREATE OR REPLACE MACRO {_NESTED}(v) AS CASE WHEN typeof(v) = 'VARCHAR' AND v IS NOT NULL
    THEN CAST(CAST('{TAKES_NO_TEXT}' AS INTEGER) AS JSON) ELSE to_json(v) END;
CREATE OR REPLACE MACRO {AS_LIST}(a) AS CAST(to_json(a) AS JSON[]);
-- Where in JSON a key or a position is; before the first element there is nothing.
CREATE OR REPLACE MACRO {CLOCK}(v) AS CASE WHEN typeof(v) = 'TIME'
    THEN CAST('1970-01-01 ' || CAST(v AS VARCHAR) AS TIMESTAMP) ELSE CAST(v AS TIMESTAMP) END;
-- A factor that is a NUMBER there, and so has six digits.
CREATE OR REPLACE MACRO {SKEW}(skew, n) AS skew * round(n / ((n - 1) * (n - 2)), 6) * (n - 1) * (n - 2) / n;
CREATE OR REPLACE MACRO {PATH}(key) AS CASE
    WHEN typeof(key) IN {_TEXTS} THEN '$."' || replace(CAST(key AS VARCHAR), '"', '\"') || '"'
    WHEN left(CAST(key AS VARCHAR), 1) = '"' THEN '$.' || CAST(key AS VARCHAR)
    WHEN left(CAST(key AS VARCHAR), 1) <> '-' THEN '$[' || CAST(key AS VARCHAR) || ']' END;
CREATE OR REPLACE MACRO {_PREFIX}inserted(l, place, e) AS CASE
    WHEN place > len(l) THEN error('{UNDEFINED}')
    ELSE list_concat(list_slice(l, 1, place), [e], list_slice(l, place + 1, len(l))) END;
CREATE OR REPLACE MACRO {ARRAY_INSERT}(l, position, e) AS CASE
    WHEN position < -len(l) THEN error('Array index is out of range: ' || position)
    ELSE {_PREFIX}inserted(l, CASE WHEN position < 0 THEN len(l) + position ELSE position END, e) END;
CREATE OR REPLACE MACRO {ARRAY_DISTINCT}(l) AS CASE WHEN l IS NOT NULL THEN (SELECT coalesce(list(_e ORDER BY _at), [])
    FROM (SELECT _e, min(_n) AS _at FROM (SELECT unnest(l) AS _e, generate_subscripts(l, 1) AS _n) GROUP BY _e)) END;
CREATE OR REPLACE MACRO {AS_KEYS}(a) AS CAST(to_json(a) AS VARCHAR[]);
CREATE OR REPLACE MACRO {_PREFIX}field(o, key) AS json_extract(o, '$."' || replace(key, '"', '\"') || '"');
CREATE OR REPLACE MACRO {OBJECT_ONLY}(o, keys, listed) AS CASE WHEN to_json(o) IS NULL THEN NULL ELSE (
    SELECT coalesce(json_group_object(_key, {_PREFIX}field(to_json(o), _key)), '{{}}'::JSON)
    FROM (SELECT unnest(json_keys(to_json(o))) AS _key) WHERE list_contains(keys, _key) = listed) END;
CREATE OR REPLACE MACRO {OBJECT_WITH}(o, key, v, updates) AS CASE
    WHEN to_json(o) IS NULL OR key IS NULL THEN NULL
    WHEN NOT updates AND list_contains(json_keys(to_json(o)), key) THEN error('Duplicate field key ''' || key || '''')
    WHEN to_json(v) IS NULL THEN {OBJECT_ONLY}(o, [key], false)
    ELSE (SELECT json_group_object(_key, CASE _key WHEN key THEN {TO_JSON}(v) ELSE {_PREFIX}field(to_json(o), _key) END)
        FROM (SELECT unnest(list_distinct(list_append(json_keys(to_json(o)), key))) AS _key)) END;
CREATE OR REPLACE MACRO {OBJECT_OF_ARRAYS}(keys, elements) AS CASE
    WHEN to_json(keys) IS NULL OR to_json(elements) IS NULL THEN NULL
    WHEN len({AS_KEYS}(keys)) <> len({AS_LIST}(elements)) THEN error('Key array and value array differ in length')
    ELSE (SELECT coalesce(json_group_object(_key, _element), '{{}}'::JSON) FROM (
        SELECT unnest({AS_KEYS}(keys)) AS _key, unnest({AS_LIST}(elements)) AS _element) WHERE _key IS NOT NULL) END;
CREATE OR REPLACE MACRO {NO_VARIANT}(v, name) AS
    CASE WHEN typeof(v) = 'JSON' THEN error(name || ' of a VARIANT {WITHOUT_CAST}') ELSE v END;
CREATE OR REPLACE MACRO {NO_TEXT}(v, name) AS CASE
    WHEN typeof(v) = 'VARCHAR' THEN error(name || ' of text {WITHOUT_CAST}') ELSE {NO_VARIANT}(v, name) END;
CREATE OR REPLACE MACRO {OF_ONE_TYPE}(a) AS CASE WHEN typeof(a) = 'JSON[]' THEN error('{SORTS_ANY}') ELSE a END;
CREATE OR REPLACE MACRO {ARRAY_TO_STRING}(a, separator) AS array_to_string(list_transform(
    CAST(to_json(a) AS JSON[]), lambda e: coalesce(json_extract_string(e, '$'), '')), separator);
CREATE OR REPLACE MACRO {JSON_TEXT}(j) AS CASE WHEN left(j, 1) IN ('{{', '[')
    THEN {_ON_ONE_LINE}(CAST(j AS VARCHAR)) WHEN left(j, 1) = '"' THEN json_extract_string(j, '$')
    ELSE regexp_replace(regexp_replace(json_extract_string(j, '$'), '\.0$', ''), '^-0$', '0') END;
CREATE OR REPLACE MACRO {TEXT}(v) AS CASE
    WHEN typeof(v) = 'JSON' THEN {JSON_TEXT}(CAST(v AS VARCHAR))
    WHEN typeof(v) IN ('DOUBLE', 'FLOAT') THEN replace(regexp_replace(CAST(v AS VARCHAR), '\.0$', ''), 'nan', 'NaN')
    WHEN typeof(v) = 'BLOB' THEN hex(CAST(CAST(v AS VARCHAR) AS BLOB))
    WHEN typeof(v) IN ('TIMESTAMP', 'TIMESTAMP_NS', 'TIMESTAMP_MS', 'TIMESTAMP_S')
        THEN strftime(CAST(CAST(v AS VARCHAR) AS TIMESTAMP), '%Y-%m-%d %H:%M:%S.%g')
    -- The engine leaves out minutes of an offset that are zero, and Snowflake the colon before them.
    WHEN typeof(v) = 'TIMESTAMP WITH TIME ZONE' THEN regexp_replace(regexp_replace(
        strftime(CAST(CAST(v AS VARCHAR) AS TIMESTAMPTZ), '%Y-%m-%d %H:%M:%S.%g %z'),
        '([+-]\d\d)$', '\100'), '([+-]\d\d):(\d\d)$', '\1\2')
    -- The engine's own arrays and objects, which are not JSON yet.
    WHEN regexp_matches(typeof(v), '\]$|^STRUCT|^MAP') THEN CAST(to_json(v) AS VARCHAR)
    ELSE CAST(v AS VARCHAR) END;
-- What is too long fails with a cast that has the words in it: error() is not allowed where the errors of a load are
-- counted.
CREATE OR REPLACE MACRO {SHORT_TEXT}(t, most, tried) AS CASE WHEN length(t) <= most OR t IS NULL THEN t
    WHEN NOT tried THEN CAST(CAST('String ''' || t || ''' {TOO_LONG}' AS INTEGER) AS VARCHAR) END;
CREATE OR REPLACE MACRO {SHORT_BINARY}(b, most, tried) AS CASE WHEN octet_length(b) <= most OR b IS NULL THEN b
    WHEN NOT tried THEN encode(repeat('', CAST('String ''' || hex(b) || ''' {TOO_LONG}' AS INTEGER))) END;
-- BINARY becomes of BINARY and of text with an even number of hexadecimal digits only: the engine would read one digit
-- for a byte, and the digits of a number.
CREATE OR REPLACE MACRO {_PREFIX}digits_of(v) AS CASE WHEN typeof(v) = 'BLOB' THEN hex(v)
    WHEN typeof(v) IN ('VARCHAR', 'JSON', '"NULL"') AND length({TEXT}(v)) % 2 = 0 THEN {TEXT}(v)
    ELSE 'not hexadecimal: ' || {TEXT}(v) END;
CREATE OR REPLACE MACRO {BINARY}(v) AS unhex({_PREFIX}digits_of(v));
CREATE OR REPLACE MACRO {TRY_BINARY}(v) AS TRY(unhex({_PREFIX}digits_of(v)));
-- The engine takes 32 bits for these, whatever the type of the number is.
CREATE OR REPLACE MACRO {CHARACTER}(v) AS chr(CAST(v AS INTEGER));
CREATE OR REPLACE MACRO {FACTORIAL}(v) AS factorial(CAST(v AS INTEGER));
CREATE OR REPLACE MACRO {_PREFIX}day_number(t) AS
    day(t) + (epoch_us(t) - epoch_us(date_trunc('day', t)::TIMESTAMP)) / 86400000000;
CREATE OR REPLACE MACRO {_PREFIX}months(a, b) AS CAST((year(a) - year(b)) * 12 + month(a) - month(b) + CASE
    WHEN day(a) = day(b) OR (last_day(a) = CAST(a AS DATE) AND last_day(b) = CAST(b AS DATE)) THEN 0
    ELSE ({_PREFIX}day_number(a) - {_PREFIX}day_number(b)) / 31 END AS DECIMAL(38, 6));
CREATE OR REPLACE MACRO {MONTHS_BETWEEN}(a, b) AS {_PREFIX}months(CAST(a AS TIMESTAMP), CAST(b AS TIMESTAMP));
CREATE OR REPLACE MACRO {TEXT_OF}(once) AS list_transform([once], lambda v: {TEXT}(v))[1];
CREATE OR REPLACE MACRO {TO_JSON_OF}(once) AS list_transform([once], lambda v: {TO_JSON}(v))[1];
CREATE OR REPLACE MACRO {SEMI_STRUCTURED}(v, words) AS
    CASE WHEN typeof(v) = 'VARCHAR' AND v IS NOT NULL THEN error(words) ELSE {TO_JSON}(v) END;
CREATE OR REPLACE MACRO {BYTES}(v) AS
    CASE WHEN typeof(v) = 'BLOB' THEN CAST(CAST(v AS VARCHAR) AS BLOB) ELSE encode({TEXT}(v)) END;
CREATE OR REPLACE MACRO {TEXTS}(l) AS
    list_transform(list_filter(l, lambda e: e IS NOT NULL), lambda e: {TEXT}(e));
-- What HASH is made of: numbers that are equal have one hash, whatever their types.
CREATE OR REPLACE MACRO {_PREFIX}is_number(v) AS
    regexp_matches(typeof(v), '^(DECIMAL|DOUBLE|FLOAT|U?(TINY|SMALL|BIG|HUGE)?INT)');
CREATE OR REPLACE MACRO {NUMBER_KEY}(v) AS CASE WHEN {_PREFIX}is_number(v)
    THEN regexp_replace(regexp_replace(CAST(v AS VARCHAR), '(\.\d*?)0+$', '\1'), '\.$', '') END;
CREATE OR REPLACE MACRO {OTHER_KEY}(v) AS CASE WHEN NOT {_PREFIX}is_number(v) THEN v END;
-- The engine would take any length, and the machine's memory for it.
CREATE OR REPLACE MACRO {SIZE}(t, times, each) AS CAST(CASE
    WHEN CAST(times AS HUGEINT) * each > {_LONGEST_TEXT} THEN error('String ''' || left(t, 20) || '…'' {TOO_LONG}')
    WHEN times < 0 THEN 0 ELSE times END AS INTEGER);
CREATE OR REPLACE MACRO {TO_JSON_TEXT}(v) AS {_ON_ONE_LINE}(CAST({TO_JSON}(v) AS VARCHAR));
CREATE OR REPLACE MACRO {WHOLE_MICROSECONDS}(v) AS CASE
    WHEN typeof(v) IN ('VARCHAR', 'STRING_LITERAL', 'TIMESTAMP_NS', 'TIMESTAMPTZ_NS', 'TIME_NS')
        AND regexp_matches(CAST(v AS VARCHAR), '{NANOSECONDS}')
    THEN error('The time ' || CAST(v AS VARCHAR) || ' {TOO_FINE}') ELSE v END;
-- Text may have a blank before its offset, which the engine would take for the name of a zone.
CREATE OR REPLACE MACRO {_PREFIX}moment_of(v) AS
    regexp_replace({WHOLE_MICROSECONDS}(CAST(v AS VARCHAR)), '\s+([+-]\d\d:?(\d\d)?|Z)$', '\1');
CREATE OR REPLACE MACRO {_PREFIX}moment_in(v) AS
    {_PREFIX}moment_of(json_extract_string(CAST(v AS VARCHAR), '$'));
CREATE OR REPLACE MACRO {MOMENT}(v) AS CASE typeof(v) WHEN 'VARCHAR' THEN CAST({_PREFIX}moment_of(v) AS TIMESTAMPTZ)
    WHEN 'JSON' THEN CAST({_PREFIX}moment_in(v) AS TIMESTAMPTZ) ELSE CAST(v AS TIMESTAMPTZ) END;
CREATE OR REPLACE MACRO {TRY_MOMENT}(v) AS CASE typeof(v)
    WHEN 'VARCHAR' THEN TRY_CAST({_PREFIX}moment_of(v) AS TIMESTAMPTZ)
    WHEN 'JSON' THEN TRY_CAST({_PREFIX}moment_in(v) AS TIMESTAMPTZ) ELSE TRY_CAST(v AS TIMESTAMPTZ) END;
CREATE OR REPLACE MACRO {_PREFIX}auto_timestamp(v) AS
    try_strptime(regexp_replace(CAST(v AS VARCHAR), '^([A-Z].*) [+-]\d{{4}}$', '\1'), {_AUTO});
-- Whole numbers in text are seconds, or, where they would be too many, parts of one. A number keeps its fraction.
CREATE OR REPLACE MACRO {_PREFIX}since_1970(v, scale) AS make_timestamp(CAST(CASE
    WHEN regexp_matches(typeof(v), '^(DECIMAL\(\d+,[1-9]|DOUBLE|FLOAT)')
        THEN round(TRY_CAST(v AS DOUBLE) * 1000000 / 10 ** scale)
    WHEN typeof(v) NOT IN {_TEXTS} OR scale <> 0 OR abs(TRY_CAST(v AS HUGEINT)) < 31536000000
        THEN TRY_CAST(v AS HUGEINT) * 1000000 // CAST(10 ** scale AS HUGEINT)
    WHEN abs(TRY_CAST(v AS HUGEINT)) < 31536000000000 THEN TRY_CAST(v AS HUGEINT) * 1000
    WHEN abs(TRY_CAST(v AS HUGEINT)) < 31536000000000000 THEN TRY_CAST(v AS HUGEINT)
    ELSE TRY_CAST(v AS HUGEINT) // 1000 END AS BIGINT));
CREATE OR REPLACE MACRO {_TO_TIMESTAMP}(v, scale) AS CASE
    WHEN try_cast(v AS BIGINT) IS NOT NULL THEN {_PREFIX}since_1970(v, scale)
    ELSE coalesce(TRY_CAST({WHOLE_MICROSECONDS}(v) AS TIMESTAMP), {_PREFIX}auto_timestamp(v), CAST(v AS TIMESTAMP)) END;
CREATE OR REPLACE MACRO {TRY_TO_TIMESTAMP}(v) AS CASE
    WHEN try_cast(v AS BIGINT) IS NOT NULL THEN {_PREFIX}since_1970(v, 0)
    ELSE coalesce(TRY_CAST({WHOLE_MICROSECONDS}(v) AS TIMESTAMP), {_PREFIX}auto_timestamp(v)) END;
-- What a cast reads of a text, in the words of the engine's cast.
CREATE OR REPLACE MACRO {BOOLEAN_TEXT}(t) AS CASE lower(t) WHEN 'on' THEN 'true' WHEN 'off' THEN 'false' ELSE t END;
CREATE OR REPLACE MACRO {NUMBER_TEXT}(t) AS CASE
    WHEN contains(t, '_') OR regexp_matches(t, '^\s*[+-]?0[xXbB]') THEN t || '{NO_NUMBER}' ELSE t END;
CREATE OR REPLACE MACRO {_NO_WORDS}(found) AS CASE WHEN found IS NOT NULL THEN error('{NO_WORDS}') END;
-- Decimals are divided as FLOAT, and may be a little below a bound or above. A DECIMAL(38) gives a product room.
CREATE OR REPLACE MACRO {WIDTH_BUCKET}(v, low, high, count) AS CASE
    WHEN count < 1 THEN error('The number of buckets of WIDTH_BUCKET must be positive')
    WHEN low >= high THEN error(if(low = high, 'The bounds of WIDTH_BUCKET must differ', '{BOUNDS_DOWN}'))
    WHEN v < low THEN 0 WHEN v >= high THEN count + 1 ELSE 1 + list_transform(
        [CAST(round((v - low) * CAST(count AS DECIMAL(38, 0)) / nullif(high - low, 0)) AS BIGINT)], lambda b: b
        - if(CAST(b AS DECIMAL(38, 0)) * (high - low) > (v - low) * CAST(count AS DECIMAL(38, 0)), 1, 0))[1] END;
CREATE OR REPLACE MACRO {NUMERAL}(t, scale) AS CASE
    WHEN regexp_matches(t, '[eE]-|[.]\d{{' || scale || '}}\d*[1-9]') AND TRY_CAST(t AS DOUBLE) IS NOT NULL
    THEN error('A comparison of text {WITHOUT_CAST}') ELSE t END;
CREATE OR REPLACE MACRO {DATE_TEXT}(t) AS CASE WHEN t IS NULL OR TRY_CAST(t AS DATE) IS NOT NULL THEN t ELSE coalesce(
    strftime(CASE WHEN try_cast(t AS BIGINT) IS NOT NULL THEN {_PREFIX}since_1970(t, 0)
        ELSE {_PREFIX}auto_timestamp(t) END, '%Y-%m-%d'), t) END;
CREATE OR REPLACE MACRO {CUT_TIMESTAMP}(v, unit) AS
    CAST(v AS TIMESTAMP) - to_microseconds(((epoch_us(CAST(v AS TIMESTAMP)) % unit) + unit) % unit);
CREATE OR REPLACE MACRO {CUT_TIME}(v, unit) AS CAST(v AS TIME) - to_microseconds(epoch_us(CAST(v AS TIME)) % unit);
CREATE OR REPLACE MACRO {_PREFIX}entries(once, mode) AS list_transform([once], lambda j: CASE
    WHEN json_type(j) = 'OBJECT' AND mode <> 'ARRAY' THEN list_transform(list_sort(json_keys(j)), lambda k:
        struct_pack(k := k, i := NULL::BIGINT, v := json_extract(j, '$."' || replace(k, '"', '\"') || '"')))
    WHEN json_type(j) = 'ARRAY' AND mode <> 'OBJECT' THEN list_transform(CAST(j AS JSON[]), lambda v, n:
        struct_pack(k := NULL::VARCHAR, i := (n - 1)::BIGINT, v := coalesce(v, CAST('null' AS JSON))))
    ELSE [] END)[1];
CREATE OR REPLACE MACRO {_PREFIX}or_nothing(once, is_outer) AS list_transform([once], lambda l:
    CASE WHEN is_outer AND coalesce(len(l), 0) = 0
    THEN [struct_pack(k := NULL::VARCHAR, i := NULL::BIGINT, v := NULL::JSON)] ELSE l END)[1];
-- No query is between UNNEST and the table that is flattened: its elements would come in another order.
CREATE OR REPLACE MACRO {_FLATTEN}(input, path, is_outer, mode) AS TABLE
    SELECT hash(TO_JSON(input))::UBIGINT AS SEQ, _f._key AS KEY,
        CASE WHEN NOT regexp_full_match(_f._key, '[A-Za-z_]\w*') THEN path || '[''' || _f._key || ''']'
            WHEN _f._key IS NOT NULL THEN CASE path WHEN '' THEN '' ELSE path || '.' END || _f._key
            WHEN _f._index IS NOT NULL THEN path || '[' || _f._index || ']' ELSE path END AS PATH,
        _f._index AS INDEX, _f._value AS VALUE,
        json_extract(TO_JSON(input), '$' || CASE path WHEN '' THEN '' ELSE '.' || path END) AS THIS
    FROM (SELECT UNNEST({_PREFIX}or_nothing({_PREFIX}entries(json_extract(TO_JSON(input),
        '$' || CASE path WHEN '' THEN '' ELSE '.' || path END), mode), is_outer), recursive := true)
    ) AS _f(_key, _index, _value);
CREATE OR REPLACE MACRO {SPLIT_ROWS}(parts) AS TABLE
    SELECT hash(parts)::UBIGINT AS SEQ, _s._index AS INDEX, _s._value AS VALUE
    FROM (SELECT UNNEST(list_transform({AS_KEYS}(parts), lambda v, n: struct_pack(i := n::BIGINT, v := v)),
        recursive := true)) AS _s(_index, _value);
CREATE OR REPLACE MACRO {OFFSET_HOUR}(minutes) AS CAST(sign(minutes) * (abs(minutes) // 60) AS BIGINT);
CREATE OR REPLACE MACRO {OFFSET_MINUTE}(minutes) AS CAST(sign(minutes) * (abs(minutes) % 60) AS BIGINT);
CREATE OR REPLACE MACRO {OFFSET_TEXT}(once) AS list_transform([once], lambda minutes:
    printf('%s%02d%02d', CASE WHEN minutes < 0 THEN '-' ELSE '+' END, abs(minutes) // 60, abs(minutes) % 60))[1];
CREATE OR REPLACE MACRO {TOP_K}(v, k) AS list_transform(
    list_slice(list_sort(list_transform(map_entries(histogram(v)),
        lambda e: struct_pack(n := -CAST(e.value AS BIGINT), v := e.key))), 1, k),
    lambda e: [{TO_JSON}(e.v), to_json(-e.n)]);
CREATE OR REPLACE MACRO {AS_ARRAY}(v) AS
    CASE coalesce(json_type(to_json(v)), 'NULL')
    WHEN 'ARRAY' THEN CAST({TO_JSON}(v) AS JSON) WHEN 'NULL' THEN NULL ELSE json_array({TO_JSON}(v)) END;
CREATE OR REPLACE MACRO {AS_OBJECT}(v) AS
    CASE coalesce(json_type(to_json(v)), 'NULL') WHEN 'NULL' THEN NULL
    WHEN 'OBJECT' THEN CAST({TO_JSON}(v) AS JSON)
    ELSE error('{NO_OBJECT} ' || {TO_JSON_TEXT}(v) || ' to OBJECT') END;
CREATE OR REPLACE MACRO {TYPE_OF}(v) AS CASE
    WHEN v IS NULL THEN NULL
    WHEN typeof(v) IN ('DATE', 'TIME', 'BOOLEAN', 'VARCHAR', 'DOUBLE') THEN typeof(v)
    WHEN typeof(v) = 'BLOB' THEN 'BINARY'
    WHEN typeof(v) = 'TIMESTAMP' THEN 'TIMESTAMP_NTZ'
    WHEN typeof(v) = 'TIMESTAMP WITH TIME ZONE' THEN 'TIMESTAMP_LTZ'
    ELSE CASE json_type({TO_JSON}(v)) WHEN 'UBIGINT' THEN 'INTEGER' WHEN 'BIGINT' THEN 'INTEGER'
        WHEN 'DOUBLE' THEN if(regexp_matches(CAST({TO_JSON}(v) AS VARCHAR), '[eE]'), 'DOUBLE', 'DECIMAL')
        WHEN 'NULL' THEN 'NULL_VALUE' ELSE json_type({TO_JSON}(v)) END END;
-- In a stored VARIANT these are text: whether it is one of them, or only looks so, nobody knows.
CREATE OR REPLACE MACRO {HELD_TYPE}(v, name, looks) AS CASE
    WHEN typeof(v) = 'JSON' AND regexp_full_match(CAST(v AS VARCHAR), '"' || looks || '"')
    THEN error(name || ' of a VARIANT {WITHOUT_CAST}') ELSE {TYPE_OF}(v) END;
CREATE OR REPLACE MACRO {CANONICAL}(j) AS (
    SELECT list(fullkey || ' ' || type || ' ' || coalesce(CAST(atom AS VARCHAR), '') ORDER BY fullkey) FROM json_tree(j)
);
"""
_QUOTIENT = f"{_PREFIX}quotient_"
# The engine divides decimals as DOUBLE. Here both are whole numbers of their last digit, and halves round away from 0.
_QUOTIENTS = f"""
CREATE OR REPLACE MACRO {_PREFIX}divide(n, d) AS CASE WHEN n IS NULL THEN NULL
    WHEN d = 0 THEN error('{DIVISION_BY_ZERO}')
    ELSE sign(n) * sign(d) * ((2 * abs(n) + abs(d)) // (2 * abs(d))) END;
""" + "".join(
    f"CREATE OR REPLACE MACRO {_QUOTIENT}{scale}(a, a_unit, b, b_unit, more) AS CAST({_PREFIX}divide("
    "CAST(a * a_unit AS HUGEINT) * CAST(more AS HUGEINT), CAST(b * b_unit AS HUGEINT)) AS DECIMAL(38,0)) "
    f"* CAST('0.{1:0{scale}d}' AS DECIMAL({scale},{scale}));"
    for scale in range(6, 38)
)
# A macro repeats its argument wherever its text names it, and with it every macro in the argument: three or four of
# them around each other take the engine seconds to bind. So there is a second macro of each, which names its argument
# once. It is for such arguments alone, since a list of one element costs each row something.
_ONCE = "_once"
_REPEATING = (
    TO_JSON, TEXT, JSON_TEXT, TO_JSON_TEXT, SEMI_STRUCTURED, BYTES, _NESTED, AS_ARRAY, AS_OBJECT, TYPE_OF, HELD_TYPE,
    SHORT_TEXT, SHORT_BINARY, BINARY, TRY_BINARY, NO_VARIANT, NO_TEXT, NUMBER_KEY, OTHER_KEY, _EXACT_JSON, UNIQUE_JSON,
    LAST_VALUES, WHOLE_MICROSECONDS, MOMENT, TRY_MOMENT, _TO_TIMESTAMP, TRY_TO_TIMESTAMP, BOOLEAN_TEXT, DATE_TEXT,
    NUMBER_TEXT, NUMERAL, CUT_TIMESTAMP, CUT_TIME,
)  # fmt: skip


def _named_once() -> str:
    """The second macros, whose further parameters are those of the first ones."""
    made = []
    for name in _REPEATING:
        first, *others = re.search(rf"MACRO {re.escape(name)}\((.*?)\) AS", _MACROS)[1].split(", ")  # type: ignore[index]
        given = ", ".join(["_value", *others])
        made.append(
            f"CREATE OR REPLACE MACRO {name}{_ONCE}({', '.join([first, *others])}) AS "
            f"list_transform([{first}], lambda _value: {name}({given}))[1];"
        )
    return "".join(made)


_LONG_NUMBER = re.compile(r"[0-9.]{17}")
_NO_OPTIONS = (exp.Literal.string(""), exp.false(), exp.Literal.string("BOTH"))
_REPLACED = {"TO_JSON": TO_JSON, "_FS_TO_TIMESTAMP": _TO_TIMESTAMP, "_FS_OBJECT_CONSTRUCT_STAR": _OBJECT_OF_ROW}


def _sha2(value: bytes, bits: int) -> str:
    return hashlib.new(f"sha{bits}", value).hexdigest()


def define(duck: duckdb.DuckDBPyConnection) -> None:
    """Make the macros."""
    duck.create_function(_ON_ONE_LINE, on_one_line, ["VARCHAR"], "VARCHAR")
    duck.create_function(_REPEATED_KEY, repeated_key, ["VARCHAR"], "VARCHAR")
    duck.create_function(SHA2, _sha2, ["BLOB", "INTEGER"], "VARCHAR")
    duck.create_function(_LAST_VALUES, with_last_values, ["VARCHAR"], "VARCHAR")
    duck.execute(_MACROS)
    duck.execute(_QUOTIENTS)
    duck.execute(_named_once())


def write_json(tree: Expr) -> Expr:
    """The tree, which is in the engine's SQL, with numbers written into VARIANT, ARRAY and OBJECT as Snowflake does."""
    # Inner ones first: what stands around them copies them.
    for call in reversed(list(tree.find_all(exp.Anonymous))):
        name = str(call.this).upper()
        if name == "JSON_ARRAY":
            call.set("expressions", [to_json(value) for value in call.expressions])
        elif name == "MAP" and len(call.expressions) == 2:
            # OBJECT_AGG: a list of keys and one of values.
            for listed in call.expressions[1].find_all(exp.Anonymous):
                if str(listed.this).upper() == "LIST":
                    listed.set("expressions", [to_json(value) for value in listed.expressions])
                    break
        elif name == "_FS_FLATTEN" and len(call.expressions) == 1:
            given = call.expressions[0]
            has_options = isinstance(given, exp.Anonymous) and given.this == FLATTEN_OPTIONS
            whole, *options = given.expressions if has_options else [given, *_NO_OPTIONS]
            arguments = [nested(whole), *(one.copy() for one in options)]
            call.replace(exp.Anonymous(this=_FLATTEN, expressions=arguments))
        elif name in _REPLACED:
            call.set("this", _REPLACED[name])
    for extract in list(tree.find_all(exp.JSONExtract)):
        extract.set("this", nested(extract.this))
    for parsed in list(tree.find_all(exp.ParseJSON)):
        _read_exactly(parsed)
    for checked in list(tree.find_all(exp.CheckJson)):
        checked.set("this", exp.Anonymous(this=_EXACT_JSON, expressions=[checked.this.copy()]))
        if not isinstance(checked.parent, exp.Is):
            # The engine says that something is wrong, Snowflake what.
            checked.replace(exp.Anonymous(this=_NO_WORDS, expressions=[checked.copy()]))
    return tree


def bind_once(tree: Expr) -> Expr:
    """The tree, which is in the engine's SQL, with no macro that repeats another one in its argument."""
    for node in list(tree.find_all(exp.Anonymous)):
        if node.this in _REPEATING and any(_is_macro(one) for one in node.expressions[0].find_all(exp.Anonymous)):
            node.set("this", f"{node.this}{_ONCE}")
    return tree


def _is_macro(node: exp.Anonymous) -> bool:
    return str(node.this).startswith(_PREFIX)


def _read_exactly(parsed: exp.ParseJSON) -> None:
    """Refuse, or read another way, what the engine would make something else of."""
    text = parsed.this
    is_literal = isinstance(text, exp.Literal)
    # The engine reads fractions as DOUBLE.
    if not is_literal or _LONG_NUMBER.search(text.name) or re.search(_LENIENT, text.name):
        parsed.set("this", exp.Anonymous(this=_EXACT_JSON, expressions=[parsed.this.copy()]))
    # It takes the first of two equal keys, and what is no JSON is NULL to TRY_PARSE_JSON.
    if not is_literal or repeated_key(text.name):
        of = parsed.args.get("expression")
        if isinstance(of, exp.Literal) and of.name.lower() == "d":
            made = exp.Anonymous(this=LAST_VALUES, expressions=[parsed.this.copy()])
        else:
            words = exp.Literal.string("" if parsed.args.get("safe") else REPEATED)
            made = exp.Anonymous(this=UNIQUE_JSON, expressions=[parsed.this.copy(), words])
        parsed.set("this", made)


def nested(value: Expr) -> Expr:
    """A value that must be no text. What only a constructor or another function can have made stays as it is."""
    is_text = isinstance(value, exp.Cast) and value.is_type(*exp.DataType.TEXT_TYPES)
    if is_text or isinstance(value, (exp.Column, exp.Literal)):
        return exp.Anonymous(this=_NESTED, expressions=[value.copy()])
    return value.copy()


def to_json(value: Expr) -> Expr:
    """The value as JSON, which it may be already."""
    return exp.Anonymous(this=TO_JSON if is_short(value) else TO_JSON_OF, expressions=[value.copy()])


def is_short(value: Expr) -> bool:
    """Whether a macro may repeat a value: a column, a literal, a cast; in a MERGE, which takes no lambda, any."""
    return value.find_ancestor(exp.Merge) is not None or not any(
        isinstance(node, exp.Func) and not isinstance(node, exp.Cast) for node in value.walk()
    )


def quotient(left: Expr, left_scale: int, right: Expr, right_scale: int, scale: int) -> Expr:
    """The quotient of two NUMBERs as a NUMBER.

    :param left_scale: the digits of the dividend behind its point.
    :param right_scale: those of the divisor.
    :param scale: those of the quotient, of which there are 6 at least.
    """
    units = [exp.Literal.number(10**digits) for digits in (left_scale, right_scale, scale - left_scale + right_scale)]
    arguments = [left.copy(), units[0], right.copy(), units[1], units[2]]
    called = exp.Anonymous(this=f"{_QUOTIENT}{scale}", expressions=arguments)
    return exp.cast(called, exp.DataType.build(f"DECIMAL(38, {scale})"))
