"""What the registry says about a job's model; the rows stand in for an account's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from airflow_provider_snowflake_batch.exceptions import JobInputError
from airflow_provider_snowflake_batch.hooks.models import look_up_model
from airflow_provider_snowflake_batch.jobs.job import RegistryJob

PARAMS = [
    {"name": "temperature", "dtype": "DOUBLE", "default_value": 1.0},
    {"name": "truncation", "dtype": "STRING", "default_value": None},
    {"name": "top_k", "dtype": "INT64", "default_value": 1},
]


def specification(**changes: Any) -> dict[str, Any]:
    signature = {
        "inputs": [{"name": "text", "type": "STRING"}],
        "outputs": [{"name": "label", "type": "STRING"}, {"name": "score", "type": "DOUBLE"}],
        "params": PARAMS,
    }
    given = {"version": "2023-12-01", "model_type": "custom", "env": {}, "signatures": {"predict": signature}}
    return given | changes


class Registry:
    """Answers as an account does; ``model_spec`` only to a statement that asks for it."""

    def __init__(self, document: Any, *, functions: list[dict[str, Any]] | None = None) -> None:
        self.document = document
        self.functions = functions or []
        self.asked: list[str] = []

    def rows(self, sql: str, *, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        self.asked.append(sql)
        if sql.startswith("SHOW FUNCTIONS"):
            return self.functions
        rows = [
            {"name": "V1", "aliases": "[]", "is_default_version": "false"},
            {"name": "V2", "aliases": '["CHAMPION"]', "is_default_version": "true"},
        ]
        if parameters:
            assert parameters == {"SHOW_MODEL_DETAILS_IN_SHOW_VERSIONS_IN_MODEL": True}
            if isinstance(self.document, Exception):
                raise self.document
            rows = [row | {"model_spec": yaml.safe_dump(self.document)} for row in rows if f"'{row['name']}'" in sql]
        return rows


def job(**changes: Any) -> RegistryJob:
    given: dict[str, Any] = {
        "name": "db.s.job",
        "model_name": "db.s.model",
        "X": "SELECT 1 AS a",
        "compute_pool": "pool",
        "output_spec": {"stage_location": "@db.s.out/results"},
    }
    return RegistryJob.parse(**(given | changes))


def look_up(registry: Registry, **changes: Any) -> RegistryJob:
    return look_up_model(registry, job(**changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(("wanted", "version"), [(None, "V2"), ("champion", "V2"), ("v1", "V1")])
@pytest.mark.parametrize("function", [None, "PREDICT", "predict"])
def test_version_and_function_are_what_the_registry_calls_them(
    wanted: str | None, version: str, function: str | None
) -> None:
    found = look_up(Registry(specification()), version_name=wanted, function_name=function)
    assert (str(found.version), found.settings.function_name) == (version, "predict")
    assert found.name == job().name


def test_what_the_registry_does_not_tell_stays_open() -> None:
    for unknown in ({"version": "3"}, ValueError("invalid parameter 'SHOW_MODEL_DETAILS'")):
        found = look_up(Registry(unknown), input_spec={"params": {"anything": 1}}, job_spec={"gpu_requests": 1})
        assert (str(found.version), found.settings.function_name) == ("V2", None)


HUGGING_FACE = specification(model_type="huggingface_pipeline", env={"cuda_version": "12.4"})


@pytest.mark.parametrize(
    ("document", "changes", "message"),
    [
        (
            specification(),
            {"function_name": "explain"},
            "function_name: the model has no function 'explain'; it has 'pre",
        ),
        (
            specification(),
            {"version_name": "v9"},
            "version_name: model DB.S.MODEL has no version or alias V9; it has CH",
        ),
        (
            specification(),
            {"input_spec": {"params": {"temprature": 1.0}}},
            "input_spec.params: the model's function has no parameter 'temprature'; it takes temperature, top_k, trun",
        ),
        (
            specification(),
            {"input_spec": {"params": {"temperature": "0.5"}}},
            "input_spec.params: parameter temperature must be DOUBLE, not '0.5' .*V2 of DB.S.MODEL.*native_obj=True",
        ),
        (
            specification(),
            {"input_spec": {"params": {"truncation": True}}},
            "input_spec.params: parameter truncation must be STRING, not True",
        ),
        (
            specification(),
            {"job_spec": {"gpu_requests": "1"}},
            "job_spec.gpu_requests: version V2 of model DB.S.MODEL has no runtime for GPUs: log it with",
        ),
        (
            HUGGING_FACE,
            {"input_spec": {"partition_column": "STORE"}},
            "input_spec.partition_column: Hugging Face pipelines such as DB.S.MODEL cannot work on partitions",
        ),
        (HUGGING_FACE, {"input_spec": {"params": {"top_k": 3}}}, "input_spec.params: parameter top_k must be 1, not 3"),
        (
            specification(),
            {"input_spec": {"partition_column": "STORE"}},
            "input_spec.partition_column: the function 'predict' of DB.S.MODEL takes row by row",
        ),
        (
            specification(),
            {"input_spec": {"partition_column": "label"}, "function_name": "PREDICT"},
            "input_spec.partition_column: the function 'predict' of DB.S.MODEL (takes|returns a column label itself)",
        ),
    ],
)
@pytest.mark.parametrize("return_type", ["VARIANT", "TABLE (label VARCHAR)"])
def test_what_the_version_cannot_do_is_refused(
    document: dict[str, Any], changes: dict[str, Any], message: str, return_type: str
) -> None:
    registry = Registry(document, functions=[{"name": "PREDICT", "return_type": return_type}])
    if "row by row" in message and return_type.startswith("TABLE"):
        look_up(registry, **changes)
        return
    with pytest.raises(JobInputError, match=f"^{message}"):
        look_up(registry, **changes)


def test_what_the_version_can_do_is_let_through() -> None:
    fine = {"params": {"TEMPERATURE": 1, "truncation": True, "top_k": 1}}
    look_up(Registry(HUGGING_FACE), input_spec=fine, job_spec={"gpu_requests": 1})
    registry = Registry(
        specification(function_properties={"predict": {"PARTITIONED": False}}),
        functions=[{"name": "PREDICT", "return_type": "TABLE (LABEL VARCHAR)"}],
    )
    look_up(registry, input_spec={"partition_column": "LABEL"})
    # A model for containers only has no functions in SQL.
    look_up(Registry(specification()), input_spec={"partition_column": "STORE"})
