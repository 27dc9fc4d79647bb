"""Stages through the real driver: files up and down, listing, loading, unloading, queries over files.

Also tests ``local/stages/files.py``, ``local/stages/reading.py``, ``local/stages/stage_statements.py``,
``local/stages/transfers.py``.
"""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import snowflake.connector
from snowflake.connector import SnowflakeConnection
from snowflake.connector.errors import ProgrammingError

from airflow_provider_snowflake_batch.local.server_process import LocalServer

pytestmark = pytest.mark.usefixtures("stage")


@pytest.fixture
def stage(connection: SnowflakeConnection, schema: str) -> str:
    run(connection, "CREATE STAGE S DIRECTORY = (ENABLE = TRUE) ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')")
    return f"@LOCAL.{schema}.S"


def run(connection: SnowflakeConnection, sql: str, parameters: Any = None) -> list[Any]:
    cursor = connection.cursor().execute(sql, parameters)
    assert cursor is not None
    return cursor.fetchall()


def names(connection: SnowflakeConnection, location: str, **options: str) -> list[str]:
    clause = "".join(f" {name.upper()} = '{value}'" for name, value in options.items())
    return [row[0] for row in run(connection, f"LIST {location}{clause}")]


def test_put_list_get_remove(connection: SnowflakeConnection, tmp_path: Path) -> None:
    (tmp_path / "a one.csv").write_bytes(b"1,2\n")
    (tmp_path / "b.txt").write_bytes(b"text")
    assert run(connection, f"PUT 'file://{tmp_path}/a one.csv' @S/in AUTO_COMPRESS = FALSE")[0][6] == "UPLOADED"
    assert run(connection, f"PUT file://{tmp_path}/b.txt @S/in")[0][1] == "b.txt.gz"
    listed = run(connection, "LIST @S")
    assert [row[0] for row in listed] == ["s/in/a one.csv", "s/in/b.txt.gz"]
    assert listed[0][1:3] == (4, hashlib.md5(b"1,2\n").hexdigest())
    assert listed[0][3].endswith(" GMT")
    assert names(connection, "@S/in", pattern=".*[.]gz") == ["s/in/b.txt.gz"]
    assert names(connection, "@S/in/a") == ["s/in/a one.csv"]
    assert names(connection, "@S/none") == []
    (tmp_path / "out").mkdir()
    assert run(connection, f"GET @S/in file://{tmp_path}/out") == [
        ("a one.csv", 4, "DOWNLOADED", ""),
        ("b.txt.gz", (tmp_path / "out" / "b.txt.gz").stat().st_size, "DOWNLOADED", ""),
    ]
    assert gzip.decompress((tmp_path / "out" / "b.txt.gz").read_bytes()) == b"text"
    assert run(connection, "REMOVE @S/in PATTERN = '.*one.*'") == [("s/in/a one.csv", "removed")]
    assert names(connection, "@S") == ["s/in/b.txt.gz"]


def test_put_takes_globs_and_quoted_stages(connection: SnowflakeConnection, schema: str, tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"part{number}.csv").write_text(str(number))
    uploaded = run(connection, f"""PUT file://{tmp_path}/part*.csv '@"LOCAL"."{schema}"."S"/x' AUTO_COMPRESS=FALSE""")
    assert [row[1] for row in uploaded] == ["part0.csv", "part1.csv", "part2.csv"]
    assert names(connection, "@S/x") == ["s/x/part0.csv", "s/x/part1.csv", "s/x/part2.csv"]


def test_put_keeps_what_is_there_unless_told(connection: SnowflakeConnection, tmp_path: Path) -> None:
    file = tmp_path / "f.txt"
    for text, overwrite, expected in (("one", "", "one"), ("two", "", "one"), ("three", "OVERWRITE=TRUE", "three")):
        file.write_text(text)
        run(connection, f"PUT file://{file} @S AUTO_COMPRESS=FALSE {overwrite}")
        (tmp_path / "got").mkdir(exist_ok=True)
        run(connection, f"GET @S/f.txt file://{tmp_path}/got")
        assert (tmp_path / "got" / "f.txt").read_text() == expected


