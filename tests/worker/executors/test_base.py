"""A second executor needs nothing of the first: the same batch, done by one that works in this very process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from airflow_provider_snowflake_batch.contract.job_file import Job
from airflow_provider_snowflake_batch.contract.task_record import TaskRecord
from airflow_provider_snowflake_batch.worker.errors import WorkerError
from airflow_provider_snowflake_batch.worker.executors.base import Executor, Groups, Work
from airflow_provider_snowflake_batch.worker.input.backlog import Backlog
from airflow_provider_snowflake_batch.worker.input.partitions import Buckets
from airflow_provider_snowflake_batch.worker.input.plan import Plan, Task
from airflow_provider_snowflake_batch.worker.job import Replica, read_job
from airflow_provider_snowflake_batch.worker.models.base import LoadedModel
from airflow_provider_snowflake_batch.worker.progress import Progress
from airflow_provider_snowflake_batch.worker.run import Run
from airflow_provider_snowflake_batch.worker.scoring.assembly import assemble
from airflow_provider_snowflake_batch.worker.scoring.messages import Assignment
from tests.worker.batches import Batch


class Heard:
    """What a pipeline reports."""

    def __init__(self) -> None:
        self.records: list[TaskRecord] = []
        self.error: WorkerError | None = None

    def done(self, record: TaskRecord) -> None:
        self.records.append(record)

    def widened(self, task: Task, schema: pa.Schema) -> None:
        raise AssertionError("the model has one type of output only")

    def rows(self, count: int, batch: int) -> None:
        pass

    def set_aside(self, count: int, latest: str) -> None:
        pass

    def not_written(self, task: Task, message: str, *, passing: bool) -> None:
        raise AssertionError(message)

    def failed(self, error: WorkerError) -> None:
        self.error = error


class OneByOne:
    """Does one task after the other, with a model that is here already.

    :ivar pulled: the tasks, in that order.
    """

    def __init__(self, model: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
        self._model = LoadedModel(model)
        self.pulled: list[Task] = []
        self.ended: list[str] = []

    def owner(self, task: int) -> int:
        return 0

    def group(self, job: Job, plan: Plan, column: str) -> Groups:
        return Buckets(job.input.path, plan, column, lambda bucket: True)

    def run(self, work: Work, backlog: Backlog, progress: Progress, done: Callable[[TaskRecord], None]) -> None:
        work.model_loaded()
        while backlog.open:
            backlog.look()
            if (task := backlog.take()) is None:
                continue
            self.pulled.append(task)
            heard, tasks = Heard(), SimpleQueue[Assignment | None]()
            tasks.put(Assignment(task, work.identity(), work.known_schema, True, work.quarantine.room))
            tasks.put(None)
            assemble(work.job, work.schema, work.attempt, self._model, tasks, heard, use_threads=False).run()
            if heard.error is not None:
                raise heard.error
            for record in heard.records:
                done(record)

    def stop(self) -> None:
        self.ended.append("stop")

    def kill(self) -> None:
        self.ended.append("kill")


def double(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"Y": rows["X"].to_numpy() * 2.0})


def run(path: Path, executor: Executor) -> None:
    Run(read_job(path), Replica(), executor)()


@pytest.mark.parametrize("column", [None, "G"])
def test_the_result_is_that_of_model_processes(batch: Batch, column: str | None) -> None:
    ids = range(150_000)
    batch.rows({"ID": list(ids), "X": [one * 3.0 for one in ids], "G": [one % 7 for one in ids]}, row_group_size=70_000)
    batch.job(input={"partition_column": column})
    assert batch.run().code == 0
    expected = batch.manifest()

    path = batch.job(input={"partition_column": column}, output={"path": "results/OTHER"})
    executor = OneByOne(double)
    run(path, executor)

    other = batch.root / "results/OTHER"
    manifest = json.loads((other / "_manifest.json").read_text())
    same = ("rows", "schema", "fingerprint", "input_fingerprint", "model")
    assert {name: manifest[name] for name in same} == {name: expected[name] for name in same}
    assert [one["checksum"] for one in manifest["files"]] == [one["checksum"] for one in expected["files"]]
    assert ds.dataset(other, format="parquet").to_table().sort_by("ID").equals(batch.result())
    sizes = [task.bytes for task in executor.pulled]
    assert sizes == sorted(sizes, reverse=True)
    assert executor.ended == ["stop", "kill"]


def test_it_goes_on_where_model_processes_were_interrupted(batch: Batch) -> None:
    batch.ids(200_000, row_group_size=50_000)
    path = batch.job()
    assert batch.run().code == 0
    for name in ("_SUCCESS", "_manifest.json"):
        (batch.output / name).unlink()
    lost = sorted(batch.output.glob("_tasks/*.json"))[1]
    lost.unlink()
    executor = OneByOne(double)

    run(path, executor)

    assert [task.index for task in executor.pulled] == [1]
    assert batch.verify().code == 0
    assert batch.result()["Y"].to_pylist() == [one * 6.0 for one in range(200_000)]


def test_a_failure_ends_the_executor(batch: Batch) -> None:
    batch.ids(1_000)
    path = batch.job()

    def fail(rows: pd.DataFrame) -> pd.DataFrame:
        raise ValueError("no leaf")

    executor = OneByOne(fail)
    with pytest.raises(WorkerError, match="ValueError: no leaf"):
        run(path, executor)

    assert executor.ended == ["kill"]
    assert not batch.succeeded()
