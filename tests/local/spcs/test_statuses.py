"""The states that a job goes through.

Also tests ``local/spcs/service_methods.py``.
"""

from __future__ import annotations

import os
from pathlib import Path

from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests.local.spcs.conftest import Services, until_exists, wait_until
from tests.quickest import quickest

WAIT = "import time; time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"


def test_running_then_done(services: Services, tmp_path: Path) -> None:
    name = services.python(until_exists(tmp_path / "end"))
    services.wait(name, "RUNNING")
    (container,) = services.containers(name)
    assert (container["status"], container["message"], container["last_exit_code"]) == ("READY", "Running", None)
    (instance,) = services.rows(f"SHOW SERVICE INSTANCES IN SERVICE {name}")
    assert (instance["instance_id"], instance["status"]) == ("0", "READY")
    (tmp_path / "end").touch()
    services.wait(name)
    (container,) = services.containers(name)
    assert (container["status"], container["message"], container["last_exit_code"]) == (
        "DONE",
        "Completed successfully",
        0,
    )
    assert services.rows(f"SHOW SERVICE INSTANCES IN SERVICE {name}")[0]["status"] == "SUCCEEDED"


def test_one_failed_replica_fails_the_job_and_ends_the_others(services: Services) -> None:
    name = services.python(
        "import os, sys, time; os.environ['SNOWFLAKE_JOB_INDEX'] == '1' and sys.exit(3); time.sleep(60)", replicas=2
    )
    services.wait(name, "FAILED")
    wait_until(lambda: all(row["status"] == "FAILED" for row in services.containers(name)))
    assert [(row["last_exit_code"], row["message"]) for row in services.containers(name)] == [
        (143, "Terminated: another instance of the job failed"),
        (3, "User application error, check container logs"),
    ]


def test_a_replica_that_waits_does_not_start_after_another_failed(services: Services) -> None:
    name = services.python(
        "import os, sys, time; time.sleep(0.3); sys.exit(1)", replicas=3, resources={"requests": {"cpu": 3}}
    )
    services.wait(name, "FAILED")
    wait_until(lambda: services.row(f"DESCRIBE COMPUTE POOL {services.pool}")["num_jobs"] == 0)
    waited = services.containers(name)[2]
    assert (waited["status"], waited["start_time"], waited["last_exit_code"]) == ("FAILED", None, None)
    assert waited["message"] == "Terminated: another instance of the job failed"


def test_cancel_is_polite_first(services: Services) -> None:
    name = services.python(WAIT)
    services.wait(name, "RUNNING")
    assert services.text(f"CALL {name}!spcs_cancel_job()") == f"Cancellation of job {name} is in progress."
    services.wait(name, "CANCELLED")
    assert services.containers(name)[0]["last_exit_code"] == 143
    # Cancelling again changes nothing.
    services.rows(f"CALL {name}!SPCS_CANCEL_JOB()")
    assert services.status(name) == "CANCELLED"


def test_cancel_kills_what_does_not_listen(services: Services) -> None:
    def start() -> str:
        name = services.python(STUBBORN)
        wait_until(lambda: services.status(name) == "RUNNING" and services.logs(name) == "deaf")
        return name

    def cancel(name: str) -> None:
        services.rows(f"CALL {name}!SPCS_CANCEL_JOB()")
        assert services.status(name) == "CANCELLING"
        services.wait(name, "CANCELLED")
        assert services.containers(name)[0]["last_exit_code"] == 137

    assert 0.4 < quickest(5, cancel, prepare=start) < 5


def test_everything_that_a_container_started_ends_with_it(services: Services) -> None:
    # The grandchild leaves the process group and the session.
    code = "import subprocess; child = subprocess.Popen(['sleep', '60'], start_new_session=True); print(child.pid)"
    name = services.python(code)
    services.wait(name)
    wait_until(lambda: not is_running(int(services.logs(name))))


def test_drop_ends_a_running_job(services: Services) -> None:
    name = services.python("import os, time; print(os.getpid(), flush=True); time.sleep(60)")
    wait_until(lambda: services.status(name) == "RUNNING" and services.logs(name))
    pid = int(services.logs(name))
    assert services.text(f"DROP SERVICE {name}") == f"{name} successfully dropped."
    assert not is_running(pid)
    assert services.error(f"DESCRIBE SERVICE {name}").errno == 2003
    assert "already dropped" in services.text(f"DROP SERVICE IF EXISTS {name} FORCE")


