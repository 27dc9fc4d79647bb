"""The models that the worker runs without an image of their own, in the words of the worker's job file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.models.base import ModelSpec as ModelSpec
from airflow_provider_snowflake_batch.jobs.models.files import LightGBMModel as LightGBMModel
from airflow_provider_snowflake_batch.jobs.models.files import MLflowModel as MLflowModel
from airflow_provider_snowflake_batch.jobs.models.files import OnnxModel as OnnxModel
from airflow_provider_snowflake_batch.jobs.models.files import SklearnModel as SklearnModel
from airflow_provider_snowflake_batch.jobs.models.files import XGBoostModel as XGBoostModel
from airflow_provider_snowflake_batch.jobs.models.function import FunctionModel as FunctionModel
from airflow_provider_snowflake_batch.jobs.models.python import PythonModel as PythonModel
from airflow_provider_snowflake_batch.jobs.models.registry import RegistryModel as RegistryModel
from airflow_provider_snowflake_batch.jobs.models.transformers import ChatModel as ChatModel
from airflow_provider_snowflake_batch.jobs.models.transformers import HuggingFaceModel as HuggingFaceModel
from airflow_provider_snowflake_batch.jobs.spec_fields import plain_value

__all__ = [
    "ChatModel",
    "FunctionModel",
    "HuggingFaceModel",
    "LightGBMModel",
    "MLflowModel",
    "ModelSpec",
    "OnnxModel",
    "PythonModel",
    "RegistryModel",
    "SklearnModel",
    "XGBoostModel",
    "parse_model",
]

_KINDS: dict[str, type[ModelSpec]] = {
    kind.kind: kind
    for kind in (
        PythonModel,
        FunctionModel,
        RegistryModel,
        SklearnModel,
        XGBoostModel,
        LightGBMModel,
        OnnxModel,
        MLflowModel,
        HuggingFaceModel,
        ChatModel,
    )
}


def parse_model(value: Any) -> ModelSpec:
    """The model from itself, or from a dict of its fields and its ``kind`` (``python`` if left out).

    :raises InvalidJobError: if it is neither, or a field is unknown, missing or malformed.
    """
    if isinstance(value, ModelSpec):
        return value
    known = ", ".join(repr(kind) for kind in _KINDS)
    if not isinstance(value, Mapping):
        raise InvalidJobError(
            "model",
            f"expected PythonModel(…) or a dict of its fields with its kind, got {type(value).__name__}. A model of "
            "the Model Registry is named by model_name.",
        )
    fields = dict(value)
    kind = plain_value(fields.pop("kind", PythonModel.kind))
    if not isinstance(kind, str) or kind not in _KINDS:
        raise InvalidJobError("model", f"kind {kind!r} is not one of {known}.")
    return _KINDS[kind].of(fields)
