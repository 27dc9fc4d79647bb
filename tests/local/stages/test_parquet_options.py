"""Parquet files under the options of a file format: a load that leaves one out gets what an account would give it.

Also tests ``local/stages/formats.py``, ``local/stages/parquet_files.py``.
"""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from snowflake.connector import SnowflakeConnection
from snowflake.connector.errors import DatabaseError

MOMENT = dt.datetime(2024, 5, 6, 7, 8, 9, 123456)
SECONDS = 1_714_979_289
UTC = dt.UTC
LOGICAL = "USE_LOGICAL_TYPE = TRUE"


@pytest.fixture(autouse=True)
def stage(connection: SnowflakeConnection, schema: str) -> None:
    run(connection, "CREATE STAGE S")
    run(connection, "ALTER SESSION SET TIMEZONE = 'America/Los_Angeles'")


def run(connection: SnowflakeConnection, sql: str) -> list[Any]:
    cursor = connection.cursor().execute(sql)
    assert cursor is not None
    return cursor.fetchall()


def put(connection: SnowflakeConnection, folder: Path, table: pa.Table, name: str = "p", **options: Any) -> None:
    pq.write_table(table, folder / f"{name}.parquet", **options)
    run(connection, f"PUT file://{folder}/{name}.parquet @S AUTO_COMPRESS = FALSE OVERWRITE = TRUE")


def error(connection: SnowflakeConnection, sql: str) -> tuple[int, str]:
    with pytest.raises(DatabaseError) as caught:
        run(connection, sql)
    return caught.value.errno, str(caught.value.msg)


def format_(connection: SnowflakeConnection, options: str) -> None:
    run(connection, f"CREATE OR REPLACE FILE FORMAT F TYPE = PARQUET {options}")


def read(connection: SnowflakeConnection, select: str, options: str) -> list[Any]:
    format_(connection, options)
    return run(connection, f"SELECT {select} FROM @S (FILE_FORMAT => 'F')")


def inferred(connection: SnowflakeConnection, options: str) -> dict[str, str]:
    format_(connection, options)
    rows = run(connection, "SELECT * FROM TABLE(INFER_SCHEMA(LOCATION => '@S', FILE_FORMAT => 'F'))")
    return {row[0]: row[1] for row in rows}


def moments(zone: str | None = None) -> pa.Table:
    return pa.table({unit: pa.array([MOMENT], pa.timestamp("us")).cast(pa.timestamp(unit, zone), safe=False)
                     for unit in ("ms", "us", "ns")})  # fmt: skip


NUMBERS = {"ms": SECONDS * 1000 + 123, "us": SECONDS * 10**6 + 123456, "ns": SECONDS * 10**9 + 123456000}


def test_timestamps_without_a_zone_are_whole_numbers_without_logical_types(
    connection: SnowflakeConnection, tmp_path: Path
) -> None:
    put(connection, tmp_path, moments())
    numbers = tuple(NUMBERS.values())
    assert read(connection, "$1:ms::NUMBER, $1:us::NUMBER, $1:ns::NUMBER", "") == [numbers]
    assert inferred(connection, "") == dict.fromkeys(NUMBERS, "NUMBER(38, 0)")
    run(connection, "CREATE TABLE V (V VARIANT)")
    run(connection, "COPY INTO V FROM @S FILE_FORMAT = (TYPE = PARQUET)")
    assert run(connection, "SELECT V:ms::NUMBER, V:us::NUMBER, V:ns::NUMBER FROM V") == [numbers]


def test_moments_lose_their_zone_without_logical_types(connection: SnowflakeConnection, tmp_path: Path) -> None:
    put(connection, tmp_path, moments("UTC"))
    kinds = {"ms": "TIMESTAMP_NTZ", "us": "TIMESTAMP_NTZ", "ns": "NUMBER(38, 0)"}
    assert inferred(connection, "") == kinds
    assert read(connection, "$1:us::TIMESTAMP_NTZ, $1:ns::NUMBER", "") == [(MOMENT, NUMBERS["ns"])]
    ((shifted,),) = read(connection, "$1:us::TIMESTAMP_LTZ", "")
    assert shifted - MOMENT.replace(tzinfo=UTC) == dt.timedelta(hours=7)


