"""Which field belongs to which of the two ways to run a batch.

Also tests ``jobs/kinds.py``.
"""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.job import RegistryJob
from airflow_provider_snowflake_batch.jobs.kinds import keeps_input, parse_job
from airflow_provider_snowflake_batch.jobs.worker_job import WorkerJob

GIVEN: dict[str, Any] = {"name": "job", "X": "t", "compute_pool": "p", "output_spec": {"stage_location": "@r/x"}}
MODEL = {"target": "m:C"}


def test_the_model_decides_which_kind_it_is() -> None:
    assert isinstance(parse_job(**GIVEN, model=MODEL), WorkerJob)
    assert isinstance(parse_job(**GIVEN, model_name="m"), RegistryJob)


@pytest.mark.parametrize("given", [{"model": MODEL}, {"model_name": "m"}])
def test_jobs_that_can_resume_leave_what_they_were_given_for_the_next_try(given: dict[str, Any]) -> None:
    assert keeps_input(given.get("model")) == parse_job(**GIVEN, **given).can_resume


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": MODEL, "model_name": "m"}, "model: give either model .* or model_name"),
        ({}, "model_name: is needed, got None; or give a model"),
    ],
)
def test_exactly_one_of_the_two(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidJobError, match=f"^{message}"):
        parse_job(**GIVEN, **given)


@pytest.mark.parametrize(
    ("block", "name", "value"),
    [
        ("job_spec", "on_error", "quarantine"),
        ("job_spec", "on_error", "fail"),
        ("job_spec", "image", "/db/s/repo/image:1"),
        ("job_spec", "env", {"A": "1"}),
        ("job_spec", "secrets", {"A": "db.s.secret"}),
        ("job_spec", "external_access_integrations", ["i"]),
        ("job_spec", "query_warehouse", "w"),
        ("job_spec", "stages", ["@s"]),
        ("job_spec", "block_volume", {"size": "500Gi"}),
        ("output_spec", "columns", ["ID"]),
    ],
)
def test_what_the_registry_runtime_lacks_is_refused_and_names_the_other(block: str, name: str, value: Any) -> None:
    spec = {**GIVEN.get(block, {}), name: value}
    with pytest.raises(InvalidJobError, match=rf"^{block}.{name}: .* The worker runtime has it: .*PythonModel"):
        parse_job(**{**GIVEN, block: spec}, model_name="m")
    assert isinstance(parse_job(**{**GIVEN, block: spec}, model=MODEL), WorkerJob)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"version_name": "v1"}, "version_name"),
        ({"function_name": "predict"}, "function_name"),
        ({"inference_engine_options": {"engine": "vllm"}}, "inference_engine_options"),
        ({"job_spec": {"function_name": "predict"}}, "job_spec.function_name"),
        ({"job_spec": {"image_repo": "db.s.r"}}, "job_spec.image_repo"),
        ({"job_spec": {"force_rebuild": True}}, "job_spec.force_rebuild"),
    ],
)
def test_what_the_worker_runtime_lacks_is_refused_and_names_the_other(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidJobError, match=rf"^{field}: only jobs of a registered model \(model_name\) have it"):
        parse_job(**GIVEN, **given, model=MODEL)
