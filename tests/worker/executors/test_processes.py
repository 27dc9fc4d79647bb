"""Model processes: which devices they see, and how they may end.

Also tests ``worker/executors/launcher.py``, ``worker/executors/model_worker.py``.
"""

from __future__ import annotations

import gc
import math
import time
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_snowflake_batch.contract.task_record import TaskRecord
from airflow_provider_snowflake_batch.worker.attempt import Attempt
from airflow_provider_snowflake_batch.worker.bad_rows import Quarantine
from airflow_provider_snowflake_batch.worker.executors.base import Work
from airflow_provider_snowflake_batch.worker.executors.launcher import Launcher
from airflow_provider_snowflake_batch.worker.executors.model_worker import Worker
from airflow_provider_snowflake_batch.worker.executors.processes import ProcessPool
from airflow_provider_snowflake_batch.worker.input.backlog import Backlog
from airflow_provider_snowflake_batch.worker.input.content import Identity
from airflow_provider_snowflake_batch.worker.input.plan import make_plan
from airflow_provider_snowflake_batch.worker.job import read_job
from airflow_provider_snowflake_batch.worker.output.output_directory import OutputDirectory
from airflow_provider_snowflake_batch.worker.processes import limits
from airflow_provider_snowflake_batch.worker.progress import Progress
from airflow_provider_snowflake_batch.worker.scoring import messages
from tests.worker.batches import LONGEST_WAIT, Batch


@pytest.mark.parametrize("politely", [True, False])
def test_a_model_that_ends_its_process(batch: Batch, politely: bool) -> None:
    batch.ids(1_000)
    batch.job("Leaves", init={"politely": politely}, inference={"max_batch_rows": 100, "num_workers": 1})

    outcome = batch.run(warm=False)

    assert outcome.code == 1
    expected = (
        "ModelError: SystemExit: 3 (rows 100–199 of file data_000.parquet)"
        if politely
        else "ModelProcessDied: a model process ended with exit code 0 each of the 3 times it worked on rows 0–999 of"
    )
    assert outcome.last.startswith(expected)
    assert not batch.succeeded()


def test_a_row_that_asks_python_to_end_is_set_aside(batch: Batch) -> None:
    batch.ids(1_000)
    batch.job("Leaves", init={"politely": True}, inference={"on_error": "quarantine"})

    assert batch.run(warm=False).code == 0
    assert (batch.manifest()["rows"], batch.manifest()["quarantined_rows"]) == (999, 1)


def test_an_early_process_loads_libraries_before_it_is_told_what_to_do() -> None:
    launcher = Launcher()
    try:
        launcher.start_early(None, threads=1)
        number, process = launcher.start(None)
        with launcher.accept() as connection:
            assert connection.recv() == messages.Hello(number, process.pid)
            deadline = time.monotonic() + LONGEST_WAIT
            while "libparquet" not in Path(f"/proc/{process.pid}/maps").read_text():
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
        # Its coordinator has hung up.
        assert process.wait(timeout=LONGEST_WAIT) == 1
    finally:
        launcher.close()


def test_garbage_is_collected_as_often_as_always_once_the_model_is_loaded(batch: Batch) -> None:
    batch.ids(10)
    batch.job("CollectsGarbage", inference={"num_workers": 1})

    assert batch.run(warm=False).code == 0
    result = batch.result()
    assert set(result["CALLED"].to_pylist()) == {gc.get_threshold()[0]}
    assert min(result["LOADED"].to_pylist()) > gc.get_threshold()[0]


def test_how_often_garbage_is_collected_is_the_models_to_say(batch: Batch) -> None:
    batch.ids(10)
    batch.job("CollectsGarbage", init={"threshold": 5_000}, inference={"num_workers": 1})

    assert batch.run(warm=False).code == 0
    assert set(batch.result()["CALLED"].to_pylist()) == {5_000}


@pytest.mark.parametrize("child", [True, False])
def test_processes_that_die_in_forking_end_the_batch(batch: Batch, child: bool) -> None:
    batch.ids(200_000, files=2)
    batch.job("DiesInFork", init={"child": child}, inference={"num_workers": 2})

    outcome = batch.run(warm=False)

    assert outcome.code == 1
    assert "ModelProcessDied: the model process" in outcome.last
    assert outcome.last.endswith("while forking processes that share the model")