@pytest.mark.parametrize("zone", [None, "UTC"])
@pytest.mark.parametrize("options", [LOGICAL, "USE_VECTORIZED_SCANNER = TRUE USE_LOGICAL_TYPE = FALSE"])
def test_timestamps_are_what_they_were_with_logical_types(
    connection: SnowflakeConnection, tmp_path: Path, zone: str | None, options: str
) -> None:
    put(connection, tmp_path, moments(zone))
    kind = "TIMESTAMP_LTZ" if zone else "TIMESTAMP_NTZ"
    assert inferred(connection, options) == dict.fromkeys(NUMBERS, kind)
    expected = MOMENT.replace(tzinfo=UTC) if zone else MOMENT
    ((ms, us, ns),) = read(connection, f"$1:ms::{kind}, $1:us::{kind}, $1:ns::{kind}", options)
    assert (us, ns) == (expected, expected)
    assert ms == expected.replace(microsecond=123000)


@pytest.mark.parametrize(
    "copy",
    [
        "COPY INTO T FROM (SELECT $1:at FROM @S) FILE_FORMAT = ({}) FORCE = TRUE",
        "COPY INTO T FROM @S FILE_FORMAT = ({}) MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE FORCE = TRUE",
    ],
)
@pytest.mark.parametrize("kind", ["TIMESTAMP_NTZ", "TIMESTAMP_LTZ", "TIMESTAMP_TZ", "DATE", "TIME"])
def test_a_load_without_logical_types_takes_whole_numbers_for_seconds(
    connection: SnowflakeConnection, tmp_path: Path, copy: str, kind: str
) -> None:
    early = dt.datetime(1970, 1, 1, 0, 0, 0, 90_000)
    put(connection, tmp_path, pa.table({"at": pa.array([early], pa.timestamp("us"))}))
    run(connection, f"CREATE TABLE T (AT {kind})")
    run(connection, copy.format("TYPE = PARQUET"))
    run(connection, copy.format(f"TYPE = PARQUET {LOGICAL}"))
    wrong, right = dt.datetime(1970, 1, 2, 1), early
    of = {"DATE": dt.datetime.date, "TIME": dt.datetime.time}.get(kind, lambda moment: moment)
    found = [row[0] for row in run(connection, "SELECT AT FROM T")]
    if kind in ("TIMESTAMP_LTZ", "TIMESTAMP_TZ"):
        # One without a zone is of the session's; a number of seconds is of none.
        assert {one.astimezone(UTC).replace(tzinfo=None) for one in found} == {wrong, right + dt.timedelta(hours=8)}
    else:
        assert set(found) == {of(wrong), of(right)}
    put(connection, tmp_path, moments().select(["us"]).rename_columns(["at"]))
    errno, message = error(connection, copy.format("TYPE = PARQUET"))
    assert (errno, "USE_LOGICAL_TYPE" in message, str(SECONDS) in message) == (100035, True, True)


