"""The hook against the local Snowflake: real driver, HTTP, job processes."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from airflow_provider_snowflake_batch.exceptions import (
    JobInputError,
    JobLostError,
    JobNotFoundError,
    JobTimeoutError,
)
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.deadlines import Deadlines
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier
from airflow_provider_snowflake_batch.jobs.job import ContainerJob
from airflow_provider_snowflake_batch.jobs.status import JobStatus
from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests.compute_pools import hook_with_pool
from tests.container_jobs import container_job
from tests.local_faults import LocalFaults

POOL = Identifier("HOOK_TESTS")


@pytest.fixture
def hook(snowflake_connection: str) -> Iterator[SnowflakeBatchHook]:
    with hook_with_pool(snowflake_connection, POOL, nodes=4) as opened:
        yield opened


def run(hook: SnowflakeBatchHook, job: ContainerJob) -> JobStatus:
    return hook.wait(job.name, query_id=hook.submit(job), deadlines=Deadlines.within(60)).status


def test_a_job_from_submission_to_deletion(hook: SnowflakeBatchHook) -> None:
    job = container_job(hook, POOL, "python", "-c", "print('hello from the job')")
    changes: list[str] = []
    query_id = hook.submit(job)
    info = hook.wait(
        job.name,
        query_id=query_id,
        deadlines=Deadlines.within(60),
        on_change=lambda seen: changes.append(seen.reported_status),
    )
    assert (info.name, info.status, info.compute_pool) == (str(job.name), JobStatus.DONE, "HOOK_TESTS")
    assert changes[-1] == "DONE"
    assert hook.check_submission(query_id)
    assert hook.logs(job.name).strip() == "hello from the job"
    assert [(item.name, item.status, item.exit_code) for item in hook.containers(job.name)] == [("main", "DONE", 0)]
    assert info.name in {listed.name for listed in hook.list_jobs(starts_with=job.name.name)}
    hook.delete(job.name)
    hook.delete(job.name)
    with pytest.raises(JobNotFoundError, match="may not see it. SHOW JOB SERVICES IN SCHEMA LOCAL.PUBLIC lists"):
        hook.status(job.name)


def test_a_job_that_fails(hook: SnowflakeBatchHook) -> None:
    job = container_job(hook, POOL, "python", "-c", "raise SystemExit('the model broke')")
    assert run(hook, job) is JobStatus.FAILED
    (container,) = hook.containers(job.name)
    assert (container.status, container.exit_code) == ("FAILED", 1)
    assert hook.logs(job.name).strip() == "the model broke"


def test_every_replica_has_a_log(hook: SnowflakeBatchHook) -> None:
    job = container_job(
        hook, POOL, "python", "-c", "import os; print('replica', os.environ['SNOWFLAKE_JOB_INDEX'])", replicas=2
    )
    assert run(hook, job) is JobStatus.DONE
    assert [hook.logs(job.name, instance_id=index).strip() for index in (0, 1)] == ["replica 0", "replica 1"]


def test_logs_are_followed_line_by_line(hook: SnowflakeBatchHook) -> None:
    code = """
import os, time
for number in range(40):
    print("replica", os.environ["SNOWFLAKE_JOB_INDEX"], "line", number, flush=True)
    if number % 10 == 9:
        print('SNOWFLAKE_BATCH_PROGRESS {"phase": "running", "replica": 0, "rows_done": 5, "rows_total": 10}')
        time.sleep(1)
