"""What happens to a directory that is not empty, and what a second run of a batch does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq

from airflow_provider_snowflake_batch.worker.executors.launcher import Launcher
from airflow_provider_snowflake_batch.worker.executors.replicas import ReplicaExecutor
from airflow_provider_snowflake_batch.worker.input.plan import make_plan
from airflow_provider_snowflake_batch.worker.job import Replica, read_job
from airflow_provider_snowflake_batch.worker.models import describe_model
from airflow_provider_snowflake_batch.worker.run import Run
from tests.worker.batches import Batch


def calls(batch: Batch) -> int:
    marks = batch.root / "marks"
    return len(marks.read_text().splitlines()) if marks.exists() else 0


def marked(batch: Batch, mode: str, factor: float = 2.0) -> None:
    # A fixed batch size, so that the number of calls tells how much was done.
    batch.job(
        "Linear",
        init={"marks": str(batch.root / "marks"), "factor": factor},
        inference={"max_batch_rows": 4096},
        output={"mode": mode},
    )


def test_error_refuses_what_it_did_not_write(batch: Batch) -> None:
    batch.ids(10)
    batch.job()
    batch.output.mkdir(parents=True)
    (batch.output / "theirs.parquet").write_text("x")

    outcome = batch.run()

    assert outcome.code == 2
    assert "is not empty and mode is error: it holds theirs.parquet" in outcome.last
    assert [path.name for path in batch.output.iterdir()] == ["theirs.parquet"]


def test_files_of_others_beside_a_finished_result_are_refused_or_removed(batch: Batch) -> None:
    batch.ids(10)
    marked(batch, "error")
    assert batch.run().code == 0
    theirs = [batch.output / "theirs.parquet", batch.output / "folder" / "theirs.parquet"]
    theirs[1].parent.mkdir()
    for path in theirs:
        path.write_text("x")
    (batch.output / "_note").touch()

    outcome = batch.run()

    assert outcome.code == 2
    assert "holds other files beside a finished result, and mode is error: this batch did not write" in outcome.last
    assert outcome.last.endswith("folder/theirs.parquet, theirs.parquet")
    assert all(path.exists() for path in theirs)
    marked(batch, "overwrite")
    assert batch.run().code == 0
    assert not any(path.exists() for path in theirs)


def test_error_refuses_the_result_of_another_batch(batch: Batch) -> None:
    batch.ids(10)
    marked(batch, "error")
    assert batch.run().code == 0
    before = sorted(path.name for path in batch.output.iterdir())

    batch.ids(11)
    outcome = batch.run()

    assert outcome.code == 2
    assert "mode is error" in outcome.last
    assert sorted(path.name for path in batch.output.iterdir()) == before
    assert batch.verify().code == 0


def test_snowflakes_own_temporary_directory_is_no_content(batch: Batch) -> None:
    batch.ids(10)
    batch.job()
    (batch.output / "_snowflake_temporary").mkdir(parents=True)

    assert batch.run().code == 0


def test_a_complete_batch_is_not_done_again(batch: Batch) -> None:
    batch.ids(10)
    marked(batch, "error")
    assert batch.run().code == 0
    assert calls(batch) == 1

    outcome = batch.run()

    assert outcome.code == 0
    assert calls(batch) == 1
    assert outcome.progress[-1]["rows_done"] == 10


def test_overwrite_clears_everything_and_success_first(batch: Batch) -> None:
    batch.ids(10)
    marked(batch, "overwrite")
    batch.output.mkdir(parents=True)
    (batch.output / "old").mkdir()
    (batch.output / "old" / "x.parquet").write_text("x")
    (batch.output / "stale.parquet").write_text("x")
    (batch.output / "_SUCCESS").touch()

    assert batch.run().code == 0
    names = sorted(path.name for path in batch.output.iterdir())
    assert [name for name in names if not name.startswith("part-")] == ["_SUCCESS", "_manifest.json", "_tasks"]
    assert batch.result().num_rows == 10

    # The same batch again is done again; another batch replaces it.
    assert batch.run().code == 0
    assert calls(batch) == 2
    marked(batch, "overwrite", factor=5.0)
    assert batch.run().code == 0
    assert batch.result()["Y"].to_pylist() == [15.0 * one for one in range(10)]
    assert len(list(batch.output.glob("*.parquet"))) == 1
    assert len(list((batch.output / "_tasks").iterdir())) == 1
    assert batch.verify().code == 0


def test_overwrite_removes_success_before_a_model_that_fails(batch: Batch) -> None:
    batch.ids(200)
    marked(batch, "overwrite")
    assert batch.run().code == 0

    batch.job("Raises", output={"mode": "overwrite"})
    assert batch.run().code == 1

    assert not batch.succeeded()
    assert not (batch.output / "_manifest.json").exists()
    assert not list(batch.output.glob("*.parquet")) or all(
        pq.read_schema(path).names != ["ID", "X", "Y"] for path in _parts(batch)
    )


def _parts(batch: Batch) -> list[Path]:
    return [path for path in batch.output.glob("*.parquet") if path.stat().st_size]


def test_a_manifest_cut_off_in_writing_does_not_stop_the_next_attempt(batch: Batch) -> None:
    batch.ids(10)
    marked(batch, "error")
    assert batch.run().code == 0
    (batch.output / "_SUCCESS").unlink()
    manifest = batch.output / "_manifest.json"
    manifest.write_text(manifest.read_text()[:40])

    assert batch.run().code == 0
    assert calls(batch) == 1
    assert batch.verify().code == 0


def test_a_record_cut_off_or_without_its_part_does_not_count(batch: Batch) -> None:
    batch.ids(300_000, files=3)
    marked(batch, "error")
    assert batch.run().code == 0
    done = calls(batch)
    records = sorted((batch.output / "_tasks").iterdir())
    parts = sorted(batch.output.glob("*.parquet"))
    assert len(records) == len(parts) >= 3
    (batch.output / "_SUCCESS").unlink()
    records[0].write_text(records[0].read_text()[:-10])
    parts[1].write_bytes(parts[1].read_bytes()[:-1])

    assert batch.run().code == 0
    assert done < calls(batch) < 2 * done
    assert batch.result()["ID"].to_pylist() == list(range(300_000))
    assert batch.verify().code == 0


def test_records_of_another_cut_do_not_count(batch: Batch) -> None:
    """As when another version of the worker, with tasks of another size, was interrupted."""
    batch.ids(400_000, files=4)
    job = read_job(batch.job(inference={"num_workers": 1}))
    made = make_plan(job.input.path, job.input.pattern)
    other = replace(made, tasks=tuple(replace(task, rows=task.rows + 1 - 2 * (task.index % 2)) for task in made.tasks))
    launcher = Launcher()
    try:
        run = Run(job, Replica(), ReplicaExecutor(Replica(), launcher))
        description = describe_model(job)

        assert run._fingerprint(made, description) == run._fingerprint(made, description)
        assert run._fingerprint(made, description) != run._fingerprint(other, description)
    finally:
        launcher.close()