@pytest.mark.parametrize(
    ("kind", "column"),
    [
        (pa.timestamp("ns"), "TIMESTAMP_NTZ"),
        (pa.timestamp("ns", "UTC"), "TIMESTAMP_LTZ"),
        (pa.time64("ns"), "TIME"),
    ],
)
def test_nanoseconds_are_not_rounded_away(
    connection: SnowflakeConnection, tmp_path: Path, kind: pa.DataType, column: str
) -> None:
    last = 86_399_999_999_999
    put(connection, tmp_path, pa.table({"ID": [1, 2], "N": pa.array([last, None], kind)}))
    run(connection, f"CREATE TABLE T (ID INT, N {column})")
    copy = f"COPY INTO T FROM @S FILE_FORMAT = (TYPE = PARQUET {LOGICAL}) MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE"
    _, message = error(connection, copy)
    assert "59:59.999999999" in message
    assert "nanoseconds" in message
    assert run(connection, "SELECT COUNT(*) FROM T") == [(0,)]
    assert read(connection, "$1:ID::INT", LOGICAL) == [(1,), (2,)]

    put(connection, tmp_path, pa.table({"ID": [1, 2], "N": pa.array([last // 1000 * 1000, None], kind)}))
    run(connection, copy)
    ((found,), (missing,)) = run(connection, "SELECT N FROM T ORDER BY ID")
    assert (found.second, found.microsecond, missing) == (59, 999_999, None)


def test_bytes_inside_of_others_are_hexadecimal(connection: SnowflakeConnection, tmp_path: Path) -> None:
    keyed = pa.array([[("k", b"\x01")]], pa.map_(pa.string(), pa.binary()))
    put(connection, tmp_path, pa.table({"L": [[b"\xff\x00", None]], "O": [{"b": b"a"}], "M": keyed}))
    run(connection, "CREATE TABLE T (L VARIANT, O VARIANT, M VARIANT)")
    options = "TYPE = PARQUET USE_VECTORIZED_SCANNER = TRUE"
    run(connection, f"COPY INTO T FROM @S FILE_FORMAT = ({options}) MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE")
    ((*found,),) = run(connection, "SELECT L, O, M FROM T")
    assert [json.loads(one) for one in found] == [["FF00", None], {"b": "61"}, {"k": "01"}]


def test_times_of_day_and_uuids_need_logical_types(connection: SnowflakeConnection, tmp_path: Path) -> None:
    time = dt.time(1, 2, 3, 500)
    put(connection, tmp_path, pa.table({"t": pa.array([time], pa.time64("us"))}))
    assert read(connection, "$1:t::NUMBER", "") == [(3_723_000_500,)]
    assert read(connection, "$1:t::TIME", LOGICAL) == [(time,)]
    assert (inferred(connection, ""), inferred(connection, LOGICAL)) == ({"t": "NUMBER(38, 0)"}, {"t": "TIME"})


def test_what_needs_no_logical_type_is_read_without(connection: SnowflakeConnection, tmp_path: Path) -> None:
    """Text, dates, decimals, integers of any size are told by their converted types."""
    table = pa.table(
        {
            "s": ["a"], "d": [dt.date(2024, 5, 6)], "n": pa.array([125], pa.decimal128(10, 2)),
            "i": pa.array([7], pa.int16()), "f": [1.5], "b": [True],
        }
    )  # fmt: skip
    put(connection, tmp_path, table)
    row = read(connection, "$1:s::VARCHAR, $1:d::DATE, $1:n::NUMBER(10,2), $1:i::INT, $1:f::FLOAT, $1:b::BOOLEAN", "")
    assert row == [("a", dt.date(2024, 5, 6), 125, 7, 1.5, True)]
    kinds = {"s": "TEXT", "d": "DATE", "n": "NUMBER(10, 2)", "i": "NUMBER(38, 0)", "f": "REAL", "b": "BOOLEAN"}
    assert inferred(connection, "") == inferred(connection, LOGICAL) == kinds


def test_int96_has_a_zone_for_one_scanner_only(connection: SnowflakeConnection, tmp_path: Path) -> None:
    put(connection, tmp_path, moments().select(["ns"]), use_deprecated_int96_timestamps=True)
    for options in ("", LOGICAL):
        assert inferred(connection, options) == {"ns": "TIMESTAMP_NTZ"}
        assert read(connection, "$1:ns::TIMESTAMP_NTZ", options) == [(MOMENT,)]
    assert inferred(connection, "USE_VECTORIZED_SCANNER = TRUE") == {"ns": "TIMESTAMP_LTZ"}
    ((found,),) = read(connection, "$1:ns::TIMESTAMP_LTZ", "USE_VECTORIZED_SCANNER = TRUE")
    assert found == MOMENT.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([0, None, 1001], pa.timestamp("ns")),
        pa.array([[0], None, [2000, 1001]], pa.list_(pa.timestamp("ns"))),
        pa.array(
            [{"x": 1, "t": 0}, None, {"x": 2, "t": 1001}], pa.struct([("x", pa.int8()), ("t", pa.timestamp("ns"))])
        ),
        pa.array([[("a", 0)], None, [("b", 1001)]], pa.map_(pa.string(), pa.timestamp("ns"))),
    ],
    ids=["plain", "list", "object", "map"],
)
@pytest.mark.parametrize("options", ["", LOGICAL, "USE_VECTORIZED_SCANNER = TRUE"])
def test_nanoseconds_of_int96_are_refused_instead_of_cut(
    connection: SnowflakeConnection, tmp_path: Path, column: pa.Array, options: str
) -> None:
    table = pa.table({"id": [1, 2, 3], "at": column})
    put(connection, tmp_path, table, use_deprecated_int96_timestamps=True)
    # Other columns can be read.
    assert read(connection, "$1:id::INT", options) == [(1,), (2,), (3,)]
    words = "The time '1970-01-01 00:00:00.000001001 (in column at of p.parquet)' with nanoseconds"
    for statement in (
        "SELECT $1:at::VARCHAR FROM @S (FILE_FORMAT => 'F')",
        f"COPY INTO V FROM @S FILE_FORMAT = (TYPE = PARQUET {options})",
    ):
        run(connection, "CREATE OR REPLACE TABLE V (V VARIANT)")
        errno, message = error(connection, statement)
        assert words in message, message
        assert errno == 2 or "not supported by the local Snowflake" in message
    whole = table.slice(0, 2)
    put(connection, tmp_path, whole, use_deprecated_int96_timestamps=True)
    assert len(read(connection, "$1:at::VARCHAR", options)) == 2


@pytest.mark.parametrize("year", [1, 1677, 2262, 9999])
def test_int96_of_any_year_is_read_and_checked(connection: SnowflakeConnection, tmp_path: Path, year: int) -> None:
    moment = dt.datetime(year, 3, 1, 4, 5, 6, 789012)
    put(
        connection,
        tmp_path,
        pa.table({"at": pa.array([moment], pa.timestamp("us"))}),
        use_deprecated_int96_timestamps=True,
    )
    assert read(connection, "$1:at::TIMESTAMP_NTZ", "") == [(moment,)]


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary(3)])
def test_bytes_are_text_unless_told(connection: SnowflakeConnection, tmp_path: Path, kind: pa.DataType) -> None:
    put(connection, tmp_path, pa.table({"b": pa.array([b"abc"], kind)}))
    assert inferred(connection, "") == {"b": "TEXT"}
    assert read(connection, "$1:b::VARCHAR", "") == [("abc",)]
    for options in (
        "BINARY_AS_TEXT = FALSE",
        "USE_VECTORIZED_SCANNER = TRUE",
        "USE_VECTORIZED_SCANNER = TRUE BINARY_AS_TEXT = TRUE",
    ):
        assert inferred(connection, options) == {"b": "BINARY"}
        assert read(connection, "$1:b::BINARY, $1:b", options) == [(b"abc", '"616263"')]


def test_bytes_that_are_no_text_are_an_error_or_replaced(connection: SnowflakeConnection, tmp_path: Path) -> None:
    put(connection, tmp_path, pa.table({"b": [b"\xffa", b"ok"], "n": [1, 2]}))
    run(connection, "CREATE TABLE T (B VARCHAR, N INT)")
    copy = "COPY INTO T FROM (SELECT $1:b, $1:n FROM @S) FILE_FORMAT = (TYPE = PARQUET {})"
    errno, message = error(connection, copy.format(""))
    assert (errno, "Invalid UTF8 detected" in message) == (100144, True)
    run(connection, copy.format("REPLACE_INVALID_CHARACTERS = TRUE"))
    assert run(connection, "SELECT * FROM T ORDER BY N") == [("\ufffda", 1), ("ok", 2)]
    run(connection, "CREATE TABLE B (B BINARY)")
    run(connection, "COPY INTO B FROM (SELECT $1:b FROM @S) FILE_FORMAT = (TYPE = PARQUET BINARY_AS_TEXT = FALSE)")
    assert {bytes(row[0]) for row in run(connection, "SELECT B FROM B")} == {b"\xffa", b"ok"}


def test_bytes_as_text_do_not_go_into_binary(connection: SnowflakeConnection, tmp_path: Path) -> None:
    put(connection, tmp_path, pa.table({"b": [b"ab"], "t": ["ab"]}))
    run(connection, "CREATE TABLE B (B BINARY, N INT)")
    run(connection, "CREATE TABLE N (B VARCHAR, T BINARY)")
    parquet = "FILE_FORMAT = (TYPE = PARQUET)"
    by_name = f"{parquet} MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE"
    for origin, how in (
        ("@S", by_name),
        ("(SELECT $1:b, 1 FROM @S)", parquet),
        ("@S", f"{by_name} ON_ERROR = CONTINUE"),
    ):
        errno, message = error(connection, f"COPY INTO B FROM {origin} {how}")
        assert errno == 2
        assert "column b as text" in message
        assert "BINARY_AS_TEXT = FALSE" in message
    assert run(connection, "SELECT * FROM B") == []
    run(connection, f"COPY INTO N FROM @S {by_name}")
    assert run(connection, "SELECT B, T FROM N") == [("ab", b"\xab")], "text is of digits"


def test_columns_of_one_file_that_differ_in_case_only(connection: SnowflakeConnection, tmp_path: Path) -> None:
    put(connection, tmp_path, pa.table({"id": [1], "ID": [5]}))
    format_(connection, "")
    errno, message = error(connection, "SELECT $1:ID FROM @S (FILE_FORMAT => 'F')")
    assert errno == 2
    assert "p.parquet', whose columns id and ID differ in case only" in message


def test_text_that_is_no_text_is_replaced_as_well(connection: SnowflakeConnection, tmp_path: Path) -> None:
    offsets = pa.array([0, 2, 4], pa.int32()).buffers()[1]
    wrong = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"\xffaok")])
    put(connection, tmp_path, pa.table({"s": wrong, "at": pa.array([MOMENT] * 2, pa.timestamp("us"))}))
    select = "$1:s::VARCHAR, $1:at::TIMESTAMP_NTZ, METADATA$FILENAME, METADATA$FILE_ROW_NUMBER"
    found = read(connection, select, f"REPLACE_INVALID_CHARACTERS = TRUE {LOGICAL}")
    assert found == [("\ufffda", MOMENT, "p.parquet", 1), ("ok", MOMENT, "p.parquet", 2)]
    format_(connection, LOGICAL)
    assert error(connection, f"SELECT {select} FROM @S (FILE_FORMAT => 'F')")[0] == 100144