def test_put_of_nothing_and_to_nowhere(connection: SnowflakeConnection, tmp_path: Path) -> None:
    with pytest.raises(ProgrammingError, match="File (doesn't|does not) exist"):
        run(connection, f"PUT file://{tmp_path}/none.csv @S")
    with pytest.raises(ProgrammingError, match="does not exist or not authorized") as caught:
        run(connection, f"PUT file://{tmp_path}/none.csv @NOPE")
    assert caught.value.errno == 2003


def test_user_and_table_stages(connection: SnowflakeConnection, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("7\n")
    run(connection, "CREATE TABLE T (A INT)")
    run(connection, f"PUT file://{tmp_path}/t.csv @%T")
    assert names(connection, "@%T") == ["t.csv.gz"]
    assert run(connection, "COPY INTO T FROM @%T")[0][1] == "LOADED"
    assert run(connection, "SELECT * FROM T") == [(7,)]
    run(connection, f"PUT file://{tmp_path}/t.csv @~/mine OVERWRITE=TRUE")
    assert "mine/t.csv.gz" in names(connection, "@~")
    run(connection, "RM @~/mine")


def test_temporary_stages_end_with_their_session(local_server: LocalServer, connect: Any, schema: str) -> None:
    first, second = connect(schema=schema), connect(schema=schema)
    run(first, "CREATE SCOPED TEMPORARY STAGE TMP")
    assert [row[10] for row in run(first, "SHOW STAGES LIKE 'tmp'")] == ["INTERNAL TEMPORARY"]
    assert run(second, "SHOW STAGES LIKE 'TMP'") == []
    folders = [folder for folder in (local_server.state_dir / "stages").rglob("TMP") if schema in str(folder)]
    assert len(folders) == 1
    first.close()
    assert not folders[0].exists()


def test_create_show_describe_drop(connection: SnowflakeConnection) -> None:
    run(connection, "CREATE STAGE IF NOT EXISTS S")
    with pytest.raises(ProgrammingError) as caught:
        run(connection, "CREATE STAGE S")
    assert caught.value.errno == 2002
    assert {row[1]: row[3] for row in run(connection, "DESCRIBE STAGE S")}["ENABLE"] == "true"
    assert run(connection, "SHOW STAGES LIKE 's'")[0][16] == "Y"
    run(connection, "ALTER STAGE S SET COMMENT = 'new'")
    assert run(connection, "SHOW STAGES LIKE 'S'")[0][8] == "new"
    run(connection, "DROP STAGE S")
    assert run(connection, "DROP STAGE IF EXISTS S")[0][0].startswith("Drop statement executed successfully")


def test_csv_options(connection: SnowflakeConnection, tmp_path: Path) -> None:
    (tmp_path / "q.csv").write_text('id;name\n1;"a;b"\n2;NULL\n3;\n')
    run(connection, f"PUT file://{tmp_path}/q.csv @S")
    run(
        connection,
        "CREATE FILE FORMAT F TYPE = CSV FIELD_DELIMITER = ';' SKIP_HEADER = 1 "
        "FIELD_OPTIONALLY_ENCLOSED_BY = '\"' NULL_IF = ('NULL')",
    )
    rows = run(connection, "SELECT $1::INT, $2, METADATA$FILENAME FROM @S/q (FILE_FORMAT => 'F')")
    assert rows == [(1, "a;b", "q.csv.gz"), (2, None, "q.csv.gz"), (3, None, "q.csv.gz")]
    run(connection, "CREATE TABLE T (ID INT, NAME STRING)")
    assert run(connection, "COPY INTO T FROM @S FILE_FORMAT = (FORMAT_NAME = 'F')")[0][:4] == (
        "s/q.csv.gz",
        "LOADED",
        3,
        3,
    )
    assert run(connection, "COPY INTO T FROM @S FILE_FORMAT = (FORMAT_NAME = 'F')")[0][1] == "LOAD_SKIPPED"
    assert run(connection, "COPY INTO T FROM @S FILE_FORMAT = (FORMAT_NAME = 'F') FORCE = TRUE")[0][1] == "LOADED"
    assert run(connection, "SELECT COUNT(*) FROM T") == [(6,)]


def test_a_file_that_does_not_fit_loads_nothing(connection: SnowflakeConnection, tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("1\n2\n")
    (tmp_path / "2.csv").write_text("3\nx\n")
    run(connection, f"PUT file://{tmp_path}/*.csv @S/bad")
    run(connection, "CREATE TABLE T (A INT)")
    with pytest.raises(ProgrammingError, match="Numeric value 'x' is not recognized") as caught:
        run(connection, "COPY INTO T FROM @S/bad")
    assert caught.value.errno == 100038
    assert run(connection, "SELECT COUNT(*) FROM T") == [(0,)]


def test_parquet_columns_by_name_and_by_expression(connection: SnowflakeConnection, tmp_path: Path) -> None:
    table = pa.table({"ID": [1, 2], "name": ["a", None], "nested": [{"x": [1, 2]}, None]})
    pq.write_table(table, tmp_path / "p.parquet")
    run(connection, f"PUT file://{tmp_path}/p.parquet @S/p")
    run(connection, "CREATE FILE FORMAT P TYPE = PARQUET")
    assert run(
        connection,
        """SELECT $1:ID::INT, $1:"name"::STRING, $1:"nested":x[1]::INT, $1:NONE FROM @S/p (FILE_FORMAT => P)""",
    ) == [
        (1, "a", 2, None),
        (2, None, None, None),
    ]
    inferred = run(connection, "SELECT * FROM TABLE(INFER_SCHEMA(LOCATION => '@S/p', FILE_FORMAT => 'P'))")
    assert [row[:2] for row in inferred] == [("ID", "NUMBER(38, 0)"), ("name", "TEXT"), ("nested", "VARIANT")]
    run(connection, "CREATE TABLE T (NAME STRING, ID INT, EXTRA INT)")
    run(connection, "COPY INTO T FROM @S/p FILE_FORMAT = (TYPE = PARQUET) MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE")
    assert run(connection, "SELECT * FROM T ORDER BY ID") == [("a", 1, None), (None, 2, None)]
    run(connection, "CREATE TABLE V (V VARIANT)")
    run(connection, "COPY INTO V FROM @S/p FILE_FORMAT = (TYPE = PARQUET)")
    assert run(connection, """SELECT V:"name"::STRING FROM V ORDER BY V:ID""") == [("a",), (None,)]
    with pytest.raises(ProgrammingError) as caught:
        run(connection, "COPY INTO T FROM @S/p FILE_FORMAT = (TYPE = PARQUET)")
    assert caught.value.errno == 2019


def test_unload_parquet(
    connection: SnowflakeConnection, local_server: LocalServer, schema: str, tmp_path: Path
) -> None:
    run(
        connection,
        """CREATE TABLE T AS SELECT SEQ4() AS "Id", 'x' AS NAME, 1.5::FLOAT AS F, OBJECT_CONSTRUCT('k', 1) AS O
        FROM TABLE(GENERATOR(ROWCOUNT => 1000))""",
    )
    unloaded = run(connection, "COPY INTO @S/out/ FROM T FILE_FORMAT = (TYPE = PARQUET) HEADER = TRUE")
    assert unloaded[0][0] == 1000
    assert names(connection, "@S/out") == ["s/out/data_0_0_0.snappy.parquet"]
    with pytest.raises(ProgrammingError, match="Files already existing"):
        run(connection, "COPY INTO @S/out/ FROM T FILE_FORMAT = (TYPE = PARQUET)")
    run(connection, "COPY INTO @S/out/ FROM T FILE_FORMAT = (TYPE = PARQUET) HEADER = TRUE OVERWRITE = TRUE")
    run(connection, f"GET @S/out file://{tmp_path}")
    table = pq.read_table(tmp_path / "data_0_0_0.snappy.parquet")
    assert table.column_names == ["Id", "NAME", "F", "O"]
    assert table.schema.field("Id").type == pa.int64()
    assert table["O"][0].as_py() == '{"k":1}'
    run(connection, "COPY INTO @S/small/ FROM T FILE_FORMAT = (TYPE = PARQUET) MAX_FILE_SIZE = 1000")
    assert (
        run(connection, "COPY INTO @S/none/ FROM (SELECT * FROM T WHERE FALSE) FILE_FORMAT = (TYPE = PARQUET)")[0][0]
        == 0
    )


def test_unload_csv_and_json(connection: SnowflakeConnection, tmp_path: Path) -> None:
    run(
        connection,
        """COPY INTO @S/c/x.csv FROM (SELECT 1 AS A, 'b,c' AS B, NULL AS C) SINGLE = TRUE HEADER = TRUE
        FILE_FORMAT = (TYPE = CSV COMPRESSION = NONE FIELD_OPTIONALLY_ENCLOSED_BY = '"' NULL_IF = (''))""",
    )
    run(connection, f"GET @S/c file://{tmp_path}")
    assert (tmp_path / "x.csv").read_text() == '"A","B","C"\n1,"b,c",\n'
    run(connection, "COPY INTO @S/j/ FROM (SELECT OBJECT_CONSTRUCT('a', 1)) FILE_FORMAT = (TYPE = JSON)")
    run(connection, "CREATE FILE FORMAT J TYPE = JSON")
    assert run(connection, "SELECT $1:a::INT FROM @S/j (FILE_FORMAT => 'J')") == [(1,)]


def test_numbers_of_unloaded_csv_stand_in_no_quotes(connection: SnowflakeConnection, tmp_path: Path) -> None:
    run(
        connection,
        """COPY INTO @S/n/x.csv FROM (SELECT 1.5::NUMBER(10,2) A, NULL::NUMBER(10,2) B, 2.5::FLOAT C, 12345678901 D)
        SINGLE = TRUE FILE_FORMAT = (TYPE = CSV COMPRESSION = NONE FIELD_OPTIONALLY_ENCLOSED_BY = '"')""",
    )
    run(connection, f"GET @S/n file://{tmp_path}")
    assert (tmp_path / "x.csv").read_text() == "1.50,\\N,2.5,12345678901\n"


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ("", r'1,\N,\N,,x"y,C:\\d,a\,b,2024-01-01,true'),
        ("ESCAPE_UNENCLOSED_FIELD = NONE NULL_IF = ()", r'1,,,,x"y,C:\d,a,b,2024-01-01,true'),
        ("FIELD_DELIMITER = '|'", r'1|\N|\N||x"y|C:\\d|a,b|2024-01-01|true'),
        ("FIELD_OPTIONALLY_ENCLOSED_BY = '\"'", r'1,\N,"\N","","x""y","C:\d","a,b","2024-01-01",true'),
        ("FIELD_OPTIONALLY_ENCLOSED_BY = '\"' NULL_IF = ()", r'1,,,"","x""y","C:\d","a,b","2024-01-01",true'),
        ("FIELD_OPTIONALLY_ENCLOSED_BY = '0x27'", r"""1,\N,'\N','','x"y','C:\d','a,b','2024-01-01',true"""),
    ],
)
def test_values_of_unloaded_csv(connection: SnowflakeConnection, tmp_path: Path, options: str, line: str) -> None:
    values = (
        "1 AS A, NULL::INT AS B, NULL::VARCHAR AS C, '' AS D, 'x\"y' AS E, 'C:\\\\d' AS F, 'a,b' AS G, "
        "'2024-01-01'::DATE AS H, TRUE AS I"
    )
    given = f"FILE_FORMAT = (TYPE = CSV COMPRESSION = NONE {options}) SINGLE = TRUE"
    run(connection, f"COPY INTO @S/c/x.csv FROM (SELECT {values}) {given}")
    run(connection, f"GET @S/c file://{tmp_path}")
    assert (tmp_path / "x.csv").read_text() == f"{line}\n"
    if "ENCLOSED_BY" in options:
        # What was written is read as it was.
        run(connection, f"CREATE TABLE BACK AS SELECT {values} WHERE FALSE")
        run(connection, f"COPY INTO BACK FROM @S/c FILE_FORMAT = (TYPE = CSV {options})")
        assert run(connection, "SELECT * FROM BACK") == run(connection, f"SELECT {values}")


