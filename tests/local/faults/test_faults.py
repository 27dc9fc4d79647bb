"""Faults on demand, as the real driver meets them over HTTP.

Also tests ``local/faults/cli.py``, ``local/faults/control.py``, ``local/faults/kinds.py``,
``local/faults/requests.py``, ``local/spcs/slow_nodes.py``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.error
from collections.abc import Callable
from functools import partial
from typing import Any

import psutil
import pytest
from snowflake.connector import SnowflakeConnection
from snowflake.connector.errors import OperationalError, ProgrammingError, ServiceUnavailableError

from airflow_provider_snowflake_batch.local.faults.faults import Faults, InvalidFault
from airflow_provider_snowflake_batch.local.faults.kinds import KINDS
from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests.local_faults import LocalFaults
from tests.quickest import quickest

ABSURD = "Unschedulable: the moon is in the wrong house."


def value(connection: SnowflakeConnection, sql: str) -> Any:
    row = connection.cursor().execute(sql).fetchone()
    assert isinstance(row, tuple)
    return row[0]


def eventually(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.05)


# What requests meet


def test_none_is_set(faults: LocalFaults) -> None:
    assert faults.all() == []


@pytest.mark.parametrize("status", [429, 500, 503])
def test_the_driver_survives_an_http_error(faults: LocalFaults, connection: SnowflakeConnection, status: int) -> None:
    fault = faults.add("http-error", status=status, statement="AS MARKED", count=1)
    assert value(connection, "SELECT 1 AS other") == 1
    assert faults.fired(fault) == 0
    assert value(connection, "SELECT 2 AS marked") == 2
    assert faults.fired(fault) == 1


def test_an_http_error_without_end_reaches_the_caller(faults: LocalFaults, connect: Any) -> None:
    impatient = connect(network_timeout=1)
    fault = faults.add("http-error", status=503, statement="marked")
    with pytest.raises(ServiceUnavailableError) as caught:
        value(impatient, "SELECT 1 AS marked")
    assert caught.value.errno == 580503, "the driver adds 290000 once for each of two layers"
    assert faults.fired(fault) >= 1


def test_a_dropped_request_is_sent_again(faults: LocalFaults, connection: SnowflakeConnection, schema: str) -> None:
    connection.cursor().execute(f"CREATE TABLE {schema}.t (a INT)")
    fault = faults.add("drop", statement="INSERT", count=1)
    connection.cursor().execute(f"INSERT INTO {schema}.t VALUES (1)")
    assert faults.fired(fault) == 1
    assert value(connection, f"SELECT count(*) FROM {schema}.t") == 1


def test_a_lost_answer_does_not_do_the_work_twice(
    faults: LocalFaults, connection: SnowflakeConnection, schema: str
) -> None:
    connection.cursor().execute(f"CREATE TABLE {schema}.t (a INT)")
    fault = faults.add("drop-answer", statement="INSERT", count=1)
    connection.cursor().execute(f"INSERT INTO {schema}.t VALUES (1)")
    assert faults.fired(fault) == 1
    assert value(connection, f"SELECT count(*) FROM {schema}.t") == 1


def test_a_dropped_login_fails_when_the_driver_gives_up(faults: LocalFaults, connect: Any) -> None:
    fault = faults.add("drop", path="login-request")
    with pytest.raises(OperationalError) as caught:
        connect(login_timeout=1)
    assert caught.value.errno == 250001
    assert faults.fired(fault) >= 1
    faults.clear(fault)
    assert value(connect(login_timeout=60), "SELECT 1") == 1


def test_an_answer_can_be_late(faults: LocalFaults, connection: SnowflakeConnection) -> None:
    def ask(number: int) -> None:
        assert value(connection, "SELECT 1 AS marked") == 1
        assert faults.fired(number) == 1

    def delay() -> int:
        return faults.add("delay", seconds=0.7, statement="marked", count=1)

    assert 0.7 <= quickest(5, ask, prepare=delay) < 5


def test_a_late_answer_comes_when_its_fault_is_cleared(faults: LocalFaults, connection: SnowflakeConnection) -> None:
    fault = faults.add("delay", seconds=600, statement="marked")
    threading.Timer(0.5, faults.clear, (fault,)).start()
    assert value(connection, "SELECT 1 AS marked") == 1


def test_an_expired_token_is_renewed_by_the_driver(faults: LocalFaults, connection: SnowflakeConnection) -> None:
    session, token = value(connection, "SELECT CURRENT_SESSION()"), connection.rest.token
    fault = faults.add("expire", code=390112, count=1)
    assert value(connection, "SELECT CURRENT_SESSION()") == session
    assert connection.rest.token != token
    assert faults.fired(fault) == 1


@pytest.mark.parametrize("code", [390104, 390111, 390114])
def test_an_expired_session_needs_a_new_login(
    faults: LocalFaults, connection: SnowflakeConnection, connect: Any, code: int
) -> None:
    fault = faults.add("expire", code=code, statement="marked", count=1)
    with pytest.raises(ProgrammingError) as caught:
        value(connection, "SELECT 1 AS marked")
    assert caught.value.errno == code
    with pytest.raises(ProgrammingError) as caught:
        value(connection, "SELECT 1")
    assert caught.value.errno == 390104, "the session must be gone for good"
    assert faults.fired(fault) == 1
    assert value(connect(), "SELECT 1 AS marked") == 1


def test_an_expired_session_leaves_its_statements_alone(
    faults: LocalFaults, connection: SnowflakeConnection, connect: Any
) -> None:
    cursor = connection.cursor()
    cursor.execute_async("SELECT SYSTEM$WAIT(1)")
    faults.add("expire", code=390111, count=1)
    with pytest.raises(ProgrammingError):
        value(connection, "SELECT 1")
    other = connect().cursor()
    other.get_results_from_sfqid(cursor.sfqid)
    assert "waited 1" in other.fetchone()[0]


def test_threads_that_share_a_session_learn_that_the_token_expired(
    faults: LocalFaults, connection: SnowflakeConnection
) -> None:
    fault = faults.add("expire", code=390112, count=1)
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda number=number: answers.append(value(connection, f"SELECT {number}")))
        for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults.fired(fault) == 1
    assert sorted(answers) == [0, 1, 2, 3]


# What jobs and stages meet


@pytest.fixture
def pool(connection: SnowflakeConnection) -> str:
    connection.cursor().execute(
        "CREATE COMPUTE POOL IF NOT EXISTS FAULT_TESTS MIN_NODES = 1 MAX_NODES = 4 INSTANCE_FAMILY = CPU_X64_S"
    )
    return "FAULT_TESTS"


def submit(connection: SnowflakeConnection, pool: str, name: str, code: str, replicas: int = 1) -> None:
    container = {"name": "main", "image": "/db/schema/repo/image:1", "command": ["python", "-c", code]}
    specification = json.dumps({"spec": {"containers": [container]}})
    connection.cursor().execute(
        f"EXECUTE JOB SERVICE IN COMPUTE POOL {pool} NAME = {name} ASYNC = TRUE REPLICAS = {replicas} "
        f"FROM SPECIFICATION $${specification}$$"
    )


def status(connection: SnowflakeConnection, name: str) -> str:
    return dict(row_of(connection, f"DESCRIBE SERVICE {name}"))["status"]


def row_of(connection: SnowflakeConnection, sql: str) -> dict[str, Any]:
    return rows_of(connection, sql)[0]


def rows_of(connection: SnowflakeConnection, sql: str) -> list[dict[str, Any]]:
    cursor = connection.cursor()
    cursor.execute(sql)
    names = [column.name for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def test_a_job_is_held_until_the_fault_is_cleared(
    faults: LocalFaults, connection: SnowflakeConnection, schema: str, pool: str
) -> None:
    fault = faults.add("pending", reason=ABSURD, job=r"\.HELD$")
    submit(connection, pool, "HELD", "pass")
    submit(connection, pool, "FREE", "pass")
    eventually(lambda: status(connection, "FREE") == "DONE")
    assert status(connection, "HELD") == "PENDING"
    assert row_of(connection, "SHOW SERVICE CONTAINERS IN SERVICE HELD")["message"] == ABSURD
    assert faults.fired(fault) == 1
    faults.clear(fault)
    eventually(lambda: status(connection, "HELD") == "DONE")


def test_a_job_is_held_for_a_while(
    faults: LocalFaults, connection: SnowflakeConnection, schema: str, pool: str
) -> None:
    fault = faults.add("pending", seconds=0.8)
    started = time.monotonic()
    submit(connection, pool, "WAITS", "pass")
    eventually(lambda: status(connection, "WAITS") == "DONE")
    assert time.monotonic() - started >= 0.8
    assert faults.fired(fault) == 1


def test_a_replica_comes_late(faults: LocalFaults, connection: SnowflakeConnection, schema: str, pool: str) -> None:
    fault = faults.add("late-replica", replica=1, seconds=0, reason=ABSURD)
    submit(connection, pool, "LATE", "pass", replicas=2)

    def statuses() -> dict[str, tuple[str, str]]:
        rows = rows_of(connection, "SHOW SERVICE CONTAINERS IN SERVICE LATE")
        return {str(row["instance_id"]): (row["status"], row["message"]) for row in rows}

    eventually(lambda: statuses()["0"][0] == "DONE")
    assert statuses()["1"] == ("PENDING", ABSURD)
    assert faults.fired(fault) == 1
    faults.clear(fault)
    eventually(lambda: status(connection, "LATE") == "DONE")


def test_a_replica_is_killed(faults: LocalFaults, connection: SnowflakeConnection, schema: str, pool: str) -> None:
    fault = faults.add("kill-replica", replica=1, count=1)
    submit(connection, pool, "KILLED", "import time; time.sleep(600)", replicas=2)
    eventually(lambda: status(connection, "KILLED") == "FAILED")
    containers = {
        str(row["instance_id"]): row for row in rows_of(connection, "SHOW SERVICE CONTAINERS IN SERVICE KILLED")
    }
    assert containers["1"]["last_exit_code"] == 137
    assert containers["0"]["last_exit_code"] != 137
    assert faults.fired(fault) == 1


def test_a_replica_that_runs_already_is_killed(
    faults: LocalFaults, connection: SnowflakeConnection, schema: str, pool: str
) -> None:
    submit(connection, pool, "RUNS", "import time; time.sleep(600)")
    eventually(lambda: status(connection, "RUNS") == "RUNNING")
    other = faults.add("kill-replica", job="SOME_OTHER", seconds=0)
    fault = faults.add("kill-replica", job=r"\.RUNS$", seconds=0.3)
    eventually(lambda: status(connection, "RUNS") == "FAILED")
    assert (faults.fired(fault), faults.fired(other)) == (1, 0)


def test_a_node_is_lost(faults: LocalFaults, connection: SnowflakeConnection, schema: str, pool: str) -> None:
    submit(connection, pool, "LOST", "import time; time.sleep(600)", replicas=2)
    eventually(lambda: status(connection, "LOST") == "RUNNING")
    elsewhere = faults.add("lose-node", node=7, seconds=0)
    fault = faults.add("lose-node", node=0, seconds=0, job=r"\.LOST$", count=1)
    eventually(lambda: status(connection, "LOST") == "FAILED")
    messages = [row["message"] for row in rows_of(connection, "SHOW SERVICE CONTAINERS IN SERVICE LOST")]
    assert "The compute pool node that ran the instance was lost" in messages
    lost = [
        row
        for row in rows_of(connection, "SHOW SERVICE CONTAINERS IN SERVICE LOST")
        if row["message"].startswith("The compute pool node")
    ]
    assert [(row["status"], row["last_exit_code"]) for row in lost] == [("FAILED", None)]
    assert (faults.fired(fault), faults.fired(elsewhere)) == (1, 0)


COUNTS = """
import pathlib, time
while not pathlib.Path({done!r}).exists():
    pathlib.Path({note!r}).write_text(str(time.time()))