def test_null_if_and_trim_space_are_for_columns_matched_by_name(
    connection: SnowflakeConnection, tmp_path: Path
) -> None:
    put(connection, tmp_path, pa.table({"s": ["\\N", "2", " a ", "N/A"], "n": [1, 2, 3, 4]}))

    def texts(options: str) -> list[Any]:
        run(connection, "CREATE OR REPLACE TABLE T (S VARCHAR, N INT)")
        run(connection, MATCH.format(options, "CASE_INSENSITIVE"))
        return run(connection, "SELECT * FROM T ORDER BY N NULLS LAST")

    assert texts("") == [(None, 1), ("2", 2), (" a ", 3), ("N/A", 4)]
    assert texts("NULL_IF = ()") == [("\\N", 1), ("2", 2), (" a ", 3), ("N/A", 4)]
    assert texts("NULL_IF = ('2', 'N/A')") == [("\\N", 1), (" a ", 3), (None, 4), (None, None)]
    assert texts("TRIM_SPACE = TRUE NULL_IF = 'a'") == [("\\N", 1), ("2", 2), (None, 3), ("N/A", 4)]
    format_(connection, "TRIM_SPACE = TRUE NULL_IF = ('2', '\\\\N')")
    rows = run(connection, "SELECT $1:s::VARCHAR FROM @S (FILE_FORMAT => 'F') ORDER BY $1:n::INT")
    assert [row[0] for row in rows] == ["\\N", "2", " a ", "N/A"]


