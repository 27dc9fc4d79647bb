"""Tables as Snowflake keeps them: lengths of text, exchanged names, whole numbers, names that are not there.

Also tests ``local/sql/catalog.py``, ``local/sql/ddl.py``, ``local/sql/declarations.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import snowflake.connector
from snowflake.connector import SnowflakeConnection

from airflow_provider_snowflake_batch.local.sql.catalog import Catalog
from airflow_provider_snowflake_batch.local.state import StateDirectory


def run(connection: SnowflakeConnection, sql: str, parameters: Any = None) -> list[Any]:
    cursor = connection.cursor().execute(sql, parameters)
    assert cursor is not None
    return cursor.fetchall()


def error(connection: SnowflakeConnection, sql: str, parameters: Any = None) -> tuple[int, str]:
    with pytest.raises(snowflake.connector.errors.DatabaseError) as caught:
        run(connection, sql, parameters)
    return caught.value.errno, str(caught.value.msg)


@pytest.fixture
def table(connection: SnowflakeConnection, schema: str) -> SnowflakeConnection:
    run(connection, "CREATE TABLE T (ID INT, X VARCHAR(3), D DATE DEFAULT '2024-01-01')")
    run(connection, "INSERT INTO T (ID, X) VALUES (1, 'abc'), (2, NULL)")
    return connection


TOO_LONG = [
    "INSERT INTO T VALUES (3, 'toolong', '2024-01-01')",
    "INSERT INTO T (X, ID) SELECT 'toolong', 3",
    "INSERT INTO T (ID, X, D) VALUES (3, 'toolong', DEFAULT)",
    "INSERT INTO T WITH C AS (SELECT 'toolong' AS X) SELECT 3, X, NULL FROM C",
    "UPDATE T SET X = 'toolong' WHERE ID = 1",
    "UPDATE T SET X = X || 'd' WHERE ID = 1",
    "MERGE INTO T USING (SELECT 1 AS I, 'toolong' AS V) S ON ID = S.I WHEN MATCHED THEN UPDATE SET X = S.V",
    "MERGE INTO T USING (SELECT 9 AS I, 'toolong' AS V) ON ID = I WHEN NOT MATCHED THEN INSERT (X) VALUES (V)",
]


def test_text_longer_than_its_column_is_refused(table: SnowflakeConnection) -> None:
    for sql in TOO_LONG:
        assert error(table, sql)[0] == 100078, sql
    assert run(table, "SELECT ID, X FROM T ORDER BY ID") == [(1, "abc"), (2, None)]


def test_many_rows_of_binds_are_checked_too(table: SnowflakeConnection) -> None:
    with pytest.raises(snowflake.connector.errors.ProgrammingError, match="too long"):
        table.cursor().executemany("INSERT INTO T (ID, X) VALUES (%s, %s)", [(n, "x" * n) for n in range(5)])
    table.cursor().executemany("INSERT INTO T (ID, X) VALUES (%s, %s)", [(n, "é" * n) for n in range(4)])
    assert run(table, "SELECT COUNT(*) FROM T") == [(6,)]


def test_a_columns_type_changes_to_wider_ones_only(connection: SnowflakeConnection, schema: str) -> None:
    run(connection, "CREATE TABLE T (A VARCHAR(20), N NUMBER(10, 2))")
    run(connection, "INSERT INTO T VALUES ('123456789', 1.25)")
    for column, kind in (("A", "VARCHAR(5)"), ("A", "INT"), ("N", "NUMBER(12, 4)"), ("N", "VARCHAR")):
        errno, message = error(connection, f"ALTER TABLE T ALTER COLUMN {column} SET DATA TYPE {kind}")
        assert (errno, f"cannot change column {column} from type" in message) == (2108, True)
    assert "not supported by the local" in error(connection, "ALTER TABLE T ALTER N SET DATA TYPE NUMBER(9, 2)")[1]
    run(connection, "ALTER TABLE T ALTER N SET DATA TYPE NUMBER(38, 2)")
    assert [row[1] for row in run(connection, "DESC TABLE T")] == ["VARCHAR(20)", "NUMBER(38,2)"]
    assert run(connection, "ALTER TABLE IF EXISTS NOSUCH ADD COLUMN X INT") == [("Statement executed successfully.",)]


def test_lengths_follow_changes_of_the_table(table: SnowflakeConnection) -> None:
    run(table, "ALTER TABLE T ALTER COLUMN X SET DATA TYPE VARCHAR(5)")
    run(table, "INSERT INTO T (X) VALUES ('abcde')")
    run(table, "ALTER TABLE T RENAME COLUMN X TO Y")
    assert error(table, "INSERT INTO T (Y) VALUES ('abcdef')")[0] == 100078
    run(table, "ALTER TABLE T ADD COLUMN Z VARCHAR(1)")
    assert error(table, "INSERT INTO T (Z) VALUES ('ab')")[0] == 100078
    run(table, "ALTER TABLE T RENAME TO U")
    assert error(table, "INSERT INTO U (Z) VALUES ('ab')")[0] == 100078
    run(table, "ALTER TABLE U DROP COLUMN Z")
    run(table, "ALTER TABLE U ADD COLUMN Z VARCHAR")
    run(table, "INSERT INTO U (Z) VALUES ('ab')")
    run(table, "CREATE TEMPORARY TABLE V LIKE U")
    run(table, "CREATE TEMPORARY TABLE W (X VARCHAR(1))")
    assert error(table, "INSERT INTO W VALUES ('ab')")[0] == 100078


@pytest.mark.parametrize(
    "made", ["TABLE C LIKE S", "TABLE C CLONE S", "TEMPORARY TABLE C LIKE S", "TRANSIENT TABLE C LIKE S"]
)
def test_a_copied_table_keeps_defaults_and_not_null(table: SnowflakeConnection, made: str) -> None:
    run(table, "CREATE TABLE S (A INT DEFAULT 5, B BOOLEAN NOT NULL DEFAULT TRUE, C VARCHAR(3))")
    run(table, f"CREATE {made}")
    run(table, "INSERT INTO C (C) VALUES ('abc')")
    assert run(table, "SELECT * FROM C") == [(5, True, "abc")]
    assert error(table, "INSERT INTO C (B) VALUES (NULL)")[0] == 100072
    assert error(table, "INSERT INTO C (C) VALUES ('abcd')")[0] == 100078


def test_a_sequence_is_not_copied_with_its_table(table: SnowflakeConnection) -> None:
    run(table, "CREATE TABLE S (A INT AUTOINCREMENT, B INT)")
    for copy in ("LIKE", "CLONE"):
        errno, message = error(table, f"CREATE TABLE C {copy} S")
        assert (errno, "not supported by the local Snowflake" in message) == (2, True), message


def test_swap_exchanges_everything(table: SnowflakeConnection) -> None:
    run(table, "CREATE TABLE U (C NUMBER(10,2) COMMENT 'c') COMMENT = 'the other'")
    run(table, "INSERT INTO U VALUES (1.5)")
    run(table, "ALTER TABLE T SWAP WITH U")
    assert run(table, "SELECT ID, X FROM U ORDER BY ID") == [(1, "abc"), (2, None)]
    assert error(table, "INSERT INTO U (X) VALUES ('toolong')")[0] == 100078
    assert [row[1] for row in run(table, "DESCRIBE TABLE T")] == ["NUMBER(10,2)"]
    comments = {row[1]: row[5] for row in run(table, "SHOW TABLES")}
    assert comments == {"T": "the other", "U": ""}
    assert error(table, "ALTER TABLE T SWAP WITH NOPE")[0] == 2003


def test_a_comment_on_what_may_not_be_there(table: SnowflakeConnection) -> None:
    run(table, "COMMENT IF EXISTS ON TABLE NOPE IS 'x'")
    run(table, "COMMENT IF EXISTS ON TABLE T IS 'it is'")
    assert {row[1]: row[5] for row in run(table, "SHOW TABLES LIKE 'T'")} == {"T": "it is"}
    assert error(table, "COMMENT ON TABLE NOPE IS 'x'")[0] == 2003


def test_whole_numbers_beyond_64_bits(table: SnowflakeConnection) -> None:
    wide = 2**63
    for sql in (f"INSERT INTO T (ID) VALUES ({wide})", f"SELECT '{wide}0'::INT", f"SELECT {wide - 1} + ID FROM T"):
        assert "not supported by the local Snowflake" in error(table, sql)[1]
    run(table, "CREATE TABLE WIDE (ID NUMBER(37, 0))")
    run(table, f"INSERT INTO WIDE VALUES ({10**36})")
    assert run(table, "SELECT ID FROM WIDE") == [(10**36,)]


NOWHERE = [
    "SHOW TABLES IN SCHEMA NOPE",
    "SHOW TABLES IN DATABASE NOPE",
    "SHOW STAGES IN SCHEMA NOPE",
    "SHOW FILE FORMATS IN SCHEMA NOPE",
    "SHOW SERVICES IN SCHEMA NOPE",
    "SHOW JOB SERVICES IN SCHEMA LOCAL.NOPE",
    "SHOW MODELS IN SCHEMA NOPE",
    "SHOW MODELS IN DATABASE NOPE",
    "SHOW IMAGE REPOSITORIES IN SCHEMA NOPE",
    "SHOW SCHEMAS IN DATABASE NOPE",
]


def test_show_in_what_is_not_there(connection: SnowflakeConnection) -> None:
    for sql in NOWHERE:
        assert error(connection, sql)[0] == 2043, sql


def test_show_services_in_a_pool_that_is_not_there(connection: SnowflakeConnection) -> None:
    assert error(connection, "SHOW SERVICES IN COMPUTE POOL NOPE")[0] == 2003


def test_casts_to_whole_numbers_round_halves_away_from_zero(connection: SnowflakeConnection, schema: str) -> None:
    run(connection, "CREATE TABLE F (X FLOAT, S VARCHAR, V VARIANT, B BOOLEAN)")
    run(connection, "INSERT INTO F SELECT 2.5, '2.5', PARSE_JSON('{\"a\": 2.5}'), TRUE")
    assert run(connection, "SELECT X::INT, S::INT, V:a::INT, B::INT, TRY_CAST(S AS INT), -X::INT FROM F") == [
        (3, 3, 3, 1, 3, -3)
    ]
    assert run(connection, "SELECT 2.5::INT, '3'::INT, 1e3::INT, NULL::INT, SUM(X)::INT FROM F") == [
        (3, 3, 1000, None, 3)
    ]
    assert run(connection, "SELECT TRY_CAST('x' AS INT), (RANDOM() > 0)::INT < 2") == [(None, True)]


def comments(connection: SnowflakeConnection, table: str) -> dict[str, str | None]:
    return {row[0]: row[9] for row in run(connection, f"DESC TABLE {table}")}


@pytest.mark.parametrize("kind", ["TABLE", "TEMPORARY TABLE"])
def test_comments_of_columns(connection: SnowflakeConnection, schema: str, kind: str) -> None:
    run(connection, f"""CREATE {kind} C (A INT COMMENT 'It''s', "b" INT, D INT COMMENT 'gone')""")
    run(connection, """ALTER TABLE C ALTER COLUMN "b" COMMENT 'low'""")
    run(connection, 'ALTER TABLE C MODIFY D COMMENT $$The "last"$$')
    run(connection, "ALTER TABLE C ADD COLUMN E INT COMMENT 'new'")
    assert comments(connection, "C") == {"A": "It's", "b": "low", "D": 'The "last"', "E": "new"}
    run(connection, f"CREATE OR REPLACE {kind} C (A INT COMMENT 'other', B INT) AS SELECT 1, 2")
    assert comments(connection, "C") == {"A": "other", "B": None}


def test_comments_of_a_views_columns(table: SnowflakeConnection) -> None:
    run(table, "CREATE VIEW V (A COMMENT 'one', B) AS SELECT ID, X FROM T")
    run(table, "ALTER VIEW V ALTER B COMMENT 'two'")
    assert comments(table, "V") == {"A": "one", "B": "two"}
    assert error(table, "ALTER TABLE T ALTER NOSUCH COMMENT 'x'")[0] == 904
    assert error(table, "ALTER TABLE NOSUCH ALTER A COMMENT 'x'")[0] == 2003


def test_a_table_of_a_query_with_columns_and_a_key(table: SnowflakeConnection) -> None:
    run(table, "CREATE TABLE K (A INT NOT NULL, B TEXT, PRIMARY KEY (A)) AS (SELECT * FROM (SELECT ID, X FROM T))")
    assert run(table, "SELECT * FROM K ORDER BY 1") == [(1, "abc"), (2, None)]
    assert [row[5] for row in run(table, "DESC TABLE K")] == ["Y", "N"]


def test_a_table_of_a_query_with_names_alone(connection: SnowflakeConnection, schema: str) -> None:
    run(connection, "CREATE TABLE T (A, \"b\") AS SELECT 1.5, 'x'")
    run(connection, "CREATE OR REPLACE TABLE U (C, D) AS SELECT * FROM T")
    assert run(connection, "SELECT C, D FROM U") == run(connection, 'SELECT A, "b" FROM T')
    assert run(connection, "DESCRIBE TABLE U")[0][:2] == ("C", "NUMBER(2,1)")
    assert error(connection, "CREATE TABLE V (A) AS SELECT 1, 2")[0] == 2026


def test_a_transient_table_says_so(connection: SnowflakeConnection, schema: str) -> None:
    def kinds() -> tuple[object, ...]:
        query = f"SELECT IS_TRANSIENT, TABLE_TYPE FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = '{schema}'"
        return run(connection, "SHOW TABLES")[0][4], *run(connection, query)[0]

    run(connection, "CREATE TRANSIENT TABLE T (A INT)")
    assert kinds() == ("TRANSIENT", "YES", "BASE TABLE")
    # dbt takes any other kind than these two for an external table.
    assert run(connection, "SHOW OBJECTS")[0][4] == "TABLE"
    run(connection, "ALTER TABLE T RENAME TO U")
    assert kinds() == ("TRANSIENT", "YES", "BASE TABLE")
    run(connection, "CREATE OR REPLACE TABLE U (A INT)")
    assert kinds() == ("TABLE", "NO", "BASE TABLE")


def test_keys_keep_their_names_and_the_order_of_their_columns(connection: SnowflakeConnection, schema: str) -> None:
    def keys(kind: str) -> list[tuple[str, int, str]]:
        return [row[4:7] for row in run(connection, f"SHOW {kind} KEYS IN TABLE T")]

    run(connection, 'CREATE TABLE T (A INT, "b" INT, C INT UNIQUE, CONSTRAINT P PRIMARY KEY ("b", A), UNIQUE (C, A))')
    run(connection, "ALTER TABLE T ADD CONSTRAINT LATER UNIQUE (A)")
    assert keys("PRIMARY") == [("b", 1, "P"), ("A", 2, "P")]
    unique = keys("UNIQUE")
    assert [row[:2] for row in unique] == [("C", 1), ("C", 1), ("A", 2), ("A", 1)]
    first, second, third, last = (row[2] for row in unique)
    assert (first[:15], second, last) == ("SYS_CONSTRAINT_", third, "LATER")
    assert first != second
    run(connection, "CREATE TABLE D (X INT, Y INT, FOREIGN KEY (X, Y) REFERENCES T)")
    assert {row[13] for row in run(connection, "SHOW IMPORTED KEYS IN TABLE D")} == {"P"}
    run(connection, "ALTER TABLE T RENAME COLUMN A TO Z")
    run(connection, "ALTER TABLE T DROP COLUMN C")
    assert keys("PRIMARY") == [("b", 1, "P"), ("Z", 2, "P")]
    assert keys("UNIQUE") == [("Z", 1, "LATER")]


def test_keys_of_a_state_directory_that_knows_no_names_are_read(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    before = state.connect()
    before.execute("CREATE TABLE key_columns (database TEXT, schema TEXT, relation TEXT, kind TEXT, name TEXT)")
    before.execute("INSERT INTO key_columns VALUES ('D', 'S', 'T', 'PRIMARY KEY', 'A')")
    before.close()
    catalog = Catalog(state)
    assert catalog.keys(("D", "S", "T")) == [("PRIMARY KEY", "A", "SYS_CONSTRAINT_PRIMARY_KEY")]
    catalog.close()
    state.close()


def test_cluster_by_any_expression(connection: SnowflakeConnection, schema: str) -> None:
    run(
        connection,
        'CREATE TABLE T ("Id" INT, NAME VARCHAR) CLUSTER BY ("Id", SUBSTR(NAME, 1, 2), "Id" > 5) COMMENT = \'c\'',
    )
    assert run(connection, "SHOW TABLES")[0][5] == "c"
    run(connection, "CREATE OR REPLACE TABLE T CLUSTER BY (A = 1) AS SELECT 1 AS A")
    assert run(connection, "SELECT * FROM T") == [(1,)]


def test_foreign_keys_are_kept_and_not_enforced(connection: SnowflakeConnection, schema: str) -> None:
    def keys(sql: str) -> list[tuple[Any, ...]]:
        return [(row[3:5], row[7:9], row[9], row[11], row[12]) for row in run(connection, sql)]

    run(connection, "CREATE TABLE P (ID INT PRIMARY KEY, U INT UNIQUE)")
    run(
        connection,
        "CREATE TABLE C (ID INT REFERENCES P, X INT, FOREIGN KEY (X, ID) REFERENCES P (U, ID) ON DELETE CASCADE)",
    )
    run(connection, "INSERT INTO C VALUES (99, 98)")
    run(connection, "CREATE TABLE D (ID INT NOT NULL CONSTRAINT NAMED REFERENCES P (ID), UP INT)")
    run(connection, f"ALTER TABLE D ADD CONSTRAINT LATER FOREIGN KEY (UP) REFERENCES {schema}.P (U)")
    assert sorted(keys("SHOW IMPORTED KEYS IN TABLE C")) == [
        (("P", "ID"), ("C", "ID"), 1, "NO ACTION", "SYS_CONSTRAINT_FK_C_2"),
        (("P", "ID"), ("C", "ID"), 2, "CASCADE", "SYS_CONSTRAINT_FK_C_1"),
        (("P", "U"), ("C", "X"), 1, "CASCADE", "SYS_CONSTRAINT_FK_C_1"),
    ]
    run(connection, "ALTER TABLE D RENAME TO E")
    named = [
        (("P", "ID"), ("E", "ID"), 1, "NO ACTION", "NAMED"), (("P", "U"), ("E", "UP"), 1, "NO ACTION", "LATER"),
    ]  # fmt: skip
    assert keys("SHOW IMPORTED KEYS IN TABLE E") == named
    assert [key for key in keys("SHOW EXPORTED KEYS IN TABLE P") if key[1][0] == "E"] == named
    assert error(connection, "CREATE TABLE F (ID INT REFERENCES NOPE (ID))")[0] == 2003
    assert error(connection, "CREATE TABLE F (ID INT REFERENCES P (NOPE))")[0] == 904
    run(connection, "CREATE OR REPLACE TABLE E (ID INT)")
    assert keys("SHOW IMPORTED KEYS IN TABLE E") == []
    run(connection, "DROP TABLE P")
    assert keys("SHOW IMPORTED KEYS IN SCHEMA") == []


def test_sequences_are_shown(connection: SnowflakeConnection, schema: str) -> None:
    run(connection, "CREATE SEQUENCE S START 5 INCREMENT 2 ORDER")
    run(connection, "CREATE TABLE T (ID INT AUTOINCREMENT)")
    assert [row[:5] for row in run(connection, "SHOW SEQUENCES")] == [("S", "LOCAL", schema, 5, 2)]
    run(connection, "SELECT S.NEXTVAL")
    assert [row[:5] for row in run(connection, "DESC SEQUENCE S")] == [("S", "LOCAL", schema, 7, 2)]
    assert "already exists" in run(connection, "CREATE SEQUENCE IF NOT EXISTS S")[0][0]
    run(connection, "CREATE TABLE U (N INT DEFAULT S.NEXTVAL)")
    errno, message = error(connection, "DROP SEQUENCE S")
    assert (errno, "drop S, on which others depend" in message) == (2, True)
    run(connection, "DROP TABLE U")
    run(connection, "DROP SEQUENCE S")
    run(connection, "DROP SEQUENCE IF EXISTS S")
    assert run(connection, "SHOW SEQUENCES") == []
    for statement in ("DESCRIBE SEQUENCE S", "DROP SEQUENCE S"):
        assert error(connection, statement)[0] == 2003