"""


def test_a_node_is_slow(
    faults: LocalFaults, connection: SnowflakeConnection, schema: str, pool: str, tmp_path: Any
) -> None:
    done, note = tmp_path / "done", tmp_path / "note"
    submit(connection, pool, "SLOW", COUNTS.format(done=str(done), note=str(note)))
    eventually(lambda: status(connection, "SLOW") == "RUNNING")
    eventually(note.exists)
    (counting,) = [process for process in psutil.process_iter() if str(note) in command_of(process)[-1]]
    elsewhere = faults.add("slow-node", node=7)
    fault = faults.add("slow-node", node=0, factor=100, job=r"\.SLOW$", count=1)

    eventually(lambda: faults.fired(fault) == 1)
    eventually(lambda: counting.status() == psutil.STATUS_STOPPED)
    before = note.read_text()
    # It goes on, now and then.
    eventually(lambda: note.read_text() not in ("", before))
    assert faults.fired(elsewhere) == 0

    faults.clear(fault)
    eventually(lambda: counting.status() != psutil.STATUS_STOPPED)
    done.touch()
    eventually(lambda: status(connection, "SLOW") == "DONE")


def command_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline() or [""]
    except psutil.Error:
        return [""]


def test_a_stage_lags(faults: LocalFaults, connection: SnowflakeConnection, schema: str, tmp_path: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("CREATE STAGE lagging")
    (tmp_path / "a.csv").write_text("1\n")
    cursor.execute(f"PUT file://{tmp_path}/a.csv @lagging AUTO_COMPRESS = FALSE")
    assert len(rows_of(connection, "LIST @lagging")) == 1
    fault = faults.add("stage-lag", seconds=5, statement=r"^LIST")
    cursor.execute(f"PUT file://{tmp_path}/a.csv @lagging/b AUTO_COMPRESS = FALSE")
    assert rows_of(connection, "LIST @lagging/b") == []
    assert value(connection, "SELECT $1 FROM @lagging/b/a.csv") == "1"
    assert faults.fired(fault) == 1
    eventually(lambda: len(rows_of(connection, "LIST @lagging")) == 2)


# Setting them


def refusal(ask: Callable[[], Any]) -> tuple[int, str]:
    """Status and message of a request that the control endpoint refuses."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask()
    with caught.value as error:
        return error.code, json.load(error)["error"]