def test_nested_values_follow_the_same_rules(connection: SnowflakeConnection, tmp_path: Path) -> None:
    at = dt.datetime(1970, 1, 1, 0, 0, 1)
    table = pa.table(
        {
            "l": pa.array(
                [[{"at": at, "b": b"x"}], None], pa.list_(pa.struct({"at": pa.timestamp("us"), "b": pa.binary()}))
            ),
            "m": pa.array([[("k", at)], []], pa.map_(pa.string(), pa.timestamp("ms"))),
            "last": pa.array([at, None], pa.timestamp("us")),
        }
    )
    put(connection, tmp_path, table)
    select = (
        "$1:l[0]:at::VARCHAR, $1:l[0]:b::VARCHAR, $1:m:key_value[0]:value::VARCHAR, $1:m:key_value[0]:key::VARCHAR, "
        "$1:last::NUMBER"
    )
    assert read(connection, select, "") == [("1000000", "x", "1000", "k", 1_000_000), (None,) * 5]
    vectorized = "USE_VECTORIZED_SCANNER = TRUE"
    ((list_at, _, map_at),) = read(connection, "$1:l[0]:at::VARCHAR, $1:l[0]:b, $1:m:k::VARCHAR", vectorized)[:1]
    assert (list_at, map_at) == ("1970-01-01 00:00:01", "1970-01-01 00:00:01")


