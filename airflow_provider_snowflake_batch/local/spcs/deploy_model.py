"""SYSTEM$DEPLOY_MODEL, the statement of batch inference before EXECUTE INFERENCE JOB SERVICE.

``snowflake-ml-python`` 1.18 to 1.54 sends a YAML document, inline or on a stage, with the job's input and output
spelled out: ``snowflake/ml/model/_client/service/model_deployment_spec_schema.py`` in its source. Save modes were the
client's affair; results go to the output location itself, or to a directory of the job's own under
``base_stage_location``.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from airflow_provider_snowflake_batch.contract.output_layout import SUCCESS
from airflow_provider_snowflake_batch.local.errors import invalid_specification, not_supported
from airflow_provider_snowflake_batch.local.functions import Arguments, scalar_function
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.spcs.execute_inference_job import InferenceRequest, submit
from airflow_provider_snowflake_batch.local.spcs.execute_job import stage_file
from airflow_provider_snowflake_batch.local.spcs.inference_specification import COLUMN, InferenceSpecification
from airflow_provider_snowflake_batch.local.spcs.service_clauses import pool_name, service_name
from airflow_provider_snowflake_batch.local.spcs.submission import JobRooms
from airflow_provider_snowflake_batch.local.spcs.yaml_rules import (
    anything,
    boolean,
    choice,
    cpu,
    free_mapping,
    gpu,
    inference_memory,
    integer,
    load,
    mapping,
    refused,
    sequence,
    text,
)
from airflow_provider_snowflake_batch.local.statements import Statement

_JOB = mapping(
    {
        "name": text,
        "name_prefix": text,
        "compute_pool": text,
        "cpu": cpu,
        "memory": inference_memory,
        "gpu": gpu,
        "num_workers": integer(1),
        "max_batch_rows": integer(1),
        "warehouse": text,
        "function_name": text,
        "input": mapping(
            {
                "input_stage_location": text,
                "input_file_pattern": choice("*"),
                "column_handling": text,
                "params": text,
                "partition_columns": sequence(text, at_most=1),
            },
            required=("input_stage_location",),
        ),
        "output": mapping(
            {"output_stage_location": text, "base_stage_location": text, "completion_filename": choice(SUCCESS)}
        ),
        "replicas": integer(1),
        "sync": boolean,
        "inference_engine_spec": mapping(
            {"inference_engine_name": choice("vllm", ignore_case=True), "inference_engine_args": sequence(text)},
            required=("inference_engine_name",),
        ),
    },
    required=("compute_pool", "function_name", "input", "output"),
)
_DOCUMENT = mapping(
    {
        "models": sequence(
            mapping({"name": text, "version": text}, required=("name", "version")), at_least=1, at_most=1
        ),
        "image_build": mapping(
            {
                "compute_pool": text,
                "image_repo": text,
                "force_rebuild": boolean,
                "external_access_integrations": sequence(text),
            }
        ),
        "job": _JOB,
        "service": refused("A model service"),
        "model_loggings": anything,
    },
    required=("models",),
)


@scalar_function("SYSTEM$DEPLOY_MODEL")
def deploy_model(statement: Statement, arguments: Arguments, rooms: JobRooms) -> str:
    """Start the batch inference job that the document describes."""
    given = str(arguments.get(0))
    document = load(stage_file(statement, rooms.stages, given) if given.startswith("@") else given)
    checked = _DOCUMENT(document, "")
    if checked.get("model_loggings"):
        raise not_supported("Importing a model ('model_loggings')")
    if "job" not in checked:
        raise invalid_specification("missing required option 'job' for 'specification'.")
    return submit(statement, rooms, _request(checked), _specification(checked, document))


def _request(checked: dict[str, Any]) -> InferenceRequest:
    job, (model,) = checked["job"], checked["models"]
    request = InferenceRequest(
        pool_name(Cursor(job["compute_pool"])),
        is_async=not job.get("sync", False),
        replicas=job.get("replicas"),
        query_warehouse=job.get("warehouse"),
        stage=job["input"]["input_stage_location"],
        model=Cursor(model["name"]).name(),
        version=Cursor(model["version"]).name()[0],
        function=job["function_name"],
    )
    if "name" in job:
        request.name = service_name(Cursor(job["name"]))
    elif "name_prefix" in job:
        *request.namespace, request.name_prefix = service_name(Cursor(job["name_prefix"]))
    return request


def _specification(checked: dict[str, Any], document: dict[str, Any]) -> InferenceSpecification:
    job = checked["job"]
    source, output = job["input"], job["output"]
    if ("output_stage_location" in output) == ("base_stage_location" in output):
        raise invalid_specification("'job.output' needs either 'output_stage_location' or 'base_stage_location'.")
    columns = _decoded(source.get("column_handling"), "job.input.column_handling")
    return InferenceSpecification(
        output_location=output.get("base_stage_location") or output["output_stage_location"],
        directory_per_job="base_stage_location" in output,
        mode="error",
        params=_decoded(source.get("params"), "job.input.params"),
        column_handling=free_mapping(COLUMN)(columns, "job.input.column_handling"),
        partition_column=next(iter(source.get("partition_columns", [])), None),
        num_workers=job.get("num_workers"),
        max_batch_rows=job.get("max_batch_rows"),
        resources={"cpu": job.get("cpu"), "memory": job.get("memory"), "gpu": job.get("gpu", 0.0)},
        image_repo=checked.get("image_build", {}).get("image_repo"),
        document=document,
        engine="VLLM" if "inference_engine_spec" in job else None,
        engine_arguments=tuple(job.get("inference_engine_spec", {}).get("inference_engine_args") or ()),
    )


def _decoded(value: str | None, place: str) -> dict[str, Any]:
    """A JSON object in base64."""
    if value is None:
        return {}
    try:
        decoded = json.loads(base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError):
        decoded = None
    if not isinstance(decoded, dict):
        raise invalid_specification(f"'{place}' must be a JSON object in base64.")
    return decoded
