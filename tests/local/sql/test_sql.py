"""SQL through the real driver: types both ways, binds, errors, namespaces, temporary tables, transactions.

Also tests ``local/sql/batch_inserts.py``, ``local/sql/binds.py``, ``local/sql/engine.py``,
``local/sql/namespaces.py``, ``local/sql/parameters.py``, ``local/sql/server_functions.py``,
``local/sql/session_statements.py``, ``local/sql/temporary.py``, ``local/sql/transactions.py``,
``local/sql/translate.py``.
"""

from __future__ import annotations

import datetime
import json
import time
from decimal import Decimal
from typing import Any

import pytest
import snowflake.connector
from snowflake.connector import SnowflakeConnection
from snowflake.connector.errors import ProgrammingError

from tests.local.statement_calls import error, execute

COLUMNS = {
    "A": ("INT", -1, "FIXED"),
    "B": ("VARCHAR(10)", "it's \\ é", "TEXT"),
    "C": ("VARIANT", {"a": [1, None]}, "VARIANT"),
    "D": ("OBJECT", {"k": "v"}, "OBJECT"),
    "E": ("ARRAY", [1, 2], "ARRAY"),
    "F": ("TIMESTAMP_LTZ", datetime.datetime(2024, 1, 2, 3, 4, 5, 678000, datetime.UTC), "TIMESTAMP_LTZ"),
    "G": ("TIMESTAMP_TZ", datetime.datetime(2024, 1, 2, 3, 4, 5, 678000, datetime.UTC), "TIMESTAMP_TZ"),
    "H": ("TIMESTAMP_NTZ", datetime.datetime(1969, 12, 31, 23, 59, 59, 500000), "TIMESTAMP_NTZ"),
    "I": ("NUMBER(10,2)", Decimal("-1.50"), "FIXED"),
    "J": ("NUMBER(30,5)", Decimal("-123456789012345.12345"), "FIXED"),
    "K": ("BINARY", b"\x00\xab", "BINARY"),
    "L": ("TIME", datetime.time(1, 2, 3, 4000), "TIME"),
    "M": ("FLOAT", 1.5, "REAL"),
    "N": ("DATE", datetime.date(1969, 12, 31), "DATE"),
    "O": ("BOOLEAN", True, "BOOLEAN"),
}


@pytest.mark.parametrize("paramstyle", ["pyformat", "qmark"])
@pytest.mark.parametrize("result_format", ["ARROW", "JSON"])
def test_every_type_goes_in_by_bind_and_comes_back(
    connect: Any, schema: str, paramstyle: str, result_format: str
) -> None:
    connection = connect(
        schema=schema,
        paramstyle=paramstyle,
        session_parameters={"PYTHON_CONNECTOR_QUERY_RESULT_FORMAT": result_format, "TIMEZONE": "UTC"},
    )
    execute(connection, f"CREATE TABLE T ({', '.join(f'{name} {kind}' for name, (kind, _, _) in COLUMNS.items())})")
    marker = "?" if paramstyle == "qmark" else "%s"
    semi_structured = {"VARIANT", "OBJECT", "ARRAY"}
    selected = [f"PARSE_JSON({marker})" if kind in semi_structured else marker for kind, _, _ in COLUMNS.values()]
    values = [json.dumps(value) if kind in semi_structured else value for kind, value, _ in COLUMNS.values()]
    execute(connection, f"INSERT INTO T SELECT {', '.join(selected)}", values)
    execute(connection, "INSERT INTO T (A) VALUES (NULL)")

    cursor = connection.cursor().execute("SELECT * FROM T ORDER BY A NULLS LAST")
    first, second = cursor.fetchall()
    assert second == (None,) * len(COLUMNS)
    for (kind, value, _), got in zip(COLUMNS.values(), first, strict=True):
        got = json.loads(got) if kind in semi_structured else bytes(got) if kind == "BINARY" else got
        assert got == value, kind
    wire = [snowflake.connector.constants.FIELD_ID_TO_NAME[column.type_code] for column in cursor.description]
    assert wire == [name for _, _, name in COLUMNS.values()]


