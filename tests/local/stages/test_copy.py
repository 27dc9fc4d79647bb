"""COPY INTO both ways: what happens to rows that do not fit, which files are taken, how files are cut.

Also tests ``local/sql/file_loads.py``, ``local/stages/csv_files.py``, ``local/stages/file_relations.py``,
``local/stages/load_command.py``, ``local/stages/load_history.py``, ``local/stages/loading.py``,
``local/stages/unloading.py``.
"""

from __future__ import annotations

import datetime
import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import snowflake.connector
from snowflake.connector import DictCursor, SnowflakeConnection

from airflow_provider_snowflake_batch.local.server_process import LocalServer

pytestmark = pytest.mark.usefixtures("stage")

# Line 2 has too few fields, 3 no number, 4 too many fields, 6 no ID, 7 a NAME that is too long.
MIXED = "1,a\n2\nx,b\n3,b,c\n4,d\n,e\n6,toolong\n"


@pytest.fixture
def stage(connection: SnowflakeConnection, schema: str, tmp_path: Path) -> None:
    (tmp_path / "mixed.csv").write_text(MIXED)
    (tmp_path / "good.csv").write_text("7,g\n8,h\n")
    run(connection, "CREATE STAGE S")
    run(connection, f"PUT file://{tmp_path}/*.csv @S/in AUTO_COMPRESS = FALSE")
    run(connection, "CREATE TABLE T (ID INT NOT NULL, NAME VARCHAR(3))")


def run(connection: SnowflakeConnection, sql: str) -> list[Any]:
    cursor = connection.cursor().execute(sql)
    assert cursor is not None
    return cursor.fetchall()


def copy(connection: SnowflakeConnection, rest: str, table: str = "T") -> list[dict[str, Any]]:
    cursor = connection.cursor(DictCursor).execute(f"COPY INTO {table} FROM {rest}")
    assert cursor is not None
    return cursor.fetchall()  # type: ignore[return-value]


def error(connection: SnowflakeConnection, sql: str) -> tuple[int, str]:
    with pytest.raises(snowflake.connector.errors.ProgrammingError) as caught:
        run(connection, sql)
    return caught.value.errno, str(caught.value.msg)


def names(connection: SnowflakeConnection, location: str) -> list[str]:
    return [row[0] for row in run(connection, f"LIST {location}")]


def test_continue_loads_the_rows_that_fit(connection: SnowflakeConnection) -> None:
    (row,) = copy(connection, "@S/in FILES = ('mixed.csv') ON_ERROR = CONTINUE")
    assert (row["status"], row["rows_parsed"], row["rows_loaded"], row["errors_seen"]) == ("PARTIALLY_LOADED", 7, 2, 5)
    assert (row["first_error_line"], "Number of columns in file (1)" in row["first_error"]) == (2, True)
    assert run(connection, "SELECT * FROM T ORDER BY ID") == [(1, "a"), (4, "d")]


WIDTHS = "Number of columns in file ({0}) does not match that of the corresponding table ({1})"


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("1,a\nx,b\n", 2, '"T"["ID"]', "Numeric value 'x' is not recognized"),
        ("1,a\n,b\n", 2, '"T"["ID"]', "NULL result in a non-nullable column"),
        ("1,a\n2,b\n3,toolong\n", 3, '"T"["NAME"]', "String 'toolong' is too long and would be truncated"),
        ("1,a\n2\n3,toolong\n", 2, None, WIDTHS.format(1, 2)),
        ("1\n2,b\n", 1, None, WIDTHS.format(1, 2)),
        ("1,a,x\n2,b\n", 1, None, WIDTHS.format(3, 2)),
        ("1,a\n2,b,,\n", 2, None, "Number of columns in file ("),
        ("1,a\n\n2,b\n", 2, None, WIDTHS.format(1, 2)),
        ("1,a\n2,b\n\n3,toolong\n", 3, None, WIDTHS.format(1, 2)),
        ("1,a\n2,toolong\n\n3,b\n", 2, '"T"["NAME"]', "String 'toolong' is too long and would be truncated"),
    ],
)
def test_the_first_error_is_named(
    connection: SnowflakeConnection, tmp_path: Path, text: str, line: int, column: str | None, message: str
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "f.csv").write_text("ID,NAME\n" + text)
    run(connection, f"PUT file://{tmp_path}/one/f.csv @S/one")
    (row,) = copy(connection, "@S/one ON_ERROR = CONTINUE FILE_FORMAT = (TYPE = CSV SKIP_HEADER = 1)")
    assert (row["first_error_line"], row["first_error_column_name"]) == (line + 1, column)
    assert message in row["first_error"]


