"""What tasks leave in the metadata database: states and XComs, written as Airflow's execution API writes them."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

from airflow_provider_snowflake_batch.jobs.card import JOB_CARD_KEY, JobCard

NEWEST = datetime.fromisoformat("2026-11-01T12:00:00+00:00")


def card(job_name: str = "DB.PUBLIC.BATCH_1", status: str = "RUNNING", **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "compute_pool": "POOL",
        "replicas": 2,
        "output_location": "@DB.PUBLIC.RESULTS/out/BATCH_1/",
        "submitted_at": time.time(),
        "attempt": 1,
        "model": "DB.PUBLIC.LINEAR",
    }
    return JobCard(job_name=job_name, status=status, **(values | changes)).to_dict()


def push(dag_id: str, run_id: str, value: Any, *, task_id: str = "score", map_index: int = -1, key: str = "") -> None:
    """Store an XCom."""
    from airflow.models.xcom import XComModel

    XComModel.set(
        key or JOB_CARD_KEY, value, dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=map_index, serialize=False
    )


def set_state(
    dag_id: str,
    run_id: str,
    state: str | None,
    *,
    task_id: str = "score",
    map_index: int = -1,
    age: float = 0,
    label: str | None = None,
) -> None:
    """Put a task instance into a state.

    :param label: of a mapped task, as its ``map_index_template`` makes it.
    :param age: seconds by which it started earlier than the newest.
    """
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        changed = session.execute(
            update(TaskInstance)
            .where(
                TaskInstance.dag_id == dag_id,
                TaskInstance.run_id == run_id,
                TaskInstance.task_id == task_id,
                TaskInstance.map_index == map_index,
            )
            .values(
                state=state,
                start_date=NEWEST - timedelta(seconds=age),
                **({"_rendered_map_index": label} if label else {}),
            )
        )
        assert changed.rowcount == 1
