"""Two attempts at one directory: what one has written no other replaces, and the first manifest wins.

Also tests ``worker/attempt.py``, ``worker/output/heartbeats.py``, ``worker/output/output_directory.py``,
``worker/output/replica_notes.py``, ``worker/output/task_part.py``.
"""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path

import pyarrow as pa
import pytest

from airflow_provider_snowflake_batch.contract.manifest import Manifest
from airflow_provider_snowflake_batch.contract.task_record import TaskRecord
from airflow_provider_snowflake_batch.contract.vocabulary import SaveMode
from airflow_provider_snowflake_batch.worker.attempt import Attempt
from airflow_provider_snowflake_batch.worker.errors import OutputError, Superseded
from airflow_provider_snowflake_batch.worker.executors import share
from airflow_provider_snowflake_batch.worker.input.content import Content, Identity
from airflow_provider_snowflake_batch.worker.input.plan import Task
from airflow_provider_snowflake_batch.worker.output.heartbeats import ENDED_SECONDS, Watch
from airflow_provider_snowflake_batch.worker.output.output_directory import OutputDirectory
from airflow_provider_snowflake_batch.worker.output.replica_notes import ReplicaNotes
from airflow_provider_snowflake_batch.worker.output.task_part import NotWritten, TaskPart
from airflow_provider_snowflake_batch.worker.progress import Progress
from airflow_provider_snowflake_batch.worker.values.schemas import columns
from tests.worker.batches import LONGEST_WAIT, Batch, until

FINGERPRINT = hashlib.sha256(b"batch").hexdigest()
INPUT = pa.table({"ID": [1, 2]})
OUTPUT = pa.table({"Y": [1.0, 2.0]})


def attempt(path: Path, fingerprint: str = FINGERPRINT) -> OutputDirectory:
    directory = OutputDirectory(path, Attempt(fingerprint))
    directory.finished()
    directory.prepare(SaveMode.OVERWRITE, first=True)
    return directory


def part(directory: OutputDirectory, task: int) -> TaskPart:
    begun = TaskPart(directory, Task(task, (), 2, 0), None, INPUT.schema, Identity("m"))
    begun.write(INPUT, OUTPUT, 2)
    return begun


def do(directory: OutputDirectory, *tasks: int) -> list[TaskRecord]:
    return [part(directory, task).close(Content("sha256:1", "2")) for task in tasks]


def unchanged() -> None:
    """Neither input nor model was replaced meanwhile."""


def manifest(directory: OutputDirectory, records: list[TaskRecord]) -> Manifest:
    files = [record.part for record in records if record.part is not None]
    schema = columns(pa.schema([*INPUT.schema, *OUTPUT.schema]))
    token = directory.attempt.token
    return Manifest("JOB", directory.fingerprint, "i", 2 * len(files), files, schema, 1.0, attempt=token)


def names(path: Path) -> set[str]:
    return {entry.name for entry in path.glob("*.parquet")}


def test_attempts_write_files_of_their_own_and_know_each_others_records(tmp_path: Path) -> None:
    one, other = attempt(tmp_path), attempt(tmp_path)
    (first,), (second,) = do(one, 0), do(other, 0)

    assert first.part is not None
    assert second.part is not None
    assert names(tmp_path) == {first.part.name, second.part.name}
    assert one.attempt.token in first.part.name
    assert set(attempt(tmp_path).read_records()) == {0}
    # A task that is done again in the same attempt does not replace what may be recorded already.
    (again,) = do(one, 0)
    assert again.part is not None
    assert len(names(tmp_path)) == 3
    assert again.part.name == first.part.name.replace(".parquet", ".r1.parquet")