@pytest.mark.parametrize(
    "sql",
    [
        "COPY INTO @S/x FROM (SELECT 1 AS A) VALIDATION_MODE = RETURN_ROWS",
        "COPY INTO @S/x FROM (SELECT 1) FILE_FORMAT = (TYPE = CSV ESCAPE = '\\\\' FIELD_OPTIONALLY_ENCLOSED_BY = '\"')",
        "COPY INTO @S/x FROM (SELECT 1 AS A) FILE_FORMAT = (TYPE = PARQUET COMPRESSION = GZIP)",
        "COPY INTO @S/x FROM (SELECT 1 AS A) FILE_FORMAT = (TYPE = ORC)",
        "COPY INTO T FROM @S VALIDATION_MODE = RETURN_ERRORS",
        "COPY INTO T FROM @S FILE_FORMAT = (TYPE = CSV TRIM_SPACE = TRUE)",
        "COPY INTO @S/x FROM (SELECT CURRENT_DATE) FILE_FORMAT = (TYPE = CSV DATE_FORMAT = 'DD/MM/YYYY')",
        "CREATE STAGE X STORAGE_INTEGRATION = I",
        "SELECT BUILD_SCOPED_FILE_URL(@S, 'x')",
    ],
)
def test_options_that_cannot_be_honoured_are_refused(connection: SnowflakeConnection, sql: str) -> None:
    run(connection, "CREATE TABLE T (A INT)")
    with pytest.raises(snowflake.connector.errors.Error, match="not supported by the local Snowflake"):
        run(connection, sql)