"""
    job = container_job(hook, POOL, "python", "-c", code, replicas=2)
    lines: list[str] = []
    hook.wait(job.name, query_id=hook.submit(job), deadlines=Deadlines.within(60), on_log=lines.append)
    for replica in (0, 1):
        own = [line for line in lines if f"replica {replica} line" in line]
        assert own == [f"[replica {replica}] replica {replica} line {number}" for number in range(40)]
    assert "5 of 10 rows (50 %)" in "\n".join(lines)
    assert "SNOWFLAKE_BATCH_PROGRESS" not in "\n".join(lines)


def test_cancel_keeps_the_job_and_its_log(hook: SnowflakeBatchHook) -> None:
    job = container_job(hook, POOL, "python", "-uc", "import time; print('started'); time.sleep(600)")
    query_id = hook.submit(job)
    deadline = time.monotonic() + 120
    while hook.poll(job.name, query_id) is None or "started" not in hook.logs(job.name):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    hook.cancel(job.name)
    assert hook.wait(job.name, deadlines=Deadlines.within(60)).status is JobStatus.CANCELLED
    assert "started" in hook.logs(job.name)


def test_a_cancel_that_fails_matters_only_while_the_job_runs(hook: SnowflakeBatchHook, faults: LocalFaults) -> None:
    ended = container_job(hook, POOL, "true")
    assert run(hook, ended) is JobStatus.DONE
    running = container_job(hook, POOL, "python", "-c", "import time; time.sleep(600)")
    hook.wait(running.name, query_id=hook.submit(running), until_accepted=True)
    refused = faults.add("http-error", status=404, statement="SPCS_CANCEL_JOB")

    hook.kill(ended.name)
    assert faults.fired(refused) == 1
    with pytest.raises(Exception, match="404"):
        hook.kill(running.name)

    faults.clear()
    hook.kill(running.name)
    assert hook.wait(running.name, deadlines=Deadlines.within(60)).status is JobStatus.CANCELLED
    hook.kill(hook.qualify_name("NEVER_THERE"))


def test_wait_gives_up_in_time_and_leaves_the_job_alone(hook: SnowflakeBatchHook) -> None:
    job = container_job(hook, POOL, "python", "-c", "import time; time.sleep(600)")
    query_id = hook.submit(job)
    with pytest.raises(JobTimeoutError, match="did not end in time"):
        hook.wait(job.name, query_id=query_id, deadlines=Deadlines.within(1))
    assert not hook.status(job.name).status.is_terminal
    hook.kill(job.name, query_id)
    assert hook.wait(job.name, deadlines=Deadlines.within(60)).status is JobStatus.CANCELLED


def test_a_refused_statement_is_told_in_snowflakes_words(hook: SnowflakeBatchHook) -> None:
    job = container_job(hook, Identifier("NO_SUCH_POOL"), "true")
    with pytest.raises(JobInputError, match=r"(?s)Snowflake refused the job: .*NO_SUCH_POOL"):
        hook.wait(job.name, query_id=hook.submit(job), deadlines=Deadlines.within(60))


def test_a_taken_name_is_refused(hook: SnowflakeBatchHook) -> None:
    job = container_job(hook, POOL, "true")
    assert run(hook, job) is JobStatus.DONE
    query_id = hook.submit(job)

    def wait_for_submission() -> None:
        deadline = time.monotonic() + 120
        while not hook.check_submission(query_id):
            assert time.monotonic() < deadline
            time.sleep(0.1)

    with pytest.raises(JobInputError, match="A job of this name exists already"):
        wait_for_submission()


def test_a_job_dropped_while_waiting_is_lost(hook: SnowflakeBatchHook) -> None:
    job = container_job(hook, POOL, "true")
    assert run(hook, job) is JobStatus.DONE
    hook.delete(job.name)
    with pytest.raises(JobLostError, match="If there was one, it was dropped"):
        hook.wait(job.name, deadlines=Deadlines.within(10))


def test_missing_jobs(hook: SnowflakeBatchHook) -> None:
    for ask in (hook.status, hook.cancel, hook.logs, hook.containers):
        with pytest.raises(JobNotFoundError, match="NO_SUCH_JOB"):
            ask("NO_SUCH_JOB")
    assert hook.list_jobs(starts_with="NO_SUCH_JOB") == []


def test_stage_files(hook: SnowflakeBatchHook) -> None:
    hook.run("CREATE OR REPLACE STAGE HOOK_TESTS")
    directory = "@HOOK_TESTS/files"
    hook.write_file(f"{directory}/a b.json", b'{"rows": 3}')
    hook.write_file(f"{directory}/deep/_SUCCESS", b"")
    assert {(file.path, file.size) for file in hook.list_files(f"{directory}/")} == {
        ("files/a b.json", 11),
        ("files/deep/_SUCCESS", 0),
    }
    assert [file.path for file in hook.list_files(f"{directory}/", pattern=r".*\.json")] == ["files/a b.json"]
    assert hook.read_file(f"{directory}/a b.json") == b'{"rows": 3}'
    hook.write_file(f"{directory}/a b.json", b"new")
    assert hook.read_file(f"{directory}/a b.json") == b"new"
    assert hook.is_complete(f"{directory}/deep")
    assert not hook.is_complete(directory)
    with pytest.raises(FileNotFoundError, match="nothing"):
        hook.read_file(f"{directory}/nothing")
    assert hook.remove_files(directory) == 2
    assert hook.list_files(directory) == []


def test_a_file_is_not_taken_for_another_whose_name_goes_on(hook: SnowflakeBatchHook) -> None:
    hook.run("CREATE OR REPLACE STAGE HOOK_TESTS")
    hook.write_file("@HOOK_TESTS/a.txt.bak", b"old")
    with pytest.raises(FileNotFoundError, match="a.txt does not exist"):
        hook.read_file("@HOOK_TESTS/a.txt")
    hook.write_file("@HOOK_TESTS/a.txt", b"new")
    assert hook.read_file("@HOOK_TESTS/a.txt") == b"new"
    for directory in ("@HOOK_TESTS", "@HOOK_TESTS/x/"):
        with pytest.raises(InvalidJobError, match="is a directory: name a file"):
            hook.read_file(directory)
        with pytest.raises(InvalidJobError, match="is a directory: name a file"):
            hook.write_file(directory, b"")


def test_a_missing_stage_is_named(hook: SnowflakeBatchHook) -> None:
    with pytest.raises(JobInputError, match=r"The stage of @LOCAL.PUBLIC.NO_SUCH_STAGE/x/ does not exist"):
        hook.list_files("@NO_SUCH_STAGE/x/")


def test_one_session_serves_all_statements(hook: SnowflakeBatchHook) -> None:
    sessions = {hook.rows("SELECT CURRENT_SESSION() AS id")[0]["id"] for _ in range(3)}
    assert len(sessions) == 1


def test_a_restarted_server_is_found_again(tmp_path, monkeypatch) -> None:
    with LocalServer(tmp_path / "state") as server:
        monkeypatch.setenv("AIRFLOW_CONN_SNOWFLAKE_DEFAULT", server.airflow_connection_json)
        with SnowflakeBatchHook() as hook:
            before = hook.rows("SELECT CURRENT_SESSION() AS id")
            server.kill()
            server.start()
            after = hook.rows("SELECT CURRENT_SESSION() AS id")
    assert before != after


def test_what_cannot_succeed_is_not_repeated(hook: SnowflakeBatchHook, faults: LocalFaults) -> None:
    sent = faults.add("delay", seconds=0, statement="NO_SUCH_TABLE")
    with pytest.raises(Exception, match="NO_SUCH_TABLE"):
        hook.rows("SELECT * FROM NO_SUCH_TABLE")
    assert faults.fired(sent) == 1


def test_partial_names_take_the_connections_namespace(hook: SnowflakeBatchHook) -> None:
    assert hook.namespace == ("LOCAL", "PUBLIC")
    assert hook.list_jobs(schema="public") == hook.list_jobs()
    assert str(hook.qualify_name("job")) == "LOCAL.PUBLIC.JOB"
    assert str(hook.qualify_location("@other.stage/x")) == "@LOCAL.OTHER.STAGE/x"


def test_sqlalchemy_speaks_the_same_protocol(hook: SnowflakeBatchHook) -> None:
    with hook.get_sqlalchemy_engine().connect() as connection:
        assert connection.exec_driver_sql("SELECT 1 + 1").scalar() == 2


def test_a_twin_needs_no_airflow_connection(hook: SnowflakeBatchHook, monkeypatch: pytest.MonkeyPatch) -> None:
    hook.rows("SELECT 1")
    monkeypatch.delenv("AIRFLOW_CONN_SNOWFLAKE_DEFAULT")
    with hook.twin() as twin:
        assert twin.rows("SELECT 2 AS two") == [{"two": 2}]


def test_an_extra_that_is_no_number_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ODD", '{"conn_type": "snowflake", "extra": {"login_timeout": "ten"}}')
    with pytest.raises(JobInputError, match=r"Connection odd: the extra login_timeout .* got 'ten'\."):
        SnowflakeBatchHook("odd").list_jobs()
