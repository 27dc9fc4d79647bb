"""Whole batches with Python models: what comes out, and what is said when nothing can.

Also tests ``worker/__main__.py``, ``worker/errors.py``, ``worker/executors/model_process.py``,
``worker/processes/interpreter.py``, ``worker/progress.py``, ``worker/run.py``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.worker.batches import Batch


def test_rows_come_out_with_their_prediction(batch: Batch) -> None:
    batch.ids(250, files=3, row_group_size=40)
    batch.job(inference={"max_batch_rows": 30, "num_workers": 2}, input={"path": "input", "params": {"bias": 1.5}})

    outcome = batch.run(warm=False)

    assert outcome.code == 0, outcome.stderr
    result = batch.result()
    assert result.column_names == ["ID", "X", "Y"]
    assert result["ID"].to_pylist() == list(range(250))
    assert result["Y"].to_pylist() == [6.0 * one + 1.5 for one in range(250)]
    manifest = batch.manifest()
    assert manifest["rows"] == sum(one["rows"] for one in manifest["files"]) == 250
    assert manifest["job_name"] == "DB.SCHEMA.JOB"
    assert [one["name"] for one in manifest["schema"]] == ["ID", "X", "Y"]
    assert batch.verify_by_command().code == 0


def test_many_small_files_of_two_types_become_one_batch(batch: Batch) -> None:
    kinds = [pa.float32() if number % 3 else pa.float64() for number in range(30)]
    batch.rows(
        *(
            pa.table({"ID": [2 * number, 2 * number + 1], "X": pa.array([number / 2, number], kind)})
            for number, kind in enumerate(kinds)
        )
    )
    batch.job(inference={"num_workers": 1, "max_batch_rows": 50})

    assert batch.run().code == 0

    result = batch.result()
    assert result["ID"].to_pylist() == list(range(60))
    assert result["Y"].to_pylist() == [value for number in range(30) for value in (float(number), 2.0 * number)]


def test_a_task_has_no_more_rows_than_are_stated(batch: Batch) -> None:
    """Of one row group: what takes long for each row is shared among all processes, and little is lost with one."""
    batch.ids(1000)
    batch.job(inference={"max_task_rows": 250, "num_workers": 2})

    assert batch.run().code == 0

    assert [one["rows"] for one in batch.manifest()["files"]] == [250] * 4
    assert batch.recorded() == {0, 1, 2, 3}
    assert batch.result()["ID"].to_pylist() == list(range(1000))


def test_only_the_chosen_input_columns_are_written(batch: Batch) -> None:
    batch.ids(50)
    batch.job(output={"columns": ["id"]})

    assert batch.run().code == 0

    assert batch.result().column_names == ["ID", "Y"]
    assert batch.result()["Y"].to_pylist() == [6.0 * one for one in range(50)]


def nanoseconds_beside(batch: Batch) -> None:
    """A column of which a value cannot be read, beside those that the model takes and those that are written."""
    rows = {"ID": list(range(9)), "X": [3.0 * one for one in range(9)], "AT": pa.array(range(9), pa.timestamp("ns"))}
    batch.input.mkdir()
    pq.write_table(pa.table(rows), batch.input / "a.parquet", use_deprecated_int96_timestamps=True)


def test_a_column_that_nobody_needs_is_not_read(batch: Batch) -> None:
    nanoseconds_beside(batch)
    batch.job("TakesX", output={"columns": ["ID"]})

    assert batch.run().code == 0

    assert batch.result().to_pydict() == {"ID": list(range(9)), "Y": [6.0 * one for one in range(9)]}


@pytest.mark.parametrize(
    ("model", "more"),
    [
        ("TakesX", {}),
        ("Linear", {"output": {"columns": ["ID"]}}),
        ("TakesX", {"output": {"columns": ["ID"]}, "inference": {"on_error": "quarantine"}}),
    ],
    ids=["written", "given to the model", "written if the row is bad"],
)
def test_a_column_that_somebody_needs_is_read(batch: Batch, model: str, more: dict[str, Any]) -> None:
    nanoseconds_beside(batch)
    batch.job(model, **more)

    outcome = batch.run()

    assert outcome.code == 1
    assert "input column 'AT' has a time with nanoseconds" in outcome.last


def test_a_chosen_column_that_the_input_lacks_is_refused(batch: Batch) -> None:
    batch.ids(50)
    batch.job(output={"columns": ["KEY"]})

    outcome = batch.run()

    assert outcome.code == 2
    assert "output column 'KEY' is not among the input columns: ID, X" in outcome.last
    assert not batch.output.exists()


def test_progress_is_told_until_the_end(batch: Batch) -> None:
    batch.ids(100)
    batch.job()

    progress = batch.run().progress

    # On a busy machine a phase is told more than once.
    phases = list(dict.fromkeys(one["phase"] for one in progress))
    assert phases == ["planning", "loading", "running", "finishing", "done"]
    last = progress[-1]
    assert (last["rows_done"], last["rows_total"], last["tasks_done"], last["tasks_total"]) == (100, 100, 1, 1)
    assert last["rows_per_second"] > 0
    assert last["eta_seconds"] == 0


def test_an_empty_input_gives_an_empty_valid_result(batch: Batch) -> None:
    batch.ids(0)
    batch.job()

    assert batch.run().code == 0
    assert batch.succeeded()
    assert batch.result().num_rows == 0
    assert batch.result().column_names == ["ID", "X"]
    assert batch.manifest()["rows"] == 0
    assert "only input columns are known" in batch.manifest()["warnings"][0]
    assert batch.verify().code == 0


def test_no_file_at_all_gives_an_empty_valid_result(batch: Batch) -> None:
    batch.input.mkdir()
    batch.job()

    assert batch.run().code == 0
    assert batch.succeeded()
    assert batch.verify().code == 0


@pytest.mark.parametrize("form", ["frame", "numpy", "tuple", "dict", "records", "arrow"])
def test_models_return_what_they_like(batch: Batch, form: str) -> None:
    batch.ids(20)
    batch.job("Forms", init={"form": form})

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    result = batch.result()
    assert result["output_feature_0"].to_pylist() == [float(one) for one in range(20)]
    assert result["output_feature_1"].to_pylist() == [one / 2 for one in range(20)]


@pytest.mark.parametrize("model", ["Arrow", "Asynchronous"])
def test_models_that_take_arrow_or_are_coroutines(batch: Batch, model: str) -> None:
    batch.ids(20)
    batch.job(model)

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    assert batch.result()["Y"].to_pylist() == [3.0 * one for one in range(20)]


def test_one_schema_for_all_parts_whatever_the_model_returns(batch: Batch) -> None:
    tables = [{"ID": list(range(first, first + 100))} for first in (0, 100, 200)]
    batch.rows(*tables)
    _one_task_per_file(batch)
    batch.job("Changing", inference={"max_batch_rows": 100, "num_workers": 2})

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    schemas = {str(pq.read_schema(path)) for path in batch.output.glob("*.parquet")}
    assert len(schemas) == 1
    assert len(batch.manifest()["files"]) == 3
    result = batch.result()
    assert result.schema.field("value").type == pa.float64()
    assert result["value"].to_pylist() == [None] * 100 + [float(n) for n in range(100, 200)] + [
        n + 0.5 for n in range(200, 300)
    ]
    assert result["more"].to_pylist()[0] == []
    assert result["more"].to_pylist()[150] == [{"a": 1.0, "b": None}]
    assert result["more"].to_pylist()[250] == [{"a": 1.5, "b": "x"}]
    assert batch.verify().code == 0


def _one_task_per_file(batch: Batch) -> None:
    """Pad each file with a column so large that it fills a task by itself."""
    for path in sorted(batch.input.iterdir()):
        table = pq.read_table(path)
        padding = pa.array([os.urandom(200 * 1024) for _ in range(table.num_rows)])
        pq.write_table(table.append_column("PADDING", padding), path, compression="none")


def test_an_output_replaces_the_input_column_of_its_name(batch: Batch) -> None:
    batch.ids(10)
    batch.job("Clashing")

    assert batch.run().code == 0
    result = batch.result()
    assert result.column_names == ["ID", "x", "NEW"]
    assert result["x"].to_pylist() == [30.0 * one for one in range(10)]
    assert batch.manifest()["warnings"] == ["input column 'X' is replaced by the model's output of that name"]


def test_what_folders_say_is_no_column_and_is_told(batch: Batch) -> None:
    for day in (1, 2):
        folder = batch.input / f"day=2024-01-0{day}" / "X=7"
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"ID": [day], "X": [1.0 * day]}), folder / "part.parquet")
    batch.job()

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    assert batch.result().column_names[:2] == ["ID", "X"]
    assert batch.result()["X"].to_pylist() == [1.0, 2.0]
    assert batch.manifest()["warnings"] == [
        "what the input's folders say (day=…) is no column of its files: neither the model nor the result has it"
    ]
    assert "(day=…) is no column of its files" in outcome.stdout + outcome.stderr


def test_a_model_that_raises(batch: Batch) -> None:
    batch.ids(300, files=3)
    batch.job("Raises", inference={"max_batch_rows": 40, "num_workers": 1})

    outcome = batch.run()

    assert outcome.code == 1
    lines = outcome.stderr.rstrip().splitlines()
    assert lines[-1] == (
        "ModelError: ValueError: the tree has no leaf for 150 (rows 20–59 of file data_001.parquet)"
    ) or lines[-1].startswith("ModelError: ValueError: the tree has no leaf for 150 (rows ")
    assert lines[0] == "Traceback (most recent call last):"
    assert "sample_models.py" in lines[1]
    assert "in predict" in lines[1]
    assert "ValueError: the tree has no leaf for 150" in lines[-2]
    assert "worker/scoring/pipeline.py" not in outcome.stderr
    assert not batch.succeeded()
    assert outcome.progress[-1]["phase"] == "failed"


def test_a_forked_worker_says_and_leaves_what_a_started_one_does(make_batch: Callable[[str], Batch]) -> None:
    """Most of these tests fork it, from a process that has loaded its libraries."""
    found = []
    for warm in (True, False):
        batch = make_batch(f"warm {warm}")
        batch.ids(300, files=3)
        batch.job("Raises", inference={"max_batch_rows": 40, "num_workers": 1})
        outcome = batch.run(warm=warm)
        left = sorted(str(path.relative_to(batch.root)) for path in batch.root.rglob("*") if path.is_file())
        phases = list(dict.fromkeys(one["phase"] for one in outcome.progress))
        found.append((outcome.code, outcome.stderr, phases, left))

    assert found[0] == found[1]
    assert found[0][0] == 1


def test_nothing_comes_after_the_cause(batch: Batch) -> None:
    batch.ids(1000, files=4)
    batch.job("Noisy", inference={"num_workers": 2, "max_batch_rows": 10})

    outcome = batch.run()

    assert outcome.code == 1
    assert outcome.last.startswith("ModelError: ValueError: loud (rows ")
    assert "a warning of the model's library" in outcome.stderr


def test_a_model_that_cannot_be_made(batch: Batch) -> None:
    batch.ids(10)
    batch.job("RaisesOnLoad")

    outcome = batch.run()

    assert outcome.code == 1
    assert outcome.last == "ModelError: RuntimeError: weights are missing (while loading the model)"
    assert "in __init__" in outcome.stderr


def test_a_model_that_returns_another_number_of_rows(batch: Batch) -> None:
    batch.ids(50)
    batch.job("Short")

    outcome = batch.run()

    assert outcome.code == 1
    assert outcome.last == (
        "DataError: the model returned 49 rows for 50 rows given (output 'output_feature_0') "
        "(rows 0–49 of file data_000.parquet)"
    )
    assert not batch.succeeded()


def test_a_batch_too_large_for_memory_is_halved(batch: Batch) -> None:
    batch.ids(100)
    batch.job("OutOfMemory", inference={"max_batch_rows": 64})

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    assert batch.result()["output_feature_0"].to_pylist() == list(range(100))


@pytest.mark.slow
def test_a_process_that_dies_is_named(batch: Batch) -> None:
    batch.ids(200)
    batch.job("Crashes", inference={"num_workers": 1})

    outcome = batch.run()

    assert outcome.code == 1
    assert outcome.last == (
        "ModelProcessDied: a model process was killed by SIGSEGV each of the 3 times it worked on "
        "rows 0–199 of file data_000.parquet"
    )
    assert "in predict" in outcome.stderr
    assert not batch.succeeded()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_process_that_dies_once_is_replaced(batch: Batch, workers: int) -> None:
    batch.ids(400_000, files=4)
    init = {"once": str(batch.root / "died"), "number": 9}
    batch.job("Crashes", init=init, inference={"num_workers": workers})

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    assert "was killed by SIGKILL (out of memory?); its work is done again by another" in outcome.stderr
    assert batch.result()["output_feature_0"].to_pylist() == list(range(400_000))
    assert batch.verify().code == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input": {"params": {"bias": 1.0, "gain": 2}}}, "has no parameter 'gain'; it takes bias"),
        ({"model": {"kind": "python", "target": "nowhere:Class"}}, "no module 'nowhere', neither in the model's code"),
        ({"model": {"kind": "python", "target": "json:Nothing"}}, "module 'json' has no 'Nothing'"),
        ({"model": {"kind": "python", "target": "json:JSONEncoder"}}, "has no function 'predict'"),
        ({"input": {"path": "elsewhere"}}, "elsewhere does not exist"),
        (
            {"input": {"column_handling": {"PATH": {"convert_to": "base64"}}}},
            "column_handling column 'PATH' is not among the input columns: ID, X",
        ),
        (
            {"input": {"column_handling": {"x": {"convert_to": "base64"}}}},
            "column_handling column 'X' holds double, not full stage paths",
        ),
    ],
)
def test_what_cannot_be_run_is_refused(batch: Batch, changes: dict[str, Any], message: str) -> None:
    batch.ids(10)
    batch.job(**{"model": "Linear", **changes})

    outcome = batch.run()

    assert outcome.code == 2
    assert outcome.last.startswith("Refused: ")
    assert message in outcome.last
    assert not batch.succeeded()


def test_a_missing_job_file(batch: Batch) -> None:
    outcome = batch.run()

    assert outcome.code == 2
    assert "cannot read the job file" in outcome.last


def test_the_worker_loads_no_airflow_and_no_driver(batch: Batch) -> None:
    batch.ids(10)
    batch.job("Imports")

    outcome = batch.run(variables={"PYTHONPROFILEIMPORTTIME": "1"})

    assert outcome.code == 0
    assert set(batch.result()["LOADED"].to_pylist()) == {""}
    # Nor what only several replicas need, which the start of the model process would have to wait for.
    lines = [line.rpartition("|") for line in outcome.stderr.splitlines() if line.startswith("import time:")]
    loaded = {name.strip() for _, _, name in lines}
    package = "airflow_provider_snowflake_batch.worker"
    assert {f"{package}.executors.launcher", f"{package}.scoring.pipeline"} < loaded
    assert not {one for one in loaded if one.startswith(f"{package}.cluster")}


@pytest.mark.slow
def test_processes_share_the_cores_between_them(batch: Batch) -> None:
    batch.ids(600_000, files=6)
    (batch.root / "called").mkdir()
    init = {"folder": str(batch.root / "called"), "processes": 2}
    batch.job("Threads", init=init, inference={"num_workers": 2})

    assert batch.run().code == 0
    result = batch.result()
    assert len(set(result["PID"].to_pylist())) == 2
    assert set(result["THREADS"].to_pylist()) == {str(max(1, len(os.sched_getaffinity(0)) // 2))}


@pytest.mark.slow
def test_verify_sees_every_difference(batch: Batch, tmp_path: Path) -> None:
    batch.ids(200_000, files=2)
    batch.job()
    assert batch.run().code == 0
    parts = sorted(batch.output.glob("*.parquet"))
    assert len(parts) >= 2

    parts[1].rename(tmp_path / "aside")
    assert f"{parts[1].name} is missing" in batch.verify_by_command().last
    (tmp_path / "aside").rename(parts[1])

    content = parts[0].read_bytes()
    flipped = bytearray(content)
    flipped[100] ^= 1
    parts[0].write_bytes(flipped)
    assert f"{parts[0].name} has another checksum" in batch.verify_by_command().last
    parts[0].write_bytes(content[:-1])
    assert f"has {len(content) - 1} bytes, not {len(content)}" in batch.verify_by_command().last
    parts[0].write_bytes(content)

    (batch.output / "extra.parquet").write_bytes(content)
    assert "extra.parquet is not in the manifest" in batch.verify_by_command().last
    (batch.output / "extra.parquet").unlink()
    (batch.output / "more").mkdir()
    (batch.output / "more" / "_extra.parquet").write_bytes(content)
    assert "more/_extra.parquet is not in the manifest" in batch.verify_by_command().last
    (batch.output / "more" / "_extra.parquet").unlink()

    stated = (batch.output / "_manifest.json").read_text()
    manifest = json.loads(stated)
    for wrong, message in (
        ({"rows": 1}, "states 1 rows, its files 200000"),
        ({"files": [*manifest["files"], manifest["files"][0]]}, "in the manifest twice"),
        ({"files": [{**manifest["files"][0], "rows": 7}, *manifest["files"][1:]]}, "rows, not 7"),
        ({"files": [{"name": "part"}]}, "is not a manifest"),
        ({"schema": manifest["schema"][1:]}, "has another schema"),
    ):
        (batch.output / "_manifest.json").write_text(json.dumps({**manifest, **wrong}))
        assert message in batch.verify_by_command().last
    (batch.output / "_manifest.json").write_text(stated)

    # A replica that was killed just as another one finished the batch.
    (batch.output / "_replicas").mkdir()
    (batch.output / "_replicas" / "0123456789ab-1.5f-00000003").write_text("5f-00000003")
    assert batch.verify_by_command().code == 0
    (batch.output / "_SUCCESS").unlink()
    assert "the batch is not complete" in batch.verify_by_command().last
    assert batch.verify_by_command().code == 1


@pytest.mark.parametrize("rows", [0, 5])
def test_row_groups_without_rows(batch: Batch, rows: int) -> None:
    batch.input.mkdir()
    schema = pa.schema([("ID", pa.int64()), ("X", pa.float64())])
    with pq.ParquetWriter(batch.input / "a.parquet", schema) as writer:
        for count in (0, rows, 0):
            table = pa.table({"ID": range(count), "X": [float(one) for one in range(count)]}, schema=schema)
            writer.write_table(table)
    assert pq.read_metadata(batch.input / "a.parquet").num_row_groups == 3
    batch.job()

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    assert batch.result()["ID"].to_pylist() == list(range(rows))
    assert batch.verify().code == 0


@pytest.mark.parametrize("form", ["numpy", "frame", "rows", "generator"])
def test_a_model_that_writes_into_the_same_memory_each_time(batch: Batch, form: str) -> None:
    batch.ids(20_000)
    batch.job("Reuses", init={"form": form}, inference={"max_batch_rows": 500})

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    result = batch.result()
    (name, *_) = [name for name in result.column_names if name not in ("ID", "X")]
    found = result[name].to_pylist()
    assert [one[0] if isinstance(one, list) else one for one in found] == result["ID"].to_pylist()
