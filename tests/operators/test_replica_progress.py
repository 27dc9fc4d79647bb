"""Three replicas share groups of rows over Ray: their results, and how far each is in the card of the task."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from airflow.sdk import DAG

from airflow_provider_snowflake_batch.contract.progress import AllReplicas, ReplicaProgress, ReplicaState
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.card import JOB_CARD_KEY, JobCard
from airflow_provider_snowflake_batch.jobs.logs import Progress
from airflow_provider_snowflake_batch.jobs.models import PythonModel
from airflow_provider_snowflake_batch.jobs.specs import InputSpec, JobSpec, OutputSpec, Sharing
from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator
from airflow_provider_snowflake_batch.operators.job_card import TaskCard
from airflow_provider_snowflake_batch.operators.job_record import JobRecord
from airflow_provider_snowflake_batch.triggers.batch_inference import last_progress
from tests.operators.task_instances import TaskInstance

POOL, STAGE = "REPLICA_PROGRESS", "REPLICA_PROGRESS_RESULTS"
TASKS = 10
ROWS = TASKS * 65_536
# Groups of all kinds, one of them of a quarter of all rows.
QUERY = f"""
SELECT ID, CASE WHEN ID % 64 = 0 THEN NULL WHEN ID % 64 = 1 THEN 'NaN'::FLOAT WHEN ID % 4 = 2 THEN 1000.5
    ELSE ID % 97 END::FLOAT AS G
FROM (SELECT SEQ4() AS ID FROM TABLE(GENERATOR(ROWCOUNT => {ROWS})))
"""
# The first row of each is scored when all are there, so that each has rows to tell of, however slow it starts.
MODEL = """
import os
import time
from pathlib import Path


class Together:
    def __init__(self, here):
        self.here = Path(here)

    def predict(self, rows):
        (self.here / os.environ["SNOWFLAKE_JOB_INDEX"]).touch()
        deadline = time.monotonic() + 900
        while len(list(self.here.iterdir())) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        return {"SIZE": [len(rows)] * len(rows)}
"""


@pytest.mark.slow
def test_groups_are_shared_and_the_card_ends_with_the_rows_of_each_replica(
    snowflake_connection: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (tmp_path / "together.py").write_text(MODEL)
    with SnowflakeBatchHook(snowflake_connection) as hook:
        hook.run(
            [
                f"CREATE COMPUTE POOL IF NOT EXISTS {POOL} MIN_NODES = 1 MAX_NODES = 3 INSTANCE_FAMILY = CPU_X64_S",
                f"CREATE OR REPLACE STAGE {STAGE} ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')",
            ]
        )
    dag = DAG("dag")
    dag.fileloc = str(tmp_path / "dag.py")
    task = RunBatchOperator(
        dag=dag,
        task_id="score",
        model=PythonModel("together:Together", code="together.py", init={"here": str(here)}),
        X=QUERY,
        input_spec=InputSpec(partition_column="G"),
        compute_pool=POOL,
        output_spec=OutputSpec(f"@{STAGE}/out/"),
        job_spec=JobSpec(replicas=3, num_workers=1, executor=Sharing.RAY),
        poll_interval=1,
    )
    instance = TaskInstance(max_tries=3)
    with caplog.at_level("INFO"):
        result = task.execute({"ti": instance, "task_state_store": None})

    assert (result["status"], result["rows"]) == ("DONE", ROWS)
    with SnowflakeBatchHook(snowflake_connection) as hook:
        check_groups(hook, result["output_location"])
    card = instance.xcoms[JOB_CARD_KEY]
    each = card["progress"]["by_replica"]["each"]
    assert [(one["replica"], one["state"]) for one in each] == [(0, "done"), (1, "done"), (2, "done")]
    assert all(one["rows"] > 0 for one in each)
    assert sum(one["rows"] for one in each) == card["progress"]["rows_done"] == ROWS
    assert len(json.dumps(card)) < 4096
    assert f"{ROWS:,} of {ROWS:,} rows (100 %)" in caplog.text
    assert f"replica 2 done: {each[2]['rows']:,} rows" in caplog.text


def check_groups(hook: SnowflakeBatchHook, location: str) -> None:
    names = [one["name"] for one in json.loads(hook.read_file(f"{location}_manifest.json"))["files"]]
    assert len(names) == TASKS
    parts = [pq.read_table(io.BytesIO(hook.read_file(f"{location}{name}"))).to_pandas() for name in names]
    rows = pd.concat(parts)
    assert sorted(rows["ID"]) == list(range(ROWS))
    # Each group in one part, and in one call; NULL and NaN are one each.
    sizes = pd.concat([part[["ID", "SIZE"]].assign(part=number) for number, part in enumerate(parts)])
    ids = sizes["ID"]
    group = (ids % 97).where(ids % 4 != 2, 1000).where(ids % 64 > 1, -1 - ids % 64)
    found = sizes.groupby(group)
    assert (found["part"].nunique() == 1).all()
    assert (found["SIZE"].transform("size") == sizes["SIZE"]).all()
    assert found.size()[1000] == ROWS // 4


@pytest.mark.parametrize("told", [True, False])
def test_the_event_of_a_deferred_task_brings_the_last_progress(monkeypatch: pytest.MonkeyPatch, told: bool) -> None:
    """The card was last written some seconds before the job's end."""
    each = AllReplicas.of([ReplicaProgress(0, ReplicaState.DONE, 6), ReplicaProgress(1, ReplicaState.DONE, 4)])
    stored = JobCard("D.S.J", "RUNNING", "P", 2, "@D.S.R/J/", 10.0, 1, progress={"phase": "running", "rows_done": 2})
    monkeypatch.setattr("airflow_provider_snowflake_batch.operators.job_card._stored_card", lambda _: stored)
    log = SimpleNamespace(progress=Progress(0, "done", 10, 10, by_replica=each) if told else None)
    event: dict[str, Any] = {"status": "DONE", **last_progress(log)}  # type: ignore[arg-type]

    card = TaskCard.resume({"ti": TaskInstance()}, JobRecord("D.S.J", "@D.S.R/J/", 10.0), "P", event).card  # type: ignore[typeddict-item]

    assert card.progress is not None
    assert (card.progress["rows_done"], card.progress.get("by_replica")) == (
        (10, each.to_json()) if told else (2, None)
    )
