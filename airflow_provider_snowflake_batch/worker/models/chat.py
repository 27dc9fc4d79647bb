"""Chat models from the folder that ``save_pretrained`` has written: OpenAI-style messages in, chat completions out.

vLLM's offline engine runs them where it is installed, otherwise ``transformers`` does, on the processor or a GPU.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd

from airflow_provider_snowflake_batch.contract.job_file import JobInput
from airflow_provider_snowflake_batch.contract.transformer_sources import ChatModel
from airflow_provider_snowflake_batch.worker.errors import Refused
from airflow_provider_snowflake_batch.worker.models.base import Description, LoadedModel, ModelKind
from airflow_provider_snowflake_batch.worker.models.chat_engines import Engine, TransformersEngine, VllmEngine
from airflow_provider_snowflake_batch.worker.models.chats import COLUMN, Sampling, completion, messages_of
from airflow_provider_snowflake_batch.worker.models.code_archives import import_from, unpacked
from airflow_provider_snowflake_batch.worker.models.transformer_folder import local_folder


class Kind(ModelKind[ChatModel]):
    source = ChatModel

    def prepare(self, model: ChatModel, folder: Path) -> ChatModel:
        return replace(unpacked(model, folder), path=local_folder(model.path, folder))

    def describe(self, model: ChatModel, input_files: JobInput) -> Description:
        Sampling.of(input_files.params)
        stated = json.dumps([model.name, model.engine, dict(model.engine_arguments)], sort_keys=True)
        return Description(f"chat:{hashlib.sha256(stated.encode()).hexdigest()}")

    def load(self, model: ChatModel, input_files: JobInput) -> LoadedModel:
        return load(model, input_files)


def load(model: ChatModel, input_files: JobInput) -> LoadedModel:
    """The engine with the model.

    :raises Refused: a library is missing, or the job's params are not those of chats, or not this engine's.
    :raises Exception: whatever the engine raises for a folder that is no chat model.
    """
    sampling = Sampling.of(input_files.params)
    import_from(model.python_path)
    engine = _engine(model, sampling)

    def call(rows: pd.DataFrame) -> pd.DataFrame:
        texts = rows[COLUMN].tolist()
        # All chats are checked before the first is answered.
        chats = [engine.checked(messages_of(text)) for text in texts]
        answered = engine.answer(chats)
        created = float(int(time.time()))
        return pd.DataFrame(
            [
                completion(text, model.name, answers, prompt_tokens, created=created)
                for text, (answers, prompt_tokens) in zip(texts, answered, strict=True)
            ]
        )

    return LoadedModel(call, columns=[COLUMN])


def _engine(model: ChatModel, sampling: Sampling) -> Engine:
    has_vllm = importlib.util.find_spec("vllm") is not None
    if model.engine == "vllm" and not has_vllm:
        raise Refused(
            "vllm must be installed where the worker runs for model.engine 'vllm'. Snowflake's container runtime lacks "
            "it: take an image of your own, or the engine 'transformers'"
        )
    if has_vllm and model.engine != "transformers":
        return VllmEngine(model, sampling)
    return TransformersEngine(model, sampling)
