"""What Snowflake has and the local one lacks says so; "syntax error" is what Snowflake would call one; nothing is
accepted and ignored; and whatever is asked, the answer is an error of the statement.

Also tests ``local/functions.py``, ``local/snowflake_names.py``, ``local/sql/guard.py``,
``local/sql/select_clauses.py``.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from importlib import resources

import pytest
import snowflake.connector
from snowflake.connector import SnowflakeConnection

WORDS = "not supported by the local Snowflake"


def answer(connection: SnowflakeConnection, sql: str) -> snowflake.connector.errors.Error | None:
    try:
        connection.cursor().execute(sql)
    except snowflake.connector.errors.Error as error:
        return error
    return None


@pytest.fixture(scope="module")
def table(local_server: object) -> Iterator[SnowflakeConnection]:
    with snowflake.connector.connect(**local_server.connection_kwargs) as connection:  # type: ignore[attr-defined]
        connection.cursor().execute("CREATE OR REPLACE SCHEMA REFUSALS")
        connection.cursor().execute("CREATE TABLE T (A INT, B INT)")
        yield connection
        connection.cursor().execute("DROP SCHEMA REFUSALS")


LACKING = [
    "CREATE PROCEDURE P() RETURNS INT LANGUAGE SQL AS 'BEGIN RETURN 1; END'",
    "CREATE OR REPLACE FUNCTION F(X INT) RETURNS INT AS 'X + 1'",
    "CREATE DYNAMIC TABLE D TARGET_LAG = '1 minute' WAREHOUSE = W AS SELECT 1 AS A",
    "CREATE PIPE P AS COPY INTO T FROM @S",
    "CREATE ROW ACCESS POLICY R AS (V STRING) RETURNS BOOLEAN -> TRUE",
    "CREATE MASKING POLICY M AS (V STRING) RETURNS STRING -> V",
    "CREATE MATERIALIZED VIEW V AS SELECT 1 AS A",
    "CREATE SECRET S TYPE = OAUTH2",
    "CREATE SEMANTIC VIEW V TABLES (T)",
    "CREATE MODEL MONITOR M WITH MODEL = X",
    "ALTER ACCOUNT SET X = 1",
    "ALTER TABLE T ADD SEARCH OPTIMIZATION",
    "ALTER TABLE T ADD ROW ACCESS POLICY P ON (A)",
    "ALTER TABLE T MODIFY COLUMN A SET MASKING POLICY P",
    "ALTER TABLE T SET TAG X = 'y'",
    "ALTER TABLE T SET CHANGE_TRACKING = TRUE",
    "ALTER SESSION SET NO_SUCH_PARAMETER = 1",
    "COMMENT ON SCHEMA REFUSALS IS 'x'",
    "UNDROP TABLE T",
    "SHOW PROCEDURES",
    "SHOW TABLES HISTORY",
    "SHOW SCHEMAS HISTORY LIKE 'X'",
    "SHOW NETWORK POLICIES",
    "SHOW VARIABLES",
    "SHOW TABLES ->> SELECT * FROM $1",
    "SHOW BUILTIN FUNCTIONS",
    "DESCRIBE PIPE P",
    "DESCRIBE TABLE T TYPE = STAGE",
    "SELECT * FROM VALUES (1, 2) AS V (A, B) PIVOT (SUM(B) FOR A IN (1))",
    "DESC USER U",
    "DROP PIPE P",
    "EXECUTE IMMEDIATE 'SELECT 1'",
    "BEGIN LET X := 1; RETURN X; END",
    "DECLARE X INT; BEGIN RETURN 1; END",
    "WITH P AS PROCEDURE () RETURNS INT LANGUAGE SQL AS 'x' CALL P()",
    "EXPLAIN SELECT 1",
    "ALTER TABLE T ALTER COLUMN A SET DEFAULT 3",
    "MERGE INTO T USING (SELECT 1 AS Z) S ON A = Z WHEN NOT MATCHED BY SOURCE THEN DELETE",
    "CREATE TABLE C (A GEOMETRY)",
    "COPY INTO 's3://bucket' FROM T",
    "COPY INTO T FROM 's3://bucket/x' FILE_FORMAT = (TYPE = CSV)",
    "SELECT COLLATE('a', 'en-ci') = 'A'",
    "SELECT 'a' COLLATE 'en-ci' = 'A'",
    "SELECT TIME_FROM_PARTS(1, 2, 3, 1500)",
    "SELECT TIMESTAMP_FROM_PARTS(2013, 4, 5, 12, 0, -3600)",
    "SELECT EDITDISTANCE('a', 'b') FROM T WHERE REGEXP_COUNT('a', 'A', 1, 'x') = 1",
    "SELECT $1 FROM T",
    "SELECT 'a' 'b' FROM T",
    "SELECT X.$1 FROM T X",
    "SELECT * FROM T AT (OFFSET => -60)",
    "SELECT * FROM T BEFORE (STATEMENT => 'x')",
    "SELECT * FROM T CHANGES (INFORMATION => DEFAULT) AT (OFFSET => -1)",
    "MERGE INTO T USING T S ON T.A = S.A WHEN NOT MATCHED THEN INSERT ALL BY NAME",
    "SELECT * FROM TABLE('T')",
    "CREATE AGGREGATE FUNCTION F (A INT) RETURNS INT LANGUAGE PYTHON AS 'x'",
    "SELECT * FROM T MATCH_RECOGNIZE (ORDER BY A MEASURES 1 AS Z PATTERN (X+) DEFINE X AS A > 1)",
    "SELECT * FROM T RESAMPLE (USING A INCREMENT BY 1)",
    "SELECT * FROM SEMANTIC_VIEW (V METRICS A)",
    "SELECT * FROM T FOR UPDATE",
    "SELECT * FROM SNOWFLAKE.ACCOUNT_USAGE.QUERY_HISTORY",
    "SELECT SNOWFLAKE.CORTEX.COMPLETE('x', 'y')",
    "SELECT AI_COMPLETE('x', 'y')",
    "SELECT ST_MAKEPOINT(1, 2)",
    "SELECT SYSTEM$TYPEOF(1)",
    "SELECT * FROM TABLE(INFORMATION_SCHEMA.LOGIN_HISTORY())",
    "CREATE TABLE C (A INT CHECK (A > 1))",
    "CREATE TABLE C (A INT WITH TAG (X = 'y'))",
    "CREATE TABLE C (A INT) ROW ACCESS POLICY P ON (A)",
    "CREATE TABLE C CLONE T AT (OFFSET => -1)",
    "SELECT LPAD('a', 5, '')",
    "ALTER TABLE T DROP CONSTRAINT K",
    "SELECT DATE_PART(decade, CURRENT_DATE)",
    "SELECT DATE_PART('isodow', CURRENT_DATE)",
    "SELECT DATE_TRUNC('century', CURRENT_DATE)",
    "SELECT DATE_TRUNC('decade', CURRENT_TIMESTAMP()::TIMESTAMP_NTZ)",
    "SELECT DATEADD(decade, 1, CURRENT_DATE)",
    "SELECT DATEDIFF(millennium, CURRENT_DATE, CURRENT_DATE)",
    "SELECT CURRENT_DATE + INTERVAL '1 century'",
    "SELECT TO_BINARY('61') || TO_BINARY('62')",
    "INSERT OVERWRITE ALL INTO T SELECT A FROM T",
    "INSERT ALL INTO T (A) VALUES (DEFAULT) SELECT A FROM T",
    "SELECT A & 1 FROM T",
    "SELECT 1 | 2",
    "SELECT 2 ^ 2",
    "SELECT ~1",
    "SELECT 1 << 2",
    "SELECT 8 >> 2",
    "SELECT A <=> NULL FROM T",
    "SELECT TO_CHAR('2024-01-02'::TIMESTAMP, 'FF3 FF9')",
]


@pytest.mark.parametrize("sql", LACKING)
def test_what_is_lacking_says_so(table: SnowflakeConnection, sql: str) -> None:
    error = answer(table, sql)
    assert error is not None
    assert WORDS in str(error).replace("\n", " ")
    assert "syntax error line" not in str(error)


@pytest.mark.parametrize(
    "sql",
    [
        "SELEC 1", "SELECT FROM", "SELECT * FRM T", "CREATE TABLE (A INT", "INSERT INTO T VALUES (1", "FOO BAR",
        "CREATE NOSUCHKIND X", "DROP NOSUCHKIND X", "SHOW NOSUCHTHINGS", "VACUUM", "PRAGMA database_list",
        "ANALYZE TABLE T", "COPY T TO 'x'", "SELECT x'zz'", "ATTACH 'x' AS Y", "GRANT FOO",
    ],
)  # fmt: skip
def test_what_snowflake_does_not_know_either_is_a_syntax_error(table: SnowflakeConnection, sql: str) -> None:
    error = answer(table, sql)
    assert error is not None
    assert "syntax error" in str(error)
    assert WORDS not in str(error)


@pytest.mark.parametrize("call", ["LIST_SUM([1, 2])", "STRFTIME(CURRENT_DATE, '%Y')", "NO_SUCH_FUNCTION(1)"])
def test_functions_of_the_engine_that_snowflake_has_not(table: SnowflakeConnection, call: str) -> None:
    error = answer(table, f"SELECT {call}")
    assert error is not None
    assert error.errno == 2140
    assert "Unknown function" in str(error)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT AT.A FROM T AT", "SELECT 'TAG (x = 1) FOR UPDATE' AS POLICY", "SELECT 1 -- MASKING POLICY",
        "CREATE OR REPLACE TABLE C (A INT) CLUSTER BY (A) DATA_RETENTION_TIME_IN_DAYS = 0 CHANGE_TRACKING = TRUE",
        "CREATE OR REPLACE SECURE VIEW V AS SELECT 1 AS A", "ALTER TABLE T CLUSTER BY (A)", "BEGIN", "ROLLBACK",
        "BEGIN TRANSACTION", "COMMIT", "BEGIN WORK", "ALTER SESSION SET LOG_LEVEL = 'INFO'",
        "ALTER SESSION SET CLIENT_PREFETCH_THREADS = 4",
    ],
)  # fmt: skip
def test_what_only_looks_like_it_goes_on(table: SnowflakeConnection, sql: str) -> None:
    assert answer(table, sql) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STATEMENT_TIMEOUT_IN_SECONDS", "'a'"), ("MULTI_STATEMENT_COUNT", "-1"), ("AUTOCOMMIT", "'maybe'"),
        ("TIMEZONE", "'Nowhere'"), ("TIMEZONE", "5"), ("TIMEZONE", "'../../etc/passwd'"),
    ],
)  # fmt: skip
def test_values_that_a_parameter_cannot_have(table: SnowflakeConnection, name: str, value: str) -> None:
    error = answer(table, f"ALTER SESSION SET {name} = {value}")
    assert error is not None
    assert (error.errno, error.sqlstate) == (1008, "22023")
    assert answer(table, "SELECT 1") is None


ODD = [
    "SELECT NTILE(0) OVER (ORDER BY 1)", "SELECT OBJECT_INSERT(NULL, 'b', 2)", "SELECT REGEXP_LIKE('a', '(')",
    "SELECT REGEXP_REPLACE('a', '[')", "SELECT 'a' RLIKE '*'", "SELECT REPEAT('a', 100000000000)",
    "SELECT DATEADD(YEAR, 10000000000, CURRENT_DATE)", "SELECT TO_TIMESTAMP(99999999999999999)", "SELECT DIV0(1)",
    "SELECT PARSE_JSON('{')", "SELECT GET(PARSE_JSON('[1]'), 99999999999999999999)", "CALL SYSTEM$WAIT('a')",
    "SET (A, B) = (1)", "SELECT CONVERT_TIMEZONE('Nowhere', 'UTC', CURRENT_TIMESTAMP)", "SELECT DATEADD('x', 1, 1)",
    "SELECT 1 LIMIT -1", "SELECT ARRAY_GENERATE_RANGE(0, 100000000000)", "SELECT 'abc", "(((((", "SELECT ?",
    "SELECT * FROM IDENTIFIER('')", "USE SCHEMA A.B.C.D", "SELECT POW(10, 1000)", "SELECT CHR(-1)",
]  # fmt: skip


@pytest.mark.parametrize("sql", ODD)
def test_what_is_odd_is_an_error_of_the_statement(table: SnowflakeConnection, sql: str) -> None:
    _assert_of_the_statement(table, sql)


def test_odd_calls_of_any_function(table: SnowflakeConnection) -> None:
    text = resources.files("airflow_provider_snowflake_batch.local").joinpath("snowflake_functions.txt").read_text()
    names = [name for line in text.splitlines() if not line.startswith("#") for name in line.split()]
    arguments = [
        "", "NULL", "''", "'('", "-1", "1e308", "99999999999999999999999999999999999999", "NULL, NULL", "'x', -1", "*",
        "PARSE_JSON('[1]')", "DATE '9999-12-31', 1", "'a', 'b', 'c', 'd'", "TO_BINARY('FF')", "[1, 2], 3",
    ]  # fmt: skip
    forms = ["SELECT {}({})"] * 3 + ["SELECT {}({}) OVER (ORDER BY 1)", "SELECT * FROM TABLE({}({}))"]
    draw = random.Random(7)
    for _ in range(150):
        name = draw.choice(names)
        if name != "SYSTEM$WAIT":
            _assert_of_the_statement(table, draw.choice(forms).format(name, draw.choice(arguments)))


def _assert_of_the_statement(connection: SnowflakeConnection, sql: str) -> None:
    error = answer(connection, sql)
    assert error is None or isinstance(error, snowflake.connector.errors.ProgrammingError), sql
    assert error is None or error.sqlstate != "XX000", (sql, str(error))