def test_the_secret_is_required(faults: LocalFaults) -> None:
    for secret in ("", "wrong"):
        for method, body in (("GET", None), ("POST", {"kind": "drop"}), ("DELETE", None)):
            assert refusal(partial(faults.ask, method, body=body, secret=secret))[0] == 401
    assert faults.all() == []


def test_what_cannot_be_set_is_said(faults: LocalFaults) -> None:
    status, message = refusal(partial(faults.ask, "POST", body={"kind": "drop", "job": "x"}))
    assert status == 400
    assert message.startswith("drop has no job; it takes statement, path, ")
    assert refusal(partial(faults.clear, 123456)) == (404, "There is no fault 123456.")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "kind: None is none of http-error"),
        ({"kind": "nonsense"}, "kind: 'nonsense' is none of"),
        ({"kind": "http-error", "status": 200}, "status: 200 is none of"),
        ({"kind": "http-error", "status": "503"}, "status: '503' is not of the type int"),
        ({"kind": "expire", "code": 390113}, "code: 390113 is none of 390104"),
        ({"kind": "delay", "seconds": -1}, "seconds: -1.0 is not 0 or more"),
        ({"kind": "drop", "statement": "("}, "statement: '\\(' is no regular expression"),
        ({"kind": "drop", "count": 0}, "count: 0 is no number from 1 on"),
        ({"kind": "drop", "probability": 1.5}, "probability: 1.5"),
        ({"kind": "drop", "seed": "x"}, "seed: 'x' is no whole number"),
        ({"kind": "pending", "statement": "x"}, "pending has no statement"),
    ],
)
def test_nonsense_is_refused(given: dict[str, Any], message: str) -> None:
    faults = Faults()
    with pytest.raises(InvalidFault, match=message):
        faults.add(given)
    assert not faults.any


