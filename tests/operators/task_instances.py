"""What Airflow hands to operators, as far as they use it, and what tests ask of the jobs that they started."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pydantic import JsonValue, TypeAdapter

from airflow_provider_snowflake_batch.exceptions import JobNotFoundError
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.deadlines import Deadlines
from airflow_provider_snowflake_batch.jobs.status import JobStatus
from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator

JOB_KEY = "snowflake_batch_job"


@dataclass
class TaskInstance:
    """What the operator uses of the task instance that Airflow hands it."""

    dag_id: str = "dag"
    task_id: str = "score"
    try_number: int = 1
    max_tries: int = 0
    log_url: str = "http://airflow/dags/dag/runs/run/tasks/score?try_number=1"
    xcoms: dict[str, Any] = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value


class Store:
    """Airflow's task state store as a task sees it, with its values as JSON."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def get(self, key: str, default: Any = None) -> Any:
        return json.loads(self.values[key]) if key in self.values else default

    def set(self, key: str, value: Any) -> None:
        # Airflow refuses what is not JSON already, a tuple, for instance.
        self.values[key] = json.dumps(TypeAdapter(JsonValue).validate_python(value))

    def delete(self, key: str) -> None:
        self.values.pop(key, None)

    @property
    def record(self) -> dict[str, Any]:
        return json.loads(self.values[JOB_KEY])

    def change(self, **changes: Any) -> None:
        self.set(JOB_KEY, self.record | changes)


def batch_task(place: str, **changes: Any) -> RunBatchOperator:
    """A task that lets a model score one row.

    :param place: the name of its compute pool and of its stage.
    """
    given: dict[str, Any] = {
        "task_id": "score",
        "model_name": "LINEAR",
        "X": "SELECT 1 AS A, 1 AS B",
        "compute_pool": place,
        "output_spec": {"stage_location": f"@{place}/out/"},
        "poll_interval": 1,
    }
    return RunBatchOperator(**(given | changes))


def until_it_exists(hook: SnowflakeBatchHook, name: str) -> None:
    """Submission is asynchronous: a task may defer before Snowflake has made the job."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with suppress(JobNotFoundError):
            hook.status(name)
            return
        time.sleep(0.05)


def wait(hook: SnowflakeBatchHook, name: str) -> JobStatus:
    until_it_exists(hook, name)
    return hook.wait(name, deadlines=Deadlines.within(60)).status


def names(hook: SnowflakeBatchHook) -> set[str]:
    return {info.name for info in hook.list_jobs()}


class Crash(BaseException):
    """Ends a try as abruptly as a test can."""


async def fired_by(trigger: Any) -> dict[str, Any]:
    return next(iter([event.payload async for event in trigger.run()]))
