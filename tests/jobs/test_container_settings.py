"""What a task says of the worker's container, as fields of a JobSpec."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.specs import JobSpec, OnError

FULL = {
    "on_error": "QUARANTINE",
    "max_quarantined": 5,
    "env": {"MODE": "fast", "N": 3},
    "secrets": {"TOKEN": "db.s.token", "USER": {"secret": "db.s.login", "key": "username"}},
    "external_access_integrations": ["HUB"],
    "stages": ["@db.s.images"],
    "block_volume": {"size": "500Gi", "iops": 4000, "throughput": 250},
}


def test_every_field_comes_back_as_plain_values() -> None:
    spec = JobSpec.of(FULL)
    assert spec.on_error is OnError.QUARANTINE
    assert spec.to_dict() == {**FULL, "on_error": "quarantine", "env": {"MODE": "fast", "N": "3"}}
    assert JobSpec.of(spec.to_dict()) == spec == pickle.loads(pickle.dumps(spec))
    assert hash(JobSpec.of(spec.to_dict())) == hash(spec)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"on_error": "skip"}, "job_spec.on_error: 'skip' is not one of FAIL, QUARANTINE"),
        ({"max_quarantined": 5}, "job_spec.max_quarantined: needs on_error to be 'quarantine'"),
        ({"max_quarantined": 0, "on_error": "quarantine"}, "job_spec.max_quarantined: expected an integer"),
        ({"executor": "dask"}, "job_spec.executor: 'dask' is not one of RAY, STATIC"),
        ({"min_replicas": 2}, "job_spec.min_replicas: 2 is more than replicas, which is 1"),
        ({"min_replicas": 2, "replicas": 4, "executor": "static"}, "job_spec.min_replicas: needs executor to be 'ray'"),
        ({"max_task_rows": 0}, "job_spec.max_task_rows: expected an integer"),
        ({"image": " "}, "job_spec.image: expected a text"),
        ({"env": ["A=1"]}, "job_spec.env: expected a dict"),
        ({"env": {"A B": "1"}}, "job_spec.env: 'A B' is not the name of an environment variable"),
        ({"env": {"TMPDIR": "/x"}}, "job_spec.env: TMPDIR is set by the worker's job or by Snowflake"),
        ({"env": {"BATCH_OUTPUT": "/x"}}, "job_spec.env: BATCH_OUTPUT is set by"),
        ({"env": {"SNOWFLAKE_JOB_INDEX": "1"}}, "job_spec.env: SNOWFLAKE_JOB_INDEX is set by"),
        ({"env": {"A": {"b": 1}}}, r"job_spec.env\['A'\]: expected a text"),
        ({"env": {"WORKER_PORTS": "32000-33000"}}, r"job_spec.env\['WORKER_PORTS'\]: .* leaves the ports 1024-32767"),
        ({"env": {"A": ["s3cret"]}}, r"job_spec.env\['A'\]: expected a text, got list\.$"),
        ({"env": {"A": "1"}, "secrets": {"A": "s"}}, r"job_spec.env\['A'\]: job_spec.secrets sets the same variable"),
        ({"secrets": {"A": {"secret": 5}}}, r"job_spec.secrets\['A'\]: expected the secret's name"),
        ({"secrets": {"A": {"name": "x"}}}, r"job_spec.secrets\['A'\]: expected the secret's name"),
        ({"secrets": {"A": "not a name"}}, r"job_spec.secrets\['A'\]: 'not a name' is not a valid name"),
        ({"secrets": {"A": {"secret": "s", "key": "token"}}}, r"job_spec.secrets\['A'\]: key 'token' is not one of"),
        ({"secrets": {f"S{n}": "s" for n in range(51)}}, "job_spec.secrets: 51 secrets; Snowflake takes at most 50"),
        ({"external_access_integrations": "HUB"}, "job_spec.external_access_integrations: expected a list"),
        ({"external_access_integrations": ["A", "A"]}, "job_spec.external_access_integrations: 'A' stands there twice"),
        ({"external_access_integrations": list("abcdefghijk")}, "job_spec.external_access_integrations: 11 integra"),
        ({"stages": ["@s/path"]}, "job_spec.stages: '@s/path': name the stage without a path"),
        ({"stages": ["s"]}, "job_spec.stages: 's' is not a stage location"),
        ({"block_volume": "500Gi"}, "job_spec.block_volume: expected a dict with size"),
        ({"block_volume": {"iops": 4000}}, "job_spec.block_volume: expected a dict with size"),
        ({"block_volume": {"size": "1Gi", "encryption": "x"}}, "job_spec.block_volume: expected a dict with size"),
        ({"block_volume": {"size": "1.5Gi"}}, r"job_spec.block_volume\['size'\]: expected '1Gi' to '65536Gi'"),
        ({"block_volume": {"size": "500GiB"}}, r"job_spec.block_volume\['size'\]: .* got '500GiB'"),
        ({"block_volume": {"size": "70000Gi"}}, r"job_spec.block_volume\['size'\]: .* got '70000Gi'"),
        ({"block_volume": {"size": "1Gi", "iops": 100}}, r"job_spec.block_volume\['iops'\]: expected a whole number"),
        ({"block_volume": {"size": "1Gi", "throughput": True}}, r"job_spec.block_volume\['throughput'\]: .* got True"),
    ],
)
def test_what_snowflake_would_refuse_is_refused_by_its_field(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidJobError, match=f"^{message}"):
        JobSpec.of(given)


def test_templates_are_looked_at_when_they_are_rendered() -> None:
    given = {"A": "{{ var.value.secret }}", "B": {"secret": "{{ params.secret }}", "key": "{{ params.key }}"}}
    assert JobSpec.of({"secrets": given}).to_dict() == {"secrets": given}
    volume = {"size": "{{ params.size }}", "iops": "{{ params.iops }}"}
    assert JobSpec.of({"block_volume": volume}).to_dict() == {"block_volume": volume}
    rendered = {"size": "500Gi", "iops": "4000"}
    assert JobSpec.of({"block_volume": rendered}).to_dict() == {"block_volume": {"size": "500Gi", "iops": 4000}}