def test_the_same_seed_gives_the_same_faults() -> None:
    def struck() -> list[bool]:
        faults = Faults()
        fault = faults.add({"kind": "drop", "probability": 0.2, "seed": 7})
        return [faults.for_request("/x", None, None) is fault for _ in range(1000)]

    assert struck() == struck()
    assert 150 < sum(struck()) < 250


def test_every_kind_can_be_set() -> None:
    faults = Faults()
    for name in KINDS:
        faults.add({"kind": name})
    assert [fault.described()["kind"] for fault in faults.all()] == list(KINDS)
    assert faults.any
    assert len(faults.clear()) == len(KINDS)
    assert not faults.any


def test_the_command(local_server: LocalServer, faults: LocalFaults, connection: SnowflakeConnection) -> None:
    def fault(*words: str) -> list[dict[str, Any]]:
        done = subprocess.run(
            [
                sys.executable, "-m", "airflow_provider_snowflake_batch.local",
                "fault", "--state-dir", str(local_server.state_dir), *words,
            ],
            capture_output=True, text=True, check=True, timeout=30,
        )  # fmt: skip
        return [json.loads(line) for line in done.stdout.splitlines()]

    (added,) = fault("add", "http-error", "--status", "429", "--statement", "marked", "--count", "1")
    assert value(connection, "SELECT 1 AS marked") == 1
    assert fault("list") == [{**added, "fired": 1}]
    assert fault("clear", str(added["id"])) == [{**added, "fired": 1}]
    assert faults.all() == []


def test_a_restart_forgets_them(tmp_path: Any) -> None:
    with LocalServer(tmp_path / "state") as server:
        LocalFaults(server).add("drop", path="login-request")
        server.stop()
        server.start()
        assert LocalFaults(server).all() == []
