"""What jobs with a model of one's own leave on a stage, against the local Snowflake."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from airflow_provider_snowflake_batch.hooks import worker_files
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName, StagePath
from airflow_provider_snowflake_batch.jobs.job import ContainerJob
from airflow_provider_snowflake_batch.jobs.leftovers import Found

STAGE = "@LEFTOVERS"
FILES = {
    "out/_batch_worker/batch-worker-0.1-ab.pyz": b"worker",
    "out/_batch_worker/code-1a.zip": b"code",
    "out/_batch_worker/code-2b.zip": b"other code",
    "out/_batch_worker/LEFT/LEFT_2/JOB-1.json": b'{"job_name": "LOCAL.PUBLIC.LEFT_2", "path": "code-1a.zip"}',
    "out/_snowflake_temporary/LEFT/0a1b2c3d/data.parquet": b"rows",
    "out/LEFT/part-0.parquet": b"results",
}
RESULTS = {"out/LEFT/part-0.parquet"}
OLD = 100.0


@pytest.fixture
def hook(snowflake_connection: str) -> Iterator[SnowflakeBatchHook]:
    with SnowflakeBatchHook(snowflake_connection) as opened:
        opened.run("CREATE OR REPLACE STAGE LEFTOVERS ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')")
        for path, content in FILES.items():
            opened.write_file(f"{STAGE}/{path}", content)
        yield opened


@pytest.fixture
def aged(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes the stage's files as old as it is told."""

    def aged(**days: float) -> None:
        def found(path: str, last_modified: str) -> Found:
            named = [age for part, age in days.items() if part in path]
            return Found(path, named[0] if named else OLD)

        monkeypatch.setattr(worker_files.Found, "of", found)

    return aged


def names(hook: SnowflakeBatchHook) -> set[str]:
    return {file.path for file in hook.list_files(STAGE)}


def test_what_is_left_of_jobs_that_are_gone_is_removed(hook: SnowflakeBatchHook, aged: Callable[..., None]) -> None:
    assert hook.clean_up(f"{STAGE}/out") == [], "nothing is that old"
    aged()
    told = hook.clean_up(f"{STAGE}/out/", dry_run=True)
    assert {path.path for path in told} == set(FILES) - RESULTS
    assert names(hook) == set(FILES)
    assert hook.clean_up(f"{STAGE}/out/", days=60) == told
    assert names(hook) == RESULTS
    with pytest.raises(InvalidJobError, match="^days: "):
        hook.clean_up(f"{STAGE}/out/", days=1)


def test_a_job_that_runs_keeps_what_it_was_given(hook: SnowflakeBatchHook, aged: Callable[..., None]) -> None:
    hook.run("CREATE COMPUTE POOL IF NOT EXISTS LEFTOVERS MIN_NODES = 1 MAX_NODES = 1 INSTANCE_FAMILY = CPU_X64_S")
    container = {"name": "main", "image": "/db/s/r/i:1", "command": ["python", "-c", "import time; time.sleep(600)"]}
    name = QualifiedName("LEFT_2", "PUBLIC", "LOCAL")
    query_id = hook.submit(ContainerJob(name, Identifier("LEFTOVERS"), {"spec": {"containers": [container]}}))
    while not hook.check_submission(query_id):
        time.sleep(0.05)
    try:
        aged()
        assert [path.path for path in hook.clean_up(f"{STAGE}/out/")] == ["out/_batch_worker/code-2b.zip"]
    finally:
        hook.delete(name)
    assert names(hook) == set(FILES) - {"out/_batch_worker/code-2b.zip"}


def test_a_file_that_was_sent_again_meanwhile_stays(
    hook: SnowflakeBatchHook, aged: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    aged()

    def ended(*_: object) -> bool:
        aged(**{"code-2b": 0.0})
        return False

    monkeypatch.setattr(worker_files, "_has_live_job", ended)
    hook.clean_up(f"{STAGE}/out/")
    assert names(hook) == {"out/_batch_worker/code-2b.zip"} | RESULTS


def test_what_cannot_be_removed_fails_no_job(hook: SnowflakeBatchHook, caplog: pytest.LogCaptureFixture) -> None:
    directory = StagePath.parse("@LOCAL.PUBLIC.NO_SUCH_STAGE/out/LEFT/", field="directory")
    worker_files.discard_worker_input(hook, QualifiedName("LEFT", "PUBLIC", "LOCAL"), directory)
    assert caplog.text.count("could not be removed: The stage of") == 2
