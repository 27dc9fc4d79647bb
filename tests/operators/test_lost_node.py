"""A job of three replicas over Ray loses nodes of its pool: the task's next tries go on from what is recorded."""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.sdk import DAG
from snowflake.connector.cursor import SnowflakeCursor

from airflow_provider_snowflake_batch.exceptions import JobFailedError
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.card import JOB_CARD_KEY
from airflow_provider_snowflake_batch.jobs.models import PythonModel
from airflow_provider_snowflake_batch.jobs.specs import JobSpec, OutputSpec, Sharing
from airflow_provider_snowflake_batch.local.server_process import LocalServer
from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator
from airflow_provider_snowflake_batch.worker.cluster.rendezvous import Announcement
from tests.local_faults import LocalFaults, faults_of
from tests.operators.task_instances import Store, TaskInstance

pytestmark = pytest.mark.slow

POOL, STAGE = "LOST_NODE", "LOST_NODE_RESULTS"
REPLICAS = 3
# Each task is one call of the model.
TASKS, TASK_ROWS = 16, 65_536
ROWS = TASKS * TASK_ROWS
SECONDS = 500
# Each replica scores one task when those that are waited for are about to, and the next ones when it may.
MODEL = """
import os
import time
from pathlib import Path


class Watched:
    def __init__(self, here):
        self.here, self.calls = Path(here), 0
        self.job, self.me = os.environ["SNOWFLAKE_SERVICE_NAME"], os.environ["SNOWFLAKE_JOB_INDEX"]

    def predict(self, rows):
        (self.here / f"{self.job}.{self.me}.there").touch()
        self.until(lambda: len(list(self.here.glob(f"{self.job}.*.there"))) >= int((self.here / "wanted").read_text()))
        if self.calls:
            self.until((self.here / "free").exists)
        with (self.here / f"{self.job}.{self.me}.calls").open("a") as calls:
            calls.write(f"{rows['ID'].min()}\\n")
        self.calls += 1
        return {"Y": rows["ID"].to_numpy() * 3}

    @staticmethod
    def until(there):
        deadline = time.monotonic() + 900
        while not there() and time.monotonic() < deadline:
            time.sleep(0.05)
"""