def test_skip_file_loads_the_others(connection: SnowflakeConnection) -> None:
    rows = {row["file"]: row for row in copy(connection, "@S/in ON_ERROR = SKIP_FILE")}
    assert rows["s/in/mixed.csv"]["status"] == "LOAD_FAILED"
    assert rows["s/in/good.csv"]["status"] == "LOADED"
    assert run(connection, "SELECT ID FROM T ORDER BY ID") == [(7,), (8,)]
    # What failed is no part of the load history: it is tried again.
    again = {row["file"]: row["status"] for row in copy(connection, "@S/in ON_ERROR = SKIP_FILE")}
    assert again == {"s/in/mixed.csv": "LOAD_FAILED", "s/in/good.csv": "LOAD_SKIPPED"}


@pytest.mark.parametrize(("on_error", "loaded"), [("SKIP_FILE_5", 0), ("SKIP_FILE_6", 2), ("'SKIP_FILE_80%'", 2)])
def test_skip_file_from_a_number_of_errors_on(connection: SnowflakeConnection, on_error: str, loaded: int) -> None:
    (row,) = copy(connection, f"@S/in FILES = ('mixed.csv') ON_ERROR = {on_error}")
    assert row["rows_loaded"] == loaded


def test_a_transaction_outlives_skipped_files(connection: SnowflakeConnection) -> None:
    run(connection, "BEGIN")
    run(connection, "INSERT INTO T VALUES (0, 'z')")
    copy(connection, "@S/in ON_ERROR = SKIP_FILE")
    run(connection, "COMMIT")
    assert run(connection, "SELECT ID FROM T ORDER BY ID") == [(0,), (7,), (8,)]


def test_text_is_cut_where_that_is_asked_for(connection: SnowflakeConnection) -> None:
    copy(connection, "@S/in FILES = ('mixed.csv') ON_ERROR = CONTINUE TRUNCATECOLUMNS = TRUE")
    assert run(connection, "SELECT * FROM T ORDER BY ID") == [(1, "a"), (4, "d"), (6, "too")]
    run(connection, "CREATE TABLE N (NAME VARCHAR(3))")
    query = "(SELECT $2 FROM @S/in) FILES = ('good.csv')"
    copy(connection, f"{query} ENFORCE_LENGTH = FALSE", "N")
    assert run(connection, "SELECT * FROM N") == [("g",), ("h",)]


def test_a_file_of_another_width(connection: SnowflakeConnection) -> None:
    run(connection, "CREATE TABLE W (A INT, B VARCHAR, C INT)")
    errno, message = error(connection, "COPY INTO W FROM @S/in FILES = ('good.csv')")
    assert (errno, "Number of columns in file (2)" in message) == (100080, True)
    run(connection, "CREATE TABLE V (A INT)")
    assert error(connection, "COPY INTO V FROM @S/in FILES = ('good.csv')")[0] == 100080
    lenient = "FILE_FORMAT = (TYPE = CSV ERROR_ON_COLUMN_COUNT_MISMATCH = FALSE)"
    copy(connection, f"@S/in FILES = ('good.csv') {lenient}", "W")
    assert run(connection, "SELECT * FROM W ORDER BY A") == [(7, "g", None), (8, "h", None)]


LENIENT = "ERROR_ON_COLUMN_COUNT_MISMATCH = FALSE"


