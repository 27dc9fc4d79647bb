"""A chat model that vLLM answers with, on a processor: ``make test-vllm``.

Also tests ``worker/models/chat_engines.py``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from airflow_provider_snowflake_batch.contract.job_file import JobInput
from airflow_provider_snowflake_batch.contract.transformer_sources import ChatModel
from airflow_provider_snowflake_batch.worker.models.chat import load
from tests.worker import transformer_models as made
from tests.worker.batches import Batch

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

pytest.importorskip("vllm")
ARGUMENTS = {"max_model_len": 128, "dtype": "float32", "enforce_eager": True}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.save_chat_model(tmp_path_factory.mktemp("models") / "chat", head_size=32)


def answered(batch: Batch, folder: Path, texts: list[str], **params: Any) -> list[dict[str, Any]]:
    batch.rows({"MESSAGES": [chat(text) for text in texts]})
    model = {"kind": "chat", "path": str(folder), "function": "__call__", "name": "CATS"}
    batch.job(model | {"engine_arguments": ARGUMENTS}, input={"params": params})
    process = batch.start()
    _, stderr = process.communicate(timeout=1500)
    assert process.returncode == 0, stderr
    return list(batch.result().to_pylist())


def chat(text: str) -> str:
    return json.dumps([{"role": "user", "content": text}])


def contents(row: dict[str, Any]) -> list[tuple[str, str]]:
    """vLLM keeps the blank before the first word, which the ``decode`` of transformers drops."""
    return [(choice["message"]["content"].lstrip(" "), choice["finish_reason"]) for choice in row["choices"]]


@pytest.fixture(autouse=True)
def _little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """In GiB: for its cache of keys and values, vLLM takes half of a machine's memory otherwise."""
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")


def test_vllm_answers_as_transformers_does(batch: Batch, folder: Path) -> None:
    texts = made.texts(12, 6, most=20)
    rows = answered(batch, folder, texts, temperature=0, max_completion_tokens=12)
    model = ChatModel(folder, "__call__", "CATS", engine="transformers")
    other = load(model, JobInput(folder, params={"temperature": 0, "max_completion_tokens": 12}))
    others = other.call(pd.DataFrame({"messages": [chat(text) for text in texts]})).to_dict("records")
    assert [contents(row) for row in rows] == [contents(row) for row in others]
    assert [row["usage"] for row in rows] == [row["usage"] for row in others]
    assert len({contents(row)[0] for row in rows}) > 5


def test_vllm_draws_several_answers(batch: Batch, folder: Path) -> None:
    rows = answered(batch, folder, ["a", "two dog"], n=3, temperature=2, max_completion_tokens=8, seed=3, top_k=50)
    assert [len(contents(row)) for row in rows] == [3, 3]
    assert len({answer for row in rows for answer in contents(row)}) > 3
