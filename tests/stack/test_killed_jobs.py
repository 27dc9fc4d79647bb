"""Jobs with a model of one's own are killed at random moments, whole or a replica of them: the next try does what is
missing, and no row is scored again that was recorded.

The judges know nothing of the package: the model itself notes which rows it is given, and pyarrow reads the results.
"""

from __future__ import annotations

import io
import json
import random
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.hooks.stage_files import StageFile
from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests.airflow_stack import AirflowStack
from tests.stack.holding import JUST_AFTER_SUBMIT, NOT_SENT, WHOLE_MATRIX, Holding, Run, assert_nothing_left, holding

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900 if WHOLE_MATRIX else 600)]

ROWS = 1_000_000
# The last task of each replica waits until the test lets it, so that none ends before it is killed. Tasks are the row
# groups that the local Snowflake writes, of 122,880 rows; those of so many rows do not wait.
WAITS_FROM = 870_000
FREE_ROWS = 700_000
ROUNDS = 8 if WHOLE_MATRIX else 1


@dataclass
class Batch:
    """A run of ``killed_<mode>``, and what is known of it.

    :param notes: where the model notes which rows it is given.
    """

    run: Run
    held: Holding
    notes: Path
    killed: list[str] = field(default_factory=list)
    _known: dict[tuple[str, str | None], dict[str, Any]] = field(default_factory=dict)

    def start(self) -> None:
        self.notes.mkdir()
        conf = {
            "notes": str(self.notes), "rows": ROWS, "waits_from": WAITS_FROM, "rows_per_second": 400_000
        }  # fmt: skip
        self.held.start(self.run, "killed", conf)

    @property
    def jobs(self) -> dict[str, str]:
        """Every job of the run, the first one first: name → status."""
        jobs = self.held.hook.list_jobs(like=f"{self.run.prefix}%")
        return {job.name: job.reported_status for job in sorted(jobs, key=lambda job: str(job.created_on))}

    def wait_for_job(self) -> str:
        """The job that follows those that were killed, once it is there."""
        count = len(self.killed) + 1
        return self.held.wait(lambda: [*self.jobs][count - 1 : count], f"{self.run}: no job {count}")[0]

    def files(self, folder: str = "") -> list[StageFile]:
        """The files in the output directory, which is that of the first job."""
        first = next(iter(self.jobs)).rpartition(".")[2]
        prefix = f"killed_{self.run.mode}/{first}/{folder}"
        return self.held.hook.list_files(f"@STACK_RESULTS/{prefix}")

    def read(self, path: str) -> bytes:
        return self.held.hook.read_file(f"@STACK_RESULTS/{path}")

    def records(self) -> list[dict[str, Any]]:
        """The records of finished tasks. One that its process is writing, or was killed over, is none."""
        files = [(file.path, file.md5) for file in self.files("_tasks/") if file.path.endswith(".json")]
        for file in files:
            if file not in self._known:
                with suppress(ValueError):
                    self._known[file] = json.loads(self.read(file[0]))
        return [self._known[file] for file in files if file in self._known]

    def recorded(self) -> int:
        """The rows of all tasks that are recorded."""
        return sum({record["task"]: int(record["input_rows"]) for record in self.records()}.values())

    def kill_at_random(self, dice: random.Random, victim: str) -> None:
        """Kill something of the job that runs, at some moment before its end.

        :param victim: ``model process``, ``replica`` (one of the two), ``node`` (with what runs it), or ``job``.
        """
        job = self.wait_for_job()
        done = self.recorded()
        enough = dice.randint(min(done + 1, FREE_ROWS), FREE_ROWS)
        self.held.wait(lambda: self.recorded() >= enough and containers(job), f"{self.run}: too few records")
        time.sleep(dice.uniform(0, 0.3))
        self.held.wait(lambda: strike(job, victim, dice), f"{self.run}: {job} has no {victim}")
        if victim != "model process":
            self.killed.append(job)
            self.held.wait(lambda: self.jobs[job] == "FAILED", f"{self.run}: {job} has not failed")

    def assert_nothing_lost_or_doubled(self) -> None:
        run = self.run
        state, result = self.held.airflow.wait_for_run(run.id, timeout=300), self.held.airflow.xcom(run.id, "score")
        assert state == "success", self.held.airflow.failures(run.id)
        jobs = self.jobs
        assert [*jobs.values()] == ["FAILED"] * len(self.killed) + ["DONE"], jobs
        assert (result["job_name"], result["rows"]) == ([*jobs][-1], ROWS)

        paths = [file.path for file in self.files() if file.path.endswith(".parquet")]
        parts = {path: self.table(path) for path in paths if "/_" not in path}
        rows, ids = pa.concat_tables(parts.values()).sort_by("ID"), np.arange(ROWS)
        assert np.array_equal(rows["ID"].to_numpy(), ids)
        assert np.array_equal(rows["SCORE"].to_numpy(), 3 * ids)

        order = {name.rpartition(".")[2]: number for number, name in enumerate(jobs)}
        given = self.given()
        reused = 0
        for record in self.records():
            path = next(path for path in parts if path.endswith(record["part"]["name"]))
            its_job = order[record["job"].rpartition(".")[2]]
            later = [ids for name, ids in given.items() if order[name] > its_job]
            again = sum(pc.sum(pc.is_in(ids, parts[path]["ID"])).as_py() or 0 for ids in later)
            assert again == 0, f"{run}: {again} rows of task {record['task']} were scored after they were recorded"
            reused += record["input_rows"] if its_job < len(jobs) - 1 else 0
        assert 0 < reused == result["rows_reused"]
        assert self.held.unloaded(run) == []

    def table(self, path: str) -> pa.Table:
        return pq.read_table(io.BytesIO(self.read(path)))

    def given(self) -> dict[str, pa.Array]:
        """Which rows each job has given to the model. A line that a process was killed in holds none that count."""
        found: dict[str, list[int]] = {}
        for path in self.notes.glob("*.jsonl"):
            for line in path.read_text().splitlines(keepends=True):
                if line.endswith("\n"):
                    note = json.loads(line)
                    found.setdefault(note["job"], []).extend(note["ids"])
        return {job: pa.array(ids) for job, ids in found.items()}