@pytest.mark.parametrize(
    ("text", "options", "found"),
    [
        ("1\n2,b,x,y\n3,c\n", LENIENT, [(1, None), (2, "b"), (3, "c")]),
        ("1::a\n2\n", f"{LENIENT} FIELD_DELIMITER = '::'", [(1, "a"), (2, None)]),
        ("1,a\r\n2,b\r\n", "", [(1, "a"), (2, "b")]),
        ("1,\\N\n2,\\\\N\n", "", [(1, None), (2, None)]),
        ("1,C:\\x\n", "ESCAPE_UNENCLOSED_FIELD = NONE", [(1, "C:\\x")]),
        ('1,"C:\\x"\n', "FIELD_OPTIONALLY_ENCLOSED_BY = '\"'", [(1, "C:\\x")]),
        ('1,""\n2,\n', "FIELD_OPTIONALLY_ENCLOSED_BY = '\"'", [(1, ""), (2, None)]),
        ('1,"x"\n2,x\n3,""\n', "FIELD_OPTIONALLY_ENCLOSED_BY = '\"' NULL_IF = ('x')", [(1, None), (2, None), (3, "")]),
        ("1,\n", "EMPTY_FIELD_AS_NULL = FALSE NULL_IF = ()", [(1, "")]),
        ("1,\n2,x\n", "EMPTY_FIELD_AS_NULL = FALSE NULL_IF = ('', 'x')", [(1, None), (2, None)]),
        ('1,"a\n\nb"\n', "FIELD_OPTIONALLY_ENCLOSED_BY = '\"'", [(1, "a\n\nb")]),
        ("1,a\n\n2,b\n", "SKIP_BLANK_LINES = TRUE", [(1, "a"), (2, "b")]),
        ("1,a\n\n2,b\n", "", WIDTHS.format(1, 2)),
        ("1,a\n\n2,b\n", LENIENT, [(1, "a"), (2, "b"), (None, None)]),
        ("1,a\n\n2,b\n", f"{LENIENT} FIELD_OPTIONALLY_ENCLOSED_BY = '\"'", [(1, "a"), (2, "b"), (None, None)]),
        ("1,a\n\n", "", [(1, "a")]),
        ("1,a\r\n2,b\r\n\r\n", "", [(1, "a"), (2, "b")]),
        ("1,x,\n2,b\n", "", WIDTHS.format(3, 2)),
        ("1,x\n2,b,,\n", "", WIDTHS.format(4, 2)),
        ('1,x\n2,b,""\n', "FIELD_OPTIONALLY_ENCLOSED_BY = '\"'", WIDTHS.format(3, 2)),
        ("1::a::\n", "FIELD_DELIMITER = '::'", WIDTHS.format(3, 2)),
        ('1,"a::b"\n', "FIELD_OPTIONALLY_ENCLOSED_BY = '\"'", [(1, "a::b")]),
        ('1::"a::b"\n', "FIELD_DELIMITER = '::' FIELD_OPTIONALLY_ENCLOSED_BY = '\"'", [(1, "a::b")]),
        ("1,a\\,b\n", "", "A backslash"),
        ('1,a"b\\,c"\n', "FIELD_OPTIONALLY_ENCLOSED_BY = '\"'", "A backslash"),
        ('1,5" wide\n2,"C:\\x"\n', "FIELD_OPTIONALLY_ENCLOSED_BY = '\"'", [(1, '5" wide'), (2, "C:\\x")]),
        ('1,"C:\\x\n\\y""\\"\n', "FIELD_OPTIONALLY_ENCLOSED_BY = '\"'", [(1, 'C:\\x\n\\y"\\')]),
        ("A\\B,C\n1,a\n", "SKIP_HEADER = 1", [(1, "a")]),
        ("1\x01a,\n", "FIELD_DELIMITER = '0x01'", [(1, "a,")]),
        ("1\x01a,\n", "FIELD_DELIMITER = '\\\\x01'", [(1, "a,")]),
        ("1\x01a,\n", "FIELD_DELIMITER = '\\\\001'", [(1, "a,")]),
        ("1\ta,\n", "FIELD_DELIMITER = '\\\\t'", [(1, "a,")]),
        ("1¢a\n", "FIELD_DELIMITER = '\\\\xC2\\\\xA2'", [(1, "a")]),
        ("1¢a\n", "FIELD_DELIMITER = '0xA2'", "FIELD_DELIMITER = '0xA2' of CSV files is not supported by the local"),
        ("1,a\n", "FIELD_DELIMITER = ':::::'", "FIELD_DELIMITER = ':::::' of CSV files is not supported by the local"),
        ("1,a\n", "FIELD_DELIMITER = '\\001'", "of CSV files is not supported by the local"),
        ('1,"a\\"b"\n', "FIELD_OPTIONALLY_ENCLOSED_BY = '\"' ESCAPE = '\\\\'", "A backslash"),
        (b"1,\xe9\n", "", "Invalid UTF8"),
        ("," * 100_000, LENIENT, "A line of 100001 fields"),
    ],
)
def test_csv_files_are_read_as_snowflake_does_or_not(
    connection: SnowflakeConnection, tmp_path: Path, text: str | bytes, options: str, found: list[Any] | str
) -> None:
    (tmp_path / "odd.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    run(connection, f"PUT file://{tmp_path}/odd.csv @S/odd")
    run(connection, "CREATE TABLE O (A INT, B VARCHAR)")
    command = f"COPY INTO O FROM @S/odd FILE_FORMAT = (TYPE = CSV {options})"
    if isinstance(found, str):
        assert found in error(connection, command)[1]
    else:
        run(connection, command)
        assert run(connection, "SELECT * FROM O ORDER BY A") == found


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("compression", ["AUTO", "NONE", "GZIP", "ZSTD"])
def test_errors_of_lines_count_for_on_error(
    connection: SnowflakeConnection, tmp_path: Path, end: str, compression: str
) -> None:
    lines = ["1,a", "", "2,b,", '3,"c"', "4,,,", "5,e", ""]
    text = "".join(line + end for line in lines).encode()
    packed = {"GZIP": gzip.compress, "ZSTD": lambda data: pa.compress(data, "zstd", asbytes=True)}
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "odd.csv").write_bytes(packed.get(compression, bytes)(text))
    run(connection, f"PUT file://{tmp_path}/odd/odd.csv @S/in AUTO_COMPRESS = FALSE SOURCE_COMPRESSION = NONE")
    given = f"FILE_FORMAT = (TYPE = CSV COMPRESSION = {compression} FIELD_OPTIONALLY_ENCLOSED_BY = '\"')"
    (row,) = copy(connection, f"@S/in FILES = ('odd.csv') {given} ON_ERROR = SKIP_FILE")
    assert (row["status"], row["rows_parsed"], row["errors_seen"]) == ("LOAD_FAILED", 6, 3)
    (row,) = copy(connection, f"@S/in FILES = ('odd.csv') {given} ON_ERROR = SKIP_FILE_3")
    assert (row["status"], row["rows_loaded"]) == ("LOAD_FAILED", 0)
    (row,) = copy(connection, f"@S/in FILES = ('odd.csv') {given} ON_ERROR = CONTINUE")
    assert (row["status"], row["rows_parsed"], row["rows_loaded"], row["errors_seen"]) == ("PARTIALLY_LOADED", 6, 3, 3)
    assert (row["first_error_line"], WIDTHS.format(1, 2) in row["first_error"]) == (2, True)
    assert run(connection, "SELECT * FROM T ORDER BY ID") == [(1, "a"), (3, "c"), (5, "e")]