def test_a_process_that_calls_when_all_is_done_ends_with_the_others(batch: Batch) -> None:
    batch.ids(200_000, row_group_size=50_000)
    path = batch.job("ForkedLate", init={"folder": str(batch.root)}, inference={"num_workers": 2})
    job, records = read_job(path), list[TaskRecord]()
    plan = make_plan(job.input.path, job.input.pattern)
    attempt = Attempt("f")
    OutputDirectory(job.output.path, attempt).prepare(job.output.mode, first=True)
    pool = ProcessPool(Launcher())
    try:
        quarantine, progress = Quarantine(0), Progress(0, 1)
        work = Work(job, plan.schema, attempt, lambda: Identity(""), lambda: None, None, quarantine)
        pool.run(work, Backlog(plan.tasks), progress, records.append)
        (batch.root / "release").touch()

        # It waits as long as it takes for every process to end in order.
        pool.stop(math.inf)
    finally:
        pool.kill()

    assert len(records) == len(plan.tasks) > 3


def test_a_task_is_not_done_again_whose_process_died_before_it_could_say_so(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch.ids(200_000, row_group_size=50_000)
    marks = batch.root / "marks"
    job = read_job(batch.job("Linear", init={"marks": str(marks)}, inference={"num_workers": 1}))
    plan = make_plan(job.input.path, job.input.pattern)
    attempt, records, unheard = Attempt("f"), list[TaskRecord](), list[TaskRecord]()
    OutputDirectory(job.output.path, attempt).prepare(job.output.mode, first=True)
    receive = ProcessPool._finished

    def die(pool: ProcessPool, worker: Worker, record: TaskRecord, *others: Any) -> None:
        if unheard:
            return receive(pool, worker, record, *others)
        unheard.append(record)
        assert worker.popen is not None
        assert worker.connection is not None
        worker.popen.kill()
        worker.popen.wait()
        worker.connection.close()
        worker.connection = None
        return None

    monkeypatch.setattr(ProcessPool, "_finished", die)
    pool = ProcessPool(Launcher())
    try:
        quarantine, progress = Quarantine(0), Progress(0, 1)
        work = Work(job, plan.schema, attempt, lambda: Identity(""), lambda: None, None, quarantine)
        pool.run(work, Backlog(plan.tasks), progress, records.append)
    finally:
        pool.kill()

    assert sorted(record.task for record in records) == [task.index for task in plan.tasks]
    (first,) = unheard
    first_rows = [int(line.split()[1]) for line in marks.read_text().splitlines()]
    assert first_rows.count(first.task * 50_000) == 1


@pytest.mark.skipif(limits.cores() < 2, reason="with one core, no process is started before it is needed")
@pytest.mark.parametrize("forkable", [True, False])
def test_another_process_is_started_while_the_first_loads_the_model(
    batch: Batch, tmp_path: Path, forkable: bool
) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    batch.ids(400_000, files=4)
    batch.job("SeesOthers", init={"folder": str(marks), "forkable": forkable}, inference={"num_workers": 2})

    outcome = batch.run(warm=False)

    assert outcome.code == 0, outcome.stderr
    pids = set(batch.result()["PID"].to_pylist())
    loaded = {int(mark.name) for mark in marks.iterdir()}
    assert len(loaded) == (1 if forkable else 2)
    if not forkable:
        assert pids == loaded
        assert all({int(pid) for pid in mark.read_text().split()} == loaded for mark in marks.iterdir())
    else:
        assert not pids & loaded


@pytest.mark.parametrize(
    ("workers", "expected"),
    [
        (None, ["GPU-a", "MIG-b"]),
        (1, ["GPU-a,MIG-b"]),
        (3, ["GPU-a", "GPU-a", "MIG-b"]),
    ],
)
def test_each_process_sees_its_own_devices(
    batch: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int | None, expected: list[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,MIG-b")
    marks = tmp_path / "marks"
    marks.mkdir()
    batch.ids(400_000, files=4)
    batch.job("Devices", init={"folder": str(marks), "processes": len(expected)}, inference={"num_workers": workers})

    outcome = batch.run(warm=False)

    assert outcome.code == 0, outcome.stderr
    assert sorted(mark.name.split()[1] for mark in marks.iterdir()) == expected


@pytest.mark.parametrize(
    ("visible", "asked", "shares"),
    [
        ("", None, []),
        ("-1", None, []),
        ("0", 4, []),
        ("0,1,2,3", None, ["0", "1", "2", "3"]),
        ("0,1,2,3", 1, []),
        ("0,1,2,3", 2, ["0,1", "2,3"]),
        ("0,1,2", 2, ["0", "1,2"]),
        ("0,1", 8, ["0", "1"]),
    ],
)
def test_devices_are_shared_between_processes(
    monkeypatch: pytest.MonkeyPatch, visible: str, asked: int | None, shares: list[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    assert limits.device_shares(asked) == shares


def test_without_a_setting_the_devices_of_the_machine_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    present = [one for one in Path("/dev").iterdir() if one.name.removeprefix("nvidia").isdecimal()]

    assert limits.devices() == [str(number) for number in range(len(present))]
