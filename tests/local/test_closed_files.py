"""No SQL reaches a file outside of the stages: every function and every way of writing that the engine has is tried."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import snowflake.connector
from snowflake.connector import SnowflakeConnection

from airflow_provider_snowflake_batch.local.server_process import LocalServer

SECRET = "b7d1f0-nobody-may-read-this"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files with a secret in every format that the engine reads."""
    folder = tmp_path_factory.mktemp("outside")
    for name in ("secret.txt", "secret.csv", "secret.json"):
        (folder / name).write_text(f'{{"a": "{SECRET}"}}\n')
    engine = duckdb.connect(str(folder / "secret.duckdb"))
    engine.execute(f"CREATE TABLE T AS SELECT '{SECRET}' AS A")
    engine.execute(f"COPY T TO '{folder / 'secret.parquet'}' (FORMAT PARQUET)")
    engine.close()
    return folder


def answer(connection: SnowflakeConnection, sql: str, parameters: Any = None) -> str:
    """All that a statement says, be it rows or an error."""
    try:
        cursor = connection.cursor().execute(sql, parameters)
        assert cursor is not None
        return repr(cursor.fetchmany(50))
    except snowflake.connector.errors.Error as error:
        return str(error.msg)


def engine_functions() -> list[str]:
    with duckdb.connect() as engine:
        return [name for (name,) in engine.execute("SELECT DISTINCT function_name FROM duckdb_functions()").fetchall()]


def attempts(paths: list[Path]) -> Iterator[str]:
    plain = [name for name in engine_functions() if name.isidentifier()]
    for name, path in itertools.product(plain, paths[:1]):
        yield f"SELECT {name}('{path}')"
        yield f"SELECT * FROM {name}('{path}')"
    reading = [
        name for name in plain if any(word in name for word in ("read", "scan", "glob", "file", "query", "sniff"))
    ]
    for name, path in itertools.product(reading, paths):
        yield f"SELECT * FROM TABLE({name}('{path}'))"
        yield f"SELECT * FROM \"{name}\"('{path}')"
        yield f"SELECT * FROM {name}(['{path}'])"
        yield f"SELECT * FROM {name}('{path.parent}/' || '{path.name}')"
        yield f"SELECT * FROM {name}('{path.parent}/*')"
        yield f"SELECT * FROM LOCAL.PUBLIC.{name}('{path}')"
        yield f"SELECT * FROM (SELECT 1) X, LATERAL {name}('{path}')"
        yield f"SELECT (SELECT MAX(COLUMNS(*)) FROM {name}('{path}'))"
        yield f"WITH C AS (SELECT * FROM {name}('{path}')) SELECT * FROM C"
        yield f"CREATE OR REPLACE VIEW STOLEN AS SELECT * FROM {name}('{path}')"
        yield f"CREATE OR REPLACE TABLE STOLEN AS SELECT * FROM {name}('{path}')"
        yield f"INSERT INTO TAKEN SELECT * FROM {name}('{path}')"
        yield f"COPY INTO @S/stolen FROM (SELECT * FROM {name}('{path}')) FILE_FORMAT = (TYPE = CSV)"
        yield f"SELECT * FROM @S/x UNION ALL SELECT * FROM {name}('{path}')"
    for path in paths:
        yield f"SELECT * FROM '{path}'"
        yield f'SELECT * FROM "{path}"'
        yield f"SELECT * FROM IDENTIFIER('\"{path}\"')"
        yield f"SELECT * FROM TABLE('{path}')"
        yield f"SELECT $1 FROM '@S/../../../../../../{path}'"
        yield f"SELECT $1 FROM '@S/{path}'"
        yield f"LIST '@S/{path}'"
        yield f"ATTACH '{path}' AS STOLEN"
        yield f"ATTACH DATABASE '{path}'"
        yield f'CREATE DATABASE "{path}"'
        yield f'USE DATABASE "{path}"'
        yield f"IMPORT DATABASE '{path.parent}'"
        yield f"COPY TAKEN FROM '{path}'"
        yield f"COPY INTO TAKEN FROM 'file://{path}'"
        yield f"COPY INTO TAKEN FROM '{path}' FILE_FORMAT = (TYPE = CSV)"
        yield f"EXECUTE JOB SERVICE IN COMPUTE POOL P FROM @S SPECIFICATION_FILE = '../../../../../../..{path}'"
        yield f"EXECUTE IMMEDIATE FROM '{path}'"
        yield f"EXECUTE IMMEDIATE $$SELECT * FROM read_text('{path}')$$"
        yield f"SELECT GET_PRESIGNED_URL(@S, '../../../../../../..{path}')"


