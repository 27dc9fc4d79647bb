"""``airflow snowflake-batch list``, ``describe``, ``logs``, ``cancel`` and ``delete``, against the local Snowflake.

Also tests ``cli/connection.py``.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator

import pytest
import yaml

from airflow_provider_snowflake_batch.exceptions import JobNotFoundError
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName
from airflow_provider_snowflake_batch.jobs.status import JobStatus
from tests.cli.command_lines import arguments, command
from tests.compute_pools import hook_with_pool
from tests.container_jobs import container_job

POOL = Identifier("CLI_TESTS")
FOR_LONG = ("python", "-c", "import time; print('at work', flush=True); time.sleep(600)")


@pytest.fixture
def hook(snowflake_connection: str) -> Iterator[SnowflakeBatchHook]:
    with hook_with_pool(snowflake_connection, POOL, nodes=4) as opened:
        yield opened


@pytest.fixture
def start(hook: SnowflakeBatchHook) -> Iterator[Callable[..., QualifiedName]]:
    """Starts a job of one container that runs a command; what still runs is dropped after the test."""
    started = []

    def start(*command: str) -> QualifiedName:
        job = container_job(hook, POOL, *command)
        started.append(job.name)
        hook.wait(job.name, query_id=hook.submit(job), until_accepted=True)
        return job.name

    yield start
    for name in started:
        hook.delete(name)


@pytest.fixture
def run(snowflake_connection: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command as Airflow's parser calls it; what it printed."""

    def run(name: str, *given: str) -> str:
        capsys.readouterr()
        command(name).func(arguments(name, "--conn-id", snowflake_connection, *given))
        return capsys.readouterr().out

    return run


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], None]:
    """Whoever sits at the terminal answers this, or nobody does."""

    def answer(text: str | None) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO("" if text is None else f"{text}\n"))

    return answer


def test_list(hook: SnowflakeBatchHook, start: Callable[..., QualifiedName], run: Callable[..., str]) -> None:
    done, running = start("true"), start(*FOR_LONG)
    hook.wait(done)
    like = ("--like", "BATCH_CLI_TESTS%", "-o", "json")
    rows = {row["job"]: row for row in json.loads(run("list", *like))}
    assert {rows[str(done)]["status"], rows[str(done)]["compute pool"]} == {"DONE", "CLI_TESTS"}
    assert list(rows).index(str(running)) < list(rows).index(str(done))
    assert rows[str(done)]["created"].endswith("+00:00")
    assert rows[str(done)]["changed"].endswith("+00:00")

    found = json.loads(run("list", *like, "--status", "pending", "running"))
    assert str(running) in {row["job"] for row in found}
    assert str(done) not in {row["job"] for row in found}
    assert len(json.loads(run("list", *like, "--limit", "1"))) == 1
    schema = f"{done.database}.{done.schema}"
    assert str(done) in {row["job"] for row in json.loads(run("list", *like, "--schema", schema))}
    assert str(done) in run("list", "--like", "BATCH_CLI_TESTS%", "-o", "plain")
    assert "No data found" in run("list", "--like", "NO_SUCH_JOB")


def test_describe(hook: SnowflakeBatchHook, start: Callable[..., QualifiedName], run: Callable[..., str]) -> None:
    job = start("python", "-c", "raise SystemExit(3)")
    hook.wait(job)
    (row,) = json.loads(run("describe", str(job), "-o", "json"))
    assert (row["job"], row["status"]) == (str(job), "FAILED")
    assert [(one["replica"], one["container"], one["exit code"]) for one in row["containers"]] == [("0", "main", "3")]
    assert "exit code" in run("describe", job.name)


def test_logs(hook: SnowflakeBatchHook, start: Callable[..., QualifiedName], run: Callable[..., str]) -> None:
    job = start("python", "-c", "print('one [x]'); print('two')")
    hook.wait(job)
    assert run("logs", str(job)) == "one [x]\ntwo\n"
    assert run("logs", str(job), "--lines", "1") == "two\n"


@pytest.mark.parametrize(("code", "printed"), [(0, "DONE"), (1, "FAILED")])
def test_follow(
    start: Callable[..., QualifiedName],
    run: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
    code: int,
    printed: str,
) -> None:
    job = start("python", "-c", f"print('the end'); raise SystemExit({code})")
    if code:
        with pytest.raises(SystemExit) as caught:
            run("logs", str(job), "--follow")
        assert caught.value.code == 1
        out = capsys.readouterr()
        assert out.out == "the end\n"
        assert out.err == f"Job {job} is FAILED\n"
    else:
        assert run("logs", str(job), "-f") == "the end\n"


