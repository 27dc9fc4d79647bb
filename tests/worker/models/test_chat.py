"""Chat models: what transformers writes for each chat by itself, and what vLLM is asked.

Also tests ``worker/models/chat_engines.py``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from airflow_provider_snowflake_batch.contract.job_file import JobInput
from airflow_provider_snowflake_batch.contract.transformer_sources import ChatModel
from airflow_provider_snowflake_batch.worker.errors import Refused
from airflow_provider_snowflake_batch.worker.models.chat import load
from tests.worker import transformer_models as made


def chat(*messages: str) -> str:
    return json.dumps([{"role": "user", "content": message} for message in messages])


def answered(model: ChatModel, chats: list[str | None], **params: Any) -> list[dict[str, Any]]:
    loaded = load(model, JobInput(model.path, params=params))
    assert loaded.columns == ["messages"]
    rows: list[dict[str, Any]] = loaded.call(pd.DataFrame({"messages": chats})).to_dict("records")
    return rows


def contents(row: dict[str, Any]) -> list[tuple[str, str]]:
    return [(choice["message"]["content"], choice["finish_reason"]) for choice in row["choices"]]


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A module with those names of vLLM's that are used, which keeps what it is asked."""
    asked: list[Any] = []

    class LLM:
        def __init__(self, model: str, **arguments: Any) -> None:
            asked.append((model, arguments))

        def chat(self, messages: Any, sampling_params: Any, use_tqdm: bool) -> list[Any]:
            asked.append((messages, sampling_params, use_tqdm))
            outputs = [SimpleNamespace(text="yes", finish_reason="length", token_ids=[1, 2])] * sampling_params["n"]
            return [SimpleNamespace(outputs=outputs, prompt_token_ids=[0] * len(one)) for one in messages]

    module = ModuleType("vllm")
    module.__spec__ = SimpleNamespace(name="vllm")  # type: ignore[assignment]
    module.LLM, module.SamplingParams = LLM, dict  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vllm", module)
    return asked


def test_vllm_gets_the_chats_and_openais_params(vllm: list[Any], tmp_path: Path) -> None:
    model = ChatModel(tmp_path, "__call__", "CATS", engine_arguments={"max_model_len": 64})
    image = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]
    pictured = json.dumps([{"role": "user", "content": image}])
    rows = answered(model, [chat("a"), pictured], n=2, temperature=0.5, max_completion_tokens=7, seed=3, stop="end")
    assert vllm[0] == (str(tmp_path), {"max_model_len": 64})
    messages, sampling, progress = vllm[1]
    assert messages[1] == [{"role": "user", "content": image}]
    assert not progress
    expected = {"n": 2, "temperature": 0.5, "top_p": 1.0, "top_k": -1, "max_tokens": 7, "stop": ["end"], "seed": 3}
    assert sampling == expected | {"presence_penalty": 0.0, "frequency_penalty": 0.0}
    assert contents(rows[0]) == [("yes", "length")] * 2
    assert rows[0]["usage"] == {"completion_tokens": 4, "prompt_tokens": 1, "total_tokens": 5}
    assert rows[0]["model"] == "CATS"
    assert rows[0]["id"] != rows[1]["id"]

    # It refuses several answers where nothing is drawn: they are the same.
    (row,) = answered(model, [chat("a")], n=2, temperature=0)
    assert (vllm[-1][1]["n"], contents(row)) == (1, [("yes", "length")] * 2)


def test_without_vllm_it_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="vllm must be installed where the worker runs .* 'transformers'"):
        load(ChatModel(tmp_path, "__call__", "CATS", engine="vllm"), JobInput(tmp_path))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"presence_penalty": 1}, "the engine transformers has no parameter 'presence_penalty'; vLLM has"),
        ({"seed": 1}, "the engine transformers has no parameter 'seed'; vLLM has. With temperature 0 nothing is drawn"),
        ({"size": 1}, "chats have no parameter 'size'"),
    ],
)
def test_params_that_the_engine_lacks_are_refused(tmp_path: Path, params: dict[str, Any], message: str) -> None:
    with pytest.raises(Refused, match=message):
        load(ChatModel(tmp_path, "__call__", "CATS", engine="transformers"), JobInput(tmp_path, params=params))


