"""The history of a large Airflow, written straight into its metadata database: Dags, runs, task instances, cards."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

DAGS = 50
MAPPED = 4
"""Runs have one task with one job, and one that is mapped to as many jobs."""
JOBS_PER_RUN = 1 + MAPPED
_OTHER_TASKS = 9
"""Task instances without a job beside each that has one."""
_OTHER_XCOMS = ("return_value", "job_name", "rows", "_link_SnowsightJobLink")
LIVE = 50
"""Of all jobs, the newest run."""
_ERRORS = ("ValueError: x is missing", "MemoryError", "ModelError: expected 12 columns, got 11")


def fill(cards: int) -> None:
    """Write the history.

    :param cards: jobs; there are ten times as many task instances.
    """
    from airflow import settings
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from sqlalchemy import insert, text

    runs = -(-cards // JOBS_PER_RUN)
    now = datetime.now(UTC)
    with settings.engine.begin() as connection:
        _dags(connection)
        for rows in _parts(_runs(runs, now)):
            connection.execute(insert(DagRun.__table__), rows)
        for jobs in _parts(range(cards)):
            tasks = [_task(number, runs, now) for number in jobs]
            connection.execute(insert(TaskInstance.__table__), tasks)
            connection.execute(insert(XComModel.__table__), [_card(n, t) for n, t in zip(jobs, tasks, strict=True)])
        _copy(connection, TaskInstance.__table__, _other_tasks(connection.dialect.name))
        _copy(connection, XComModel.__table__, [{"key": f"'{key}'", "value": "'1'"} for key in _OTHER_XCOMS])
    # PostgreSQL does so by itself in time; nobody does it to Airflow's SQLite.
    if settings.engine.dialect.name == "postgresql":
        with settings.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))


def _parts(rows: Iterable[Any]) -> Iterator[list[Any]]:
    left = iter(rows)
    while part := list(islice(left, 2_000)):
        yield part


def _dags(connection: Any) -> None:
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from sqlalchemy import insert

    connection.execute(insert(DagBundleModel.__table__), [{"name": "history", "active": True}])
    rows = [
        {
            "dag_id": f"dag_{number:03}", "bundle_name": "history", "max_active_tasks": 16,
            "max_consecutive_failed_dag_runs": 0, "has_task_concurrency_limits": False, "is_stale": False,
        }
        for number in range(DAGS)
    ]  # fmt: skip
    connection.execute(insert(DagModel.__table__), rows)


def _runs(runs: int, now: datetime) -> Iterator[dict[str, Any]]:
    for number in range(runs):
        at = now - timedelta(minutes=runs - number)
        yield {
            "id": number + 1, "dag_id": f"dag_{number % DAGS:03}", "run_id": f"scheduled__{number}",
            "logical_date": at, "run_after": at, "start_date": at, "run_type": "scheduled", "state": "success",
            "log_template_id": None,
        }  # fmt: skip


def _task(number: int, runs: int, now: datetime) -> dict[str, Any]:
    run, place = divmod(number, JOBS_PER_RUN)
    begun = now - timedelta(minutes=runs - run, seconds=-place)
    live = number >= runs * JOBS_PER_RUN - LIVE
    state = "deferred" if live else "failed" if number % 20 == 0 else "success"
    return {
        "dag_id": f"dag_{run % DAGS:03}", "run_id": f"scheduled__{run}",
        "task_id": "parts" if place else "score", "map_index": place - 1, "state": state, "start_date": begun,
        "end_date": None if live else begun + timedelta(seconds=50), "pool": "default_pool",
        "operator": "RunBatchOperator", "rendered_map_index": f"Region {place}" if place else None,
        "try_number": 1, "updated_at": begun + timedelta(seconds=50),
    }  # fmt: skip


def _card(number: int, task: dict[str, Any]) -> dict[str, Any]:
    from airflow_provider_snowflake_batch.jobs.card import JOB_CARD_KEY, JobCard

    begun = task["start_date"].timestamp()
    status = {"deferred": "RUNNING", "failed": "FAILED", "success": "DONE"}[task["state"]]
    told = JobCard(
        job_name=f"ML.SCORING.BATCH_{secrets.token_hex(5).upper()}",
        status=status,
        compute_pool=f"POOL_{number % 7}",
        replicas=2,
        output_location=f"@ML.SCORING.RESULTS/{task['dag_id']}/{number}/",
        submitted_at=begun,
        attempt=1,
        model=f"ML.MODELS.MODEL_{number % 30}",
        version=f"V{number % 5}",
        function="PREDICT",
        started_at=begun + 5,
        ended_at=None if status == "RUNNING" else begun + 10 + number * 7919 % 10_000 / 10,
        updated_at=begun + 50,
        progress={"phase": "predict", "rows_done": 1000, "rows_total": 1000, "rows_per_second": 20.5},
        message=f"{_ERRORS[number % 3]} (row {number})" if status == "FAILED" else None,
        confirmed_every=10.0,
    )
    names = {name: task[name] for name in ("dag_id", "run_id", "task_id", "map_index")}
    return {
        **names, "dag_run_id": number // JOBS_PER_RUN + 1, "key": JOB_CARD_KEY, "value": told.to_dict(),
        "timestamp": task["updated_at"],
    }  # fmt: skip


def _other_tasks(dialect: str) -> list[dict[str, str]]:
    new_id = "gen_random_uuid()" if dialect == "postgresql" else "lower(hex(randomblob(16)))"
    ended = "CASE WHEN state = 'deferred' THEN NULL ELSE 'success' END"
    return [
        {"id": new_id, "task_id": f"task_id || '_{number}'", "operator": "'PythonOperator'", "state": ended}
        for number in range(_OTHER_TASKS)
    ]


def _copy(connection: Any, table: Any, changes: Iterable[dict[str, str]]) -> None:
    """Copy a table's rows, as they are now, several times with other values in some columns."""
    from sqlalchemy import text

    names = [column.name for column in table.columns]
    connection.execute(text(f"CREATE TEMPORARY TABLE sample AS SELECT * FROM {table.name}"))
    for change in changes:
        values = [change.get(name, name) for name in names]
        if connection.dialect.name == "postgresql" and "value" in change:
            values[names.index("value")] = f"CAST({change['value']} AS jsonb)"
        connection.execute(
            text(f"INSERT INTO {table.name} ({', '.join(names)}) SELECT {', '.join(values)} FROM sample")
        )
    connection.execute(text("DROP TABLE sample"))
