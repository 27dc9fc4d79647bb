"""Pipelines of Hugging Face, as ``snowflake-ml-python`` packs them: which params a call of theirs is given.

The packed model is the pipeline itself, behind a function that takes any keyword. If ``log_model`` has found the
signature by the pipeline's task, the defaults in the signature repeat the pipeline's own. But a default that is passed
explicitly may have another effect: ``top_k=1`` makes a text classification return a list for each row, although its
signature has a label and a score, and many parameters do not accept None. So such defaults are not passed, and neither
are members of a group that the job does not set.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_snowflake_batch.contract.model_params import (
    HUGGING_FACE_PIPELINE,
    Param,
    ParamError,
    given_params,
    refuse_more_labels,
)
from airflow_provider_snowflake_batch.worker.errors import Refused
from airflow_provider_snowflake_batch.worker.models.signature import Signature, resolve_params


def is_pipeline(metadata: Mapping[str, Any]) -> bool:
    """:param metadata: the content of ``model.yaml``."""
    return metadata.get("model_type") == HUGGING_FACE_PIPELINE


def check_params(signature: Signature, given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of the job with the signature's defaults.

    :raises Refused: they do not fit the signature, or the pipeline cannot return with them what the signature says.
    """
    resolved = resolve_params(signature.params, given, texts_or_flags=True)
    try:
        refuse_more_labels([output.name for output in signature.outputs], given)
    except ParamError as error:
        raise Refused(str(error)) from None
    return resolved


def arguments(metadata: Mapping[str, Any], signature: Signature, given: Mapping[str, Any]) -> dict[str, Any]:
    """What of the parameters is passed to the pipeline.

    :param metadata: the content of ``model.yaml``.
    :param given: the job's parameters.
    :raises Refused: as `check_params`.
    """
    resolved = check_params(signature, given)
    if any(one.name == "messages" for one in signature.inputs):
        # Chats go to a function of the client, whose defaults differ from those of the signature.
        return resolved
    named = {param.name for param, _ in given_params(signature.params, given)}
    own = _own_defaults(metadata)
    passed = {
        param.name: _without_unset(resolved[param.name], param)
        for param in signature.params
        if param.name in named or not _is_own(param.default, own.get(param.name))
    }
    if {output.name for output in signature.outputs} == {"label", "score"} and passed.get("top_k") == 1:
        del passed["top_k"]
    return passed


def _is_own(default: Any, own: Any) -> bool:
    if isinstance(default, Mapping):
        # A group that is not given: each of its members is None.
        return all(_is_own(value, None) for value in default.values())
    return default is None or default == own


def _without_unset(value: Any, param: Param) -> Any:
    """A group without the members that are None: most parameters do not accept None, and the pipeline has defaults."""
    if isinstance(value, list) and param.specs:
        return [_without_unset(item, param) for item in value]
    if not (isinstance(value, Mapping) and param.specs):
        return value
    specs = {spec.name: spec for spec in param.specs}
    return {name: _without_unset(item, specs[name]) for name, item in value.items() if item is not None}


def _own_defaults(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults that ``log_model`` writes for the pipeline's task, by parameter."""
    from snowflake.ml.model._signatures import utils

    defaults: dict[str, Any] = {}
    for blob in (metadata.get("models") or {}).values():
        task = (blob.get("options") or {}).get("task")
        found = utils.huggingface_pipeline_signature_auto_infer(task, {}, has_chat_template=False) if task else None
        for param in (found.params or ()) if found is not None else ():
            defaults[param.name] = getattr(param, "default_value", None)
    return defaults