def test_the_first_manifest_wins_and_the_late_one_leaves_nothing(tmp_path: Path) -> None:
    one, late = attempt(tmp_path), attempt(tmp_path)
    begun = part(late, 2)
    winner = manifest(one, do(one, 0, 1))
    late_records = do(late, 0, 1)
    one.finish(winner, unchanged)
    before = {entry: entry.read_bytes() for entry in tmp_path.iterdir() if entry.is_file()}
    assert names(tmp_path) == {file.name for file in winner.files}

    with pytest.raises(Superseded, match="another attempt has finished this batch"):
        begun.close(None)
    with pytest.raises(Superseded):
        late.finish(manifest(late, late_records), unchanged)
    late.tidy()

    assert {entry: entry.read_bytes() for entry in tmp_path.iterdir() if entry.is_file()} == before
    assert not [entry for entry in (tmp_path / "_tasks").iterdir() if late.attempt.token in entry.name]


def test_of_two_that_finish_at_once_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, late = attempt(tmp_path), attempt(tmp_path)
    records = do(one, 0), do(late, 0)
    # Both have looked, and seen no manifest.
    looked = OutputDirectory.check_superseded
    monkeypatch.setattr(OutputDirectory, "check_superseded", lambda self: None)
    one.finish(manifest(one, records[0]), unchanged)
    (tmp_path / str(records[1][0].part.name)).touch()  # type: ignore[union-attr]
    monkeypatch.setattr(OutputDirectory, "check_superseded", looked)

    with pytest.raises((Superseded, OutputError)):
        late.finish(manifest(late, records[1]), unchanged)
    assert json.loads((tmp_path / "_manifest.json").read_text())["attempt"] == one.attempt.token


def test_a_manifest_that_lists_what_was_cleared_does_not_win(tmp_path: Path) -> None:
    one = attempt(tmp_path)
    old = manifest(one, do(one, 0))
    other = attempt(tmp_path, hashlib.sha256(b"another batch").hexdigest())
    # The first had looked for its parts just before they were cleared.
    (tmp_path / "_manifest.json").write_text(old.to_json())
    (tmp_path / "_SUCCESS").touch()

    other.finish(manifest(other, do(other, 0)), unchanged)

    assert json.loads((tmp_path / "_manifest.json").read_text())["attempt"] == other.attempt.token


def test_a_manifest_cut_off_by_a_dying_attempt_does_not_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_snowflake_batch.worker.output.output_directory.MANIFEST_SECONDS", 0.0)
    one = attempt(tmp_path)
    records = do(one, 0)
    (tmp_path / "_manifest.json").write_text('{"version": 1, "fi')

    one.finish(manifest(one, records), unchanged)

    assert json.loads((tmp_path / "_manifest.json").read_text())["rows"] == 2
    assert (tmp_path / "_SUCCESS").exists()


def test_another_replica_does_not_take_the_result_that_is_replaced_for_a_later_one(tmp_path: Path) -> None:
    old = attempt(tmp_path, hashlib.sha256(b"old").hexdigest())
    old.finish(manifest(old, do(old, 0)), unchanged)
    second = OutputDirectory(tmp_path, Attempt(FINGERPRINT))
    second.finished()
    second.prepare(SaveMode.OVERWRITE, first=False)

    assert not (tmp_path / "_SUCCESS").exists()
    (record,) = do(second, 1)
    assert record.part is not None
    # Its end comes before the first replica has begun.
    second.tidy()
    first = OutputDirectory(tmp_path, Attempt(FINGERPRINT))
    assert first.finished() is None
    first.prepare(SaveMode.OVERWRITE, first=True)
    assert first.read_records() == {1: record}
    assert names(tmp_path) == {record.part.name}


@pytest.mark.parametrize("first", [True, False])
def test_an_attempt_that_was_stalled_before_it_prepared_leaves_the_result_alone(tmp_path: Path, first: bool) -> None:
    late = OutputDirectory(tmp_path, Attempt(FINGERPRINT))
    assert late.finished() is None
    one = attempt(tmp_path)
    one.finish(manifest(one, do(one, 0)), unchanged)

    with pytest.raises(Superseded):
        late.prepare(SaveMode.ERROR, first=first)
    assert (tmp_path / "_SUCCESS").exists()