class Tries:
    """The tries of one task, with a record of what each of its jobs has given to the model."""

    def __init__(self, hook: SnowflakeBatchHook, faults: LocalFaults, folder: Path) -> None:
        self.hook, self.faults, self.here = hook, faults, folder / "here"
        self.here.mkdir()
        (folder / "watched.py").write_text(MODEL)
        dag = DAG("dag")
        dag.fileloc = str(folder / "dag.py")
        self._task = RunBatchOperator(
            dag=dag,
            task_id="score",
            model=PythonModel("watched:Watched", code="watched.py", init={"here": str(self.here)}),
            X=f"SELECT SEQ4() AS ID FROM TABLE(GENERATOR(ROWCOUNT => {ROWS}))",
            compute_pool=POOL,
            output_spec=OutputSpec(f"@{STAGE}/out/"),
            job_spec=JobSpec(replicas=REPLICAS, num_workers=1, max_batch_rows=TASK_ROWS, executor=Sharing.RAY),
            poll_interval=1,
        )
        self._store, self._threads = Store(), ThreadPoolExecutor(1)
        self.jobs: list[str] = []
        self.secrets: dict[str, str] = {}
        self.job_files: dict[str, str] = {}
        self.instance = TaskInstance(max_tries=3)
        self._instances = [self.instance]

    def begin(self, wanted: int = REPLICAS) -> Future[Any]:
        """The next try; its first calls are made when so many replicas are about to."""
        (self.here / "wanted").write_text(str(wanted))
        self.instance = TaskInstance(try_number=len(self.jobs) + 1, max_tries=3)
        self._instances.append(self.instance)
        ended = self._threads.submit(
            self._task.execute,
            {"ti": self.instance, "task_state_store": self._store},  # type: ignore[typeddict-item]
        )
        known = set(self.jobs)
        self.until(
            lambda: ended.done() or self._store.get("snowflake_batch_job", {}).get("job_name") not in {None, *known}
        )
        assert not ended.done(), ended.exception()
        self.jobs.append(self._store.record["job_name"])
        return ended

    def until(self, there: Callable[[], Any], seconds: float = SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not there():
            assert time.monotonic() < deadline, f"{self.jobs}: {sorted(path.name for path in self.here.iterdir())}"
            time.sleep(0.2)

    def name(self, number: int) -> str:
        return self.jobs[number].rpartition(".")[2]

    @property
    def location(self) -> str:
        """That of the results, which is the first job's for all of them."""
        return f"@{STAGE}/out/{self.name(0)}"

    def read(self, path: str) -> bytes:
        return self.hook.read_file(f"@{STAGE}/{path}")

    def keep_secret(self) -> None:
        """Read what the replicas of the job that runs know each other by, and what lies beside it."""
        beside = [one.path for one in self.hook.list_files(f"@{STAGE}/out/_batch_worker/")]
        beside = [path for path in beside if f"/{self.name(-1)}/" in path and "ended" not in path]
        (path,) = [path for path in beside if "/_replicas-" in path]
        self.job_files |= {one: self.read(one).decode() for one in beside if one != path}
        note = Announcement(**json.loads(self.read(path)), run="")
        each = {"secret": note.secret, "token": note.ray_token, "key": note.key.decode()}
        self.secrets |= {f"{what} of {self.name(-1)}": one for what, one in each.items()}

    def told(self) -> Iterator[tuple[str, str]]:
        """What somebody may see who is not to know the secrets, and where."""
        yield "store", str(self._store.values)
        yield "XComs and cards", str([instance.xcoms for instance in self._instances])
        for job in self.jobs:
            for statement in ("DESCRIBE SERVICE", "SHOW SERVICE CONTAINERS IN SERVICE"):
                yield f"{statement} {job}", str(self.hook.rows(f"{statement} {job}"))
            for replica in range(REPLICAS):
                yield f"log of {replica} of {job}", self.hook.logs(job, instance_id=replica)
        for one in self.hook.list_files(f"@{STAGE}/"):
            # That of a replica 0 that was killed is still there.
            if "/_replicas-" not in one.path:
                yield one.path, self.read(one.path).decode("latin-1")

    def records(self) -> list[dict[str, Any]]:
        paths = [one.path for one in self.hook.list_files(f"{self.location}/_tasks/")]
        return [json.loads(self.read(path)) for path in paths if path.endswith(".json")]

    def lose_node(self, node: int, ended: Future[Any]) -> None:
        """A node is lost once each replica has recorded a task in this try."""
        wanted = REPLICAS * len(self.jobs)
        self.until(lambda: ended.done() or len(self.records()) >= wanted)
        assert not ended.done(), ended.exception()
        self.keep_secret()
        self.faults.add("lose-node", node=node, seconds=0, job=self.name(-1), count=1)
        with pytest.raises(JobFailedError, match="node that ran the instance was lost"):
            ended.result(SECONDS)

    def calls(self, number: int) -> list[int]:
        """The first rows of what a job has given to the model."""
        files = self.here.glob(f"{self.name(number)}.*.calls")
        return [int(line) for path in files for line in path.read_text().splitlines()]

    def statuses(self) -> list[str]:
        listed = {job.name.rpartition(".")[2]: job.reported_status for job in self.hook.list_jobs(like="BATCH%")}
        return [listed[self.name(number)] for number in range(len(self.jobs))]


@pytest.fixture
def tries(snowflake_connection: str, local_server: LocalServer, tmp_path: Path) -> Iterator[Tries]:
    with SnowflakeBatchHook(snowflake_connection) as hook, faults_of(local_server) as faults:
        hook.run(
            [
                f"CREATE COMPUTE POOL IF NOT EXISTS {POOL} MIN_NODES = 1 MAX_NODES = 3 INSTANCE_FAMILY = CPU_X64_S",
                f"CREATE OR REPLACE STAGE {STAGE} ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')",
            ]
        )
        tries = Tries(hook, faults, tmp_path)
        yield tries
        # What waits goes on, also if the test has failed.
        (tries.here / "wanted").write_text("0")
        (tries.here / "free").touch()


def test_two_nodes_are_lost_and_nothing_recorded_is_scored_again(
    tries: Tries, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    statements: list[str] = []
    execute = SnowflakeCursor.execute
    monkeypatch.setattr(SnowflakeCursor, "execute", lambda *given, **named: noted(statements, execute, given, named))
    # The node of a replica, then that of the head; in the end a node is slow, and another one late.
    tries.lose_node(2, tries.begin())
    tries.lose_node(0, tries.begin())
    slow = tries.faults.add("slow-node", node=1, factor=2)
    late = tries.faults.add("late-replica", replica=2, seconds=0)
    ended = tries.begin(wanted=2)
    tries.until(lambda: ended.done() or state_of(tries, 2) == "late")
    tries.until(lambda: ended.done() or len(tries.calls(2)) >= 2)
    tries.faults.clear(late)
    # It is given a task, though the others were there long before.
    tries.until(lambda: ended.done() or (tries.here / f"{tries.name(2)}.2.there").exists())
    tries.keep_secret()
    (tries.here / "free").touch()
    result = ended.result(SECONDS)
    tries.faults.clear(slow)

    assert (result["rows"], tries.statuses()) == (ROWS, ["FAILED", "FAILED", "DONE"])
    parts = {one.path.rpartition("/")[2]: one.path for one in tries.hook.list_files(f"{tries.location}/")}
    manifest = json.loads(tries.read(parts["_manifest.json"]))
    rows = {one["name"]: pq.read_table(io.BytesIO(tries.read(parts[one["name"]]))) for one in manifest["files"]}
    whole = pa.concat_tables(rows.values()).sort_by("ID")
    assert whole["ID"].to_pylist() == list(range(ROWS))
    assert whole["Y"].to_pylist() == list(range(0, 3 * ROWS, 3))

    # Of what is recorded, nothing was given to the model again by a later job, or twice by the same one.
    order = {name: number for number, name in enumerate(map(tries.name, range(3)))}
    reused = 0
    for record in tries.records():
        by = order[record["job"].rpartition(".")[2]]
        first = rows[record["part"]["name"]]["ID"].to_pylist()[0]
        given = [number for number in order.values() for row in tries.calls(number) if row == first]
        assert given.count(by) == 1
        assert max(given) == by, f"rows from {first} on were scored after job {by} had recorded them"
        reused += record["input_rows"] if by < 2 else 0
    assert result["rows_reused"] == reused == 2 * REPLICAS * TASK_ROWS

    # By what the replicas of each job know each other is told nowhere.
    told = {
        **dict(tries.told()),
        **tries.job_files,
        "the tasks' logs": caplog.text,
        "statements": "\n".join(statements),
    }
    assert told["statements"].count("EXECUTE JOB SERVICE") == len(tries.jobs)
    assert "replica 2 late" in caplog.text
    assert len(set(tries.secrets.values())) == 9
    assert len([text for text in tries.job_files.values() if '"executor"' in text]) == 3
    assert f"{tries.location.removeprefix(f'@{STAGE}/')}/_manifest.json" in told
    assert not [(where, what) for where, text in told.items() for what, one in tries.secrets.items() if one in text]


def noted(statements: list[str], execute: Callable[..., Any], given: Sequence[Any], named: dict[str, Any]) -> Any:
    """Do what a cursor does, and note down its statement with its binds."""
    statements.append(f"{given[1:]} {named}")
    return execute(*given, **named)


def state_of(tries: Tries, replica: int) -> str | None:
    """How a replica is, as the card of the task tells."""
    progress = tries.instance.xcoms.get(JOB_CARD_KEY, {}).get("progress") or {}
    each = (progress.get("by_replica") or {}).get("each", [])
    return next((str(one["state"]) for one in each if one["replica"] == replica), None)
