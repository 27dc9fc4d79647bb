"""The two ways to run a batch, and which field of a task belongs to which.

``model_name`` is a job of a registered model in Snowflake's own inference runtime, ``model`` one of this package's
worker in a container. A field that the other one has is refused rather than ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.jobs.spec_fields import Spec

# By block and field, why the registry runtime has none of these.
WORKER_ONLY: dict[str, dict[str, str]] = {
    "job_spec": {
        "on_error": "Snowflake's inference jobs end with the first bad row",
        "max_quarantined": "Snowflake's inference jobs end with the first bad row",
        "executor": "Snowflake's inference jobs share the work among replicas by themselves",
        "min_replicas": "Snowflake's inference jobs share the work among replicas by themselves",
        "max_task_rows": "Snowflake's inference jobs cut the input by themselves",
        "image": "Snowflake builds the image of an inference job itself",
        "env": "an inference job takes no environment variables",
        "secrets": "an inference job takes no secrets",
        "external_access_integrations": "an inference job takes no external access integrations",
        "query_warehouse": "an inference job takes no warehouse for the model's queries",
        "stages": "an inference job finds the files of its rows by itself",
        "block_volume": "an inference job mounts no volumes of one's own",
    },
    "output_spec": {"columns": "Snowflake's inference jobs write every input column"},
}
# By argument or block and field, what to do instead on the worker runtime.
REGISTRY_ONLY: dict[str, dict[str, str]] = {
    "job_spec": {
        "function_name": "name the method in the model, PythonModel(…, function=…)",
        "image_repo": "name the whole image in job_spec.image",
        "force_rebuild": "no image is built",
    },
}
_REGISTRY_ARGUMENTS = {
    "version_name": "the model's version is that of its code",
    "function_name": "name the method in the model, PythonModel(…, function=…)",
    "inference_engine_options": "the model brings its own engine",
}


def refuse_worker_fields(label: str, spec: Spec) -> None:
    """Hold that a block of a registered model's job has no field that only the worker runtime has.

    :raises InvalidJobError: naming the first one.
    """
    reasons = WORKER_ONLY.get(label, {})
    for name in spec.given_fields():
        if name in reasons:
            raise InvalidJobError(
                f"{label}.{name}",
                f"{reasons[name]}. The worker runtime has it: give RunBatchOperator a model (PythonModel(…)) instead "
                "of a model_name, see docs/worker-runtime.md.",
            )


def refuse_registry_fields(label: str, spec: Spec) -> None:
    """Hold that a block of a worker's job has no field that only the registry runtime has.

    :raises InvalidJobError: naming the first one.
    """
    hints = REGISTRY_ONLY.get(label, {})
    for name in spec.given_fields():
        if name in hints:
            raise InvalidJobError(f"{label}.{name}", _registry_only(hints[name]))


def refuse_registry_arguments(arguments: Mapping[str, Any]) -> None:
    """Hold that a task with a ``model`` has no argument that only one with a ``model_name`` has.

    :param arguments: by name; None counts as not given.
    :raises InvalidJobError: naming the first one.
    """
    for name, hint in _REGISTRY_ARGUMENTS.items():
        if arguments.get(name) is not None:
            raise InvalidJobError(name, _registry_only(hint))


def choose_runtime(model: Any, model_name: Any) -> bool:
    """Whether a task uses the worker runtime.

    :raises InvalidJobError: if it names both a model and a model_name, or neither.
    """
    if model is not None and model_name is not None:
        raise InvalidJobError(
            "model", "give either model (a class of yours, run by the worker) or model_name (a registered model)."
        )
    if model is None and model_name is None:
        raise InvalidJobError("model_name", "is needed, got None; or give a model (PythonModel(…)) of your own.")
    return model is not None


def _registry_only(hint: str) -> str:
    return f"only jobs of a registered model (model_name) have it, not the worker runtime: {hint}."