def test_files_of_one_location_that_are_written_differently(connection: SnowflakeConnection, tmp_path: Path) -> None:
    put(connection, tmp_path, pa.table({"at": pa.array([MOMENT], pa.timestamp("us")), "n": [1]}), "a")
    put(connection, tmp_path, pa.table({"at": pa.array([MOMENT], pa.timestamp("ns")), "b": [b"x"]}), "b")
    put(connection, tmp_path, pa.table({"n": [3]}), "c")
    select = "$1:at::TIMESTAMP_NTZ, $1:n::INT, $1:b::VARCHAR, METADATA$FILENAME"
    assert sorted(read(connection, select, LOGICAL), key=lambda row: row[3]) == [
        (MOMENT, 1, None, "a.parquet"), (MOMENT, None, "x", "b.parquet"), (None, 3, None, "c.parquet"),
    ]  # fmt: skip
    numbers = read(connection, "$1:at::NUMBER, METADATA$FILENAME", "")
    assert {name: value for value, name in numbers} == {
        "a.parquet": SECONDS * 10**6 + 123456, "b.parquet": SECONDS * 10**9 + 123456000, "c.parquet": None,
    }  # fmt: skip


def test_a_number_of_more_than_64_bits_is_not_supported(connection: SnowflakeConnection, tmp_path: Path) -> None:
    put(connection, tmp_path, pa.table({"n": pa.array([Decimal(2**64)], pa.decimal128(38, 0))}))
    run(connection, "CREATE TABLE T (N NUMBER(38, 0))")
    assert error(connection, MATCH.format("", "CASE_INSENSITIVE"))[0] == 2
    format_(connection, LOGICAL)
    errno, message = error(connection, "INSERT INTO T SELECT $1:n::NUMBER(38, 0) FROM @S (FILE_FORMAT => 'F')")
    assert (errno, "A whole number beyond 64 bits is not supported" in message) == (2, True)


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([[2**53 + 1], [0.5]], ["[9007199254740993]", "[0.5]"]),
        ([[True], [2]], ["[true]", "[2]"]),
        ([["1"], [2]], ['["1"]', "[2]"]),
        ([{"x": 2**53 + 1}, {"x": 0.5}], ['{"x":9007199254740993}', '{"x":0.5}']),
        ([{"x": 1}, {"x": 2, "y": 3}], ['{"x":1}', '{"x":2,"y":3}']),
        ([{"x": 1}, {"X": 2}], ['{"x":1}', '{"X":2}']),
        (
            [{"x": [{"k": dt.date(2026, 1, 2)}]}, {"x": [{"k": "z"}]}],
            ['{"x":[{"k":"2026-01-02"}]}', '{"x":[{"k":"z"}]}'],
        ),
        ([[1], {"x": 2}], ["[1]", '{"x":2}']),
        ([[1], 2], ["[1]", "2"]),
        ([[1], None], ["[1]", None]),
    ],
    ids=str,
)
def test_nested_values_are_those_of_their_own_file(
    connection: SnowflakeConnection, tmp_path: Path, values: list[Any], texts: list[str | None]
) -> None:
    """The engine has one type for all files, to which it would bring what is inside of lists and objects, too."""
    for number, value in enumerate(values):
        put(connection, tmp_path, pa.table({"n": [number], "c": [value]}), f"p{number}")
    put(connection, tmp_path, pa.table({"n": [2]}), "p2")

    for select in ("$1:c", "$1:c::VARIANT", "$1:c:x", "$1:c[0]", "$1"):
        rows = read(connection, f"TO_JSON({select}), $1:n::INT", LOGICAL)
        found = [text for text, _ in sorted(rows, key=lambda row: row[1])]
        if select == "$1":
            assert [json.loads(text).get("c") for text in found] == [
                None if text is None else json.loads(text) for text in [*texts, None]
            ]
        elif select in ("$1:c", "$1:c::VARIANT"):
            assert found == [*texts, None]
        else:
            inside = [None if text is None else json.loads(text) for text in [*texts, None]]
            part = [
                (one.get("x") if select == "$1:c:x" else None)
                if isinstance(one, dict)
                else (one[0] if isinstance(one, list) and select == "$1:c[0]" else None)
                for one in inside
            ]
            assert [None if text is None else json.loads(text) for text in found] == part


MATCH = "COPY INTO T FROM @S FILE_FORMAT = (TYPE = PARQUET {}) MATCH_BY_COLUMN_NAME = {} FORCE = TRUE"


