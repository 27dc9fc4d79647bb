"""Models that are a folder as transformers writes it, as a task states them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_snowflake_batch.contract import transformer_sources
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.models import ChatModel, HuggingFaceModel, ModelSpec, parse_model
from airflow_provider_snowflake_batch.jobs.spec_fields import plain_value


@pytest.mark.parametrize(
    "model",
    [
        HuggingFaceModel("models/sentiment", "text-classification"),
        HuggingFaceModel("@models/whisper.zip", "automatic-speech-recognition", column="SOUND", batch_tokens=100),
        ChatModel("models/qwen", code=["wheels/a.whl"]),
        ChatModel("@models/qwen", name="QWEN", engine="vllm", engine_arguments={"max_model_len": 4096}),
    ],
)
def test_a_dict_says_the_same_and_comes_back(model: HuggingFaceModel | ChatModel) -> None:
    plain = plain_value(model)
    assert plain["kind"] == model.kind
    assert parse_model(plain) == model == pickle.loads(pickle.dumps(model))
    assert hash(parse_model(plain)) == hash(model)
    assert (str(model), model.file_is_folder) == (model.path, True)
    assert model.at([], "@db.s.st/m").file == "@db.s.st/m"


def test_what_the_job_file_states() -> None:
    folder = Path("/m")
    pipeline = HuggingFaceModel("{{ params.path }}", "image-classification")
    assert pipeline.source((), folder) == transformer_sources.HuggingFaceModel(
        folder, "__call__", "image-classification", "IMAGE"
    )
    chat = ChatModel("@db.s.st/models/qwen.zip", engine_arguments={"seed": 1}, batch_tokens="64")  # type: ignore[arg-type]
    assert chat.source((Path("a"),), folder) == transformer_sources.ChatModel(
        folder, "__call__", "qwen", "auto", {"seed": 1}, 64, (Path("a"),)
    )


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"kind": "huggingface", "path": "m"}, "model: the field task is missing"),
        (
            {"kind": "huggingface", "path": "m", "task": "translation"},
            "model.task: expected one of text-classification",
        ),
        ({"kind": "huggingface", "path": "", "task": "feature-extraction"}, "model.path: expected a path"),
        ({"kind": "huggingface", "path": "m", "task": "feature-extraction", "column": ""}, "model.column: expected"),
        (
            {"kind": "huggingface", "path": "m", "task": "feature-extraction", "batch_tokens": True},
            "model.batch_tokens: ",
        ),
        ({"kind": "chat", "path": "m", "engine": "sglang"}, "model.engine: expected one of auto, vllm, transformers"),
        ({"kind": "chat", "path": "m", "engine_arguments": ["--a"]}, "model.engine_arguments: expected a dict"),
        ({"kind": "chat", "path": "m", "engine_arguments": {"a": {1}}}, "model.engine_arguments: every value must be"),
        (
            {"kind": "chat", "path": "m", "engine_arguments": {"a": {1: 2}}},
            "model.engine_arguments: the key 1 is no text",
        ),
        ({"kind": "chat", "path": "m", "function": "chat"}, "model: unknown field 'function'"),
        ({"kind": "chat", "path": "m", "name": 1}, "model.name: expected a name"),
    ],
)
def test_what_is_no_such_model_is_refused_by_its_field(value: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidJobError, match=f"^{message}"):
        parse_model(value)


def test_a_job_file_comes_back() -> None:
    from airflow_provider_snowflake_batch.contract.job_fields import Fields, Places

    models: list[ModelSpec] = [
        HuggingFaceModel("m", "feature-extraction", batch_tokens=5),
        ChatModel("m", engine="transformers", engine_arguments={"a": [1]}),
    ]
    for model in models:
        source = model.source((Path("/code"),), Path("/m"))
        fields = Fields(source.fields(), "model", Places(Path("/"), {}))
        assert type(source).read(fields, source.function) == source
        fields.done()