def test_metadata_carries_what_was_declared(connection: SnowflakeConnection, schema: str) -> None:
    execute(connection, "CREATE TABLE T (A NUMBER(5), B VARCHAR(10), C NUMBER(12,3))")
    cursor = connection.cursor().execute("SELECT X.B AS Q, A, C FROM (SELECT * FROM T) X")
    assert cursor is not None
    described = [(column.name, column.precision, column.scale, column.internal_size) for column in cursor.description]
    assert described == [("Q", None, None, 10), ("A", 5, 0, None), ("C", 12, 3, None)]


def test_describe_runs_nothing(connection: SnowflakeConnection, schema: str) -> None:
    execute(connection, "CREATE TABLE T (A INT)")
    cursor = connection.cursor()
    assert [column.name for column in cursor.describe("SELECT A, 1 AS B FROM T")] == ["A", "B"]
    assert [column.name for column in cursor.describe("INSERT INTO T VALUES (1)")] == ["number of rows inserted"]
    assert execute(connection, "SELECT COUNT(*) FROM T") == [(0,)]
    with pytest.raises(ProgrammingError):
        cursor.describe("SELECT * FROM NO_SUCH_TABLE")


def test_comments_around_a_statement(connection: SnowflakeConnection) -> None:
    assert execute(connection, "/* first */ SELECT 1; -- last") == [(1,)]
    cursors = connection.execute_string("SELECT 1; -- one\nSELECT 'a;b';\n/* x;y */ SELECT 3; -- end")
    assert [row for cursor in cursors for row in cursor] == [(1,), ("a;b",), (3,)]


def test_many_rows_by_executemany(connect: Any, schema: str) -> None:
    connection = connect(schema=schema, paramstyle="qmark")
    execute(connection, "CREATE TABLE T (I INT, F FLOAT, S STRING, V VARIANT)")
    cursor = connection.cursor()
    rows = [(number, number / 2, f"s{number}" if number % 3 else None, None) for number in range(5000)]
    cursor.executemany("INSERT INTO T VALUES (?, ?, ?, ?)", rows)
    assert cursor.rowcount == 5000
    cursor.executemany("INSERT INTO T (I, V) SELECT ?, PARSE_JSON(?)", [(-1, '{"a": 1}'), (-2, "[2]")])
    assert execute(connection, "SELECT COUNT(*), SUM(F), COUNT(S) FROM T WHERE I >= 0") == [
        (5000, sum(row[1] for row in rows), sum(row[2] is not None for row in rows))
    ]
    assert execute(connection, "SELECT V FROM T WHERE I < 0 ORDER BY I DESC") == [('{\n  "a": 1\n}',), ("[\n  2\n]",)]


def test_pandas(connection: SnowflakeConnection, schema: str) -> None:
    execute(
        connection,
        "CREATE TABLE T AS SELECT SEQ4() AS N, N::FLOAT / 4 AS F, 'x' AS S FROM TABLE(GENERATOR(ROWCOUNT => 1000))",
    )
    frame = connection.cursor().execute("SELECT * FROM T ORDER BY N").fetch_pandas_all()  # type: ignore[union-attr]
    assert frame.dtypes.astype(str).to_dict() == {"N": "int16", "F": "float64", "S": "object"}
    assert len(frame) == 1000
    empty = connection.cursor().execute("SELECT * FROM T WHERE FALSE").fetch_pandas_all()  # type: ignore[union-attr]
    assert list(empty.columns) == ["N", "F", "S"]
    assert len(empty) == 0