def test_columns_matched_by_name(connection: SnowflakeConnection, tmp_path: Path) -> None:
    put(connection, tmp_path, pa.table({"id": [1], "Name": ["a"], "more": [2]}))
    run(connection, """CREATE TABLE T (ID INT DEFAULT 5, "Name" VARCHAR, EXTRA INT DEFAULT 9)""")
    run(connection, MATCH.format("", "CASE_SENSITIVE"))
    assert run(connection, "SELECT * FROM T") == [(None, "a", None)]
    run(connection, "CREATE OR REPLACE TABLE T (ID INT, NAME VARCHAR, EXTRA INT DEFAULT 9)")
    run(connection, MATCH.format("", "CASE_INSENSITIVE"))
    assert run(connection, "SELECT * FROM T") == [(1, "a", None)]
    run(connection, "CREATE OR REPLACE TABLE T (A INT, B VARCHAR)")
    run(connection, MATCH.format("", "CASE_INSENSITIVE"))
    assert run(connection, "SELECT * FROM T") == [(None, None)]
    run(connection, "CREATE OR REPLACE TABLE T (ID INT, B VARCHAR NOT NULL)")
    assert error(connection, MATCH.format("", "CASE_INSENSITIVE"))[0] == 100072


def test_an_empty_text_is_not_matched_by_name(connection: SnowflakeConnection, tmp_path: Path) -> None:
    put(connection, tmp_path, pa.table({"id": [1, 2], "name": ["a", ""], "other": ["", ""]}))
    run(connection, "CREATE TABLE T (ID INT, NAME VARCHAR)")
    errno, message = error(connection, MATCH.format("", "CASE_INSENSITIVE"))
    assert (errno, "Empty column value in column name" in message, "p.parquet" in message) == (100069, True, True)
    assert run(connection, "SELECT COUNT(*) FROM T") == [(0,)]
    run(connection, "COPY INTO T FROM (SELECT $1:id, $1:name FROM @S) FILE_FORMAT = (TYPE = PARQUET)")
    assert run(connection, "SELECT * FROM T ORDER BY ID") == [(1, "a"), (2, "")]
    run(connection, MATCH.format("NULL_IF = ('')", "CASE_INSENSITIVE"))
    run(connection, "CREATE OR REPLACE TABLE T (ID INT)")
    run(connection, MATCH.format("", "CASE_INSENSITIVE"))
    assert run(connection, "SELECT * FROM T ORDER BY ID") == [(1,), (2,)]


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        (MATCH.format("", "MAYBE"), "invalid value 'MAYBE'"),
        ("COPY INTO T FROM (SELECT $1:id FROM @S) MATCH_BY_COLUMN_NAME = CASE_SENSITIVE",
         "cannot be combined with a SELECT"),
        ("COPY INTO T (ID) FROM @S FILE_FORMAT = (TYPE = PARQUET) MATCH_BY_COLUMN_NAME = CASE_SENSITIVE",
         "not supported by the local Snowflake"),
        (MATCH.format("", "CASE_INSENSITIVE"), "ID and id, is not supported by the local Snowflake"),
        (MATCH.format("USE_LOGICAL_TYPE = MAYBE", "CASE_SENSITIVE"), "not supported by the local Snowflake"),
        (MATCH.format("EMPTY_FIELD_AS_NULL = TRUE", "CASE_SENSITIVE"), "not supported by the local Snowflake"),
        ("CREATE FILE FORMAT X TYPE = PARQUET USE_LOGIC = TRUE", "not supported by the local Snowflake"),
    ],
)  # fmt: skip
def test_what_is_wrong_or_unknown_is_refused(
    connection: SnowflakeConnection, tmp_path: Path, sql: str, words: str
) -> None:
    put(connection, tmp_path, pa.table([pa.array([1]), pa.array([2])], ["ID", "id"]))
    run(connection, "CREATE TABLE T (ID INT)")
    assert words in error(connection, sql)[1]


def test_a_named_format_and_the_stages_own_are_honoured(connection: SnowflakeConnection, tmp_path: Path) -> None:
    put(connection, tmp_path, moments().select(["us"]))
    run(connection, "CREATE TABLE T (US TIMESTAMP_NTZ)")
    format_(connection, LOGICAL)
    run(connection, "COPY INTO T FROM @S FILE_FORMAT = (FORMAT_NAME = 'F') MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE")
    run(connection, f"ALTER STAGE S SET FILE_FORMAT = (TYPE = PARQUET {LOGICAL})")
    run(connection, "COPY INTO T FROM (SELECT $1:us FROM @S) FORCE = TRUE")
    assert run(connection, "SELECT DISTINCT * FROM T") == [(MOMENT,)]
