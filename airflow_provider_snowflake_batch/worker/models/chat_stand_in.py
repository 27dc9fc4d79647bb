"""A test double of vLLM: it stands on the local Snowflake where vLLM stands in an account, and runs no language model.

It takes and gives what vLLM does behind Snowflake's batch inference: a column ``messages`` of OpenAI-style chats, and
the columns of a chat completion (https://platform.openai.com/docs/api-reference/chat/object). Its answer repeats what
it was given: every text, and the type, the size and the beginning of the SHA-256 of every image, video and sound. So a
pipeline around a chat model can be tried without a GPU and gives the same answer each time. The answer itself, its
column ``model`` and the log say that no model has answered.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from airflow_provider_snowflake_batch.contract.job_file import JobInput
from airflow_provider_snowflake_batch.contract.model_sources import ChatStandIn, RegistryModel
from airflow_provider_snowflake_batch.worker.errors import Refused
from airflow_provider_snowflake_batch.worker.models import registry
from airflow_provider_snowflake_batch.worker.models.base import Description, LoadedModel, ModelKind
from airflow_provider_snowflake_batch.worker.models.chats import COLUMN, OUTPUTS, ChatAnswer, completion, messages_of
from airflow_provider_snowflake_batch.worker.models.signature import Feature, Signature, resolve_params

NAME = "chat stand-in"
NOTICE = (
    f"{NAME}: it stands in for vLLM, which the local Snowflake does not run. No language model answers: "
    "each answer describes the messages and files it was given.\n"
)
_DEFAULT_TOKENS = 250
_MEDIA = {"image_url": "url", "video_url": "url", "input_audio": "data"}


class Kind(ModelKind[ChatStandIn]):
    source = ChatStandIn

    def describe(self, model: ChatStandIn, input_files: JobInput) -> Description:
        return describe(model, input_files)

    def load(self, model: ChatStandIn, input_files: JobInput) -> LoadedModel:
        return load(model, input_files)

    def folders(self, model: ChatStandIn) -> Sequence[Path]:
        return [registry.packed_directory(model.path)]


def describe(model: ChatStandIn, input_files: JobInput) -> Description:
    """What the packed directory states about the chat function.

    :raises Refused: its signature is not that of a chat, or the parameters do not fit it.
    """
    packed = RegistryModel(model.path, model.function)
    description = registry.describe(packed, input_files)
    assert description.signature is not None
    signature = _chat_signature(description.signature, model.function)
    return replace(description, identity=f"chat-engine-1:{description.identity}", signature=signature)


def load(model: ChatStandIn, input_files: JobInput) -> LoadedModel:
    """The engine, ready to answer; the model's weights are left alone.

    :raises Refused: as `describe`.
    """
    description = describe(model, input_files)
    assert description.signature is not None
    params = resolve_params(description.signature.params, input_files.params)
    sys.stderr.write(NOTICE)
    if model.engine_arguments:
        sys.stderr.write(f"{NAME}: vLLM's arguments mean nothing to it: {' '.join(model.engine_arguments)}\n")
    return LoadedModel(_calls(model.name, params), signature=description.signature, params=params)


def _chat_signature(signature: Signature, function: str) -> Signature:
    # The other inputs of a chat's signature (temperature and the like) may be missing: vLLM has defaults for them.
    if (
        not any(one.name.lower() == COLUMN for one in signature.inputs)
        or not {one.name for one in signature.outputs} >= OUTPUTS
    ):
        raise Refused(
            f"the inference engine serves chats: the model's function {function!r} needs an input {COLUMN!r} and the "
            f"outputs {', '.join(sorted(OUTPUTS))}, as snowflake.ml.model.openai_signatures has them"
        )
    return replace(signature, inputs=(Feature(COLUMN, "STRING"),))


def _calls(model_name: str, params: Mapping[str, Any]) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def call(rows: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame([complete(text, model_name, params) for text in rows[COLUMN]])

    return call


def complete(text: str | None, model_name: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The chat completion for a chat.

    :param text: the chat as JSON: a list of messages with ``role`` and ``content``.
    :param params: of those of vLLM, ``max_completion_tokens`` (counted in words), ``stop`` and ``n`` have an effect.
    :raises ValueError: the text is no chat, or a file in it cannot be read.
    """
    messages = messages_of(text)
    said = [_in_words(message) for message in messages]
    words = " ".join(said).split()
    content, reason = _cut(" ".join([f"[{NAME}, no language model]", *said]), params)
    tokens = len(content.split())
    count = max(int(params.get("n") or 1), 1)
    answers = [ChatAnswer(content, reason, tokens)] * count
    # A constant, so that each run gives the same answer.
    return completion(str(text), f"{model_name} ({NAME})", answers, len(words), created=0.0)


def _in_words(message: Mapping[str, Any]) -> str:
    content = message["content"]
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    return f"{message['role']}: {' '.join(_parts(parts))}"


def _parts(parts: list[Any]) -> Iterator[str]:
    for part in parts:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text" and isinstance(part.get("text"), str):
            yield part["text"]
        elif kind in _MEDIA:
            holder = part.get(kind)
            value = holder.get(_MEDIA[kind]) if isinstance(holder, dict) else holder
            if not isinstance(value, str):
                raise ValueError(f"{COLUMN}: a part of type {kind} without its {_MEDIA[kind]}")
            stated = holder.get("format") if isinstance(holder, dict) and kind == "input_audio" else None
            yield _media(kind, value, stated)
        else:
            raise ValueError(f"{COLUMN}: a part that is neither text nor {', '.join(_MEDIA)}: {json.dumps(part)[:100]}")


def _media(kind: str, value: str, stated_format: str | None) -> str:
    media_type, encoded = f"audio/{stated_format}", value
    if kind != "input_audio":
        if value.startswith(("http://", "https://")):
            return f"[{kind} {value}: not fetched]"
        head, separator, encoded = value.partition(";base64,")
        if not head.startswith("data:") or not separator:
            raise ValueError(f"{COLUMN}: {kind} is neither a stage path nor a data URL: {value[:60]!r}")
        media_type = head.removeprefix("data:")
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"{COLUMN}: the content of {kind} is not Base64") from None
    return f"[{media_type}, {len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()[:12]}]"


def _cut(content: str, params: Mapping[str, Any]) -> tuple[str, str]:
    """The answer within the limits that the parameters set, and why it ends."""
    for stop in params.get("stop") or ():
        content = content.partition(stop)[0] if stop else content
    words = content.split(" ")
    most = int(params.get("max_completion_tokens") or _DEFAULT_TOKENS)
    return (" ".join(words[:most]), "length") if len(words) > most else (content, "stop")
