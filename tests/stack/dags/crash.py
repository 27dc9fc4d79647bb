"""Dags for what happens when something dies or is killed; each run's ``conf`` says how long the job takes.

``prefix`` begins the job's name, so that a test can find the jobs of one run and hold up their statements.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from airflow_provider_snowflake_batch.jobs.models import PythonModel
from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator

BATCH: dict[str, Any] = {
    "task_id": "score",
    "model_name": "PATIENCE",
    "X": "SELECT {{ dag_run.conf['seconds'] }}::FLOAT AS SECONDS",
    "compute_pool": "STACK_POOL",
    "output_spec": {"stage_location": "@STACK_RESULTS/{{ dag.dag_id }}/"},
    "job_spec": {"num_workers": 1, "job_name_prefix": "{{ dag_run.conf['prefix'] }}"},
    "poll_interval": 2,
    "retry_delay": timedelta(seconds=1),
}
OWN: dict[str, Any] = {name: value for name, value in BATCH.items() if name != "model_name"} | {
    "model": PythonModel("own_models.waiting:Patience", code="own_models"),
}
WITNESSED: dict[str, Any] = OWN | {
    "model": PythonModel(
        "own_models.waiting:Witness",
        code="own_models",
        init={name: f"{{{{ dag_run.conf[{name!r}] }}}}" for name in ("notes", "rows_per_second", "waits_from")},
    ),
    "X": "SELECT SEQ4() AS ID FROM TABLE(GENERATOR(ROWCOUNT => {{ dag_run.conf['rows'] }}))",
    "job_spec": BATCH["job_spec"] | {"replicas": 2, "max_batch_rows": 8192},
}
MODES = {"deferred": True, "in_slot": False}

for mode, deferrable in MODES.items():
    with DAG(f"crash_{mode}", schedule=None, max_active_runs=50):
        RunBatchOperator(**BATCH, retries=3, deferrable=deferrable)

    with DAG(f"crash_own_{mode}", schedule=None, max_active_runs=50):
        RunBatchOperator(**OWN, retries=3, deferrable=deferrable)

    with DAG(f"killed_{mode}", schedule=None, max_active_runs=50):
        RunBatchOperator(**WITNESSED, retries=20, deferrable=deferrable)

    with DAG(f"overdue_{mode}", schedule=None, max_active_runs=50, dagrun_timeout=timedelta(seconds=45)):
        RunBatchOperator(**BATCH, deferrable=deferrable)

    with DAG(f"overtime_{mode}", schedule=None, max_active_runs=50):
        RunBatchOperator(**BATCH, deferrable=deferrable, execution_timeout=timedelta(seconds=45))

with DAG("counts", schedule=None):
    RunBatchOperator(
        **(BATCH | {"model_name": "COUNTER", "X": "SELECT {{ dag_run.conf['lines'] }}::FLOAT AS LINES"}),
        deferrable=True,
    )

with DAG("faults", schedule=None):
    for mode, deferrable in MODES.items():
        RunBatchOperator.partial(
            **{name: value for name, value in BATCH.items() if name not in ("task_id", "X")},
            task_id=f"score_{mode}",
            deferrable=deferrable,
        ).expand(X=["SELECT 0::FLOAT AS SECONDS"] * 10)