@pytest.mark.parametrize(
    ("sql", "errno", "sqlstate", "text"),
    [
        ("SELECT * FROM NOPE", 2003, "42S02", "Object 'NOPE' does not exist or not authorized."),
        ("DROP TABLE NOPE", 2003, "42S02", "'NOPE' does not exist or not authorized."),
        ("INSERT INTO NOPE VALUES (1)", 2003, "42S02", "'NOPE' does not exist"),
        ("DESCRIBE TABLE NOPE", 2003, "02000", "NOPE' does not exist"),
        ("SELECT * FROM @NOPE", 2003, "02000", "does not exist or not authorized"),
        ("LIST @NOPE", 2003, "02000", "NOPE' does not exist"),
        ("CREATE TABLE THERE (A INT)", 2002, "42710", "Object 'THERE' already exists."),
        ("CREATE SCHEMA LOCAL.PUBLIC", 2002, "42710", "already exists"),
        ("SELEC 1", 1003, "42000", "syntax error line 1 at position 6 unexpected '1'"),
        ("SELECT NOPE FROM THERE", 904, "42000", "invalid identifier 'NOPE'"),
        ('SELECT "nope" FROM THERE', 904, "42000", "invalid identifier '\"nope\"'"),
        ("SELECT NOPE(1)", 2140, "42601", "Unknown function NOPE"),
        ("SELECT DATE_DIFF('2024-01-01'::DATE, '2024-01-02'::DATE)", 2140, "42601", "Unknown function DATE_DIFF"),
        ("SELECT JSON_EXTRACT(PARSE_JSON('{}'), 'a')", 2140, "42601", "Unknown function JSON_EXTRACT"),
        ("SELECT SYSTEM$NOPE(1)", 2140, "42601", "Unknown function SYSTEM$NOPE"),
        ("SELECT * FROM TABLE(NOPE(1))", 2143, "42601", "Unknown user-defined table function NOPE"),
        ("SELECT TO_DATE('2024', 'YYYY-MM')", 100096, "22007", "Can't parse '2024'"),
        ("SELECT A + 'x' FROM THERE", 100038, "22018", "Numeric value 'x' is not recognized"),
        ("SELECT 1 / 0", 100051, "22012", "Division by zero"),
        ("SELECT 300::NUMBER(2, 0)", 100039, "22003", "Numeric value '300' is out of range"),
        ("SELECT TO_NUMBER('abc')", 100038, "22018", "Numeric value 'abc' is not recognized"),
        ("SELECT TO_DATE('2024-13-01')", 100040, "22007", "Date '2024-13-01' is not recognized"),
        ("SELECT 'x'::DATE", 100040, "22007", "Date 'x' is not recognized"),
        ("SELECT 'x'::TIMESTAMP", 100035, "22007", "Timestamp 'x' is not recognized"),
        ("SELECT PARSE_JSON('{x')", 100069, "22P02", "Error parsing JSON"),
        ("INSERT INTO THERE VALUES (1, 2)", 2057, "42601", "expecting 1 but got 2"),
        ("SELECT A FROM THERE X, THERE Y", 1052, "42601", "ambiguous column name 'A'"),
        ("SELECT A, COUNT(*) FROM THERE", 979, "42601", "[A] is not a valid group by expression"),
        ("SELECT (SELECT * FROM VALUES (1), (2))", 90150, "22000", "Single-row subquery returns more than one row"),
        ("SELECT 1234.5::NUMBER(5, 2)", 100039, "22003", "Numeric value '1234.5' is out of range"),
        ("SELECT TO_VARCHAR(1 / 0)", 100051, "22012", "Division by zero"),
        ("SELECT 1 / (A - 1) FROM THERE", 100051, "22012", "Division by zero"),
        ("INSERT INTO STRICT_ VALUES (NULL)", 100072, "22000", "NULL result in a non-nullable column"),
        ("USE SCHEMA NOPE", 2043, "02000", "Object does not exist, or operation cannot be performed."),
        ("USE WAREHOUSE NOPE", 2043, "02000", "Object does not exist"),
        ("SELECT $NOPE", 2211, "02000", "Session variable '$NOPE' does not exist"),
        ("SELECT * FROM TABLE(SNOWFLAKE.SPCS.GET_JOB_HISTORY(NAME => 'X'))", 1003, "42000", "argument name 'NAME'"),
        ("SELECT * FROM TABLE(RESULT_SCAN('00000000-0000-4000-8000-000000000000'))", 709, "02000", "not found"),
    ],
)
def test_errors_are_snowflakes(
    connection: SnowflakeConnection, schema: str, sql: str, errno: int, sqlstate: str, text: str
) -> None:
    execute(connection, "CREATE TABLE THERE (A INT)")
    execute(connection, "INSERT INTO THERE VALUES (1)")
    execute(connection, "CREATE TABLE STRICT_ (A INT NOT NULL)")
    got_errno, got_sqlstate, message = error(connection, sql)
    assert (got_errno, got_sqlstate) == (errno, sqlstate), message
    assert text in message


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER SESSION SET TIMESTAMP_OUTPUT_FORMAT = 'YYYY'",
        "ALTER SESSION SET WEEK_START = 1",
        "SHOW VIEWS IN INFORMATION_SCHEMA",
        "ALTER SESSION SET WEEK_OF_YEAR_POLICY = 1",
        "ALTER SESSION SET TIMESTAMP_NTZ_OUTPUT_FORMAT = 'YYYY'",
        "CREATE STAGE S URL = 's3://bucket/'",
        "CREATE FILE FORMAT F TYPE = AVRO",
        "CREATE FILE FORMAT F TYPE = CSV RECORD_DELIMITER = '|'",
        "CREATE SCHEMA COPIED CLONE PUBLIC",
        "CREATE DYNAMIC TABLE D TARGET_LAG = '1 hour' WAREHOUSE = COMPUTE_WH AS SELECT 1 AS A",
        "CREATE MATERIALIZED VIEW M AS SELECT 1 AS A",
        "CREATE EXTERNAL TABLE E (A INT) LOCATION = @S",
        "CREATE ICEBERG TABLE I (A INT)",
        "CREATE TABLE P (A INT) ROW ACCESS POLICY R ON (A)",
        "CREATE TABLE P (A STRING COLLATE 'en-ci')",
        "CREATE FUNCTION F() RETURNS INT AS '1'",
        "CREATE USER U",
        "REVOKE ROLE SYSADMIN FROM USER LOCAL",
    ],
)
def test_what_is_missing_is_refused_in_words(connection: SnowflakeConnection, schema: str, sql: str) -> None:
    errno, _, message = error(connection, sql)
    assert errno == 2, message
    assert "not supported by the local Snowflake" in message