def test_cancel(
    hook: SnowflakeBatchHook,
    start: Callable[..., QualifiedName],
    run: Callable[..., str],
    answer: Callable[[str | None], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    job = start(*FOR_LONG)
    answer("n")
    with pytest.raises(SystemExit, match="Nothing was done"):
        run("cancel", str(job))
    assert capsys.readouterr() == ("", f"Cancel {job}? [y/N] ")
    answer(None)
    with pytest.raises(SystemExit, match="cancel with --yes"):
        run("cancel", str(job))
    assert not hook.status(job).status.is_terminal

    answer("Y")
    assert run("cancel", str(job)) == f"Job {job} is cancelled\n"
    assert hook.wait(job).status is JobStatus.CANCELLED
    assert run("cancel", str(job)) == f"Job {job} has ended: CANCELLED\n"


def test_delete(
    hook: SnowflakeBatchHook,
    start: Callable[..., QualifiedName],
    run: Callable[..., str],
    answer: Callable[[str | None], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, second = start("true"), start(*FOR_LONG)
    hook.wait(first)
    answer("")
    with pytest.raises(SystemExit, match="Nothing was done"):
        run("delete", str(first), str(second))
    assert f"{first} (DONE), {second} (" in capsys.readouterr().err
    assert run("delete", str(first), str(second), "--yes") == f"Job {first} is deleted\nJob {second} is deleted\n"
    with pytest.raises(JobNotFoundError):
        hook.status(second)


def test_what_was_done_as_rows(
    hook: SnowflakeBatchHook,
    start: Callable[..., QualifiedName],
    run: Callable[..., str],
    answer: Callable[[str | None], None],
) -> None:
    ended, running = start("true"), start(*FOR_LONG)
    hook.wait(ended)
    answer("y")
    # The question is not among what a program reads.
    rows = json.loads(run("cancel", str(ended), str(running), "-o", "json"))
    assert [(row["job"], row["cancelled"]) for row in rows] == [(str(ended), "False"), (str(running), "True")]
    assert rows[0]["status"] == "DONE"
    (row,) = yaml.safe_load(run("delete", str(ended), "--yes", "--output", "yaml"))
    assert row == {"job": str(ended), "status": "DONE", "deleted": "True"}
    table = run("delete", str(running), "--yes", "--output", "table")
    assert [cell.strip() for cell in table.splitlines()[0].split("|")] == ["job", "status", "deleted"]
    assert str(running) in table


def test_rows_tell_what_was_done_before_an_error(
    hook: SnowflakeBatchHook,
    start: Callable[..., QualifiedName],
    run: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = start("true"), start("true")
    delete = SnowflakeBatchHook.delete

    def lost(self: SnowflakeBatchHook, name: str | QualifiedName) -> None:
        if name == str(second):
            raise ConnectionError("the network is gone")
        delete(self, name)

    monkeypatch.setattr(SnowflakeBatchHook, "delete", lost)
    with pytest.raises(SystemExit, match="delete: the network is gone"):
        run("delete", str(first), str(second), "--yes", "-o", "json")
    assert [row["job"] for row in json.loads(capsys.readouterr().out)] == [str(first)]
    monkeypatch.undo()


def test_logs_as_rows(hook: SnowflakeBatchHook, start: Callable[..., QualifiedName], run: Callable[..., str]) -> None:
    job = start("python", "-c", "print('one [x]: :warning:'); print('two')")
    hook.wait(job)
    lines = [{"line": "one [x]: :warning:"}, {"line": "two"}]
    assert json.loads(run("logs", str(job), "-o", "json")) == lines
    assert yaml.safe_load(run("logs", str(job), "-o", "yaml")) == lines
    assert "one [x]: :warning:" in run("logs", str(job), "-o", "table")
    # Line by line, as they come.
    assert [json.loads(line) for line in run("logs", str(job), "-f", "-o", "json").splitlines()] == lines
    assert yaml.safe_load(run("logs", str(job), "-f", "-o", "yaml")) == lines


@pytest.mark.parametrize("name", ["describe", "logs", "cancel", "delete"])
def test_a_job_that_is_not_there(name: str, run: Callable[..., str]) -> None:
    with pytest.raises(SystemExit, match=rf"airflow snowflake-batch {name}: .*NO_SUCH_JOB does not exist"):
        run(name, "NO_SUCH_JOB")


def test_all_or_nothing_is_deleted(
    hook: SnowflakeBatchHook, start: Callable[..., QualifiedName], run: Callable[..., str]
) -> None:
    job = start("true")
    with pytest.raises(SystemExit, match="NO_SUCH_JOB does not exist"):
        run("delete", str(job), "NO_SUCH_JOB", "--yes")
    assert hook.status(job)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (("describe", "a b"), "'a b' is not a valid name"),
        (("logs", "J", "--follow", "-o", "table"), "--output: a log that is followed can be json or yaml, not table"),
        (("list", "--schema", "a.b.c"), "--schema: 'a.b.c' has more parts than DATABASE.SCHEMA"),
        (("list", "--status", "running", "ended"), "--status: no job has ENDED; there are PENDING, RUNNING, DONE, "),
    ],
)
def test_an_argument_that_cannot_be_read(
    given: tuple[str, ...], text: str, run: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        run(*given)
    assert caught.value.code == 2
    assert text in capsys.readouterr().err


def test_a_schema_that_is_not_there(run: Callable[..., str]) -> None:
    with pytest.raises(SystemExit, match="list: Schema no_such.schema does not exist, or this role may not see it"):
        run("list", "--schema", "no_such.schema")


@pytest.mark.parametrize(
    "given",
    [("list",), ("describe", "JOB"), ("logs", "JOB"), ("cancel", "JOB"), ("delete", "JOB"), ("clean-up", "@S/out/")],
)
def test_a_connection_that_is_not_there(given: tuple[str, ...]) -> None:
    name, *rest = given
    with pytest.raises(SystemExit) as caught:
        command(name).func(arguments(name, *rest, "--conn-id", "no_such"))
    assert str(caught.value).startswith(f"airflow snowflake-batch {name}: There is no Airflow connection no_such, or ")
    assert str(caught.value).count("\n") == 0
