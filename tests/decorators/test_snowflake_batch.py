"""``@task.snowflake_batch``: what of a Dag becomes of it, without a Snowflake."""

from __future__ import annotations

import datetime
from enum import Enum
from typing import Any

import pytest
from airflow.sdk import DAG, XComArg, task
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_snowflake_batch.decorators.snowflake_batch import FunctionBatchOperator, snowflake_batch_task
from airflow_provider_snowflake_batch.hooks.model_code import pack_code
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.kinds import parse_job
from airflow_provider_snowflake_batch.jobs.models import parse_model
from airflow_provider_snowflake_batch.jobs.specs import JobSpec, OnError, OutputSpec

BATCH: dict[str, Any] = {
    "X": "SELECT * FROM db.s.t WHERE day = '{{ ds }}'",
    "compute_pool": "pool",
    "output_spec": OutputSpec("@db.s.out/results/"),
}


class Size(str, Enum):
    SMALL = "small"


def score(rows, threshold=0.5, *, names=()):
    return rows["A"] > threshold


def operator(*args: Any, batch: dict[str, Any] = BATCH, **arguments: Any) -> FunctionBatchOperator:
    with DAG("dag"):
        made = task.snowflake_batch(**batch)(score)(*args, **arguments)
    assert isinstance(made.operator, FunctionBatchOperator)
    return made.operator


def params(made: FunctionBatchOperator, **context: Any) -> Any:
    made.render_template_fields({"ds": "2026-11-28"} | context)
    return made._job_fields()["input_spec"]["params"]


def test_airflow_knows_the_decorator() -> None:
    assert task.snowflake_batch is snowflake_batch_task


def test_it_takes_what_the_operator_takes() -> None:
    batch = BATCH | {
        "job_spec": JobSpec(on_error=OnError.QUARANTINE, replicas=2),
        "deferrable": True,
        "retries": 3,
        "trigger_rule": "all_done",
        "snowflake_conn_id": "other",
        "poll_interval": 5,
    }
    made = operator(batch=batch)
    assert (made.task_id, made.retries, made.trigger_rule, made.deferrable) == ("score", 3, "all_done", True)
    assert made.multiple_outputs
    assert made.job_spec == {"on_error": "quarantine", "replicas": 2}
    assert made.connection.snowflake_conn_id == "other"
    assert not made.is_async


def test_the_function_becomes_the_model_of_a_job() -> None:
    made = operator(0.7, names=[Size.SMALL])
    made.render_template_fields({"ds": "2026-11-28"})
    job = parse_job(name="db.s.j", **made._job_fields())
    assert job.model == parse_model(made.model)
    assert job.source.sql == "SELECT * FROM db.s.t WHERE day = '2026-11-28'"
    assert job.input.params == {"threshold": 0.7, "names": ["small"]}
    assert str(job.model_function.model) == "task_function:score"
    (code,) = pack_code(job.model, None)
    assert code is not None
    changed = parse_job(name="db.s.j", **(made._job_fields() | {"model": made.model | {"text": "def f"}}))
    assert changed.fingerprint() != job.fingerprint()
    assert pack_code(changed.model, None)[0].name != code.name


def test_arguments_are_rendered_and_other_tasks_give_them() -> None:
    assert params(operator("{{ limit }}"), limit=0.9) == {"threshold": "0.9"}
    with DAG("dag"):

        @task
        def find() -> float:
            return 0.9

        made = task.snowflake_batch(**BATCH)(score)(threshold=find())
    assert isinstance(made.operator.op_kwargs["threshold"], XComArg)
    assert made.operator.upstream_task_ids == {"find"}


def test_defaults_of_the_dag_hold() -> None:
    with DAG("dag", default_args={"compute_pool": "DEFAULT", "threshold": 0.1}):
        made = task.snowflake_batch(X="t", output_spec=BATCH["output_spec"])(score)()
    assert made.operator.compute_pool == "DEFAULT"
    assert params(made.operator) == {"threshold": 0.1}


def test_it_is_mapped_over_arguments() -> None:
    with DAG("dag") as dag:
        task.snowflake_batch(**BATCH)(score).partial(names=["a"]).expand(threshold=[0.1, datetime.date(2026, 1, 1)])
    mapped = dag.get_task("score")
    assert params(mapped.unmap({"op_kwargs": {"threshold": 0.1}})) == {"names": ["a"], "threshold": 0.1}
    with pytest.raises(AirflowFailException, match=r"score\(threshold=…\): only JSON values"):
        mapped.unmap({"op_kwargs": {"threshold": datetime.date(2026, 1, 1)}})


def test_the_rest_of_the_arguments_is_passed_too() -> None:
    def rest(rows, **more):
        return rows

    with DAG("dag"):
        made = task.snowflake_batch(**BATCH)(rest)(a=1, more=2)
    assert params(made.operator) == {"a": 1, "more": 2}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"threshold": datetime.date(2026, 1, 1)}, r"score\(threshold=…\): only JSON values .* \(date\)"),
        ({"threshold": float("nan")}, r"score\(threshold=…\): only JSON values reach the container, got nan"),
        ({"names": {"a": [{1: 2}]}}, r"score\(names=…\): only JSON values reach the container, got 1 \(int\)"),
        ({"names": [1, {2}]}, r"score\(names=…\): .* got \{2\} \(set\)"),
    ],
)
def test_arguments_that_are_no_json_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidJobError, match=message):
        operator(**arguments)


def test_arguments_that_the_function_has_not_are_refused() -> None:
    with pytest.raises(TypeError, match="'limit'"):
        operator(limit=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_name": "db.s.m"}, "model_name: @task.snowflake_batch has none: the function is the model"),
        ({"model": {"target": "m:C"}}, "model: @task.snowflake_batch has none"),
        ({"input_spec": {"params": {"threshold": 1}}}, r"input_spec.params: .* where it is called: score\(…\)"),
        ({"job_spec": {"image_repo": "db.s.r"}}, "job_spec.image_repo: only jobs of a registered model"),
        ({"compute_pool": "a b"}, "compute_pool: "),
    ],
)
def test_what_does_not_go_together_is_refused_when_the_dag_is_parsed(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidJobError, match=message):
        operator(batch=BATCH | changes)


def test_a_function_is_refused_where_it_is_decorated() -> None:
    with pytest.raises(InvalidJobError, match="uses 'BATCH' from around it"):

        @task.snowflake_batch(**BATCH)
        def uses(rows):
            return BATCH

    with pytest.raises(InvalidJobError, match="got a class"):
        task.snowflake_batch(**BATCH)(Size)
    with pytest.raises(InvalidJobError, match="got score"):
        task.snowflake_batch(**BATCH)(task(score))


def test_type_checkers_know_the_decorated_function() -> None:
    with DAG("dag"):

        @snowflake_batch_task(**BATCH)
        def typed(rows: Any, threshold: float = 0.5) -> Any:
            return rows["A"] > threshold

        first = typed(threshold=0.7)
        typed.override(task_id="other")(0.5)
        with pytest.raises(TypeError):
            typed(limit=0.7)  # type: ignore[call-arg]
    assert first["rows"].operator.task_id == "typed"
