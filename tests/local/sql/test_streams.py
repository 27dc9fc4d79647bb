"""Streams: the rows inserted since a change has read them last.

Also tests ``local/sql/stream_statements.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import snowflake.connector
from snowflake.connector import SnowflakeConnection

from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests.local.statement_calls import error, execute
from tests.local.task_runs import ends

REFUSED = "not supported by the local Snowflake"


@pytest.fixture
def stream(connection: SnowflakeConnection, schema: str) -> SnowflakeConnection:
    """A stream S on T, which had a row before it."""
    execute(connection, "CREATE TABLE T (A INT, V VARIANT)")
    execute(connection, "CREATE TABLE SEEN (A INT)")
    execute(connection, "INSERT INTO T SELECT 1, PARSE_JSON('{\"k\": 1}')")
    execute(connection, "CREATE STREAM S ON TABLE T")
    return connection


def rows(connection: SnowflakeConnection) -> list[Any]:
    return [a for (a,) in execute(connection, "SELECT A FROM S ORDER BY A")]


def has_data(connection: SnowflakeConnection) -> bool:
    return bool(execute(connection, "SELECT SYSTEM$STREAM_HAS_DATA('S')")[0][0])


def test_a_stream_has_the_rows_inserted_since(stream: SnowflakeConnection) -> None:
    assert not has_data(stream)
    execute(stream, "INSERT INTO T (A) VALUES (2), (2)")
    assert has_data(stream)
    cursor = stream.cursor().execute("SELECT * FROM S X WHERE X.METADATA$ACTION = 'INSERT'")
    assert cursor is not None
    names = ["A", "V", "METADATA$ACTION", "METADATA$ISUPDATE", "METADATA$ROW_ID"]
    assert [column.name for column in cursor.description] == names
    assert [row[:4] for row in cursor.fetchall()] == [(2, None, "INSERT", False)] * 2
    assert rows(stream) == [2, 2], "a query moves nothing on"


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO SEEN SELECT A FROM S",
        "MERGE INTO SEEN USING S ON SEEN.A = S.A WHEN NOT MATCHED THEN INSERT (A) VALUES (S.A)",
        "CREATE TABLE OTHER AS SELECT A FROM S",
        "INSERT INTO SEEN WITH Q AS (SELECT * FROM S WHERE 1 = 2) SELECT A FROM Q",
    ],
)
@pytest.mark.parametrize("autocommit", [True, False])
def test_a_change_moves_a_stream_on(stream: SnowflakeConnection, change: str, autocommit: bool) -> None:
    execute(stream, "INSERT INTO T (A) VALUES (2)")
    stream.autocommit(autocommit)
    execute(stream, change)
    stream.commit()
    stream.autocommit(True)
    assert rows(stream) == []
    assert not has_data(stream)
    execute(stream, "INSERT INTO T (A) VALUES (3)")
    assert rows(stream) == [3]


def test_a_transaction_sees_the_same_rows_until_its_end(stream: SnowflakeConnection) -> None:
    execute(stream, "INSERT INTO T (A) VALUES (2)")
    for end, left in (("ROLLBACK", [2]), ("COMMIT", [3])):
        execute(stream, "BEGIN")
        execute(stream, "INSERT INTO SEEN SELECT A FROM S")
        execute(stream, "INSERT INTO T (A) VALUES (3)")
        execute(stream, "INSERT INTO SEEN SELECT A + 10 FROM S WHERE A = 2")
        execute(stream, end)
        assert rows(stream) == left
    assert execute(stream, "SELECT A FROM SEEN ORDER BY A") == [(2,), (12,)]


def test_a_change_that_fails_leaves_a_stream_where_it_was(stream: SnowflakeConnection) -> None:
    execute(stream, "INSERT INTO T (A) VALUES (2)")
    for statement in ("INSERT INTO SEEN SELECT 1 / (A - 2) FROM S", "INSERT INTO SEEN SELECT NOPE FROM S"):
        error(stream, statement)
        assert rows(stream) == [2]


@pytest.mark.parametrize("change", ["UPDATE T SET A = 5", "DELETE FROM T", "TRUNCATE TABLE T"])
def test_a_stream_whose_table_lost_rows_is_refused(stream: SnowflakeConnection, change: str) -> None:
    execute(stream, change)
    assert has_data(stream)
    for statement in ("SELECT * FROM S", "INSERT INTO SEEN SELECT A FROM S"):
        errno, _, message = error(stream, statement)
        assert (errno, REFUSED in message) == (2, True), message
    execute(stream, "CREATE OR REPLACE STREAM S ON TABLE T APPEND_ONLY = TRUE SHOW_INITIAL_ROWS = TRUE")
    assert rows(stream) == [a for (a,) in execute(stream, "SELECT A FROM T")]


def test_streams_are_shown_and_dropped(stream: SnowflakeConnection, schema: str) -> None:
    execute(stream, "CREATE STREAM IF NOT EXISTS S ON TABLE T")
    execute(stream, "CREATE STREAM U ON TABLE T APPEND_ONLY = TRUE COMMENT = 'c'")
    cursor = stream.cursor(snowflake.connector.DictCursor).execute("SHOW STREAMS")
    assert cursor is not None
    found = [tuple(row[key] for key in ("name", "table_name", "mode", "comment")) for row in cursor.fetchall()]  # type: ignore[call-overload]
    assert found == [("S", f"LOCAL.{schema}.T", "DEFAULT", ""), ("U", f"LOCAL.{schema}.T", "APPEND_ONLY", "c")]
    assert execute(stream, "DESCRIBE STREAM U")[0][1] == "U"
    assert error(stream, "CREATE STREAM S ON TABLE T")[0] == 2002
    execute(stream, "DROP STREAM U")
    execute(stream, "DROP STREAM IF EXISTS U")
    for statement in ("DROP STREAM U", "SELECT SYSTEM$STREAM_HAS_DATA('U')", "CREATE STREAM W ON TABLE NOPE"):
        assert error(stream, statement)[0] == 2003, statement
    assert {row[1] for row in execute(stream, "SHOW SCHEMAS IN DATABASE LOCAL")}.isdisjoint({"_local_streams"})
    for statement in (
        "CREATE STREAM W ON VIEW T", "CREATE STREAM W ON TABLE T AT (OFFSET => -60)", "ALTER STREAM S UNSET COMMENT",
        "CREATE STREAM W ON TABLE T INSERT_ONLY = TRUE",
    ):  # fmt: skip
        assert REFUSED in error(stream, statement)[2], statement


def test_a_task_runs_when_its_stream_has_rows(stream: SnowflakeConnection, schema: str) -> None:
    execute(stream, "CREATE TASK K WHEN SYSTEM$STREAM_HAS_DATA('S') AS INSERT INTO SEEN SELECT A FROM S")
    execute(stream, "EXECUTE TASK K")
    assert ends(stream, 1) == {"K": "SKIPPED"}
    execute(stream, "INSERT INTO T (A) VALUES (2)")
    execute(stream, "EXECUTE TASK K")
    ends(stream, 2)
    assert execute(stream, "SELECT A FROM SEEN") == [(2,)]
    assert rows(stream) == []


def test_streams_outlive_a_restart_and_go_with_their_schema(tmp_path: Path) -> None:
    for start in range(2):
        with (
            LocalServer(tmp_path / "state") as server,
            snowflake.connector.connect(**server.connection_kwargs) as connection,
        ):
            if start == 0:
                execute(connection, "CREATE SCHEMA GONE")
                for schema in ("GONE", "PUBLIC"):
                    execute(connection, f"CREATE TABLE {schema}.T (A INT)")
                    execute(connection, f"CREATE STREAM {schema}.S ON TABLE {schema}.T")
                execute(connection, "DROP SCHEMA GONE")
                execute(connection, "USE SCHEMA PUBLIC")
                execute(connection, "INSERT INTO T VALUES (1)")
            assert rows(connection) == [1]
            assert [row[1:4] for row in execute(connection, "SHOW STREAMS IN ACCOUNT")] == [("S", "LOCAL", "PUBLIC")]