def test_temporary_tables_are_the_sessions_own(connect: Any, schema: str) -> None:
    first, second = connect(schema=schema), connect(schema=schema)
    execute(first, "CREATE TABLE T AS SELECT 'permanent' AS A")
    execute(first, f"CREATE TEMPORARY TABLE LOCAL.{schema}.T (A STRING, B INT)")
    execute(first, "INSERT INTO T VALUES ('temporary', 1)")
    assert execute(first, f"SELECT T.A, U.B FROM T JOIN {schema}.T U ON T.B = U.B") == [("temporary", 1)]
    assert execute(second, "SELECT A FROM T") == [("permanent",)]
    assert [row[1] for row in execute(first, "SHOW TABLES")] == ["T"]
    assert [row[0] for row in execute(first, "DESC TABLE T")] == ["A", "B"]
    execute(first, "UPDATE T SET B = 2 WHERE T.B = 1")
    execute(first, "DROP TABLE T")
    assert execute(first, "SELECT A FROM T") == [("permanent",)]


def test_transactions(connect: Any, schema: str) -> None:
    first, second = connect(schema=schema), connect(schema=schema)
    execute(first, "CREATE TABLE T (A INT)")
    execute(first, "BEGIN")
    execute(first, "INSERT INTO T VALUES (1)")
    assert execute(second, "SELECT COUNT(*) FROM T") == [(0,)]
    execute(first, "COMMIT")
    assert execute(second, "SELECT COUNT(*) FROM T") == [(1,)]
    first.autocommit(False)
    execute(first, "INSERT INTO T VALUES (2)")
    first.rollback()
    execute(first, "INSERT INTO T VALUES (3)")
    first.commit()
    assert execute(second, "SELECT A FROM T ORDER BY A") == [(1,), (3,)]


def test_a_transaction_with_a_failed_statement_is_not_committed_in_part(
    connection: SnowflakeConnection, schema: str
) -> None:
    execute(connection, "CREATE TABLE T (A INT)")
    execute(connection, "START TRANSACTION")
    execute(connection, "INSERT INTO T VALUES (1)")
    assert error(connection, "INSERT INTO T VALUES ('x')")[0] == 100038
    for sql in ("INSERT INTO T VALUES (2)", "COMMIT"):
        assert "not supported by the local Snowflake" in error(connection, sql)[2]
    assert execute(connection, "SELECT COUNT(*) FROM T") == [(0,)]
    execute(connection, "INSERT INTO T VALUES (3)")
    assert execute(connection, "SELECT A FROM T") == [(3,)]


