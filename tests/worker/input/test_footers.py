"""Footers are read alike by one process, by many threads and by helper processes, and no helper outlives its job.

Also tests ``worker/input/footer_pool.py``, ``worker/input/footer_process.py``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_snowflake_batch.worker.errors import DataError
from airflow_provider_snowflake_batch.worker.input import footer_pool as executor
from airflow_provider_snowflake_batch.worker.input import footers, plan
from airflow_provider_snowflake_batch.worker.input.footers import read_footer
from airflow_provider_snowflake_batch.worker.processes import limits

FILES = 60


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Files of different sizes, in folders, with more than one schema."""
    for number in range(FILES):
        kind = pa.int64() if number % 7 else pa.int32()
        table = pa.table({"ID": pa.array(range(number), kind), "TEXT": [f"é{number}"] * number})
        path = tmp_path / f"{number % 3}" / f"{number:03d}.parquet"
        path.parent.mkdir(exist_ok=True)
        pq.write_table(table, path, row_group_size=10)
    return tmp_path


@pytest.fixture
def many_helpers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "cores", lambda: 3)
    monkeypatch.setattr(executor, "FILES_PER_HELPER", 4)
    monkeypatch.setattr(executor, "SHARE", 5)
    monkeypatch.setattr(executor, "MOST_HELD_BACK", 3)


def names(root: Path) -> list[str]:
    return plan.list_files(root, r".*\.parquet$")


def test_helper_processes_make_the_same_plan(source: Path, request: pytest.FixtureRequest) -> None:
    alone = plan.make_plan(source, r".*\.parquet$")
    request.getfixturevalue("many_helpers")

    assert plan.make_plan(source, r".*\.parquet$") == alone
    assert alone.files == FILES


def test_threads_read_the_same(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = footers.read_footers(source, names(source))
    monkeypatch.setattr(footers, "SLOW_SECONDS", -1.0)

    assert footers.read_footers(source, names(source)) == alone


@pytest.mark.usefixtures("many_helpers")
def test_of_several_bad_files_the_first_is_named(source: Path) -> None:
    for name in ("1/040.parquet", "2/008.parquet", "2/050.parquet"):
        (source / name).write_bytes(b"no Parquet file")

    with pytest.raises(DataError, match=r"1/040\.parquet is not a Parquet file"):
        plan.make_plan(source, ".*")


@pytest.mark.usefixtures("many_helpers")
def test_the_shares_of_a_helper_that_died_are_read_by_the_others(source: Path) -> None:
    alone = footers.read_footers(source, names(source))
    pool = executor.Helpers(source, names(source), 3)
    try:
        reading = pool.read()
        first = next(reading)
        for helper in pool.helpers[:2]:
            helper.process.kill()

        assert [first, *reading] == alone
        assert len(pool.helpers) == 1
    finally:
        pool.close()


@pytest.mark.usefixtures("many_helpers")
def test_when_all_helpers_die_the_files_at_hand_are_named(source: Path) -> None:
    pool = executor.Helpers(source, names(source), 2)
    try:
        for helper in pool.helpers:
            helper.process.kill()

        with pytest.raises(DataError, match=r"died \(exit status -9\).* files \d/\d+\.parquet and "):
            list(pool.read())
    finally:
        pool.close()


@pytest.mark.usefixtures("many_helpers")
def test_helpers_are_gone_when_reading_is_given_up(source: Path) -> None:
    pool = executor.Helpers(source, names(source), 2)
    processes = [helper.process for helper in pool.helpers]
    next(pool.read())
    pool.close()

    assert all(process.returncode is not None for process in processes)


def test_helpers_end_with_a_coordinator_that_is_killed(source: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from airflow_provider_snowflake_batch.worker.input.footer_pool import Helpers\n"
        "pool = Helpers(Path(sys.argv[1]), [], 2)\n"
        "print(*[helper.process.pid for helper in pool.helpers], flush=True)\n"
        "time.sleep(600)\n"
    )
    coordinator = subprocess.Popen([sys.executable, "-c", code, str(source)], stdout=subprocess.PIPE, text=True)
    assert coordinator.stdout is not None
    helpers = [int(pid) for pid in coordinator.stdout.readline().split()]
    coordinator.kill()
    coordinator.communicate()

    deadline = time.monotonic() + 120
    while any(running(pid) for pid in helpers):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert len(helpers) == 2


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_allocator_is_set_unless_the_environment_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    assert executor.environment() == {**os.environ, "GLIBC_TUNABLES": "glibc.malloc.tcache_count=500"}

    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.arena_max=2")
    assert executor.environment()["GLIBC_TUNABLES"] == "glibc.malloc.arena_max=2"


def test_an_encrypted_footer_is_called_so(tmp_path: Path) -> None:
    path = tmp_path / "secret.parquet"
    path.write_bytes(b"PARE" + bytes(20) + b"PARE")

    with pytest.raises(DataError, match="input file secret.parquet is encrypted, its footer too"):
        read_footer("secret.parquet", str(path))
