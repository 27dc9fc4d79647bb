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
from tests.worker.batches import HERE, Batch, until
from tests.worker.kills import family, kill_until_done, tasks_called

pytestmark = pytest.mark.slow

ROWS = 1_200_000
ROW_GROUP = 50_000
# A limit for what goes wrong.
GONE_SECONDS = 60


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
    # By themselves, they would end only long after this test has.
    batch.job("Linear", init={"seconds": 3600.0}, inference={"num_workers": 2})
    process = batch.start()
    until(lambda: len(family(process)) >= 4, "two model processes")
    children = family(process)[1:]

    process.kill()
    process.wait()

    assert not psutil.wait_procs(children, timeout=GONE_SECONDS)[1]


@pytest.mark.parametrize("group", [False, True])
def test_sigterm_stops_soon_and_keeps_what_is_done(batch: Batch, group: bool) -> None:
    batch.ids(ROWS, files=6, row_group_size=ROW_GROUP)
    marks, go = batch.root / "marks", batch.root / "go"
    init = {"marks": str(marks), "rows": 6 * ROW_GROUP, "until": str(go)}
    batch.job("Held", init=init, inference={"num_workers": 2})
    process = batch.start(group=True)
    # Each process has one task at most that is called and not recorded, and two that are still to be called.
    until(lambda: len(batch.recorded()) > 1, "records of some tasks")
    children = family(process)[1:]

    begun = time.monotonic()
    if group:
        os.killpg(process.pid, signal.SIGTERM)
    else:
        process.terminate()
    go.touch()
    _, stderr = process.communicate(timeout=GONE_SECONDS)

    assert time.monotonic() - begun < 20
    assert process.returncode == 143
    assert stderr.rstrip().splitlines()[-1] == "Terminated: stopped by SIGTERM; finished tasks keep their records"
    assert not psutil.wait_procs(children, timeout=GONE_SECONDS)[1]
    assert not batch.succeeded()
    recorded, done = batch.recorded(), len(tasks_called(marks))
    assert recorded
    assert batch.run().code == 0
    # Only what had no record was called again.
    again = {row // ROW_GROUP for row in tasks_called(marks)[done:]}
    assert again == set(range(ROWS // ROW_GROUP)) - recorded
    assert batch.result()["ID"].to_pylist() == list(range(ROWS))


def test_sigterm_at_the_very_start(batch: Batch) -> None:
    batch.ids(10)
    # Not done by itself, however late the signal comes.
    batch.job("Linear", init={"seconds": 3600.0})
    codes = []

    def stop(process: subprocess.Popen[str]) -> None:
        process.terminate()
        process.communicate(timeout=GONE_SECONDS)
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
    _, stderr = process.communicate(timeout=GONE_SECONDS)

    assert time.monotonic() - begun < 20
    assert process.returncode == 143
    assert stderr.rstrip().splitlines()[-1] == "Terminated: stopped by SIGTERM; finished tasks keep their records"
    assert not psutil.wait_procs(children, timeout=GONE_SECONDS)[1]


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
    until(lambda: list(counts.iterdir()), "a read of the input")
    children = family(process)[1:]
    assert children

    begun = time.monotonic()
    process.terminate()
    _, stderr = process.communicate(timeout=GONE_SECONDS)

    assert time.monotonic() - begun < 20
    assert process.returncode == 143
    assert stderr.rstrip().splitlines()[-1].startswith("Terminated: stopped by SIGTERM")
    assert not psutil.wait_procs(children, timeout=GONE_SECONDS)[1]