def test_session_variables_and_parameters(connection: SnowflakeConnection) -> None:
    execute(connection, "SET (LOW, NAME) = (2, 'it''s')")
    assert execute(connection, "SELECT $LOW + 1, $name, '$NAME'") == [(3, "it's", "$NAME")]
    execute(connection, "ALTER SESSION SET QUERY_TAG = 'nightly'")
    assert execute(connection, "SHOW PARAMETERS LIKE 'query_tag' IN SESSION")[0][:4] == (
        "QUERY_TAG",
        "nightly",
        "",
        "SESSION",
    )
    execute(connection, "ALTER SESSION UNSET QUERY_TAG")
    assert execute(connection, "SHOW PARAMETERS LIKE 'QUERY_TAG' IN SESSION")[0][1] == ""


def test_databases_schemas_and_show(connection: SnowflakeConnection) -> None:
    execute(connection, "CREATE OR REPLACE DATABASE SHOWN")
    execute(connection, "CREATE SCHEMA S1")
    execute(connection, 'CREATE TABLE "lower" ("a b" INT, C INT)')
    execute(connection, "CREATE VIEW V AS SELECT 1 AS A")
    assert connection.schema == "S1"
    assert [row[1] for row in execute(connection, "SHOW SCHEMAS IN DATABASE SHOWN")] == [
        "INFORMATION_SCHEMA",
        "PUBLIC",
        "S1",
    ]
    assert [row[1] for row in execute(connection, "SHOW TABLES LIKE 'LOW%' IN SHOWN.S1")] == ["lower"]
    assert [row[1] for row in execute(connection, "SHOW VIEWS IN DATABASE SHOWN")] == ["V"]
    assert [row[0] for row in execute(connection, 'DESC TABLE "lower"')] == ["a b", "C"]
    assert execute(connection, "SELECT TABLE_NAME FROM SHOWN.INFORMATION_SCHEMA.TABLES") == [("V",), ("lower",)]
    assert execute(connection, "SHOW DATABASES LIKE 'shown'")[0][1] == "SHOWN"
    execute(connection, "DROP DATABASE SHOWN")
    assert execute(connection, "SHOW DATABASES LIKE 'SHOWN'") == []
    assert execute(connection, "SELECT CURRENT_DATABASE()") == [(None,)]


def test_a_negative_number_after_a_minus_begins_no_comment(connect: Any, schema: str) -> None:
    connection = connect(schema=schema, paramstyle="qmark")
    sql = "SELECT 10-?, -?, ARRAY_CONSTRUCT(1, 2)[?]::INT, 10-?"
    assert execute(connection, sql, [-3, -4, -1, Decimal("-0.5")]) == [(13, 4, None, Decimal("10.5"))]


def test_identifier_takes_a_name_and_nothing_else(connect: Any, schema: str) -> None:
    connection = connect(schema=schema, paramstyle="qmark")
    execute(connection, "CREATE TABLE T AS SELECT 1 AS A")
    assert execute(connection, "SELECT A FROM IDENTIFIER(?)", [f"{schema}.T"]) == [(1,)]
    for hostile in ("T; DROP TABLE T", "T -- x", "(SELECT 1)", "T WHERE 1=1"):
        assert error(connection, "SELECT A FROM IDENTIFIER(?)", [hostile])[0] == 1003
    assert execute(connection, "SELECT COUNT(*) FROM T WHERE 'x' = ?", ["' OR '1'='1"]) == [(0,)]


def test_identifier_takes_a_session_variable_in_every_statement(connection: SnowflakeConnection, schema: str) -> None:
    execute(connection, "CREATE TABLE T AS SELECT 1 AS A")
    execute(connection, f"SET (S, T) = ('{schema}', 'T')")
    execute(connection, "USE SCHEMA IDENTIFIER($S)")
    assert execute(connection, "SELECT A FROM IDENTIFIER($T)") == [(1,)]
    assert execute(connection, "DESC TABLE IDENTIFIER($T)")[0][0] == "A"
    execute(connection, "DROP TABLE IDENTIFIER($T)")
    assert error(connection, "SELECT A FROM T")[0] == 2003
    assert error(connection, "USE SCHEMA IDENTIFIER($NOPE)")[0] == 2211
    execute(connection, "SET H = 'T; DROP TABLE T'")
    assert error(connection, "SELECT A FROM IDENTIFIER($H)")[0] == 1003


