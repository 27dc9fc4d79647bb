"""Names are found by their exact case, and nothing but the account's own tables is found at all."""

from __future__ import annotations

from typing import Any

import pytest
import snowflake.connector
from snowflake.connector import SnowflakeConnection


def run(connection: SnowflakeConnection, sql: str) -> list[Any]:
    cursor = connection.cursor().execute(sql)
    assert cursor is not None
    return cursor.fetchall()


def error(connection: SnowflakeConnection, sql: str) -> tuple[int, str]:
    with pytest.raises(snowflake.connector.errors.DatabaseError) as caught:
        run(connection, sql)
    return caught.value.errno, str(caught.value.msg)


@pytest.fixture
def tables(connection: SnowflakeConnection, schema: str) -> SnowflakeConnection:
    """Scores as models write them: some columns in lower case."""
    run(connection, 'CREATE TABLE SCORES (ID INT, "score" FLOAT, LABEL VARCHAR)')
    run(connection, "INSERT INTO SCORES VALUES (1, 0.5, 'a')")
    run(connection, 'CREATE TABLE "lower" (A INT)')
    run(connection, 'CREATE VIEW V AS SELECT "score", LABEL AS "label" FROM SCORES')
    run(connection, 'CREATE TEMPORARY TABLE TEMPORARY_SCORES ("q" INT)')
    return connection


MISSPELT = [
    "SELECT score FROM SCORES",
    'SELECT "id" FROM SCORES',
    'SELECT S."id" FROM SCORES S',
    'SELECT ID FROM SCORES WHERE "label" IS NULL',
    'SELECT COUNT(*) FROM SCORES GROUP BY "label"',
    "SELECT A.ID FROM SCORES A JOIN SCORES B ON A.score = B.ID",
    'SELECT Q.score FROM (SELECT "score" FROM SCORES) Q',
    "SELECT score FROM (SELECT * FROM SCORES)",
    'WITH C AS (SELECT "score" AS "s" FROM SCORES) SELECT s FROM C',
    'SELECT 1 FROM SCORES A WHERE EXISTS (SELECT 1 FROM SCORES B WHERE B.ID = A."id")',
    "SELECT score FROM V",
    "SELECT LABEL FROM V",
    "SELECT q FROM TEMPORARY_SCORES",
    "INSERT INTO SCORES (ID, score) VALUES (1, 2)",
    'INSERT INTO SCORES (ID) SELECT "id" FROM SCORES',
    "UPDATE SCORES SET score = 1",
    'UPDATE SCORES SET "score" = 1 WHERE "id" = 1',
    "DELETE FROM SCORES WHERE score = 0.5",
    "MERGE INTO SCORES USING (SELECT 1 AS I) S ON ID = S.I WHEN MATCHED THEN UPDATE SET score = 1",
    "MERGE INTO SCORES T USING (SELECT 9 AS I) S ON T.ID = S.I WHEN NOT MATCHED THEN INSERT (score) VALUES (S.I)",
    "ALTER TABLE SCORES DROP COLUMN score",
    'ALTER TABLE SCORES RENAME COLUMN "id" TO X',
    "CREATE TABLE COPY AS SELECT score FROM SCORES",
]


# One test for all, since none of them changes anything.
def test_a_column_in_another_case_is_no_column(tables: SnowflakeConnection) -> None:
    for sql in MISSPELT:
        errno, message = error(tables, sql)
        assert (errno, "invalid identifier" in message) == (904, True), sql
    assert run(tables, 'SELECT ID, "score", LABEL FROM SCORES') == [(1, 0.5, "a")]


# One test for all, since none of them changes anything.
def test_a_name_that_a_subquery_gives_twice_is_ambiguous(tables: SnowflakeConnection) -> None:
    for sql in (
        "SELECT A FROM (SELECT 1 AS A, 2 AS A)",
        "WITH C AS (SELECT 1 AS A, 2 AS A) SELECT C.A FROM C",
        "SELECT ID FROM (SELECT * FROM SCORES S JOIN SCORES T ON S.ID = T.ID)",
    ):
        errno, message = error(tables, sql)
        assert (errno, "ambiguous column name" in message) == (1052, True), sql


