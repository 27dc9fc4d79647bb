"""Several replicas share the tasks; replica 0 finishes when all are recorded."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from airflow_provider_snowflake_batch.worker.output.heartbeats import ENDED, KEPT_BEATS, Heartbeat, Watch
from airflow_provider_snowflake_batch.worker.output.replica_notes import ReplicaNotes
from tests.worker.batches import LONGEST_WAIT, Batch, until

pytestmark = pytest.mark.slow
# The worker, which has the patience to wait for another replica's next attempt, however slow that starts.
PATIENT = """
import sys
from airflow_provider_snowflake_batch.worker import __main__ as worker
from airflow_provider_snowflake_batch.worker.executors import share

share.FAILED_BEFORE_SECONDS = 3600.0
sys.exit(worker.main(sys.argv[1:]))
"""
ROOT = Path(__file__).parents[3]


def test_three_replicas_do_one_batch(batch: Batch) -> None:
    batch.ids(500_000, files=5)
    marks = batch.root / "marks"
    batch.job("Linear", init={"marks": str(marks)}, output={"mode": "overwrite"}, inference={"num_workers": 1})
    processes = [batch.start(replica=(index, 3)) for index in (2, 0, 1)]

    outcomes = [process.communicate(timeout=LONGEST_WAIT) for process in processes]

    assert [process.returncode for process in processes] == [0, 0, 0], outcomes
    assert batch.succeeded()
    assert batch.result()["ID"].to_pylist() == list(range(500_000))
    assert batch.verify().code == 0
    firsts = [line.split()[1] for line in marks.read_text().splitlines()]
    assert len(firsts) == len(set(firsts))
    assert len({line.split()[0] for line in marks.read_text().splitlines()}) == 3


def test_a_replica_that_failed_before_may_succeed_now(batch: Batch) -> None:
    batch.ids(200_000, files=2)
    batch.job("RaisesOnce", init={"once": str(batch.root / "once")})
    assert batch.run(replica=(1, 2)).code == 1

    # The word that replica 1 left in its first attempt does not count against the second.
    patient = [sys.executable, "-c", PATIENT]
    waiting = batch.start(replica=(0, 2), worker=patient, variables={"PYTHONPATH": str(ROOT)})
    until(batch.recorded, "a task that replica 0 has done")
    time.sleep(3)
    assert waiting.poll() is None
    assert batch.run(replica=(1, 2)).code == 0

    assert waiting.wait(timeout=LONGEST_WAIT) == 0
    assert batch.succeeded()
    assert batch.result()["output_feature_0"].to_pylist() == list(range(200_000))


def test_the_failure_of_another_replica_is_told(batch: Batch) -> None:
    batch.ids(200_000, files=2)
    batch.job("RaisesInSecondTask")
    waiting = batch.start(replica=(0, 2))
    # A failure that is there before it has begun may be an earlier attempt's.
    until(batch.recorded, "a task that replica 0 has done")
    outcome = batch.run(replica=(1, 2))

    assert outcome.code == 1
    _, stderr = waiting.communicate(timeout=LONGEST_WAIT)
    assert waiting.returncode == 1
    assert "another replica failed" in stderr.rstrip().splitlines()[-1]
    assert "no second half" in stderr.rstrip().splitlines()[-1]
    assert not batch.succeeded()


def test_a_replica_that_is_killed_is_noticed(batch: Batch) -> None:
    """The real wait is minutes, so only the clock is a stand-in; the signs of life are those of real processes."""
    batch.ids(200_000, files=2)
    batch.job("Linear", init={"seconds": 60.0})
    process = batch.start(replica=(1, 2))
    until(lambda: [sign for sign in batch.output.glob("_replicas/*") if sign.read_text()], "a sign of life")
    # So that it gives no other one.
    process.kill()
    process.wait()
    (tag,) = {sign.name.partition("-")[0] for sign in batch.output.glob("_replicas/*")}
    left = ReplicaNotes(batch.output, tag).read_heartbeats()
    assert list(left) == [1]
    watch = Watch({}, 0.0)

    assert watch.silent([1, 2], left, 100.0) == {}
    assert watch.silent([1, 2], left, 400.0) == {}
    assert watch.silent([1, 2], left, 401.0) == {1: 301.0}
    assert watch.silent([1, 2], left, 3601.0) == {1: 3501.0, 2: 3601.0}
    # The next attempt's watch begins anew, and so does its replica.
    assert Watch(left, 0.0).silent([1], left, 301.0) == {}


def test_signs_of_life_change_until_they_are_stopped(tmp_path: Path) -> None:
    notes = ReplicaNotes(tmp_path, "tag")
    heartbeat = Heartbeat(notes.heartbeat_path(3), seconds=0.01)
    seen: set[str] = set()

    def look() -> bool:
        seen.update(notes.read_heartbeats().values())
        return len(seen) >= 5

    until(look, "five signs of life")
    heartbeat.stop()
    last = notes.read_heartbeats()
    time.sleep(0.1)

    assert notes.read_heartbeats() == last
    assert last[3].endswith(ENDED)
    assert len(list((tmp_path / "_replicas").iterdir())) == 1


def test_signs_of_life_are_seen_by_who_sees_new_files_late(tmp_path: Path) -> None:
    """Each is there for minutes, under a name of its own."""
    notes = ReplicaNotes(tmp_path, "tag")
    (tmp_path / "_replicas").mkdir()
    left_behind = tmp_path / "_replicas" / "tag-1.0123abcd-00000007"
    left_behind.write_text("")
    heartbeat = Heartbeat(notes.heartbeat_path(1), seconds=0.01)
    names: set[str] = set()

    def look() -> bool:
        there = sorted(path.name for path in (tmp_path / "_replicas").iterdir())
        assert len(there) <= KEPT_BEATS + 1
        if len(there) >= KEPT_BEATS:
            # Also by somebody who sees nothing of the last dozen.
            names.update(there[:-12])
        return len(names) >= 100

    until(look, "signs of life for a while")
    heartbeat.stop()

    assert left_behind.name not in names