def containers(job: str) -> dict[int, list[psutil.Process]]:
    """The processes in a job's containers, by replica; the worker's own first."""
    found: dict[int, list[psutil.Process]] = {}
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except psutil.Error:
            continue
        if environment.get("SNOWFLAKE_SERVICE_NAME") == job.rpartition(".")[2]:
            found.setdefault(int(environment["SNOWFLAKE_JOB_INDEX"]), []).append(process)
    return {number: sorted(each, key=lambda process: process.create_time()) for number, each in found.items()}


def strike(job: str, victim: str, dice: random.Random) -> bool:
    """Kill a victim if it is there."""
    replicas = containers(job)
    chosen = [*replicas.values()] if victim == "job" else dice.sample([*replicas.values()], min(1, len(replicas)))
    found = [process for worker, *others in chosen for process in victims(worker, others, victim, dice)]
    for process in found:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    return bool(found)


def victims(
    worker: psutil.Process, others: list[psutil.Process], victim: str, dice: random.Random
) -> list[psutil.Process]:
    """Which processes of a container are killed."""
    if victim == "node":
        supervisor = worker.parent()
        return [supervisor] if supervisor is not None else []
    if victim == "model process":
        return dice.sample(others, min(1, len(others)))
    return [worker, *others]


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_what_is_recorded_is_not_scored_again(
    airflow: AirflowStack, hook: SnowflakeBatchHook, local_server: LocalServer, tmp_path: Path, seed: int
) -> None:
    dice = random.Random(seed)
    with holding(airflow, hook, local_server) as held:
        # Where the next try is held when its task process is killed, too.
        runs = [Run("deferred", NOT_SENT, own=True), Run("in_slot", JUST_AFTER_SUBMIT, own=True)]
        batches = [Batch(run, held, tmp_path / run.mode) for run in runs]
        for batch in batches:
            batch.start()
        for batch in batches:
            batch.kill_at_random(dice, "model process")
        faults = [held.hold_submission(run) for run in runs]
        for batch, victim in zip(batches, dice.sample(["job", "replica", "node"], 2), strict=True):
            batch.kill_at_random(dice, victim)
        for run, fault in zip(runs, faults, strict=True):
            held.wait(lambda fault=fault: held.faults.fired(fault), f"{run}: the retry is not there")
            assert len(held.unloaded_lists(run)) == 1, "the retry has read its rows anew"
            for process in airflow.worker(run.id, "score"):
                process.kill()
            held.faults.clear(fault)
        for batch in batches:
            batch.kill_at_random(dice, dice.choice(["job", "replica", "node"]))
        for batch in batches:
            (batch.notes / "finish").touch()
        for batch in batches:
            batch.assert_nothing_lost_or_doubled()
    assert_nothing_left(airflow, local_server)