def test_the_directory_table(connection: SnowflakeConnection, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    run(connection, f"PUT file://{tmp_path}/a.txt @S/in AUTO_COMPRESS=FALSE")
    run(connection, "ALTER STAGE S REFRESH")
    rows = run(connection, "SELECT RELATIVE_PATH, SIZE FROM DIRECTORY(@S) WHERE RELATIVE_PATH LIKE 'in/%'")
    assert rows == [("in/a.txt", 1)]
    run(connection, "CREATE STAGE PLAIN")
    run(connection, f"PUT file://{tmp_path}/a.txt @PLAIN")
    assert run(connection, "SELECT * FROM DIRECTORY(@PLAIN)") == []


@pytest.mark.parametrize("kind", ["SCHEMA", "DATABASE"])
def test_what_is_dropped_takes_everything_in_it(connection: SnowflakeConnection, tmp_path: Path, kind: str) -> None:
    def run(sql: str) -> list[Any]:
        return connection.cursor().execute(sql).fetchall()  # type: ignore[union-attr]

    (tmp_path / "rows.csv").write_text("1\n")
    for _ in range(2):
        run("CREATE OR REPLACE DATABASE EMPTIED")
        if kind == "SCHEMA":
            run("CREATE SCHEMA EMPTIED.WORK")
            run("CREATE OR REPLACE SCHEMA EMPTIED.WORK")
        run("CREATE FILE FORMAT LINES TYPE = CSV")
        run("CREATE IMAGE REPOSITORY IMAGES")
        run("CREATE SEQUENCE NUMBERS")
        run("CREATE STAGE FILES")
        run("CREATE TABLE T (A INT)")
        assert run("LIST @%T") == []
        run(f"PUT file://{tmp_path}/rows.csv @%T")
        run("COPY INTO T FROM @%T")
        assert run("SELECT * FROM T") == [(1,)]
        if kind == "SCHEMA":
            run("DROP SCHEMA EMPTIED.WORK")
    run("DROP DATABASE EMPTIED")
    run("USE DATABASE LOCAL")


def test_a_dropped_tables_stage_goes_with_it(connection: SnowflakeConnection, schema: str, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("1\n")
    cursor = connection.cursor()
    for _ in range(2):
        cursor.execute("CREATE TABLE T (A INT)")
        assert cursor.execute("LIST @%T").fetchall() == []  # type: ignore[union-attr]
        cursor.execute(f"PUT file://{tmp_path}/rows.csv @%T")
        cursor.execute("DROP TABLE T")
