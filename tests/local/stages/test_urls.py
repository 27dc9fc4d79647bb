"""URLs of staged files, what a query can ask about the files it reads, and tables made from staged files.

Also tests ``local/stages/http_files.py``, ``local/stages/schema_inference.py``, ``local/stages/table_functions.py``.
"""

from __future__ import annotations

import datetime
import hashlib
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import snowflake.connector
from snowflake.connector import SnowflakeConnection

pytestmark = pytest.mark.usefixtures("stage")


@pytest.fixture
def stage(connection: SnowflakeConnection, schema: str, tmp_path: Path) -> None:
    (tmp_path / "a b.txt").write_text("hello")
    table = pa.table({"id": pa.array([1, 2]), "Name": ["a", None], "v": [0.5, 1.5], "tags": [["x"], []]})
    pq.write_table(table, tmp_path / "p.parquet")
    run(connection, "CREATE STAGE S DIRECTORY = (ENABLE = TRUE)")
    run(connection, f"PUT 'file://{tmp_path}/a b.txt' @S/dir AUTO_COMPRESS = FALSE")
    run(connection, f"PUT file://{tmp_path}/p.parquet @S/pq AUTO_COMPRESS = FALSE")
    run(connection, "CREATE FILE FORMAT F TYPE = PARQUET")


def run(connection: SnowflakeConnection, sql: str) -> list[Any]:
    cursor = connection.cursor().execute(sql)
    assert cursor is not None
    return cursor.fetchall()


def value(connection: SnowflakeConnection, sql: str) -> Any:
    ((only,),) = run(connection, sql)
    return only


def error(connection: SnowflakeConnection, sql: str) -> tuple[int, str]:
    with pytest.raises(snowflake.connector.errors.ProgrammingError) as caught:
        run(connection, sql)
    return caught.value.errno, str(caught.value.msg)


def fetch(url: str, **headers: str) -> tuple[int, bytes]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, headers=headers), timeout=60) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as refused:
        return refused.code, b""


def test_a_presigned_url_needs_no_login(connection: SnowflakeConnection) -> None:
    url = value(connection, "SELECT GET_PRESIGNED_URL(@S, 'dir/a b.txt', 60)")
    assert fetch(url) == (200, b"hello")
    assert fetch(url.replace("a%20b.txt", "other.txt"))[0] == 403
    assert fetch(url.rpartition("=")[0] + "=" + "0" * 64)[0] == 403
    missing = value(connection, "SELECT GET_PRESIGNED_URL('@S', 'dir/none.txt')")
    assert fetch(missing)[0] == 404


def test_presigned_urls_of_a_directory_table(connection: SnowflakeConnection) -> None:
    rows = run(connection, "SELECT RELATIVE_PATH, SIZE, GET_PRESIGNED_URL(@S, RELATIVE_PATH) FROM DIRECTORY(@S)")
    assert sorted(row[0] for row in rows) == ["dir/a b.txt", "pq/p.parquet"]
    for _, size, url in rows:
        status, content = fetch(url)
        assert (status, len(content)) == (200, size)


def test_a_presigned_url_does_not_leave_its_stage(connection: SnowflakeConnection) -> None:
    url = value(connection, "SELECT GET_PRESIGNED_URL(@S, '../../../../secret')")
    assert fetch(url)[0] in (403, 404)
    assert error(connection, "SELECT GET_PRESIGNED_URL(@S, 'x', 0)")[0] == 1003
    assert error(connection, "SELECT GET_PRESIGNED_URL(@NONE, 'x')")[0] == 2003


def test_a_presigned_url_expires(connection: SnowflakeConnection) -> None:
    url = value(connection, "SELECT GET_PRESIGNED_URL(@S, 'dir/a b.txt', 1)")
    value(connection, "SELECT SYSTEM$WAIT(1100, 'MILLISECONDS')")
    assert fetch(url)[0] == 403


def test_file_urls_need_a_session(connection: SnowflakeConnection, schema: str) -> None:
    url = value(connection, "SELECT FILE_URL FROM DIRECTORY(@S) WHERE RELATIVE_PATH LIKE 'dir/%'")
    assert url == value(connection, "SELECT BUILD_STAGE_FILE_URL(@S, 'dir/a b.txt')")
    assert f"/api/files/LOCAL/{schema}/S/" in url
    assert fetch(url)[0] == 401
    token = connection.rest.token  # type: ignore[union-attr]
    assert fetch(url, Authorization=f'Snowflake Token="{token}"') == (200, b"hello")
    assert value(connection, "SELECT GET_RELATIVE_PATH(@S, '@S/dir/a b.txt')") == "dir/a b.txt"


def test_what_a_query_can_ask_about_its_files(connection: SnowflakeConnection, tmp_path: Path) -> None:
    rows = run(
        connection,
        "SELECT METADATA$FILENAME, METADATA$FILE_ROW_NUMBER, METADATA$FILE_CONTENT_KEY, METADATA$FILE_LAST_MODIFIED, "
        "METADATA$START_SCAN_TIME FROM @S/pq (FILE_FORMAT => F)",
    )
    assert [row[:2] for row in rows] == [("pq/p.parquet", 1), ("pq/p.parquet", 2)]
    assert {row[2] for row in rows} == {hashlib.md5((tmp_path / "p.parquet").read_bytes()).hexdigest()}
    now = datetime.datetime.now(datetime.UTC)
    assert all(now - row[3].replace(tzinfo=datetime.UTC) < datetime.timedelta(minutes=5) for row in rows)
    assert all(abs(now - row[4]) < datetime.timedelta(minutes=5) for row in rows)


def test_a_table_from_the_schema_of_staged_files(connection: SnowflakeConnection) -> None:
    inferred = "TABLE(INFER_SCHEMA(LOCATION => '@S/pq', FILE_FORMAT => 'F'))"
    template = f"(SELECT ARRAY_AGG(OBJECT_CONSTRUCT(*)) WITHIN GROUP (ORDER BY ORDER_ID) FROM {inferred})"
    run(connection, f"CREATE TABLE T USING TEMPLATE {template}")
    described = [row[:2] for row in run(connection, "DESCRIBE TABLE T")]
    assert described == [
        ("id", "NUMBER(38,0)"), ("Name", "VARCHAR(16777216)"), ("v", "FLOAT"), ("tags", "VARIANT")
    ]  # fmt: skip
    run(connection, "COPY INTO T FROM @S/pq FILE_FORMAT = (FORMAT_NAME = F) MATCH_BY_COLUMN_NAME = CASE_SENSITIVE")
    assert run(connection, 'SELECT "id", "Name", "v" FROM T ORDER BY "id"') == [(1, "a", 0.5), (2, None, 1.5)]
    run(connection, f"CREATE OR REPLACE TEMPORARY TABLE U USING TEMPLATE {template}")
    assert run(connection, "SELECT * FROM U") == []
    assert error(connection, "CREATE TABLE V USING TEMPLATE (SELECT 1)")[0] == 1003


def test_ignoring_case(connection: SnowflakeConnection) -> None:
    inferred = "TABLE(INFER_SCHEMA(LOCATION => '@S/pq', FILE_FORMAT => 'F', IGNORE_CASE => TRUE))"
    rows = run(connection, f"SELECT COLUMN_NAME, EXPRESSION FROM {inferred} ORDER BY ORDER_ID")
    assert rows[1] == ("NAME", "GET_IGNORE_CASE ($1, 'NAME')::TEXT")
    expressions = ", ".join(row[1] for row in rows[:2])
    assert run(connection, f"SELECT {expressions} FROM @S/pq (FILE_FORMAT => F)") == [(1, "a"), (2, None)]