def test_a_query_reads_empty_lines_as_one_empty_field(connection: SnowflakeConnection, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("1,a\n\n2,b\n\n")
    run(connection, f"PUT file://{tmp_path}/empty.csv @S/empty AUTO_COMPRESS = FALSE")
    query = "SELECT METADATA$FILENAME, METADATA$FILE_ROW_NUMBER, $1, $2 FROM @S/empty ORDER BY 2"
    name = "empty/empty.csv"
    assert run(connection, query) == [(name, 1, "1", "a"), (name, 2, None, None), (name, 3, "2", "b")]
    run(connection, "CREATE FILE FORMAT FULL TYPE = CSV SKIP_BLANK_LINES = TRUE")
    query = "SELECT $1, $2 FROM @S/empty (FILE_FORMAT => 'FULL') ORDER BY 1"
    assert run(connection, query) == [("1", "a"), ("2", "b")]


@pytest.mark.parametrize(
    ("text", "options", "found"),
    [
        ("1\n\n2\n\n", "SKIP_BLANK_LINES = TRUE", ["1", "2"]),
        ("1\r\n\r\n\r\n2", "SKIP_BLANK_LINES = TRUE", ["1", "2"]),
        ("1\n\n2\n", "", ["1", "2", None]),
        ("1,\n2\n", "", WIDTHS.format(2, 1)),
        ("1,a\n2|\n", "FIELD_DELIMITER = NONE", ["1,a", "2|"]),
        ('"a\nb,"\n2\n', "FIELD_DELIMITER = NONE FIELD_OPTIONALLY_ENCLOSED_BY = '\"'", ["2", "a\nb,"]),
    ],
)
def test_lines_of_one_field(
    connection: SnowflakeConnection, tmp_path: Path, text: str, options: str, found: list[str | None] | str
) -> None:
    (tmp_path / "one.csv").write_bytes(text.encode())
    run(connection, f"PUT file://{tmp_path}/one.csv @S/one")
    run(connection, "CREATE TABLE ONE (A VARCHAR)")
    command = f"COPY INTO ONE FROM @S/one FILE_FORMAT = (TYPE = CSV {options})"
    if isinstance(found, str):
        assert found in error(connection, command)[1]
    else:
        run(connection, command)
        assert run(connection, "SELECT A FROM ONE ORDER BY A") == [(value,) for value in found]


def test_delimiters_of_files_that_are_unloaded(connection: SnowflakeConnection, tmp_path: Path) -> None:
    given = "FILE_FORMAT = (TYPE = CSV COMPRESSION = NONE FIELD_DELIMITER = {}) SINGLE = TRUE"
    hexadecimal = given.format("'0x01'")
    run(connection, f"COPY INTO @S/out/x.csv FROM (SELECT 1, 'a,b') {hexadecimal}")
    run(connection, f"GET @S/out/x.csv file://{tmp_path}")
    assert (tmp_path / "x.csv").read_bytes() == b"1\x01a,b\n"
    colons = "'::'"
    run(connection, f"COPY INTO @S/long/y.csv FROM (SELECT 1, 'a::b:') {given.format(colons)}")
    run(connection, f"GET @S/long/y.csv file://{tmp_path}")
    assert (tmp_path / "y.csv").read_bytes() == b"1::a\\::b:\n"
    message = error(connection, f"COPY INTO @S/none/x.csv FROM (SELECT 1, 2) {given.format('NONE')}")[1]
    assert "FIELD_DELIMITER = NONE is not supported by the local Snowflake" in message


def test_a_query_reads_lines_of_any_width(connection: SnowflakeConnection) -> None:
    rows = run(connection, "SELECT $1, $3, $7 FROM @S/in/mixed.csv ORDER BY METADATA$FILE_ROW_NUMBER")
    assert rows[:4] == [("1", None, None), ("2", None, None), ("x", None, None), ("3", "c", None)]
    assert run(connection, "SELECT COUNT(*) FROM @S/in/mixed.csv") == [(7,)]


def test_a_query_reads_line_breaks_within_quotes(connection: SnowflakeConnection, tmp_path: Path) -> None:
    (tmp_path / "broken.csv").write_text('1,"a\nb"\n2\n3,"c\r\n\nd",x\n')
    run(connection, "CREATE STAGE Q FILE_FORMAT = (TYPE = CSV FIELD_OPTIONALLY_ENCLOSED_BY = '\"')")
    run(connection, f"PUT file://{tmp_path}/broken.csv @Q")
    found = [("1", "a\nb", None), ("2", None, None), ("3", "c\r\n\nd", "x")]
    assert run(connection, "SELECT $1, $2, $3 FROM @Q ORDER BY 1") == found
    run(connection, "CREATE TABLE B AS SELECT $1 AS A, $2 AS B, $3 AS C FROM @Q")
    assert run(connection, "SELECT * FROM B ORDER BY A") == found
    run(connection, "TRUNCATE TABLE B")
    run(connection, "COPY INTO B FROM (SELECT $1, $2, $3 FROM @Q)")
    assert run(connection, "SELECT * FROM B ORDER BY A") == found
    run(connection, "UPDATE B SET B = 'old'")
    given = "MERGE INTO B USING (SELECT $1 AS A, $2 AS B FROM @Q) AS N ON B.A = N.A"
    run(connection, f"{given} WHEN MATCHED THEN UPDATE SET B = N.B")
    assert run(connection, "SELECT * FROM B ORDER BY A") == found


def test_values_in_a_csv_file_have_snowflakes_text(connection: SnowflakeConnection) -> None:
    columns = (
        "'2024-01-02 03:04:05.678'::TIMESTAMP_NTZ AS A, "
        "'2024-01-02 03:04:05 +05:30'::TIMESTAMP_TZ::TIMESTAMP_LTZ AS B, "
        "2::FLOAT AS C, 1.50 AS D, TRUE AS E, '2024-01-02'::DATE AS F, '03:04:05'::TIME AS G"
    )
    run(connection, "ALTER SESSION SET TIMEZONE = 'Asia/Tokyo'")
    run(connection, f"COPY INTO @S/out/x FROM (SELECT {columns}) FILE_FORMAT = (COMPRESSION = NONE)")
    assert run(connection, "SELECT $1, $2, $3, $4, $5, $6, $7 FROM @S/out/") == [
        ("2024-01-02 03:04:05.678", "2024-01-02 06:34:05.000 +0900", "2", "1.50", "true", "2024-01-02", "03:04:05")
    ]
    run(connection, "CREATE TABLE BACK (A TIMESTAMP_NTZ, B TIMESTAMP_LTZ)")
    run(connection, "COPY INTO BACK FROM (SELECT $1, $2 FROM @S/out/)")
    query = "SELECT B = '2024-01-02 03:04:05 +05:30'::TIMESTAMP_TZ, A = '2024-01-02 03:04:05.678' FROM BACK"
    assert run(connection, query) == [(True, True)]


def test_json_files_with_a_key_twice(connection: SnowflakeConnection, tmp_path: Path) -> None:
    (tmp_path / "twice.json").write_text('{"a": 1}\n{"a": {"b": 1, "b": 2}}\n')
    (tmp_path / "once.json").write_text('{"a": {"a": 1}}\n[{"a": 2}, {"a": 3}]\n')
    run(connection, f"PUT file://{tmp_path}/*.json @S/json AUTO_COMPRESS = FALSE")
    run(connection, "CREATE TABLE J (V VARIANT)")
    rest = "FILE_FORMAT = (TYPE = JSON)"
    errno, message = error(connection, f"COPY INTO J FROM @S/json FILES = ('twice.json') {rest}")
    assert (errno, 'duplicate object attribute "b"' in message) == (100069, True)
    (row,) = copy(connection, f"@S/json FILES = ('once.json') {rest}", "J")
    assert (row["status"], run(connection, "SELECT V:a:a::INT, V[1]:a::INT FROM J")) == (
        "LOADED",
        [(1, None), (None, 3)],
    )


@pytest.mark.parametrize(
    ("kind", "file_format", "words"),
    [
        ("TIMESTAMP_TZ", "CSV", "not supported by the local Snowflake"),
        ("TIMESTAMP_TZ", "PARQUET", "value get: TIMESTAMP_TZ"),
        ("TIMESTAMP_LTZ", "PARQUET", "value get: TIMESTAMP_LTZ"),
    ],
)
def test_moments_that_a_file_cannot_hold(
    connection: SnowflakeConnection, kind: str, file_format: str, words: str
) -> None:
    query = f"SELECT '2024-01-02 03:04:05 +05:30'::{kind} AS A"
    message = error(connection, f"COPY INTO @S/out/x FROM ({query}) FILE_FORMAT = (TYPE = {file_format})")[1]
    assert words in message
    assert run(connection, "LIST @S/out/") == []


def test_a_field_that_no_row_has_is_null_whatever_its_number(connection: SnowflakeConnection) -> None:
    run(connection, "COPY INTO @S/few/x.csv FROM (SELECT 1, 2) FILE_FORMAT = (COMPRESSION = NONE) SINGLE = TRUE")
    assert run(connection, "SELECT $2, $5, $99999999999999999999 FROM @S/few/") == [("2", None, None)]


@pytest.mark.parametrize("width", [10, 11, 101])
def test_files_of_many_columns(connection: SnowflakeConnection, width: int) -> None:
    fields = ", ".join(map(str, range(width)))
    run(connection, f"COPY INTO @S/wide/x.csv FROM (SELECT {fields}) FILE_FORMAT = (COMPRESSION = NONE) SINGLE = TRUE")
    run(connection, f"CREATE TABLE WIDE ({', '.join(f'C{number} INT' for number in range(width))})")
    assert copy(connection, "@S/wide/", "WIDE")[0]["rows_loaded"] == 1
    assert run(connection, "SELECT * FROM WIDE") == [tuple(range(width))]
    assert run(connection, f"SELECT $1, $10, ${width} FROM @S/wide/") == [("0", "9", str(width - 1))]


def test_the_pattern_covers_the_path_in_the_stage(connection: SnowflakeConnection) -> None:
    assert copy(connection, "@S/in PATTERN = 'good.*'")[0]["status"] == "Copy executed with 0 files processed."
    assert copy(connection, "@S/in PATTERN = 'in/good.*'")[0]["file"] == "s/in/good.csv"
    assert copy(connection, "@S/in PATTERN = '.*good[.]csv' FORCE = TRUE")[0]["status"] == "LOADED"


def test_size_limit_and_return_failed_only(connection: SnowflakeConnection) -> None:
    assert len(copy(connection, "@S/in SIZE_LIMIT = 1 ON_ERROR = CONTINUE")) == 1
    rows = copy(connection, "@S/in FORCE = TRUE ON_ERROR = CONTINUE RETURN_FAILED_ONLY = TRUE")
    assert [row["file"] for row in rows] == ["s/in/mixed.csv"]


def test_an_unknown_on_error(connection: SnowflakeConnection) -> None:
    errno, message = error(connection, "COPY INTO T FROM @S/in ON_ERROR = MAYBE")
    assert (errno, "MAYBE" in message) == (1003, True)


def test_unloading_by_partition(connection: SnowflakeConnection, tmp_path: Path) -> None:
    run(
        connection,
        "COPY INTO @S/out FROM (SELECT COLUMN1 AS A, COLUMN2 AS B FROM VALUES (1, 'x'), (2, 'y'), (3, 'x'), (4, NULL)) "
        "PARTITION BY ('b=' || B) FILE_FORMAT = (TYPE = PARQUET) HEADER = TRUE",
    )
    folders = [name.rpartition("/")[0] for name in names(connection, "@S/out")]
    assert folders == ["s/out/_NULL_", "s/out/b=x", "s/out/b=y"]
    run(connection, f"GET @S/out/b=x file://{tmp_path}")
    (file,) = tmp_path.glob("data_*.parquet")
    table = pq.ParquetFile(file).read()
    assert table.to_pydict() == {"A": [1, 3], "B": ["x", "x"]}
    assert "OVERWRITE" in error(connection, "COPY INTO @S/o FROM T PARTITION BY (NAME) OVERWRITE = TRUE")[1]
    escape = "COPY INTO @S/o FROM (SELECT '../../x' AS P) PARTITION BY (P) FILE_FORMAT = (TYPE = CSV)"
    assert error(connection, escape)[0] == 100173
    assert names(connection, "@S/o/") == []


@pytest.mark.parametrize("kind", ["CSV", "PARQUET", "JSON"])
def test_no_rows_make_no_file(connection: SnowflakeConnection, kind: str) -> None:
    query = "SELECT OBJECT_CONSTRUCT('a', 1) AS A FROM VALUES (1) WHERE COLUMN1 > 1"
    assert run(connection, f"COPY INTO @S/none/ FROM ({query}) FILE_FORMAT = (TYPE = {kind})") == [(0, 0, 0)]
    assert names(connection, "@S/none/") == []


@pytest.mark.parametrize("kind", ["TYPE = CSV COMPRESSION = NONE", "TYPE = CSV", "TYPE = PARQUET"])
def test_files_end_near_their_limit(connection: SnowflakeConnection, kind: str) -> None:
    query = "SELECT SEQ4() AS A, SHA2(SEQ4()::VARCHAR) AS B FROM TABLE(GENERATOR(ROWCOUNT => 20000))"
    run(connection, f"COPY INTO @S/cut/ FROM ({query}) FILE_FORMAT = ({kind}) MAX_FILE_SIZE = 300000")
    sizes = [row[1] for row in run(connection, "LIST @S/cut/")]
    assert len(sizes) > 2
    assert max(sizes) < 600_000


@pytest.mark.parametrize(("compression", "ending"), [("GZIP", ".gz"), ("ZSTD", ".zst"), ("NONE", "csv")])
def test_compressed_text_is_read_again(connection: SnowflakeConnection, compression: str, ending: str) -> None:
    given = f"FILE_FORMAT = (TYPE = CSV COMPRESSION = {compression})"
    run(connection, f"COPY INTO @S/z/ FROM (SELECT 1 AS A, 'b' AS B) {given}")
    assert all(name.endswith(ending) for name in names(connection, "@S/z/"))
    copy(connection, f"@S/z/ {given}")
    assert run(connection, "SELECT * FROM T") == [(1, "b")]


def test_a_restart_keeps_the_load_history(tmp_path: Path) -> None:
    with LocalServer(tmp_path / "state") as server:
        connection = snowflake.connector.connect(**server.connection_kwargs)
        run(connection, "CREATE STAGE S")
        run(connection, "COPY INTO @S/a FROM (SELECT 1 AS A) FILE_FORMAT = (TYPE = CSV)")
        run(connection, "CREATE TABLE T (A INT)")
        assert copy(connection, "@S/a")[0]["status"] == "LOADED"
        server.kill()
        server.start()
        again = snowflake.connector.connect(**server.connection_kwargs)
        assert copy(again, "@S/a")[0]["status"] == "LOAD_SKIPPED"
        again.close()


def test_copy_without_from_reads_the_tables_own_stage(
    connection: SnowflakeConnection, schema: str, tmp_path: Path
) -> None:
    (tmp_path / "rows.csv").write_text("1,a\n2,b\n")
    for table in ("T", '"low er"'):
        run(connection, f"CREATE OR REPLACE TABLE {table} (A INT, B VARCHAR)")
    run(connection, f"PUT file://{tmp_path}/rows.csv @%T AUTO_COMPRESS = FALSE")
    assert run(connection, "COPY INTO T FILE_FORMAT = (TYPE = CSV) PURGE = TRUE")[0][:4] == (
        "rows.csv",
        "LOADED",
        2,
        2,
    )
    assert run(connection, "COPY INTO T") == [("Copy executed with 0 files processed.",)]
    assert run(connection, 'COPY INTO "low er"') == [("Copy executed with 0 files processed.",)]
    assert run(connection, "SELECT * FROM T ORDER BY A") == [(1, "a"), (2, "b")]


@pytest.mark.parametrize("expression", ["B", "(B)", "'p=' || B", "UPPER(B) || '/x'"])
def test_partition_by_takes_an_expression_without_parentheses(
    connection: SnowflakeConnection, schema: str, expression: str
) -> None:
    run(connection, "CREATE OR REPLACE TABLE T AS SELECT * FROM VALUES (1, 'a'), (2, 'b') AS V (A, B)")
    run(connection, "CREATE STAGE U")
    run(connection, f"COPY INTO @U/out/ FROM T PARTITION BY {expression} FILE_FORMAT = (TYPE = PARQUET)")
    folders = {row[0].rpartition("/")[0] for row in run(connection, "LIST @U")}
    values = {row[0] for row in run(connection, f"SELECT {expression} FROM T")}
    assert folders == {f"u/out/{value}" for value in values}


def test_partition_by_nothing_is_an_error(connection: SnowflakeConnection, schema: str) -> None:
    run(connection, "CREATE STAGE U")
    run(connection, "CREATE OR REPLACE TABLE T (A INT)")
    with pytest.raises(snowflake.connector.errors.ProgrammingError, match="expected an expression"):
        run(connection, "COPY INTO @U/out/ FROM T PARTITION BY FILE_FORMAT = (TYPE = PARQUET)")


@pytest.mark.parametrize("method", ["ROW", "BERNOULLI", "BLOCK", "SYSTEM", ""])
def test_samples_by_percent(connection: SnowflakeConnection, schema: str, method: str) -> None:
    run(connection, "CREATE OR REPLACE TABLE T AS SELECT SEQ4() AS A FROM TABLE(GENERATOR(ROWCOUNT => 100))")
    assert run(connection, f"SELECT COUNT(*) FROM T SAMPLE {method} (100)") == [(100,)]


def test_formats_of_dates_and_times(connection: SnowflakeConnection, tmp_path: Path) -> None:
    (tmp_path / "dates.csv").write_text("31/01/2024,10-11-12,01/02/2024 03:04,x\n,,,y\n")
    run(connection, f"PUT file://{tmp_path}/dates.csv @S/dates")
    run(connection, "CREATE TABLE DATES (D DATE, T TIME, M TIMESTAMP_NTZ, S VARCHAR)")
    given = "TYPE = CSV TIME_FORMAT = 'HH24-MI-SS' TIMESTAMP_FORMAT = 'DD/MM/YYYY HH24:MI' DATE_FORMAT = '{}'"
    run(connection, f"CREATE FILE FORMAT GIVEN {given.format('DD/MM/YYYY')}")
    run(connection, f"CREATE FILE FORMAT OTHER {given.format('MM/DD/YYYY')}")
    copy(connection, "@S/dates FILE_FORMAT = (FORMAT_NAME = 'GIVEN')", "DATES")
    first = (datetime.date(2024, 1, 31), datetime.time(10, 11, 12), datetime.datetime(2024, 2, 1, 3, 4), "x")
    assert run(connection, "SELECT * FROM DATES ORDER BY S") == [first, (None, None, None, "y")]
    (row,) = copy(
        connection, "@S/dates FILE_FORMAT = (FORMAT_NAME = 'OTHER') FORCE = TRUE ON_ERROR = CONTINUE", "DATES"
    )
    assert (row["rows_loaded"], row["errors_seen"], row["first_error_column_name"]) == (1, 1, '"DATES"["D"]')
    loads = "COPY INTO DATES (D) FROM (SELECT $1 FROM @S/dates) FILE_FORMAT = (FORMAT_NAME = 'GIVEN')"
    assert "of CSV files in a query" in error(connection, loads)[1]
