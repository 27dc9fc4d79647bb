"""A full disk, and other things that a machine runs short of: what passes must not end the server, nor lose a row.

Also tests ``local/shortages.py``, ``local/sql/checkpoints.py``.
"""

from __future__ import annotations

import errno
import json
import resource
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import requests
import snowflake.connector
from snowflake.connector import SnowflakeConnection
from snowflake.connector.errors import DatabaseError, ProgrammingError

from airflow_provider_snowflake_batch.local.server_process import LocalServer
from airflow_provider_snowflake_batch.local.shortages import shortage

MIB = 2**20
NO_ROOM = "no room left on the disk"


@dataclass
class Disk:
    """A disk that can be filled up and emptied again."""

    server: LocalServer
    fill: Callable[[], None]
    empty: Callable[[], None]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalServer]:
    server = LocalServer(tmp_path / "state")
    yield server.start()
    server.stop()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Disk]:
    """A file system of 64 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root may mount a small file system")
    filler = folder / "filler"
    server = LocalServer(folder / "state")

    def fill() -> None:
        with filler.open("ab") as file:
            try:
                for size in (MIB, 4096):
                    while True:
                        file.write(b"x" * size)
                        file.flush()
            except OSError:
                pass

    try:
        server.start()
        filler.write_bytes(b"x" * 30 * MIB)
        yield Disk(server, fill, lambda: filler.unlink(missing_ok=True))
        server.stop()
    finally:
        server.kill()
        subprocess.run(["umount", "-l", folder], check=False)


@pytest.fixture
def limited_files(server: LocalServer) -> Disk:
    """Any disk, for a process that may write no file beyond 20 MiB: anybody can set that, root or not."""
    return Disk(
        server, lambda: limit(server, resource.RLIMIT_FSIZE, 20 * MIB), lambda: limit(server, resource.RLIMIT_FSIZE)
    )


def limit(server: LocalServer, which: int, value: int | None = None) -> None:
    assert server.process is not None
    _, most = resource.prlimit(server.process.pid, which)
    resource.prlimit(server.process.pid, which, (most if value is None else value, most))


def connect(server: LocalServer, **options: Any) -> SnowflakeConnection:
    return snowflake.connector.connect(**server.connection_kwargs, **options)


def run(connection: SnowflakeConnection, sql: str) -> list[Any]:
    cursor = connection.cursor().execute(sql)
    assert cursor is not None
    return cursor.fetchall()


def count(server: LocalServer) -> int:
    with connect(server) as connection:
        return int(run(connection, "SELECT COUNT(*) FROM T")[0][0])


def count_if_room(server: LocalServer) -> int | None:
    """None if there is no room for the database to be attached again, after a checkpoint that broke off."""
    try:
        return count(server)
    except DatabaseError as error:
        if error.errno != 603 or NO_ROOM not in str(error):
            raise
        return None


CREATE = "CREATE TABLE T (A INT, B INT, C INT, D INT)"


def insert(connection: SnowflakeConnection, rows: int = 50_000) -> int:
    """Rows that no compression makes smaller: 32 bytes each."""
    listed = "RANDOM(), RANDOM(), RANDOM(), RANDOM()"
    run(connection, f"INSERT INTO T SELECT {listed} FROM TABLE(GENERATOR(ROWCOUNT => {rows}))")
    return rows


def insert_until_full(connection: SnowflakeConnection, most: int = 10_000_000) -> int:
    """The rows that were acknowledged."""
    inserted: list[int] = []

    def insert_all() -> None:
        while sum(inserted) < most:
            inserted.append(insert(connection))

    lacks(NO_ROOM, insert_all)
    return sum(inserted)


def lacks(what: str, function: Callable[..., Any], *arguments: Any) -> None:
    """Call a function whose statement must fail because the machine lacks something."""
    with pytest.raises(ProgrammingError, match=what) as caught:
        function(*arguments)
    assert (caught.value.errno, caught.value.sqlstate) == (603, "53100")


@pytest.mark.parametrize("kind", ["small_disk", "limited_files"])
def test_a_full_disk_is_an_error_of_the_statement_and_passes(kind: str, request: pytest.FixtureRequest) -> None:
    disk: Disk = request.getfixturevalue(kind)
    with connect(disk.server) as connection:
        run(connection, CREATE)
        if kind == "limited_files":
            disk.fill()
        kept = insert_until_full(connection)
        assert count_if_room(disk.server) in (kept, None)
        disk.fill()
        kept += insert_until_full(connection, most=2_000_000)
        found = count_if_room(disk.server)
        disk.empty()
        assert count(disk.server) >= kept
        assert found in (count(disk.server), None)
        kept = count(disk.server)
        kept += insert(connection)
        kept += insert(connection)
        assert count(disk.server) == kept
    disk.server.kill()
    disk.server.start()
    assert count(disk.server) == kept


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_database_whose_checkpoint_failed_is_attached_again(limited_files: Disk) -> None:
    """Others notice nothing, except for transactions that are open just then."""
    server = limited_files.server
    logged = server.output
    with connect(server) as connection, connect(server) as other, connect(server) as idle:
        run(connection, CREATE)
        kept = insert(connection)
        run(idle, "BEGIN")
        run(idle, "INSERT INTO T VALUES (1, 2, 3, 4)")
        wal = server.state_dir / "databases" / "LOCAL.db.wal"
        limit(server, resource.RLIMIT_FSIZE, 18 * MIB)
        while "is attached again" not in logged():
            # Between two looks at the log's size, lest it reaches the limit first.
            if wal.exists() and wal.stat().st_size > 16.5 * MIB:
                time.sleep(0.1)
                run(other, "SELECT COUNT(*) FROM T")
            else:
                kept += insert(connection)
        assert count(server) == kept
        for sql in ("INSERT INTO T VALUES (1, 2, 3, 4)", "SELECT * FROM T LIMIT 1", "COMMIT"):
            with pytest.raises(ProgrammingError, match="transaction was rolled back because"):
                run(idle, sql)
        run(idle, "INSERT INTO T VALUES (1, 2, 3, 4)")
        assert count(server) == kept + 1
        limited_files.empty()
        insert(connection)
        assert server.output().count("is attached again") == 1
        # The checkpoint comes with the room, without a restart.
        wait_for(lambda: not wal.exists() or wal.stat().st_size < 16 * MIB, 120)
        assert count(server) == kept + 1 + 50_000


def test_what_needs_no_room_is_done_on_a_full_disk_and_what_makes_room_too(small_disk: Disk) -> None:
    server = small_disk.server
    with connect(server) as connection:
        for sql in (CREATE, "CREATE STAGE S", "CREATE STAGE OLD"):
            run(connection, sql)
        insert(connection)
        unload = "COPY INTO @S/out FROM (SELECT * FROM T) FILE_FORMAT = (TYPE = PARQUET) HEADER = TRUE"
        run(connection, unload)
        listed = run(connection, "LIST @S")
        small_disk.fill()
        for sql in (
            "CREATE TABLE U (A INT)", "CREATE STAGE U", "CREATE WAREHOUSE W", "CREATE DATABASE U", "CREATE SCHEMA U",
            "CREATE FILE FORMAT U TYPE = CSV", f"{unload} OVERWRITE = TRUE", "INSERT INTO T VALUES (1, 2, 3, 4)",
            "CREATE COMPUTE POOL P MIN_NODES = 1 MAX_NODES = 1 INSTANCE_FAMILY = CPU_X64_S",
        ):  # fmt: skip
            lacks(NO_ROOM, run, connection, sql)
        assert count(server) == 50_000
        assert run(connection, "LIST @S") == listed
        for kind, names in (("TABLES", ["T"]), ("STAGES", ["OLD", "S"]), ("DATABASES", ["LOCAL"])):
            assert sorted(row[1] for row in run(connection, f"SHOW {kind}")) == names
        run(connection, "REMOVE @S")
        assert run(connection, "LIST @S") == []
        small_disk.empty()
        run(connection, f"{unload} OVERWRITE = TRUE")
        run(connection, "CREATE DATABASE U")
        assert count(server) == 50_000


def test_an_unload_that_finds_no_room_leaves_the_stage_as_it_was(limited_files: Disk) -> None:
    with connect(limited_files.server) as connection:
        for sql in (CREATE, "CREATE STAGE S"):
            run(connection, sql)
        insert(connection)
        unload = "COPY INTO @S/out FROM (SELECT * FROM T) FILE_FORMAT = (TYPE = PARQUET) SINGLE = TRUE OVERWRITE = TRUE"
        run(connection, unload)
        listed = run(connection, "LIST @S")
        for _ in range(3):
            insert(connection)
        limit(limited_files.server, resource.RLIMIT_FSIZE, 2 * MIB)
        lacks(NO_ROOM, run, connection, unload)
        assert run(connection, "LIST @S") == listed
        limited_files.empty()
        run(connection, unload)
        assert run(connection, "LIST @S")[0][1] > listed[0][1]


def test_a_load_whose_history_finds_no_room_loads_nothing(limited_files: Disk) -> None:
    """Otherwise the next try would load the same rows again."""
    server = limited_files.server
    with connect(server) as connection:
        for sql in ("CREATE TABLE T (A INT)", "CREATE STAGE S", "COPY INTO @S/one FROM (SELECT 1)"):
            run(connection, sql)
        control = server.state_dir / "control.db-wal"
        limit(server, resource.RLIMIT_FSIZE, control.stat().st_size)
        lacks(NO_ROOM, run, connection, "COPY INTO T FROM @S")
        assert count(server) == 0
        limited_files.empty()
        run(connection, "COPY INTO T FROM @S")
        run(connection, "COPY INTO T FROM @S")
        assert count(server) == 1


def test_a_query_that_spills_more_than_fits_lacks_room(tmp_path: Path) -> None:
    with duckdb.connect() as engine:
        for setting in ("memory_limit = '30MB'", f"temp_directory = '{tmp_path}'", "max_temp_directory_size = '1MB'"):
            engine.execute(f"SET {setting}")
        with pytest.raises(duckdb.Error) as caught:
            engine.execute(
                "SELECT max(s) FROM (SELECT md5(i::VARCHAR) AS s FROM range(3000000) t(i) ORDER BY s OFFSET 9)"
            )
        lack = shortage(caught.value)
        assert lack is not None
        assert "what the statement sets aside while it runs" in lack.message


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "x"), NO_ROOM),
        (OSError(errno.EDQUOT, "x"), NO_ROOM),
        (OSError(errno.EMFILE, "x"), "no file descriptors left"),
        (OSError(errno.EROFS, "x"), "cannot be written to"),
        (pa.ArrowIOError("Error writing bytes to file. Detail: [errno 28] No space left on device"), NO_ROOM),
        (sqlite3.OperationalError("database or disk is full"), NO_ROOM),
        (sqlite3.OperationalError("attempt to write a readonly database"), "cannot be written to"),
        (duckdb.IOException('Could not write file "x": Read-only file system'), "cannot be written to"),
        (duckdb.IOException('Cannot open file "x": Too many open files'), "no file descriptors left"),
        (duckdb.OutOfMemoryException("Out of Memory Error: Failed to allocate block"), "no memory left"),
        (MemoryError(), "no memory left"),
        (FileNotFoundError(errno.ENOENT, "No such file"), None),
        (sqlite3.OperationalError("no such table: x"), None),
        (duckdb.ConversionException("Could not convert string 'No space left on device' to INT32"), None),
        (ValueError("No space left on device"), None),
    ],
)
def test_a_shortage_is_told_apart_from_other_faults(error: Exception, words: str | None) -> None:
    lack = shortage(error)
    assert (lack is None) == (words is None)
    assert words is None or words in lack.message  # type: ignore[union-attr]


def test_files_that_find_no_room_on_the_stage_are_not_there(limited_files: Disk, tmp_path: Path) -> None:
    server = limited_files.server
    (tmp_path / "large.bin").write_bytes(b"x" * 3 * MIB)
    with connect(server) as connection:
        run(connection, "CREATE STAGE S")
        # Any client but the Python connector before 5 sends files over HTTP.
        data = ask_as_another_client(server, f"PUT file://{tmp_path}/large.bin @S AUTO_COMPRESS = FALSE")
        info = data["stageInfo"]
        url = f"{info['endPoint']}/{info['location']}large.bin"
        headers = {"Authorization": f"Bearer {info['creds']['GCS_ACCESS_TOKEN']}"}
        limit(server, resource.RLIMIT_FSIZE, 2 * MIB)
        answer = requests.put(url, (tmp_path / "large.bin").read_bytes(), headers=headers, timeout=60)
        assert answer.status_code == 507
        assert NO_ROOM in answer.text
        assert run(connection, "LIST @S") == []
        assert not list((server.state_dir / "scratch").iterdir())
        limited_files.empty()
        assert requests.put(url, b"whole", headers=headers, timeout=60).status_code == 200
        assert [row[1] for row in run(connection, "LIST @S")] == [5]


def ask_as_another_client(server: LocalServer, sql: str) -> dict[str, Any]:
    base = f"http://127.0.0.1:{server.port}"
    login = {"data": {"LOGIN_NAME": "LOCAL", "PASSWORD": server.airflow_connection["password"]}}
    where = "databaseName=LOCAL&schemaName=PUBLIC"
    session = requests.post(f"{base}/session/v1/login-request?{where}", json=login, timeout=60).json()["data"]
    headers = {"Authorization": f'Snowflake Token="{session["token"]}"'}
    answer = requests.post(f"{base}/queries/v1/query-request", json={"sqlText": sql}, headers=headers, timeout=60)
    data: dict[str, Any] = answer.json()["data"]
    return data


def test_a_server_without_file_descriptors_answers_again_when_it_has_some(server: LocalServer) -> None:
    with connect(server) as connection:
        run(connection, "CREATE TABLE T (A INT)")
        run(connection, "CREATE STAGE S")
        assert server.process is not None
        used = len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))
        limit(server, resource.RLIMIT_NOFILE, used)
        lacks("no file descriptors left", run, connection, "COPY INTO @S/out FROM (SELECT 1)")
        lacks("no file descriptors left", run, connection, "CREATE DATABASE U")
        assert run(connection, "SELECT COUNT(*) FROM T") == [(0,)]
        limit(server, resource.RLIMIT_NOFILE)
        run(connection, "COPY INTO @S/out FROM (SELECT 1)")
        run(connection, "CREATE DATABASE U")
        run(connection, "USE DATABASE LOCAL")
        run(connection, "INSERT INTO LOCAL.PUBLIC.T VALUES (1)")
    assert count(server) == 1


def test_a_job_that_finds_no_room_says_so_and_others_run_later(small_disk: Disk) -> None:
    def job(name: str, code: str) -> str:
        spec = {"containers": [{"name": "main", "image": "/a/b/c/d:1", "command": ["python", "-c", code]}]}
        text = json.dumps({"spec": spec})
        return f"EXECUTE JOB SERVICE IN COMPUTE POOL P NAME = {name} FROM SPECIFICATION $${text}$$"

    with connect(small_disk.server) as connection:
        run(connection, "CREATE COMPUTE POOL P MIN_NODES = 1 MAX_NODES = 1 INSTANCE_FAMILY = CPU_X64_S")
        running = job("RUNNING ASYNC = TRUE", "import time; print(1, flush=True); time.sleep(3); print(2)")
        run(connection, running)
        run(connection, "CALL RUNNING!SPCS_WAIT_FOR('RUNNING', 60)")
        wait_for(lambda: run(connection, "CALL SYSTEM$GET_SERVICE_LOGS('RUNNING', 0, 'main')") == [("1",)])
        small_disk.fill()
        lacks(NO_ROOM, run, connection, job("LATE", "print(1)"))
        time.sleep(4)
        small_disk.empty()
        # How it ended was kept, although it ended on a full disk.
        run(connection, "CALL RUNNING!SPCS_WAIT_FOR('DONE', 60)")
        run(connection, job("LATE", "print(1)"))
