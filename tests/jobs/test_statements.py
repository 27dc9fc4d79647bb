from __future__ import annotations

from datetime import UTC, datetime

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_snowflake_batch.jobs import statements
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName, StagePath
from airflow_provider_snowflake_batch.jobs.job import ContainerJob, RegistryJob
from tests.jobs.statement_tokens import only_statement, stored, text

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
JOB = QualifiedName("JOB", "S", "DB")


def inference_job(**changes) -> RegistryJob:
    given_values = {
        "name": "db.s.job",
        "model_name": "db.s.model",
        "X": "SELECT 1 AS a",
        "compute_pool": "pool",
        "output_spec": {"stage_location": "@db.s.out/results"},
    }
    return RegistryJob.parse(**(given_values | changes))


def test_the_whole_inference_statement() -> None:
    job = inference_job(
        version_name="v1",
        function_name="predict",
        input_spec={"params": {"temperature": 0.9, "max_tokens": 512}},
        job_spec={
            "cpu_requests": "2",
            "memory_requests": "8GiB",
            "max_batch_rows": 2048,
            "replicas": 2,
            "image_repo": "db.s.images",
            "force_rebuild": True,
        },
        inference_engine_options={"engine": "vllm", "engine_args_override": ["--max-model-len=4096"]},
    )
    assert statements.execute_inference_job(job) == (
        "EXECUTE INFERENCE JOB SERVICE\n"
        "IN COMPUTE POOL POOL\n"
        "WITH SPECIFICATION 'input:\n"
        "  params:\n"
        "    temperature: 0.9\n"
        "    max_tokens: 512\n"
        "output:\n"
        "  stage_location: ''@DB.S.OUT/results/''\n"
        "  mode: error\n"
        "resources:\n"
        "  cpu_requests: ''2''\n"
        "  memory_requests: 8GiB\n"
        "inference:\n"
        "  max_batch_rows: 2048\n"
        "  engine_options:\n"
        "    engine: VLLM\n"
        "    engine_args_override:\n"
        "    - --max-model-len=4096\n"
        "image_build:\n"
        "  image_repo: db.s.images\n"
        "  force_rebuild: true\n"
        "'\n"
        "FROM (\nSELECT 1 AS a\n)\n"
        "MODEL = DB.S.MODEL\n"
        "VERSION = V1\n"
        "FUNCTION = 'predict'\n"
        "NAME = DB.S.JOB\n"
        "ASYNC = TRUE\n"
        "REPLICAS = 2"
    )


def test_column_handling_and_sources() -> None:
    job = inference_job(
        X="@db.s.in/images",
        input_spec={
            "column_handling": {"PATH": {"input_format": "full_stage_path", "convert_to": "raw_bytes"}},
            "partition_column": "STORE",
        },
    )
    sql = statements.execute_inference_job(job)
    assert "FROM @DB.S.IN/images/\n" in sql
    assert yaml.safe_load(statements.inference_specification(job))["input"] == {
        "column_handling": {"PATH": {"input_format": "full_stage_path", "convert_to": "raw_bytes"}},
        "partition_column": "STORE",
    }
    assert "FROM (\nSELECT * FROM DB.S.T\n)" in statements.execute_inference_job(inference_job(X="db.s.t"))


@given(st.dictionaries(text, json_values, max_size=3), text.filter(str.strip), stored, stored)
def test_whatever_goes_in_one_statement_comes_out(params, function: str, version: str, pool: str) -> None:
    job = inference_job(
        version_name=Identifier(version).sql(),
        compute_pool=Identifier(pool).sql(),
        function_name=function,
        input_spec={"params": params},
    )
    tokens = only_statement(statements.execute_inference_job(job))
    words = [token.value for token in tokens]
    assert words[:6] == ["EXECUTE", "INFERENCE", "JOB", "SERVICE", "IN", "COMPUTE"]
    assert words[7] == pool
    assert words[words.index("VERSION") + 2] == version
    assert words[words.index("FUNCTION") + 2] == function
    assert words[-3:] == ["ASYNC", "=", "TRUE"]
    specification = next(token.value for token in tokens if token.kind == "string")
    assert yaml.safe_load(specification).get("input", {}).get("params") == params