def test_a_file_system_that_cannot_flush_is_left_in_peace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr("os.fsync", refuse)
    one = attempt(tmp_path)
    one.finish(manifest(one, do(one, 0)), unchanged)
    assert (tmp_path / "_SUCCESS").exists()

    def fail(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(NotWritten, match="task 0 wrote has not arrived in .*: Input/output error") as caught:
        do(attempt(tmp_path / "other"), 0)
    assert caught.value.passing
    assert names(tmp_path / "other") == set()


def test_parts_and_records_are_flushed_before_they_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[str] = []
    monkeypatch.setattr("os.fsync", lambda fd: flushed.append(Path(f"/proc/self/fd/{fd}").resolve().name))
    one = attempt(tmp_path)
    (record,) = do(one, 0)
    assert record.part is not None
    (recorded,) = (entry.name for entry in (tmp_path / "_tasks").iterdir())
    assert flushed == [record.part.name, recorded, tmp_path.name, "_tasks"]

    one.finish(manifest(one, [record]), unchanged)
    assert flushed[-4:] == ["_manifest.json", tmp_path.name, "_SUCCESS", tmp_path.name]


def test_the_word_of_a_replica_that_failed_before_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = ReplicaNotes(tmp_path, "tag")
    notes.write_failure(1, "no model")
    others = share.Others(notes, time.monotonic())
    others.check([1])

    monkeypatch.setattr(share, "FAILED_BEFORE_SECONDS", -1.0)
    with pytest.raises(OutputError, match="replica, 1, failed before this one began: no model"):
        others.check([1])
    share.Others(notes, time.monotonic()).check([1])
    # One that fails from now on is heard at once.
    notes.write_failure(1, "again")
    with pytest.raises(OutputError, match="another replica failed: again"):
        others.check([1])


@pytest.mark.parametrize("seconds", [60.0, -1.0])
def test_what_another_replica_wrote_is_waited_for_until_it_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    one, other = attempt(tmp_path / "results"), attempt(tmp_path / "results")
    (record,) = do(other, 0)
    assert record.part is not None
    path, hidden = tmp_path / "results" / record.part.name, tmp_path / "hidden"
    path.rename(hidden)
    monkeypatch.setattr(share, "ARRIVAL_SECONDS", seconds)
    monkeypatch.setattr("time.sleep", lambda _: hidden.rename(path))
    waiting = share.Share.__new__(share.Share)
    waiting._directory, waiting._records, waiting._progress = one, {0: record}, Progress()

    waiting._wait_for_files()

    assert path.exists() == (seconds > 0)


def test_a_replica_that_ended_without_its_tasks_is_given_up_soon() -> None:
    watch = Watch({1: "a 3"}, 0.0)

    assert watch.silent([1], {1: "a ended"}, 10.0) == {}
    assert watch.silent([1], {1: "a ended"}, 10.0 + ENDED_SECONDS) == {}
    assert watch.silent([1], {1: "a ended"}, 11.0 + ENDED_SECONDS) == {1: 61.0}


def test_a_word_that_is_none_is_not_heard(tmp_path: Path) -> None:
    (tmp_path / "_failures").mkdir()
    for number, text in enumerate(("[]", "null", "[" * 100_000, '{"message"', '{"message": 3}')):
        (tmp_path / "_failures" / f"tag-{number}.json").write_text(text)

    assert {replica: word for replica, (_, word) in ReplicaNotes(tmp_path, "tag").read_failures().items()} == {4: "3"}


@pytest.mark.slow
def test_an_attempt_that_comes_late_ends_with_words(batch: Batch) -> None:
    batch.ids(300_000, files=3)
    batch.job("Slowed", init={"wait_for": str(batch.root / "go")}, inference={"num_workers": 1})
    late = batch.start()
    until((batch.root / "waiting").exists, "the first call")
    (batch.root / "skip").touch()
    assert batch.run().code == 0
    listed = {file["name"] for file in batch.manifest()["files"]}
    batch.let_files_arrive()
    (batch.root / "go").touch()

    _, stderr = late.communicate(timeout=LONGEST_WAIT)

    assert late.returncode == 3
    assert stderr.rstrip().splitlines()[-1].startswith("Superseded: another attempt has finished this batch")
    assert {path.name for path in batch.output.glob("*.parquet")} == listed
    assert batch.verify().code == 0
