"""The stand-in for vLLM: what it answers, and that it says what it is."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from snowflake.ml.model import openai_signatures

from airflow_provider_snowflake_batch.worker.models.chat_stand_in import complete
from tests.worker.batches import Batch

SYSTEM = {"role": "system", "content": "Be brief."}
IMAGE = b"\xff\xd8\xff\xe0 a picture"
PREAMBLE = "[chat stand-in, no language model] "


def user(*parts: Any) -> str:
    return json.dumps([SYSTEM, {"role": "user", "content": list(parts)}])


def text(value: str) -> dict[str, str]:
    return {"type": "text", "text": value}


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def described(media_type: str, data: bytes) -> str:
    return f"[{media_type}, {len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()[:12]}]"


def packed(folder: Path, signature: str = "OPENAI_CHAT_WITH_PARAMS_SIGNATURE") -> Path:
    """The description of a chat model as ``log_model`` writes it; the engine needs nothing else of the model."""
    signatures = {name: one.to_dict() for name, one in getattr(openai_signatures, signature).items()}
    folder.mkdir()
    (folder / "model.yaml").write_text(yaml.safe_dump({"signatures": signatures}))
    return folder


def job(batch: Batch, signature: str = "OPENAI_CHAT_WITH_PARAMS_SIGNATURE", **changes: Any) -> None:
    folder = packed(batch.root / "model", signature)
    model = {"kind": "chat_stand_in", "path": str(folder), "function": "__call__", "name": "DB.SCHEMA.CATS"}
    batch.job({**model, **changes.pop("model", {})}, **changes)


def test_chats_with_files_come_out_as_completions(batch: Batch) -> None:
    stage = batch.root / "stage"
    stage.mkdir()
    (stage / "cat.jpeg").write_bytes(IMAGE)
    (stage / "meow.mp3").write_bytes(b"ID3 meow")
    audio = {"type": "input_audio", "input_audio": {"data": "@DB.S.T/meow.mp3", "format": "mp3"}}
    chats = [user(text("What is this?"), image("@DB.S.T/cat.jpeg"), audio), user(text("Hello"))]
    batch.rows({"ROW": [0, 1], "MESSAGES": chats})
    job(batch, stages={"DB.S.T": "stage"}, input={"params": {"n": 2}}, model={"engine_arguments": ["--seed=1"]})

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    assert "it stands in for vLLM, which the local Snowflake does not run. No language model answers" in outcome.stderr
    assert "vLLM's arguments mean nothing to it: --seed=1" in outcome.stderr
    rows = batch.result().sort_by("ROW").to_pylist()
    assert rows[0]["choices"][0]["message"]["content"] == (
        f"{PREAMBLE}system: Be brief. user: What is this? {described('image/jpeg', IMAGE)} "
        f"{described('audio/mp3', b'ID3 meow')}"
    )
    assert [choice["index"] for choice in rows[1]["choices"]] == [0, 1]
    assert rows[1]["choices"][1]["finish_reason"] == "stop"
    assert rows[1]["model"] == "DB.SCHEMA.CATS (chat stand-in)"
    assert rows[1]["object"] == "chat.completion"
    assert rows[1]["usage"] == {"completion_tokens": 20, "prompt_tokens": 5, "total_tokens": 25}
    # The output keeps the path, not the file.
    assert rows[0]["MESSAGES"] == chats[0]


def test_the_same_chat_has_the_same_answer(batch: Batch) -> None:
    batch.rows({"ROW": [0, 1, 2], "MESSAGES": [user(text("a")), user(text("b")), user(text("a"))]})
    job(batch, "OPENAI_CHAT_SIGNATURE")
    assert batch.run().code == 0
    first = batch.result()
    job_file = json.loads((batch.root / "JOB.json").read_text())
    job_file["output"]["mode"] = "overwrite"
    (batch.root / "JOB.json").write_text(json.dumps(job_file))

    assert batch.run().code == 0

    assert batch.result().equals(first)
    assert first["id"][0] == first["id"][2] != first["id"][1]


def test_limits_of_an_answer() -> None:
    chat = user(text("one two three"))

    def answer(**params: Any) -> tuple[str, str]:
        choice = complete(chat, "m", params)["choices"][0]
        return choice["message"]["content"], choice["finish_reason"]

    assert answer() == (f"{PREAMBLE}system: Be brief. user: one two three", "stop")
    assert answer(stop=["two"]) == (f"{PREAMBLE}system: Be brief. user: one ", "stop")
    assert answer(max_completion_tokens=7) == (f"{PREAMBLE}system: Be", "length")


@pytest.mark.parametrize(
    ("chat", "message"),
    [
        (None, "must be a JSON list of messages"),
        ("{", "messages is not JSON"),
        ("[]", "must be a JSON list of messages"),
        ('[{"content": "x"}]', "a message without role or content"),
        (user({"type": "tool"}), "a part that is neither text nor"),
        (user({"type": "image_url", "image_url": {}}), "a part of type image_url without its url"),
        (user(image("cat.jpeg")), "neither a stage path nor a data URL"),
        (user(image("data:image/png;base64,!")), "the content of image_url is not Base64"),
    ],
)
def test_what_is_no_chat(chat: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        complete(chat, "m", {})


def test_a_row_that_is_no_chat_can_be_set_aside(batch: Batch) -> None:
    batch.rows({"ROW": [0, 1, 2], "MESSAGES": [user(text("a")), "hello", user(image("@DB.S.T/gone.png"))]})
    (batch.root / "stage").mkdir()
    job(batch, stages={"DB.S.T": "stage"}, inference={"on_error": "quarantine"})

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    assert batch.result()["ROW"].to_pylist() == [0]
    (path,) = (batch.output / "_quarantine").iterdir()
    errors = {row["ROW"]: row["QUARANTINE_ERROR"] for row in pq.read_table(path).to_pylist()}
    assert errors[1].startswith("ValueError: messages is not JSON")
    assert errors[2] == "file '@DB.S.T/gone.png' does not exist (column 'MESSAGES')"


def test_a_link_is_not_fetched() -> None:
    content = complete(user(image("https://example.com/cat.png")), "m", {})["choices"][0]["message"]["content"]
    assert content.endswith("[image_url https://example.com/cat.png: not fetched]")


@given(data=st.binary(max_size=50), kind=st.sampled_from(["image/png", "video/mp4"]))
def test_every_byte_of_a_file_counts(data: bytes, kind: str) -> None:
    url = f"data:{kind};base64,{base64.b64encode(data).decode()}"
    content = complete(user(image(url)), "m", {})["choices"][0]["message"]["content"]
    assert content.endswith(described(kind, data))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input": {"params": {"top_k": 3}}}, "has no parameter 'top_k'"),
        ({"input": {"params": {"n": "two"}}}, "parameter n must be INT32"),
        ({"model": {"function": "predict"}}, "the model has no function 'predict'"),
        ({"model": {"engine_arguments": [1]}}, "model.engine_arguments must be a list of strings"),
    ],
)
def test_what_is_refused(batch: Batch, changes: dict[str, Any], message: str) -> None:
    batch.rows({"MESSAGES": [user(text("a"))]})
    job(batch, **changes)

    outcome = batch.run()

    assert outcome.code == 2
    assert message in outcome.last


def test_a_model_that_takes_no_chats(batch: Batch) -> None:
    batch.rows({"MESSAGES": ["x"]})
    folder = batch.root / "model"
    folder.mkdir()
    one = {"inputs": [{"name": "X", "type": "DOUBLE"}], "outputs": [{"name": "Y", "type": "DOUBLE"}]}
    (folder / "model.yaml").write_text(yaml.safe_dump({"signatures": {"predict": one}}))
    batch.job({"kind": "chat_stand_in", "path": str(folder), "function": "predict"})

    outcome = batch.run()

    assert outcome.code == 2
    assert "the inference engine serves chats: the model's function 'predict' needs an input 'messages'" in outcome.last
