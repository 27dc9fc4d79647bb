"""Real processes killed at random moments: no row lost, none doubled, no recorded task done again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time

import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.quickest import quickest
from tests.worker.batches import HERE, Batch
from tests.worker.kills import family, kill_until_done, tasks_called

pytestmark = pytest.mark.slow

ROWS = 1_200_000
ROW_GROUP = 50_000


@pytest.mark.parametrize(
    ("seed", "least"),
    [(1, 6), (2, 40)],
)
def test_kill_at_any_moment_then_run_again(batch: Batch, seed: int, least: int) -> None:
    choice = random.Random(seed)
    batch.ids(ROWS, files=6, row_group_size=ROW_GROUP)
    marks = batch.root / "marks"
    batch.job("Linear", init={"seconds": 0.1, "marks": str(marks)}, inference={"num_workers": 2})

    kill_until_done(batch, choice, least, marks, ROW_GROUP)

    assert batch.verify().code == 0
    result = batch.result()
    assert result["ID"].equals(pa.chunked_array([pa.array(range(ROWS), pa.int64())]))
    assert result["Y"].equals(pc.multiply(result["X"], 2.0))


def test_nobody_survives_the_coordinator(batch: Batch) -> None:
    batch.ids(400_000, files=4)
    batch.job("Linear", init={"seconds": 30.0}, inference={"num_workers": 2})
    process = batch.start()
    deadline = time.monotonic() + 20
    while len(family(process)) < 4 and time.monotonic() < deadline:
        time.sleep(0.05)
    children = family(process)[1:]
    assert len(children) >= 2

    process.kill()
    process.wait()

    gone, alive = psutil.wait_procs(children, timeout=5)
    assert not alive
    assert len(gone) == len(children)


@pytest.mark.parametrize("group", [False, True])
def test_sigterm_stops_soon_and_keeps_what_is_done(batch: Batch, group: bool) -> None:
    batch.ids(ROWS, files=6, row_group_size=ROW_GROUP)
    marks = batch.root / "marks"
    batch.job("Linear", init={"seconds": 0.05, "marks": str(marks)}, inference={"num_workers": 2})
    process = batch.start(group=True)
    deadline = time.monotonic() + 30
    while not list((batch.output / "_tasks").glob("*.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    children = family(process)[1:]

    begun = time.monotonic()
    if group:
        os.killpg(process.pid, signal.SIGTERM)
    else:
        process.terminate()
    _, stderr = process.communicate(timeout=30)

    assert time.monotonic() - begun < 20
    assert process.returncode == 143
    assert stderr.rstrip().splitlines()[-1] == "Terminated: stopped by SIGTERM; finished tasks keep their records"
    assert not psutil.wait_procs(children, timeout=2)[1]
    assert not batch.succeeded()
    assert list((batch.output / "_tasks").glob("*.json"))
    done = len(tasks_called(marks))
    assert batch.run().code == 0
    # Only what had no record was called again.
    assert len(tasks_called(marks)) - done < len(tasks_called(marks)) - 4
    assert batch.result()["ID"].to_pylist() == list(range(ROWS))


def test_sigterm_at_the_very_start(batch: Batch) -> None:
    batch.ids(10)
    batch.job("Linear", init={"seconds": 0.0})
    codes = []

    def stop(process: subprocess.Popen[str]) -> None:
        process.terminate()
        process.communicate(timeout=30)
        codes.append(process.returncode)

    def start() -> subprocess.Popen[str]:
        process = batch.start()
        time.sleep(0.15)
        return process

    assert quickest(5, stop, prepare=start) < 5
    assert set(codes) <= {143, -signal.SIGTERM}


@pytest.mark.parametrize("loading", [True, False])
def test_sigterm_while_a_model_is_stuck(batch: Batch, loading: bool) -> None:
    batch.ids(10)
    batch.job("Stuck", init={"loading": loading})
    process = batch.start()
    assert process.stdout is not None
    assert any("STUCK" in line for line in process.stdout)
    children = family(process)[1:]
    assert children

    begun = time.monotonic()
    process.terminate()
    _, stderr = process.communicate(timeout=30)

    assert time.monotonic() - begun < 20
    assert process.returncode == 143
    assert stderr.rstrip().splitlines()[-1] == "Terminated: stopped by SIGTERM; finished tasks keep their records"
    assert not psutil.wait_procs(children, timeout=2)[1]


def test_sigterm_while_the_input_does_not_answer(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads of a stage may hang for ever, in threads that Python waits for at its end."""
    batch.ids(10, files=2)
    counts = batch.root / "counts"
    counts.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(HERE / "slow_opens"))
    monkeypatch.setenv("SLOW_OPENS_STAGE", str(batch.input))
    monkeypatch.setenv("SLOW_OPENS_COUNTS", str(counts))
    monkeypatch.setenv("SLOW_OPENS_SECONDS", "3600")
    batch.job()
    process = batch.start()
    deadline = time.monotonic() + 30
    while not list(counts.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert list(counts.iterdir())
    children = family(process)[1:]
    assert children

    begun = time.monotonic()
    process.terminate()
    _, stderr = process.communicate(timeout=30)

    assert time.monotonic() - begun < 20
    assert process.returncode == 143
    assert stderr.rstrip().splitlines()[-1].startswith("Terminated: stopped by SIGTERM")
    assert not psutil.wait_procs(children, timeout=2)[1]
