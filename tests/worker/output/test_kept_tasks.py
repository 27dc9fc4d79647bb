"""What an earlier attempt has left is believed when it has been looked at, and that keeps no new row waiting.

Also tests ``worker/model_files.py``.
"""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_snowflake_batch.contract.task_record import TaskRecord
from airflow_provider_snowflake_batch.worker import model_files as worker_model_files
from airflow_provider_snowflake_batch.worker import run as worker_run
from airflow_provider_snowflake_batch.worker.attempt import Attempt
from airflow_provider_snowflake_batch.worker.errors import OutputError
from airflow_provider_snowflake_batch.worker.executors import share
from airflow_provider_snowflake_batch.worker.executors.launcher import Launcher
from airflow_provider_snowflake_batch.worker.executors.replicas import ReplicaExecutor
from airflow_provider_snowflake_batch.worker.input import plan
from airflow_provider_snowflake_batch.worker.input.content import Identity, files_digest
from airflow_provider_snowflake_batch.worker.input.plan import make_plan
from airflow_provider_snowflake_batch.worker.job import Replica, read_job
from airflow_provider_snowflake_batch.worker.model_files import ModelFiles
from airflow_provider_snowflake_batch.worker.models import model_files
from airflow_provider_snowflake_batch.worker.models.base import LoadedModel
from airflow_provider_snowflake_batch.worker.output import kept_tasks
from airflow_provider_snowflake_batch.worker.output.kept_tasks import Checks, Fault
from airflow_provider_snowflake_batch.worker.output.output_directory import OutputDirectory
from airflow_provider_snowflake_batch.worker.run import Run
from tests.worker.batches import LONGEST_WAIT, Batch
from tests.worker.in_process import InProcess

MODEL = """import json, pathlib
class Weighted:
    def __init__(self):
        self.weight = json.loads(pathlib.Path(__file__).with_name("w.json").read_text())
    def predict(self, rows):
        return rows[["X"]].rename(columns={"X": "Y"}) * self.weight
"""
ROWS = 200_000


