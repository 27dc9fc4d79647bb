"""The worker as one file."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from airflow_provider_snowflake_batch.worker.archive import build_archive
from tests.worker.batches import Batch


def _run(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-E", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_archive().write(tmp_path_factory.mktemp("archive"))


def test_equal_sources_give_equal_bytes_under_a_name_of_their_own() -> None:
    first, second = build_archive(), build_archive()

    assert first.content == second.content
    assert first.name == second.name
    assert first.digest[:12] in first.name


def test_it_is_small_and_holds_the_worker_alone(archive: Path) -> None:
    assert archive.stat().st_size < 1_000_000
    with zipfile.ZipFile(archive) as opened:
        rooms = {name.split("/")[1] for name in opened.namelist() if "/" in name}
    assert rooms == {"__init__.py", "contract", "worker"}


def test_it_runs_a_job_in_all_its_processes_from_the_archive(archive: Path, batch: Batch) -> None:
    batch.ids(1000, files=4)
    job = batch.job("WhereFrom", inference={"num_workers": 2})

    done = _run(archive, job, cwd=batch.root)

    assert done.returncode == 0, done.stderr
    assert set(batch.result()["WORKER"].to_pylist()) == {str(archive)}
    assert batch.succeeded()
    assert _run(archive, "verify", batch.output, cwd=batch.root).stdout == "1 files, 1000 rows: as the manifest says\n"


def test_an_archive_writes_itself(archive: Path, tmp_path: Path) -> None:
    done = _run(archive, "archive", tmp_path / "copy.pyz", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "copy.pyz").read_bytes() == archive.read_bytes()


def test_what_cannot_be_written_is_said_in_words(archive: Path, tmp_path: Path) -> None:
    done = _run(archive, "archive", tmp_path / "missing" / "worker.pyz", cwd=tmp_path)

    assert done.returncode == 2
    assert done.stderr.startswith("Refused: cannot write")
    assert "No such file or directory" in done.stderr
