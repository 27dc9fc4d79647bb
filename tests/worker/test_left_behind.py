"""What models start and leave behind is gone when the job is, however it ends.

Also tests ``worker/processes/descendants.py``, ``worker/processes/parent.py``, ``worker/temporary.py``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from airflow_provider_snowflake_batch.worker import temporary
from airflow_provider_snowflake_batch.worker.processes import descendants
from airflow_provider_snowflake_batch.worker.processes.descendants import kill_marked
from airflow_provider_snowflake_batch.worker.temporary import JobFolder
from tests.worker.batches import LONGEST_WAIT, WORKER, Batch

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the means are Linux's")
WAYS = ["forks", "forks while loading", "pool", "command", "daemon", "no environment"]


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    notes = tmp_path / "notes"
    notes.mkdir()
    place = tmp_path / "tmp"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    return notes


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def noted(notes: Path) -> list[int]:
    return [int(note.name.split()[1]) for note in notes.glob("pid *")]


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def alive_of(notes: Path) -> list[int]:
    return [pid for pid in noted(notes) if alive(pid)]


@pytest.mark.parametrize("how", WAYS)
def test_nothing_is_left_of_a_job_that_is_done(batch: Batch, notes: Path, how: str) -> None:
    batch.ids(20)
    init = {"how": how, "folder": str(notes)}
    batch.job("untidy_models:Starts", init=init, inference={"num_workers": 1, "max_batch_rows": 10})

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    assert batch.result()["ID"].to_pylist() == list(range(20))
    assert noted(notes)
    assert alive_of(notes) == []
    assert list((notes.parent / "tmp").iterdir()) == []
    # As when a Python program ends.
    assert (notes / "atexit").exists()


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_a_job_that_is_killed(batch: Batch, notes: Path, how: str, number: signal.Signals) -> None:
    if how == "no environment" and number == signal.SIGKILL:
        pytest.skip("nobody is there who could know it")
    batch.ids(20)
    init = {"how": how, "folder": str(notes), "slow": True}
    batch.job("untidy_models:Starts", init=init, inference={"num_workers": 1})
    process = batch.start()
    wait_until((notes / "called").exists)
    # What was forked may be there before its parent has noted it.
    wait_until(lambda: bool(noted(notes)))

    process.send_signal(number)
    process.wait()

    if number == signal.SIGKILL:
        # A moment after the coordinator.
        wait_until(lambda: not alive_of(notes) and not list((notes.parent / "tmp").iterdir()))
    assert alive_of(notes) == []
    assert list((notes.parent / "tmp").iterdir()) == []


@pytest.mark.parametrize("number", [None, signal.SIGTERM, signal.SIGKILL])
def test_no_shared_memory_is_left(batch: Batch, notes: Path, number: signal.Signals | None) -> None:
    """Python removes it in a process of its own, which needs a moment for that."""
    batch.ids(20)
    init = {"how": "shared memory", "folder": str(notes), "slow": number is not None}
    batch.job("untidy_models:Starts", init=init, inference={"num_workers": 1})
    process = batch.start()
    wait_until((notes / "called").exists)
    (note,) = notes.glob("shared *")
    shared = Path("/dev/shm", note.name.removeprefix("shared "))

    if number is not None:
        process.send_signal(number)
    process.wait()

    if number == signal.SIGKILL:
        wait_until(lambda: not shared.exists() and not list((notes.parent / "tmp").iterdir()))
    assert not shared.exists()


def test_processes_forked_from_one_that_has_the_model_leave_its_files_to_it(batch: Batch, notes: Path) -> None:
    batch.ids(400_000, files=4)
    batch.job("untidy_models:Starts", init={"how": "none", "folder": str(notes)}, inference={"num_workers": 2})

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    assert outcome.stderr == ""


def test_what_was_there_before_the_worker_is_left_alone(batch: Batch, notes: Path) -> None:
    batch.ids(20)
    batch.job("untidy_models:Starts", init={"how": "command", "folder": str(notes)}, inference={"num_workers": 1})
    script = f"sleep 600 >&- 2>&- & touch '{notes}/pid '$!; exec {' '.join(WORKER)} {batch.root / 'JOB.json'}"

    done = subprocess.run(["bash", "-c", script], capture_output=True, timeout=LONGEST_WAIT, check=False)

    assert done.returncode == 0, done.stderr
    assert len(noted(notes)) == 2
    (left,) = alive_of(notes)
    assert psutil.Process(left).name() == "sleep"
    os.kill(left, signal.SIGKILL)


class Stalled:
    """Time as a process sees it that the machine lets run only for moments, each a minute after the last."""

    sleep = time.sleep
    now = 0.0

    def monotonic(self) -> float:
        self.now += 60
        return self.now


@pytest.mark.parametrize("stalled", [False, True])
def test_with_a_marked_process_go_those_that_it_has_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stalled: bool
) -> None:
    """Also those that do not carry the mark, such as one that has overwritten its environment."""
    if stalled:
        monkeypatch.setattr(descendants, "time", Stalled())
    mark, note = uuid.uuid4().hex, tmp_path / "note"
    code = (
        "import subprocess, sys, time; from pathlib import Path\n"
        "child = subprocess.Popen(['/bin/sleep', '600'], env={})\n"
        f"note = Path({str(note)!r}); part = note.with_name('part')\n"
        "part.write_text(str(child.pid)); part.rename(note)\n"
        "time.sleep(600)"
    )
    marked = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "OF_THIS_TEST": mark})
    other = subprocess.Popen(["sleep", "600"])
    try:
        wait_until(note.exists)
        kill_marked("OF_THIS_TEST", mark)
        assert marked.wait(60) == -signal.SIGKILL
        wait_until(lambda: not alive(int(note.read_text())))
        assert alive(other.pid)
    finally:
        for process in (marked, other):
            process.kill()
            process.wait()


def test_folders_that_nobody_owns_are_removed_and_no_others(tmp_path: Path) -> None:
    owned = JobFolder(tmp_path)
    abandoned = JobFolder(tmp_path)
    (abandoned.path / "deep").mkdir()
    (abandoned.path / "deep" / "file").touch()
    (abandoned.path / "deep").chmod(0o500)
    os.close(abandoned._lock)
    foreign = tmp_path / "sfbatch-job-without-a-lock"
    foreign.mkdir()
    (foreign / "file").touch()
    (tmp_path / "sfbatch-job-empty").mkdir()
    (tmp_path / "sfbatch-job-link").symlink_to(tmp_path)

    folder = JobFolder(tmp_path)

    assert not abandoned.path.exists()
    assert not (tmp_path / "sfbatch-job-empty").exists()
    assert all(path.exists() for path in (owned.path, foreign, tmp_path / "sfbatch-job-link", folder.path))
    assert folder.path.stat().st_mode & 0o777 == 0o700
    for one in (owned, folder):
        one.remove()
        assert not one.path.exists()


def test_folders_of_workers_that_were_killed_in_making_or_removing_them_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = tmp_path / "sfbatch-new-old", tmp_path / "sfbatch-new-new"
    for folder in (old, new):
        folder.mkdir()
        (folder / ".lock").touch()
    os.utime(old, (1, 1))
    begun = JobFolder(tmp_path)
    assert begun._lock is not None
    (begun.path / "file").touch()
    (begun.path / "folder").mkdir()

    def interrupt(*_: object, **__: object) -> None:
        assert (begun.path / ".lock").exists()
        raise KeyboardInterrupt

    monkeypatch.setattr(temporary.shutil, "rmtree", interrupt)
    with pytest.raises(KeyboardInterrupt):
        begun.remove()
    monkeypatch.undo()
    os.close(begun._lock)

    JobFolder(tmp_path).remove()

    assert [path.name for path in tmp_path.iterdir()] == [new.name]


def test_without_locks_nothing_counts_as_abandoned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("not supported")

    monkeypatch.setattr(temporary.fcntl, "flock", refuse)
    first = JobFolder(tmp_path)
    os.close(first._lock)

    JobFolder(tmp_path)

    assert first.path.exists()