def test_concurrent_writers_wait_for_each_other(connect: Any, schema: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    connections = [connect(schema=schema) for _ in range(6)]
    execute(connections[0], "CREATE TABLE T (A INT)")
    execute(connections[0], "INSERT INTO T VALUES (0)")

    def work(connection: SnowflakeConnection) -> None:
        for _ in range(15):
            execute(connection, "UPDATE T SET A = A + 1")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, connections))
    assert execute(connections[0], "SELECT A FROM T") == [(90,)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM READ_CSV('/etc/passwd')",
        "SELECT * FROM read_blob('/etc/*')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM '/etc/passwd'",
        'SELECT * FROM "/etc/hosts.csv"',
        "SELECT * FROM TABLE(read_text('/etc/passwd'))",
        "SELECT getenv('HOME')",
        "SELECT * FROM duckdb_settings()",
        "SELECT * FROM query('SELECT 1')",
        "COPY (SELECT 1) TO '/tmp/out.csv'",
        "ATTACH '/tmp/x.db' AS X",
        "INSTALL httpfs",
        "LOAD httpfs",
        "PRAGMA database_list",
        "SET GLOBAL enable_external_access = true",
        "EXPORT DATABASE '/tmp/x'",
        "CREATE MACRO M() AS 1",
        "CREATE VIEW V AS SELECT * FROM read_text('/etc/passwd')",
        "CREATE TABLE C AS SELECT * FROM read_text('/etc/passwd')",
        "INSERT INTO T SELECT content FROM read_text('/etc/passwd')",
        "CHECKPOINT",
        "LIST @S/../../..",
        "SELECT $1 FROM @S/../../secret",
        "COPY INTO @S/../x FROM T FILE_FORMAT = (TYPE = CSV)",
        "PUT file:///etc/passwd @S/../../x",
        "GET @S/../.. file:///tmp",
        "REMOVE @S/../..",
    ],
)
def test_no_statement_reaches_files_outside_of_stages(connection: SnowflakeConnection, schema: str, sql: str) -> None:
    execute(connection, "CREATE TABLE T (A STRING)")
    execute(connection, "CREATE STAGE S")
    error(connection, sql)
    assert execute(connection, "SELECT COUNT(*) FROM T") == [(0,)]


def test_many_rows_of_literals(connection: SnowflakeConnection, schema: str) -> None:
    execute(connection, "CREATE TABLE T (I INT, F FLOAT, S STRING, D DATE, B BOOLEAN, N NUMBER(10,2))")
    rows = [(n - 100, n / 8, f"it's {n}", datetime.date(2024, 1, 1 + n % 28), n % 2 == 0, None) for n in range(500)]
    connection.cursor().executemany("INSERT INTO T VALUES (%s, %s, %s, %s, %s, %s)", rows)
    assert execute(connection, "SELECT * FROM T ORDER BY I") == rows
    with pytest.raises(ProgrammingError):
        connection.cursor().executemany("INSERT INTO T (I) VALUES (%s)", [(f"x{n}",) for n in range(100)])


def test_objects_columns_and_keys(connection: SnowflakeConnection, schema: str) -> None:
    assert json.loads(execute(connection, "SELECT {'a': 1, 'B': {'c': [1, 'x']}}")[0][0]) == {
        "a": 1,
        "B": {"c": [1, "x"]},
    }
    execute(connection, "CREATE TABLE T (A NUMBER(5) NOT NULL, B VARCHAR(7), PRIMARY KEY (A))")
    shown = execute(connection, "SHOW COLUMNS LIKE 'b' IN TABLE T")
    assert json.loads(shown[0][3]) == {"type": "TEXT", "nullable": True, "length": 7, "byteLength": 28, "fixed": False}
    assert execute(connection, "SHOW PRIMARY KEYS IN TABLE T")[0][1:6] == ("LOCAL", schema, "T", "A", 1)
    execute(connection, "INSERT INTO T (A) VALUES (1), (1)")  # Snowflake keeps keys and does not enforce them.
    assert error(connection, "INSERT INTO T (A) VALUES (NULL)")[0] == 100072
    execute(connection, "ALTER TABLE T ADD CONSTRAINT ONE_B UNIQUE (B)")
    assert execute(connection, "SHOW UNIQUE KEYS IN TABLE T")[0][4] == "B"
    assert [row[5:7] for row in execute(connection, "DESC TABLE T")] == [("Y", "N"), ("N", "Y")]
    execute(connection, "CREATE TABLE COPIED LIKE T")
    assert [row[1] for row in execute(connection, "DESC TABLE COPIED")] == ["NUMBER(5,0)", "VARCHAR(7)"]
    assert execute(connection, "CREATE TABLE IF NOT EXISTS T (X INT)") == [("T already exists, statement succeeded.",)]


