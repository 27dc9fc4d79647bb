"""Stage volumes are no disks: what the imitation refuses, and what the worker makes of it.

Also tests ``worker/output/disk.py``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.worker.batches import LONGEST_WAIT, Batch, until
from tests.worker.stage_volume import StageVolume

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="libraries are preloaded as on Linux")


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    folder = tmp_path / "stage"
    folder.mkdir()
    (folder / "old").write_text("0123456789")
    return folder


@pytest.fixture
def volume(tmp_path: Path, stage: Path) -> StageVolume:
    # Files arrive elsewhere when the test says so, however slow the machine is.
    return StageVolume(tmp_path / "state", [stage], seconds=3600)


@pytest.fixture
def python(volume: StageVolume, stage: Path, tmp_path: Path) -> Callable[..., str]:
    """Runs code with the stage as the current folder, in a mount of its own; gives what it prints or its error."""

    def run(code: str, mount: dict[str, str] | None = None) -> str:
        environment = {**os.environ, **(mount or volume.mount())}
        done = subprocess.run(
            [sys.executable, "-c", f"import fcntl, mmap, os\nfrom pathlib import Path\n{code}"],
            capture_output=True, text=True, cwd=stage, env=environment, check=False,
        )  # fmt: skip
        return done.stdout.strip() if done.returncode == 0 else done.stderr.strip().splitlines()[-1]

    return run


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("open('old', 'ab')", "Errno 95"),
        ("open('old', 'r+b')", "Errno 95"),
        ("os.open('old', os.O_WRONLY)", "Errno 95"),
        ("os.rename('old', 'new')", "Errno 95"),
        ("os.replace(Path('old').absolute(), 'new')", "Errno 95"),
        ("os.replace('/etc/hostname', 'new')", "Errno 95"),
        ("os.link('old', 'new')", "Errno 95"),
        ("os.symlink('old', 'new')", "Errno 95"),
        ("os.truncate('old', 3)", "Errno 95"),
        ("f = open('new', 'wb', 0); f.write(b'12'); f.seek(0); f.write(b'3')", "Errno 95"),
        ("f = open('new', 'wb', 0); f.write(b'12'); os.pwrite(f.fileno(), b'3', 9)", "Errno 95"),
        ("fcntl.flock(open('old'), fcntl.LOCK_EX)", "Errno 95"),
        ("os.fsync(os.open('.', os.O_RDONLY))", "Errno 22"),
        ("f = open('new', 'w+b'); f.write(b'12'); f.flush(); mmap.mmap(f.fileno(), 2)", "Errno 19"),
    ],
)
def test_what_a_stage_volume_refuses(python: Callable[..., str], stage: Path, code: str, error: str) -> None:
    assert error in python(code)
    assert (stage / "old").read_text() == "0123456789"


def test_what_it_does(python: Callable[..., str], stage: Path) -> None:
    assert python("Path('new').write_text('12'); Path('new').write_text('3'); print(Path('new').read_text())") == "3"
    assert python("f = open('old'); f.seek(4); print(f.read(2), os.pread(f.fileno(), 2, 1))") == "45 b'12'"
    assert (
        python("os.mkdir('folder'); Path('folder/x').write_text('x'); print(sorted(os.listdir('folder')))") == "['x']"
    )
    assert python("os.unlink('old'); print(os.path.exists('old'))") == "False"
    # Elsewhere everything is as it was.
    elsewhere = f"os.chdir({str(stage.parent)!r}); Path('a').write_text('1'); os.rename('a', 'b')"
    assert python(f"{elsewhere}; open('b', 'ab').write(b'2')") == ""
    assert (stage.parent / "b").read_text() == "12"


def test_other_mounts_see_a_file_late(python: Callable[..., str], volume: StageVolume) -> None:
    first, second = volume.mount(), volume.mount()
    assert python("Path('new').write_text('12')", first) == ""
    seen = "print(Path('new').exists(), 'new' in os.listdir(), [e.name for e in os.scandir() if e.name == 'new'])"
    assert python(seen, first) == "True True ['new']"
    assert python(seen, second) == "False False []"
    assert "FileNotFoundError" in python("open('new')", second)
    volume.settle()
    assert python(seen, second) == "True True ['new']"


def test_a_file_is_nowhere_before_it_is_closed(volume: StageVolume, python: Callable[..., str], stage: Path) -> None:
    volume.seconds = 0
    code = "f = open('new', 'wb', 0); f.write(b'12'); print('written', flush=True); input()"
    writer = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=stage,
                              env={**os.environ, **volume.mount()})  # fmt: skip
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"written\n"
    assert python("print(os.path.exists('new'))") == "False"
    writer.communicate(b"\n")
    assert python("print(os.path.exists('new'))") == "True"


def test_who_does_not_see_a_file_replaces_it(python: Callable[..., str], volume: StageVolume) -> None:
    first, second = volume.mount(), volume.mount()
    assert python("open('new', 'x').write('1')", first) == ""
    assert python("open('new', 'x').write('2'); print(Path('new').read_text())", second) == "2"


def test_closing_may_fail(python: Callable[..., str], volume: StageVolume) -> None:
    volume.loses = (1, "/new")
    assert "Errno 5" in python("Path('new').write_text('12')")
    assert python("print(os.path.exists('new'))") == "False"
    assert python("Path('new').write_text('12')") == ""


@pytest.mark.parametrize("part", [".parquet", "/_quarantine/", "/_tasks/", "/_manifest.json", "/_SUCCESS"])
def test_a_file_that_did_not_arrive_is_written_again(batch: Batch, part: str) -> None:
    batch.ids(200_000, files=2)
    batch.put_on_stages(loses=(2, part))
    batch.job("Raises", inference={"num_workers": 1, "on_error": "quarantine"})

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    assert batch.result()["ID"].to_pylist() == [number for number in range(200_000) if number != 150]
    assert batch.manifest()["quarantined_rows"] == 1
    assert batch.verify().code == 0
    done_again = "has not arrived in" in outcome.stderr
    assert done_again == (part in (".parquet", "/_quarantine/"))


def test_a_store_that_takes_nothing_ends_the_job_with_words(batch: Batch) -> None:
    batch.ids(1000)
    batch.put_on_stages(loses=(1000, ".parquet"))
    batch.job(inference={"num_workers": 1})

    outcome = batch.run()

    assert outcome.code == 1
    assert outcome.last == f"OutputError: what task 0 wrote has not arrived in {batch.output}: Input/output error"
    assert list(batch.output.glob("*.parquet")) == []
    assert not batch.succeeded()


def test_replicas_find_what_the_others_wrote(batch: Batch) -> None:
    batch.ids(400_000, files=4)
    batch.put_on_stages(seconds=3)
    batch.job(inference={"num_workers": 1})
    processes = [batch.start(replica=(index, 3)) for index in range(3)]

    outcomes = [process.communicate(timeout=LONGEST_WAIT) for process in processes]

    assert [process.returncode for process in processes] == [0, 0, 0], outcomes
    assert batch.result()["ID"].to_pylist() == list(range(400_000))
    assert batch.verify().code == 0


def test_a_killed_worker_goes_on_from_what_has_arrived(batch: Batch) -> None:
    batch.ids(400_000, files=4)
    batch.put_on_stages()
    batch.job("Linear", init={"seconds": 0.5}, inference={"num_workers": 1, "max_batch_rows": 200_000})
    first = batch.start()
    until(batch.recorded, "a record")
    first.kill()
    first.wait()

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    assert batch.result()["ID"].to_pylist() == list(range(400_000))
    assert batch.verify().code == 0