def write(batch: Batch, file: int, offset: float) -> None:
    """An input file whose size and footer do not tell which values are in it."""
    batch.input.mkdir(exist_ok=True)
    ids = np.arange(file * ROWS // 2, (file + 1) * ROWS // 2)
    table = pa.table({"ID": ids, "X": ids + offset})
    options = {"compression": "none", "use_dictionary": False, "write_statistics": False}
    pq.write_table(table, batch.input / f"{file}.parquet", row_group_size=50_000, **options)


def weigh(batch: Batch, weight: int) -> None:
    (batch.root / "code").mkdir(exist_ok=True)
    (batch.root / "code" / "m.py").write_text(MODEL)
    (batch.root / "code" / "w.json").write_text(str(weight))


def prepared(batch: Batch, mode: str = "error") -> None:
    """A batch of four tasks that is finished."""
    for file in (0, 1):
        write(batch, file, 0.0)
    weigh(batch, 2)
    batch.job(
        {"kind": "python", "target": "m:Weighted", "python_path": ["code"]},
        output={"mode": mode},
        inference={"num_workers": 1},
    )
    run(batch)


def run(batch: Batch) -> None:
    outcome = batch.run()
    assert outcome.code == 0, outcome.stderr


def run_here(batch: Batch) -> None:
    """Coordinate in this process, where a test has changed something."""
    launcher = Launcher()
    try:
        Run(read_job(batch.root / "JOB.json"), Replica(), ReplicaExecutor(Replica(), launcher))()
    finally:
        launcher.close()


def interrupted(batch: Batch, without: int = 0) -> None:
    """As if the batch had been interrupted before some tasks were recorded."""
    for name in ("_SUCCESS", "_manifest.json"):
        (batch.output / name).unlink()
    for path in records(batch)[: without or None] if without else []:
        path.unlink()


def records(batch: Batch) -> list[Path]:
    return sorted((batch.output / "_tasks").iterdir())


def attempts(batch: Batch) -> dict[int, str]:
    """Who did each task."""
    listed = {file["name"] for file in batch.manifest()["files"]}
    found = [json.loads(path.read_text()) for path in records(batch)]
    return {one["task"]: one["attempt"] for one in found if one["part"]["name"] in listed}


def right(batch: Batch, weight: float = 2.0) -> bool:
    table = batch.result()
    x = np.concatenate([pq.read_table(batch.input / f"{file}.parquet")["X"].to_numpy() for file in (0, 1)])
    same = np.array_equal(table["X"].to_numpy(), x) and np.array_equal(table["Y"].to_numpy(), x * weight)
    return same and table["ID"].to_pylist() == list(range(ROWS)) and batch.verify().code == 0


def test_a_damaged_part_is_done_again_and_the_others_stay(batch: Batch) -> None:
    prepared(batch)
    before = attempts(batch)
    interrupted(batch)
    part = batch.output / json.loads(records(batch)[1].read_text())["part"]["name"]
    part.write_bytes(bytes(part.stat().st_size))

    run(batch)

    assert right(batch)
    after = attempts(batch)
    assert [task for task in after if after[task] != before[task]] == [1]


def test_tasks_of_a_replaced_file_are_done_again_and_the_others_stay(batch: Batch) -> None:
    prepared(batch)
    before = attempts(batch)
    interrupted(batch)
    write(batch, 1, 0.25)

    run(batch)

    assert right(batch)
    after = attempts(batch)
    assert [task for task in sorted(after) if after[task] != before[task]] == [2, 3]


def test_other_weights_are_another_model(batch: Batch) -> None:
    prepared(batch)
    before = set(attempts(batch).values())
    interrupted(batch)
    weigh(batch, 3)

    run(batch)

    assert right(batch, 3.0)
    assert not before & set(attempts(batch).values())


@pytest.mark.parametrize("change", ["input", "weights"])
def test_a_finished_result_of_another_input_or_model_is_refused(batch: Batch, change: str) -> None:
    prepared(batch)
    before = batch.result()
    if change == "input":
        write(batch, 0, 0.5)
    else:
        weigh(batch, 5)

    outcome = batch.run()

    assert outcome.code == 2
    assert "holds a finished result of another input or model, and mode is error" in outcome.last
    assert batch.result().equals(before)


def test_overwrite_by_two_replicas_replaces_the_result_of_a_replaced_input(batch: Batch) -> None:
    prepared(batch, "overwrite")
    write(batch, 0, 0.5)

    others = batch.start(replica=(1, 2))
    outcome = batch.run(replica=(0, 2))

    assert (outcome.code, others.wait(timeout=LONGEST_WAIT)) == (0, 0), outcome.stderr
    assert right(batch)


def test_a_finished_result_that_lost_a_part_is_mended(batch: Batch) -> None:
    prepared(batch)
    before = attempts(batch)
    part = sorted(batch.output.glob("*.parquet"))[2]
    part.unlink()

    run(batch)

    assert right(batch)
    assert sum(before[task] != token for task, token in attempts(batch).items()) == 1


@pytest.mark.parametrize("what", ["rows", "twice"])
def test_a_finished_result_whose_manifest_states_something_else_is_mended(batch: Batch, what: str) -> None:
    prepared(batch)
    before, manifest = attempts(batch), batch.manifest()
    if what == "rows":
        manifest["rows"] -= 1
    else:
        manifest["files"] *= 2
    (batch.output / "_manifest.json").write_text(json.dumps(manifest))

    run(batch)

    assert right(batch)
    assert batch.verify().code == 0
    assert attempts(batch) == before, "no task was done again"


def test_a_folder_that_is_called_as_a_result_is_left_alone(batch: Batch) -> None:
    prepared(batch)
    (batch.output / "later.parquet").mkdir()

    run(batch)

    assert right(batch)
    assert (batch.output / "later.parquet").is_dir()


def test_what_a_killed_attempt_left_beside_a_finished_result_is_removed(batch: Batch) -> None:
    prepared(batch)
    part = sorted(batch.output.glob("*.parquet"))[0]
    token = part.name.split(".")[1]
    shutil.copy(part, part.with_name(part.name.replace(token, "00000000")))

    run(batch)

    assert right(batch)


@pytest.mark.parametrize("token", ["00000000", "zzzzzzzz"])
def test_a_finished_result_stays_though_a_late_attempt_died_with_a_record_beside_it(batch: Batch, token: str) -> None:
    """It was killed after it had recorded a task, before it saw that another attempt had finished."""
    prepared(batch)
    before = (batch.output / "_manifest.json").read_bytes()
    record = records(batch)[0]
    mine = json.loads(record.read_text())["attempt"]
    part = batch.output / json.loads(record.read_text())["part"]["name"]
    shutil.copy(part, part.with_name(part.name.replace(mine, token)))
    late = record.with_name(record.name.replace(mine, token))
    late.write_text(record.read_text().replace(mine, token))

    run(batch)

    assert (batch.output / "_manifest.json").read_bytes() == before
    assert right(batch)


def finished_check(batch: Batch, replica: Replica) -> Fault | None:
    job = read_job(batch.root / "JOB.json")
    directory = OutputDirectory(job.output.path, Attempt(batch.manifest()["fingerprint"]))
    stored = directory.finished()
    assert stored is not None
    plan = make_plan(job.input.path, job.input.pattern)
    identity = Identity(files_digest(model_files(job)))
    executor = ReplicaExecutor(replica, Launcher())
    try:
        return share.FinishedCheck(job, replica, plan, directory, lambda: identity, executor)(stored, lambda: None)
    finally:
        executor.kill()


@pytest.mark.parametrize("what", ["part", "record"])
def test_the_first_replica_looks_at_the_share_of_every_other(batch: Batch, what: str) -> None:
    prepared(batch)
    assert [finished_check(batch, Replica(index, 2)) for index in (0, 1)] == [None, None]
    record = records(batch)[1]
    part = batch.output / json.loads(record.read_text())["part"]["name"]
    if what == "part":
        part.write_bytes(bytes(part.stat().st_size))
    else:
        record.unlink()

    faults = [finished_check(batch, Replica(index, 3)) for index in (0, 1, 2)]

    assert [fault is not None for fault in faults] == [True, True, False]


def test_a_finished_result_without_records_is_not_believed(batch: Batch) -> None:
    prepared(batch)
    shutil.rmtree(batch.output / "_tasks")
    write(batch, 1, 0.25)

    run(batch)

    assert right(batch)


def test_weights_that_are_replaced_while_they_are_loaded_are_not_believed(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(batch)
    job = read_job(batch.root / "JOB.json")
    assert ModelFiles(job).digest() == files_digest(model_files(job))
    looks = iter(["as before they were replaced", "as they are now"])
    monkeypatch.setattr(worker_model_files, "files_seen", lambda files: next(looks))

    with pytest.raises(OutputError, match="replaced while it was loaded; run again"):
        ModelFiles(job).digest()


LOADING = """
from pathlib import Path

WEIGHTS = Path(__file__).with_name("w")

class M:
    def __init__(self):
        WEIGHTS.write_text("{written}")
        self.weight = float(WEIGHTS.read_text())

    def predict(self, frame):
        return frame["X"] * self.weight
"""


@pytest.mark.parametrize("written", ["2", "3"])
def test_no_task_is_given_to_a_model_that_was_loaded_from_other_files_than_were_hashed(
    batch: Batch, written: str
) -> None:
    batch.ids(1000)
    code = batch.root / "code"
    code.mkdir()
    (code / "loading_model.py").write_text(LOADING.format(written=written))
    (code / "w").write_text("2")
    batch.job({"kind": "python", "target": "loading_model:M", "python_path": ["code"]})

    outcome = batch.run()

    if written == "2":
        # The file has been touched, and holds what it held.
        assert outcome.code == 0, outcome.stderr
        return
    assert outcome.code == 1
    assert outcome.last == "OutputError: the model's files were replaced while it was in use; run again"
    # Nothing says that the weights before were used: they may come back.
    assert list(batch.output.glob("_tasks/*")) == []


@pytest.mark.parametrize("written", ["2", "3"])
def test_no_task_is_recorded_that_was_scored_with_other_files_than_were_hashed(
    batch: Batch, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    batch.ids(1000, files=10)
    weights = batch.root / "code" / "w"
    weights.parent.mkdir()
    weights.write_text("2")

    def late(frame: pd.DataFrame) -> Any:
        if frame["ID"].iloc[0] == 500:
            weights.write_text(written)
        return frame["X"] * float(weights.read_text())

    path = batch.job({"kind": "python", "target": "m:M", "python_path": ["code"]}, inference={"max_batch_rows": 100})
    monkeypatch.setattr(plan, "TASK_ROWS", 100)
    job = read_job(path)
    run_once = Run(job, Replica(), InProcess(LoadedModel(late), worker_model_files.WatchedFiles(job).check))

    if written == "2":
        # The file has been touched, and holds what it held.
        run_once()
    else:
        with pytest.raises(OutputError, match="the model's files were replaced while it was in use; run again"):
            run_once()

    # Those that were scored before stay, and the files may be the old ones again when the next attempt begins.
    assert len(records(batch)) == (10 if written == "2" else 5)
    assert {path.name for path in batch.output.glob("*.parquet")} == {
        json.loads(path.read_text())["part"]["name"] for path in records(batch)
    }


def test_looking_at_very_many_files_of_a_model_takes_a_share_of_the_time(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(batch)
    now, looks = [0.0], []

    def look(files: Any) -> str:
        now[0] += 1.0
        looks.append(now[0])
        return "as they were"

    monkeypatch.setattr(worker_model_files, "files_seen", look)
    monkeypatch.setattr(worker_model_files.time, "monotonic", lambda: now[0])
    watched = worker_model_files.WatchedFiles(read_job(batch.root / "JOB.json"))
    for _ in range(100):
        now[0] += 1.0
        watched.check("digest")

    assert 4 <= len(looks) <= 7


def test_records_and_manifest_of_the_first_version_are_gone_on_from(batch: Batch) -> None:
    prepared(batch)
    manifest = batch.manifest()
    for path in records(batch):
        record = json.loads(path.read_text())
        old = record["part"]["name"]
        token = record["attempt"]
        record["part"]["name"] = old.replace(f".{token}", "")
        (batch.output / old).rename(batch.output / record["part"]["name"])
        for name in ("attempt", "model", "input", "seen"):
            del record[name]
        path.with_name(path.name.replace(f".{token}", "")).write_text(json.dumps(record))
        path.unlink()
    for file in manifest["files"]:
        file["name"] = file["name"].replace(f".{manifest['attempt']}", "")
    for name in ("attempt", "model"):
        del manifest[name]
    (batch.output / "_manifest.json").write_text(json.dumps(manifest))
    assert batch.verify().code == 0
    run(batch)
    assert right(batch)

    interrupted(batch, without=1)
    run(batch)

    assert right(batch)
    assert sorted(path.name.count(".") for path in batch.output.glob("*.parquet")) == [1, 1, 1, 2]


def test_the_first_new_row_does_not_wait_for_what_is_kept(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared(batch)
    interrupted(batch, without=1)
    known = set(records(batch))
    done_meanwhile: list[bool] = []
    check = kept_tasks.RecordCheck.__call__

    def patient(self: kept_tasks.RecordCheck, record: TaskRecord) -> Fault | None:
        """As if reading took as long as the new task does, of whatever size the finished parts are."""
        done_meanwhile.append(new_record.wait(60))
        return check(self, record)

    new_record = threading.Event()

    def watch() -> None:
        while not set(records(batch)) - known and not new_record.wait(0.02):
            pass
        new_record.set()

    monkeypatch.setattr(kept_tasks.RecordCheck, "__call__", patient)
    threading.Thread(target=watch, daemon=True).start()
    run_here(batch)

    assert done_meanwhile == [True] * 3
    assert right(batch)


def test_an_input_that_is_replaced_while_it_is_read_is_not_mixed(batch: Batch) -> None:
    for file in (0, 1):
        write(batch, file, 0.0)
    batch.job("Slowed", init={"wait_for": str(batch.root / "go")}, inference={"num_workers": 1})
    process = batch.start()
    while not (batch.root / "waiting").exists() and process.poll() is None:
        threading.Event().wait(0.02)
    write(batch, 0, 0.5)
    write(batch, 1, 0.5)
    (batch.root / "go").touch()

    _, stderr = process.communicate(timeout=LONGEST_WAIT)

    assert process.returncode == 1, stderr
    assert "the input was replaced while it was read; run again" in stderr.rstrip().splitlines()[-1]
    assert batch.run().code == 0
    assert right(batch)


def test_what_an_attempt_knew_of_an_input_is_read_again_when_that_was_replaced(batch: Batch) -> None:
    """Its check of an earlier attempt's record has read the same rows before they were replaced again."""

    def replace(offset: float) -> None:
        table = pa.table({"ID": np.arange(1000), "X": np.arange(1000) + offset})
        options = {"compression": "none", "use_dictionary": False, "write_statistics": False}
        pq.write_table(table, batch.input / "0.parquet", **options)

    # What stays as it is, and tells that it is the same batch.
    write(batch, 1, 0.0)
    replace(0.0)
    batch.job("Slowed", init={"wait_for": str(batch.root / "go")}, inference={"num_workers": 1})
    (batch.root / "go").touch()
    assert batch.run().code == 0
    interrupted(batch)
    for name in ("go", "waiting"):
        (batch.root / name).unlink()
    replace(0.25)

    process = batch.start()
    while not (batch.root / "waiting").exists() and process.poll() is None:
        threading.Event().wait(0.02)
    replace(0.5)
    (batch.root / "go").touch()
    _, stderr = process.communicate(timeout=LONGEST_WAIT)

    assert process.returncode == 1, stderr
    assert "the input was replaced while it was read; run again" in stderr.rstrip().splitlines()[-1]
    assert not batch.succeeded()
    assert batch.run().code == 0
    assert batch.result()["X"].to_pylist()[:1000] == [number + 0.5 for number in range(1000)]


def test_a_check_that_breaks_is_a_fault_and_the_rest_goes_on() -> None:
    def broken() -> Fault | None:
        raise RuntimeError("no memory")

    checks = Checks([(1, broken), (2, lambda: None), (3, lambda: Fault("x"))])
    found = {}
    while checks.open:
        found.update(checks.take(1.0))

    assert found == {1: Fault("RuntimeError: no memory"), 3: Fault("x")}


def test_a_whole_project_may_be_the_code(batch: Batch) -> None:
    (batch.root / "project_model.py").write_text(
        "class M:\n    def predict(self, rows):\n        return {'Y': rows['X']}\n"
    )
    batch.ids(1000, files=2)
    batch.job({"kind": "python", "target": "project_model:M", "python_path": ["."]})

    first = batch.run()
    manifest = batch.manifest()
    second = batch.run()

    assert (first.code, second.code) == (0, 0), first.stderr + second.stderr
    assert batch.manifest() == manifest


@pytest.mark.parametrize("what", ["input", "model"])
def test_an_attempt_that_stalls_over_its_manifest_takes_it_back_if_something_was_replaced(
    batch: Batch, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    for file in (0, 1):
        write(batch, file, 0.0)
    weigh(batch, 2)
    job = read_job(batch.job({"kind": "python", "target": "m:Weighted", "python_path": ["code"]}))
    monkeypatch.setattr(worker_run, "LOOK_SECONDS", -1.0)
    remove = OutputDirectory._remove_unlisted

    def stall(directory: OutputDirectory, listed: set[str]) -> None:
        assert directory.stored_manifest() is not None
        write(batch, 1, 0.5) if what == "input" else weigh(batch, 3)
        remove(directory, listed)

    with monkeypatch.context() as patch:
        patch.setattr(OutputDirectory, "_remove_unlisted", stall)
        with pytest.raises(OutputError, match="(input was|files were) replaced while"):
            Run(job, Replica(), ReplicaExecutor(Replica(), Launcher()))()

    assert not batch.succeeded()
    assert not (batch.output / "_manifest.json").exists()
    assert batch.run().code == 0
    result = batch.result()
    x = np.arange(ROWS) + (np.arange(ROWS) >= ROWS // 2) * (0.5 if what == "input" else 0.0)
    assert (result["Y"].to_numpy() == x * (2 if what == "input" else 3)).all()