def test_names_and_comments_with_every_character(connection: SnowflakeConnection) -> None:
    execute(connection, """CREATE OR REPLACE DATABASE "my db-1" """)
    execute(connection, """CREATE SCHEMA "s.x" """)
    execute(connection, """CREATE TABLE "t-1" ("A b" INT COMMENT 'it''s', "select" VARCHAR(3)) COMMENT = 'it''s; x'""")
    execute(connection, """INSERT INTO "t-1" VALUES (1, 'x')""")
    assert execute(connection, """SELECT "A b", "select" FROM "my db-1"."s.x"."t-1" """) == [(1, "x")]
    assert execute(connection, "SHOW TABLES")[0][1:6] == ("t-1", "my db-1", "s.x", "TABLE", "it's; x")
    execute(connection, """COMMENT ON TABLE "t-1" IS 'new'""")
    assert execute(connection, "SHOW TABLES")[0][5] == "new"
    execute(connection, """CREATE STAGE "st 1" """)
    assert execute(connection, """LIST @"my db-1"."s.x"."st 1" """) == []
    execute(connection, """DROP DATABASE "my db-1" """)


def test_an_unknown_column_is_placed(connection: SnowflakeConnection) -> None:
    message = error(connection, "SELECT 1,\n       NOWHERE FROM (SELECT 1 AS A)")[2]
    assert "error line 2 at position 7\ninvalid identifier 'NOWHERE'" in message


def test_dropping_the_current_schema_leaves_none(connect: Any) -> None:
    connection = connect()
    execute(connection, "CREATE SCHEMA SHORT_LIVED")
    execute(connection, "DROP SCHEMA SHORT_LIVED")
    assert execute(connection, "SELECT CURRENT_DATABASE(), CURRENT_SCHEMA()") == [("LOCAL", None)]
    assert error(connection, "CREATE TABLE T (A INT)")[0] == 90106


def test_the_sessions_time_zone(connect: Any, schema: str) -> None:
    connection = connect(schema=schema, session_parameters={"TIMEZONE": "Asia/Tokyo"})
    execute(connection, "CREATE TABLE T (L TIMESTAMP_LTZ, N TIMESTAMP_NTZ)")
    execute(connection, "INSERT INTO T VALUES ('2024-01-01 09:00:00', '2024-01-01 09:00:00')")
    local, plain = execute(connection, "SELECT L, N FROM T")[0]
    assert local == datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
    assert (local.hour, plain.hour) == (9, 9)
    execute(connection, "ALTER SESSION SET TIMEZONE = 'UTC'")
    assert execute(connection, "SELECT L::VARCHAR LIKE '2024-01-01 00:00:00%' FROM T") == [(True,)]
    assert error(connection, "ALTER SESSION SET TIMEZONE = 'Nowhere/Land'")[0] == 1008


def test_division(connection: SnowflakeConnection) -> None:
    rows = execute(
        connection, "SELECT SUM(A) / SUM(B), IFF(B = 0, NULL, A / B) AS Q FROM (SELECT 6 AS A, 4 AS B) GROUP BY A, B"
    )
    assert rows == [(1.5, 1.5)]
    assert execute(connection, "SELECT IFF(B = 0, -1, A / B) FROM (SELECT 6 AS A, 0 AS B)") == [(-1,)]
    assert execute(connection, "SELECT DIV0(1, 0), 7 % 4, 9 / 3") == [(0, 3, 3)]


