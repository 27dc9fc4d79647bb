"""Which files beside the results no job needs any more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.leftovers import Found, job_of, leftovers, needs_renewal, old_directories

ARCHIVE, CODE, MODEL = "batch-worker-0.1-ab.pyz", "code-1a2b3c.zip", "model-1a2b3c.json"
OLD = 40.0


def found(**days: float) -> list[Found]:
    paths = {
        "archive": f"_batch_worker/{ARCHIVE}",
        "code": f"_batch_worker/{CODE}",
        "model": f"_batch_worker/{MODEL}",
        "job_file": "_batch_worker/RUN/JOB_2/JOB-1a.json",
        "note": "_batch_worker/RUN/JOB_2/replica-0.json",
        "rows": "_snowflake_temporary/RUN/0a1b2c3d/data_0.parquet",
        "listed": "_snowflake_temporary/RUN/0a1b2c3d/_unload.json",
        "foreign": "_snowflake_temporary/RUN/frame.parquet",
        "mine": "_batch_worker/notes.txt",
        "result": "RUN/part-0.parquet",
    }
    return [Found(path, days.get(name, OLD)) for name, path in paths.items()]


def names(files: list[Found]) -> set[str]:
    return {file.path.rpartition("/")[2] for file in files}


SHARED = {ARCHIVE, CODE, MODEL}
OF_THE_JOB = {"JOB-1a.json", "replica-0.json", "data_0.parquet", "_unload.json"}


def test_what_is_old_goes_but_what_is_not_ours() -> None:
    assert names(leftovers(found(), 30, set(), {})) == SHARED | OF_THE_JOB


@pytest.mark.parametrize("young", ["job_file", "note", "rows", "listed"])
def test_one_young_file_keeps_all_that_its_jobs_were_given(young: str) -> None:
    files = found(**{young: 29.9})
    assert old_directories(files, 30) == set()
    job_file = {"_batch_worker/RUN/JOB_2/JOB-1a.json": f'{{"python_path": ["{CODE}"]}}'.encode()}
    assert names(leftovers(files, 30, set(), job_file)) == {MODEL}, "neither its code nor the worker that runs it"


def test_a_job_that_has_not_ended_keeps_what_it_may_read_however_old() -> None:
    job_file = {"_batch_worker/RUN/JOB_2/JOB-1a.json": f'{{"path": "${{OUT}}/_batch_worker/{MODEL}"}}'.encode()}
    assert names(leftovers(found(), 30, {"RUN"}, job_file)) == {CODE}


def test_a_shared_file_goes_by_its_own_age() -> None:
    assert names(leftovers(found(code=29.0, archive=1.0), 30, set(), {})) == {MODEL} | OF_THE_JOB


def test_what_is_sent_again_is_so_long_before_it_is_a_leftover() -> None:
    def modified(days: float) -> str:
        return format_datetime(datetime.now(UTC) - timedelta(days=days), usegmt=True)

    assert not needs_renewal(modified(14.9))
    assert needs_renewal(modified(15.1))
    with pytest.raises(InvalidJobError, match="days: files may be in use for 30 days"):
        old_directories([], 29)


def test_the_job_of_a_job_file() -> None:
    assert job_of(b'{"job_name": "D.S.J"}') == "D.S.J"
    assert [job_of(content) for content in (b"", b"[]", b"{}", b'{"job_name": 1}', b"\xff")] == [None] * 5