def test_a_full_pool_leaves_jobs_pending(services: Services) -> None:
    whole_node = {"requests": {"cpu": 3}}
    first = services.python(WAIT, replicas=2, resources=whole_node)
    services.wait(first, "RUNNING")
    second = services.python("print('at last')", resources=whole_node)
    wait_until(lambda: "Unschedulable" in services.containers(second)[0]["message"])
    assert services.status(second) == "PENDING"
    assert services.containers(second)[0]["message"] == "Unschedulable due to insufficient CPU resources."
    assert "Container Status: PENDING" in str(services.error(f"SELECT SYSTEM$GET_SERVICE_LOGS('{second}', 0, 'main')"))
    pool = services.row(f"DESCRIBE COMPUTE POOL {services.pool}")
    assert (pool["state"], pool["active_nodes"], pool["num_jobs"], pool["error_code"]) == ("ACTIVE", 2, 2, "392508")
    services.rows(f"CALL {first}!SPCS_CANCEL_JOB()")
    services.wait(second)
    assert services.logs(second) == "at last"


def test_a_waiting_job_can_be_cancelled(services: Services) -> None:
    services.rows(f"ALTER COMPUTE POOL {services.pool} SET AUTO_RESUME = FALSE")
    services.rows(f"ALTER COMPUTE POOL {services.pool} SUSPEND")
    name = services.python(WAIT)
    wait_until(lambda: "is suspended" in services.containers(name)[0]["message"])
    services.rows(f"CALL {name}!SPCS_CANCEL_JOB()")
    services.wait(name, "CANCELLED")
    assert services.containers(name)[0]["start_time"] is None


def test_wait_for_says_what_the_status_is(services: Services) -> None:
    name = services.python(WAIT)
    services.wait(name, "RUNNING")

    def wait_for(status: str, seconds: float) -> None:
        error = services.error(f"CALL {name}!SPCS_WAIT_FOR('DONE', {seconds})")
        assert f"Current status: {status}" in str(error)

    assert 0.2 < quickest(2, lambda: wait_for("RUNNING", 0.3)) < 2
    # A status that cannot come any more is not waited for.
    services.rows(f"CALL {name}!SPCS_CANCEL_JOB()")
    services.wait(name, "CANCELLED")
    assert quickest(5, lambda: wait_for("CANCELLED", 30)) < 5


def test_aborting_a_synchronous_statement_cancels_the_job(services: Services) -> None:
    services.rows("ALTER SESSION SET STATEMENT_TIMEOUT_IN_SECONDS = 1")
    error = services.error(
        f"EXECUTE JOB SERVICE IN COMPUTE POOL {services.pool} NAME = LONG ASYNC = FALSE FROM SPECIFICATION "
        "$${spec: {containers: [{name: main, image: i, command: [sleep, '60']}]}}$$"
    )
    assert error.errno in (604, 630)
    services.rows("ALTER SESSION UNSET STATEMENT_TIMEOUT_IN_SECONDS")
    services.wait("LONG", "CANCELLED")


def test_a_job_that_this_machine_cannot_start(services: Services, local_server: LocalServer) -> None:
    # A file where the job folders belong.
    jobs = local_server.state_dir / "jobs"
    hidden = jobs.rename(jobs.with_name("jobs-hidden"))
    jobs.write_text("")
    try:
        name = services.submit("true")
        services.wait(name, "INTERNAL_ERROR")
        message = services.containers(name)[0]["message"]
    finally:
        jobs.unlink()
        hidden.rename(jobs)
    assert message.startswith("Encountered fatal error while starting container: ")
    after = services.submit("true")
    services.wait(after)


def test_what_only_the_run_needed_is_removed(services: Services, local_server: LocalServer) -> None:
    specification = (
        "{spec: {containers: [{name: main, image: i, command: [touch, /own/x], volumeMounts: [{name: v, mountPath: "
        "/own}]}], volumes: [{name: v, source: local}]}}"
    )
    services.rows(
        f"EXECUTE JOB SERVICE IN COMPUTE POOL {services.pool} NAME = TIDY FROM SPECIFICATION $${specification}$$"
    )
    wait_until(lambda: not list((local_server.state_dir / "jobs").glob("*/instance-0/volumes")))