@given(json_values, text, stored)
def test_a_container_jobs_specification_reads_back(value, comment: str, integration: str) -> None:
    specification = {"spec": {"containers": [{"name": "main", "env": value}]}}
    job = ContainerJob(
        name=JOB,
        compute_pool=Identifier("POOL"),
        specification=specification,
        replicas=3,
        query_warehouse=Identifier("my wh"),
        external_access_integrations=[Identifier(integration)],
        comment=comment,
    )
    tokens = only_statement(statements.execute_job(job))
    words = [token.value for token in tokens]
    assert words[words.index("QUERY_WAREHOUSE") + 2] == "my wh"
    assert words[words.index("EXTERNAL_ACCESS_INTEGRATIONS") + 3] == integration
    strings = [token.value for token in tokens if token.kind == "string"]
    assert strings[0] == comment
    assert yaml.safe_load(strings[1]) == specification


def test_dollars_cannot_end_the_specification() -> None:
    job = ContainerJob(JOB, Identifier("P"), {"spec": {"env": "a$$b$$$c$"}})
    (specification,) = (token for token in only_statement(statements.execute_job(job)) if token.kind == "string")
    assert yaml.safe_load(specification.value) == {"spec": {"env": "a$$b$$$c$"}}


@given(text)
def test_patterns_and_containers_read_back(value: str) -> None:
    since = datetime(2026, 11, 22, tzinfo=UTC)
    for sql, expected in [
        (statements.show_jobs("DB", "S", like=value), [value]),
        (statements.show_jobs("DB", "S", starts_with=value, limit=5), [value]),
        (statements.list_stage(StagePath(QualifiedName("ST"), "a b/"), pattern=value), ["@ST/a b/", value]),
        (
            statements.service_logs(JOB, 1, value, lines=10, since=since),
            ["DB.S.JOB", "1", value, "2026-11-22T00:00:00+00:00"],
        ),
    ]:
        assert [token.value for token in only_statement(sql) if token.kind == "string"] == expected


def test_a_job_name_that_needs_quotes_never_reaches_a_statement() -> None:
    for build in (statements.describe_job, statements.cancel_job, statements.drop_job, statements.show_containers):
        with pytest.raises(InvalidJobError, match="would need quotes"):
            build(QualifiedName("JOB", "my schema", "DB"))
        with pytest.raises(InvalidJobError, match="would need quotes"):
            build(QualifiedName("x!y", "S", "DB"))
    # A reserved word, which most statements take as a name.
    assert statements.describe_job(QualifiedName("JOB", "ACCOUNT", "DB")) == "DESCRIBE SERVICE DB.ACCOUNT.JOB"


def test_short_statements() -> None:
    location = StagePath.parse("@db.s.st/a/b.json", field="x")
    assert statements.describe_job(JOB) == "DESCRIBE SERVICE DB.S.JOB"
    assert statements.cancel_job(JOB) == "CALL DB.S.JOB!SPCS_CANCEL_JOB()"
    assert statements.drop_job(JOB) == "DROP SERVICE IF EXISTS DB.S.JOB"
    assert statements.show_jobs("DB", "S") == "SHOW JOB SERVICES IN SCHEMA DB.S"
    assert statements.service_logs(JOB, 0, "main") == "CALL SYSTEM$GET_SERVICE_LOGS('DB.S.JOB', '0', 'main')"
    assert statements.get_stage_file(location, "/some/dir") == "GET '@DB.S.ST/a/b.json' 'file:///some/dir/'"
    assert statements.remove_stage_files(location) == "REMOVE '@DB.S.ST/a/b.json'"


def test_a_source_that_was_not_looked_up_reaches_no_statement() -> None:
    for X in (
        {"list_stage_files": "@db.s.st"},
        {"output_location": "@db.s.st/J"},
        {"stage_location": "@s", "filter": "a"},
    ):
        with pytest.raises(TypeError, match="not known well enough"):
            statements.execute_inference_job(inference_job(X=X))