@pytest.fixture
def prepared(connection: SnowflakeConnection, schema: str) -> SnowflakeConnection:
    for sql in ("CREATE STAGE S", "CREATE TABLE TAKEN (A VARCHAR)"):
        connection.cursor().execute(sql)
    return connection


@pytest.mark.slow
def test_no_function_reads_a_file(prepared: SnowflakeConnection, files: Path, local_server: LocalServer) -> None:
    outside = sorted(files.iterdir())
    # The server's own files are no less closed: the password of the connection is one of them.
    own = local_server.state_dir / "secret"
    password = own.read_text().strip()
    for sql in attempts([*outside, own]):
        said = answer(prepared, sql)
        assert SECRET not in said, sql
        assert password not in said, sql
    for sql in ("SELECT * FROM TAKEN", "SELECT * FROM STOLEN", "SELECT $1 FROM @S"):
        said = answer(prepared, sql)
        assert SECRET not in said, sql
        assert password not in said, sql


def test_no_statement_writes_a_file(prepared: SnowflakeConnection, tmp_path: Path) -> None:
    target = tmp_path / "written"
    for sql in (
        f"COPY (SELECT 1) TO '{target}'",
        f"COPY TAKEN TO '{target}' (FORMAT CSV)",
        f"EXPORT DATABASE '{target}'",
        f"ATTACH '{target}' AS X",
        f"CREATE DATABASE X FROM '{target}'",
        f"COPY INTO '{target}' FROM TAKEN",
        f"COPY INTO 'file://{target}' FROM TAKEN",
        f"COPY INTO @S/../../../../../../..{target} FROM (SELECT 1)",
        f"COPY INTO @S FROM (SELECT '../../../../../../..{target}' AS P) PARTITION BY (P) FILE_FORMAT = (TYPE = CSV)",
        f"PRAGMA log_query_path='{target}'",
        f"SET log_query_path = '{target}'",
        f"CALL enable_logging(storage := 'file', storage_path := '{target}')",
        f"SELECT * FROM enable_logging(storage := 'file', storage_path := '{target}')",
        f"SELECT write_log('x', scope := '{target}')",
    ):
        answer(prepared, sql)
        assert not list(tmp_path.iterdir()), sql


def test_nothing_can_be_installed_or_opened_up(prepared: SnowflakeConnection, files: Path) -> None:
    for sql in (
        "INSTALL httpfs", "LOAD httpfs", "INSTALL '/tmp/x.duckdb_extension'", "FORCE INSTALL spatial FROM community",
        "SET enable_external_access = true", "SET GLOBAL enable_external_access = true",
        "PRAGMA enable_external_access = true", "RESET enable_external_access", "CALL enable_logging()",
        "ALTER SESSION SET enable_external_access = true", "SET allowed_directories = ['/']",
        "CREATE SECRET X (TYPE S3)", "CREATE MACRO F() AS TABLE SELECT * FROM read_text('/etc/hostname')",
        "CREATE FUNCTION F() RETURNS INT AS 'read_text'", "PREPARE P AS SELECT 1", "DETACH LOCAL", "CHECKPOINT",
        "VACUUM", "USE memory", "SELECT current_setting('secret_directory')", "SELECT getenv('HOME')",
        "SELECT getvariable('x')", "SELECT * FROM duckdb_secrets()", "SELECT * FROM duckdb_settings()",
    ):  # fmt: skip
        answer(prepared, sql)
        assert SECRET not in answer(prepared, f"SELECT * FROM read_text('{files / 'secret.txt'}')"), sql
        assert answer(prepared, "SELECT 1") == "[(1,)]", sql


def test_binds_are_values(connect: Any, schema: str, files: Path) -> None:
    connection = connect(schema=schema, paramstyle="qmark")
    path = str(files / "secret.txt")
    for sql in ("SELECT * FROM read_text(?)", "SELECT * FROM TABLE(?)", "SELECT * FROM IDENTIFIER(?)", "LIST ?"):
        assert SECRET not in answer(connection, sql, [path]), sql
        assert SECRET not in answer(connection, sql, [f"read_text('{path}')"]), sql