SPELT = [
    ('SELECT id, ID, "ID", s."score", S.LABEL FROM scores s', [(1, 1, 1, 0.5, "a")]),
    ('SELECT "score" AS x, x * 2 AS y FROM SCORES ORDER BY y', [(0.5, 1.0)]),
    ('SELECT "k", COUNT(*) N FROM (SELECT LABEL AS "k" FROM SCORES) GROUP BY "k" HAVING N > 0', [("a", 1)]),
    ("WITH C(A, B) AS (SELECT ID, LABEL FROM SCORES) SELECT a, B FROM c", [(1, "a")]),
    ("SELECT A.ID FROM SCORES A WHERE EXISTS (SELECT 1 FROM SCORES WHERE ID = A.ID)", [(1,)]),
    ("SELECT ID FROM SCORES QUALIFY ROW_NUMBER() OVER (PARTITION BY LABEL ORDER BY ID) = 1", [(1,)]),
    ('SELECT "score", "label" FROM V', [(0.5, "a")]),
    ('SELECT "q" FROM TEMPORARY_SCORES', []),
    ('SELECT * FROM "lower"', []),
    ("SELECT T.A FROM (VALUES (1, 2)) T(A, B)", [(1,)]),
    ("SELECT COLUMN1 FROM VALUES (1), (2)", [(1,), (2,)]),
    ("SELECT F.VALUE::INT FROM (SELECT PARSE_JSON('[1]') AS A) T, LATERAL FLATTEN(INPUT => T.A) F", [(1,)]),
    ("SELECT B FROM (SELECT 1 AS A, 2 AS A, 3 AS B)", [(3,)]),
    ("SELECT ID FROM (SELECT * FROM SCORES S JOIN SCORES T USING (ID))", [(1,)]),
    (
        'SELECT "ID" FROM (SELECT * FROM ((SELECT ID FROM SCORES) AS S JOIN (SELECT ID FROM SCORES) T USING (id)))',
        [(1,)],
    ),
    ('SELECT A, "b" FROM (SELECT 1 AS A UNION ALL SELECT 2) JOIN (SELECT 3 AS "b") ON TRUE', [(1, 3), (2, 3)]),
]


def test_names_as_they_are(tables: SnowflakeConnection) -> None:
    for sql, rows in SPELT:
        assert sorted(run(tables, sql)) == rows, sql


ELSEWHERE = [
        "SELECT * FROM LOWER", "INSERT INTO LOWER VALUES (1)", "DELETE FROM LOWER", "TRUNCATE TABLE LOWER",
        "DROP TABLE LOWER", "ALTER TABLE LOWER ADD COLUMN B INT", "CREATE TABLE X CLONE LOWER",
        "CREATE TABLE X LIKE LOWER", 'SELECT * FROM "scores"', "SELECT * FROM NOPE", "SELECT * FROM NOPE.NOPE.NOPE",
]  # fmt: skip


def test_a_table_in_another_case_is_no_table(tables: SnowflakeConnection) -> None:
    for sql in ELSEWHERE:
        assert error(tables, sql)[0] == 2003, sql
    run(tables, "DROP TABLE IF EXISTS LOWER")
    assert run(tables, 'SELECT * FROM "lower"') == []


def test_names_that_differ_in_case_only_are_refused(tables: SnowflakeConnection) -> None:
    for sql in (
        'CREATE TABLE T ("a" INT, A INT)',
        "CREATE TABLE LOWER (A INT)",
        "CREATE TABLE IF NOT EXISTS LOWER (A INT)",
        'SELECT * FROM (SELECT 1 AS "a", 2 AS A)',
    ):
        assert "not supported by the local Snowflake" in error(tables, sql)[1], sql


def test_changes_by_other_sessions_are_seen(connect: Any, tables: SnowflakeConnection, schema: str) -> None:
    other = connect(schema=schema)
    assert run(other, "SELECT ID FROM SCORES") == [(1,)]
    run(tables, 'ALTER TABLE SCORES RENAME COLUMN ID TO "id"')
    assert error(other, "SELECT ID FROM SCORES")[0] == 904
    assert run(other, 'SELECT "id" FROM SCORES') == [(1,)]
    run(tables, "DROP TABLE SCORES")
    assert error(other, 'SELECT "id" FROM SCORES')[0] == 2003
    run(tables, "CREATE TABLE SCORES (NEW INT)")
    assert run(other, "SELECT NEW FROM SCORES") == []


OF_THE_ENGINE = [
        "PRAGMA_DATABASE_LIST", '"pragma_database_list"', "DUCKDB_TABLES", '"duckdb_tables"', "SQLITE_MASTER",
        '"system"."main"."duckdb_settings"', '"system"."pg_catalog"."pg_class"', '"temp"."main"."x"',
        '"_fs_global"."_fs_information_schema"."_fs_tables_ext"', '"LOCAL"."_fs_information_schema"."_fs_load_history"',
        '"LOCAL"."main"."x"', '"memory"."main"."x"', '"LOCAL"."information_schema"."tables"',
]  # fmt: skip


def test_the_engines_own_tables_are_out_of_reach(connection: SnowflakeConnection) -> None:
    for relation in OF_THE_ENGINE:
        assert error(connection, f"SELECT * FROM {relation}")[0] == 2003, relation