@pytest.fixture(scope="module")
def cats(tmp_path_factory: pytest.TempPathFactory) -> ChatModel:
    pytest.importorskip("transformers")
    pytest.importorskip("torch")
    folder = made.save_chat_model(tmp_path_factory.mktemp("models") / "chat")
    return ChatModel(folder, "__call__", "CATS", engine="transformers", batch_tokens=300)


def alone(model: ChatModel, text: str, most: int, **settings: Any) -> tuple[str, int, int]:
    """What the library writes for one chat, with the tokens of both; special tokens are left out."""
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(model.path)
    found = transformers.AutoModelForCausalLM.from_pretrained(model.path)
    prompt = tokenizer.apply_chat_template(json.loads(text), tokenize=False, add_generation_prompt=True)
    ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
    written = found.generate(**ids, max_new_tokens=most, do_sample=False, **settings)[0, ids["input_ids"].shape[1] :]
    return tokenizer.decode(written, skip_special_tokens=True), ids["input_ids"].shape[1], len(written)


def test_each_chat_is_answered_as_the_library_answers_it_alone(cats: ChatModel) -> None:
    texts = made.texts(24, 6)
    chats = [chat(*texts[place : place + 1 + place % 2]) for place in range(23)]
    rows = answered(cats, chats, temperature=0, max_completion_tokens=12)
    for text, row in zip(chats, rows, strict=True):
        content, prompt, tokens = alone(cats, text, 12)
        assert contents(row)[0][0] == content
        assert (row["usage"]["prompt_tokens"], row["usage"]["completion_tokens"]) == (prompt, tokens)
        assert contents(row)[0][1] == ("length" if tokens == 12 else "stop")
    assert len({contents(row)[0] for row in rows}) > 5


def test_an_answer_ends_before_a_stop(cats: ChatModel) -> None:
    text = chat("the cat sat")
    content, _, _ = alone(cats, text, 12)
    word = f" {content.split()[3]}"
    (row,) = answered(cats, [text], temperature=0, max_completion_tokens=12, stop=[word])
    assert contents(row) == [(content[: content.index(word)], "stop")]


def test_several_answers_are_drawn(cats: ChatModel) -> None:
    first, second = answered(cats, [chat("a"), chat("two dog")], n=3, temperature=2, max_completion_tokens=8, top_k=50)
    assert len({content for content, _ in contents(first) + contents(second)}) > 3
    (row,) = answered(cats, [chat("a")], n=2, temperature=0, max_completion_tokens=8)
    assert contents(row)[0] == contents(row)[1]
    assert len(contents(row)) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no chat", "messages is not JSON"),
        (None, "messages must be a JSON list"),
        (
            json.dumps([{"role": "user", "content": [{"type": "image_url", "image_url": "data:"}]}]),
            "content that is no text, which the engine transformers does not take; vLLM does",
        ),
    ],
)
def test_a_bad_chat_is_refused_before_any_is_answered(cats: ChatModel, text: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        answered(cats, [chat("a"), text], max_completion_tokens=200)


def test_parts_of_text_are_one_text(cats: ChatModel) -> None:
    parts = json.dumps([{"role": "user", "content": [{"type": "text", "text": one} for one in ("the cat", "sat")]}])
    one, other = answered(cats, [parts, chat("the cat\nsat")], temperature=0, max_completion_tokens=5)
    assert contents(one) == contents(other)


def test_a_model_without_a_chat_template_is_refused(cats: ChatModel, tmp_path: Path) -> None:
    folder = made.save_encoder(tmp_path / "encoder")
    with pytest.raises(Refused, match="has no chat_template"):
        load(ChatModel(folder, "__call__", "CATS", engine="transformers"), JobInput(folder))