def test_merge(connection: SnowflakeConnection, schema: str) -> None:
    execute(connection, "CREATE TABLE T AS SELECT * FROM VALUES (1, 'a'), (2, 'b'), (3, 'c') V (ID, NAME)")
    cursor = connection.cursor().execute(
        "MERGE INTO T USING (SELECT * FROM VALUES (2, 'B'), (3, NULL), (4, 'D'), (5, 'E') V (ID, NAME)) S "
        "ON T.ID = S.ID WHEN MATCHED AND S.NAME IS NULL THEN DELETE WHEN MATCHED THEN UPDATE SET T.NAME = S.NAME "
        "WHEN NOT MATCHED THEN INSERT (ID, NAME) VALUES (S.ID, S.NAME)"
    )
    assert cursor is not None
    assert [column.name for column in cursor.description] == [
        "number of rows inserted",
        "number of rows updated",
        "number of rows deleted",
    ]
    assert cursor.fetchall() == [(2, 1, 1)]
    assert cursor.rowcount == 4
    assert execute(connection, "SELECT * FROM T ORDER BY ID") == [(1, "a"), (2, "B"), (4, "D"), (5, "E")]
    unlisted = "MERGE INTO T USING (SELECT 7 AS ID) S ON T.ID = S.ID WHEN NOT MATCHED THEN INSERT VALUES (S.ID, 'G')"
    assert execute(connection, unlisted) == [(1,)]
    assert error(connection, "MERGE INTO T USING T S ON TRUE WHEN MATCHED THEN UPDATE SET NAME = 'x'")[0] == 100090
    execute(connection, "UPDATE T SET T.NAME = 'z' WHERE T.ID = 1")
    assert execute(connection, "SELECT NAME FROM T WHERE ID = 1") == [("z",)]


def test_a_merge_that_names_no_columns_inserts_into_all(connection: SnowflakeConnection, schema: str) -> None:
    execute(connection, """CREATE TABLE T (ID INT, "a b" VARCHAR DEFAULT 'x', V VARIANT)""")
    execute(connection, "INSERT INTO T SELECT 1, 'a', 5")
    merge = "MERGE INTO T AS G USING (SELECT * FROM VALUES (1, 'A'), (2, 'B') V (ID, NAME)) S ON G.ID = S.ID"
    then = f"{merge} WHEN MATCHED THEN UPDATE SET V = 6 WHEN NOT MATCHED AND S.ID > 0 THEN INSERT VALUES"
    assert execute(connection, f"{then} (S.ID, DEFAULT, S.NAME)") == [(1, 1)]
    assert execute(connection, 'SELECT ID, "a b", TO_JSON(V) FROM T ORDER BY ID') == [(1, "a", "6"), (2, "x", '"B"')]
    execute(connection, "DELETE FROM T WHERE ID = 2")
    errno, _, message = error(connection, f"{then} (S.ID, S.NAME)")
    assert (errno, "expecting 3 but got 2" in message) == (2057, True)
    assert error(connection, f"{then.replace('INTO T ', 'INTO NO_SUCH ')} (S.ID)")[0] == 2003
    execute(connection, "CREATE TEMPORARY TABLE T AS SELECT 1 AS ID, 'a' AS NAME")
    assert execute(connection, f"{merge} WHEN NOT MATCHED THEN INSERT VALUES (S.ID, S.NAME)") == [(1,)]
    assert execute(connection, "SELECT * FROM T ORDER BY ID") == [(1, "a"), (2, "B")]


def test_a_database_dropped_under_a_busy_session(connect: Any) -> None:
    busy, other = connect(), connect()
    execute(busy, "CREATE OR REPLACE DATABASE SHORT")
    cursor = busy.cursor()
    cursor.execute_async("SELECT COUNT(*) FROM RANGE(40000) A, RANGE(30000) B WHERE A.RANGE + B.RANGE > 0")
    time.sleep(0.5)
    execute(other, "DROP DATABASE SHORT")
    cursor.get_results_from_sfqid(cursor.sfqid)
    assert cursor.fetchone() == (40000 * 30000 - 1,)
    assert execute(busy, "SELECT CURRENT_DATABASE(), CURRENT_SCHEMA()") == [(None, None)]
    execute(busy, "USE SCHEMA LOCAL.PUBLIC")
    assert execute(busy, "SELECT CURRENT_SCHEMA()") == [("PUBLIC",)]
