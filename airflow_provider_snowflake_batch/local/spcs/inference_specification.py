"""The specification of EXECUTE INFERENCE JOB SERVICE.

https://docs.snowflake.com/en/sql-reference/sql/execute-inference-job-service
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from airflow_provider_snowflake_batch.local.errors import invalid_specification, not_supported
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
    matching,
    refused,
    sequence,
    text,
)

_STAGE_LOCATION = matching(r"@.+", "a stage location that begins with @")
COLUMN = mapping(
    {
        "input_format": choice("full_stage_path", ignore_case=True),
        "convert_to": choice("raw_bytes", "base64", "base64_data_url", ignore_case=True),
    },
    required=("input_format", "convert_to"),
)
_SPECIFICATION = mapping(
    {
        "input": mapping(
            {"params": free_mapping(anything), "column_handling": free_mapping(COLUMN), "partition_column": text}
        ),
        "output": mapping(
            {"stage_location": _STAGE_LOCATION, "mode": choice("error", "overwrite", ignore_case=True)},
            required=("stage_location",),
        ),
        "resources": mapping(
            {
                "cpu_requests": cpu,
                "memory_requests": inference_memory,
                "gpu_requests": gpu,
            }
        ),
        "inference": mapping(
            {
                "num_workers": integer(1),
                "max_batch_rows": integer(1),
                "engine_options": mapping(
                    {
                        "engine": choice("DEFAULT", "VLLM", "PYTHON_GENERIC", ignore_case=True),
                        "engine_args_override": sequence(text),
                    }
                ),
                "adapters": refused("A LoRA adapter"),
            }
        ),
        "image_build": mapping({"image_repo": text, "force_rebuild": boolean}),
    },
    required=("output",),
)


@dataclass(frozen=True, slots=True)
class InferenceSpecification:
    """A checked specification.

    :param output_location: the base under which the job's own directory lies, or that directory itself.
    :param directory_per_job: which of the two it is.
    :param mode: ``error`` or ``overwrite``.
    :param engine: ``VLLM``, or None for the model's own code. :param engine_arguments: what it is started with.
    :param resources: what one instance takes of a node; None stands for all there is.
    """

    output_location: str
    mode: str
    params: dict[str, Any]
    column_handling: dict[str, dict[str, str]]
    partition_column: str | None
    num_workers: int | None
    max_batch_rows: int | None
    resources: dict[str, float | None]
    image_repo: str | None
    document: dict[str, Any] = field(repr=False)
    directory_per_job: bool = True
    engine: str | None = None
    engine_arguments: tuple[str, ...] = ()


def parse(yaml_text: str) -> InferenceSpecification:
    """Read and check a batch inference specification.

    :raises SnowflakeError: 395018 naming the place of the first mistake; "not supported" for adapters, which
        only a real account runs.
    """
    document = load(yaml_text)
    if document is None:
        raise invalid_specification("missing required option 'output' for 'specification'.")
    checked = _SPECIFICATION(document, "")
    source, inference = checked.get("input", {}), checked.get("inference", {})
    resources = checked.get("resources", {})
    engine = inference.get("engine_options", {})
    is_vllm = engine.get("engine") == "VLLM"
    if engine.get("engine_args_override") and not is_vllm:
        raise not_supported("'inference.engine_options.engine_args_override' for another engine than VLLM")
    return InferenceSpecification(
        output_location=checked["output"]["stage_location"],
        mode=checked["output"].get("mode", "error"),
        params=source.get("params", {}),
        column_handling=source.get("column_handling", {}),
        partition_column=source.get("partition_column"),
        num_workers=inference.get("num_workers"),
        max_batch_rows=inference.get("max_batch_rows"),
        resources={
            "cpu": resources.get("cpu_requests"),
            "memory": resources.get("memory_requests"),
            "gpu": resources.get("gpu_requests", 0.0),
        },
        image_repo=checked.get("image_build", {}).get("image_repo"),
        document=document,
        engine="VLLM" if is_vllm else None,
        engine_arguments=tuple(engine.get("engine_args_override", ())),
    )
