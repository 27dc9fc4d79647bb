"""Stage paths inside chat messages."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_snowflake_batch.worker.errors import DataError
from airflow_provider_snowflake_batch.worker.stage_files.chat_messages import ChatFiles
from airflow_provider_snowflake_batch.worker.stage_files.files import StageFiles
from tests.worker.batches import Batch

IMAGE, VIDEO, AUDIO = b"\x89PNG", b"\0\0\0\x18ftyp", b"RIFF"


def chat(*content: Any) -> str:
    system = {"role": "system", "content": "mail me @home"}
    return json.dumps([system, {"role": "user", "content": [{"type": "text", "text": "@DB.S.T/x?"}, *content]}])


def image(url: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": url}


@pytest.fixture
def mounted(batch: Batch) -> Path:
    folder = batch.root / "mounted"
    folder.mkdir()
    for name, data in {"a.png": IMAGE, "b.mp4": VIDEO, "c.wav": AUDIO, "d": AUDIO}.items():
        (folder / name).write_bytes(data)
    return folder


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_the_engine_gets_files_and_the_output_keeps_paths(batch: Batch, mounted: Path) -> None:
    texts = [
        chat(
            image({"url": "@db.s.t/a.png", "detail": "low"}),
            image("@DB.S.T/a.png"),
            {"type": "video_url", "video_url": {"url": "@DB.S.T/b.mp4"}},
            {"type": "input_audio", "input_audio": {"data": "@DB.S.T/c.wav"}},
            {"type": "input_audio", "input_audio": {"data": "@DB.S.T/d", "format": "mp3"}},
        ),
        chat(image({"url": "https://example.com/@x.png"})),
        "no JSON @ all",
        None,
    ]
    batch.rows({"ID": [0, 1, 2, 3], "MESSAGES": texts})
    batch.job("Echo", stages={"DB.S.T": "mounted"})

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    result = batch.result()
    assert result["MESSAGES"].to_pylist() == texts
    seen = result["SEEN"].to_pylist()
    assert seen[1:] == texts[1:]
    (_, user) = json.loads(seen[0])
    assert user["content"][0]["text"] == "@DB.S.T/x?"
    assert [part.get(part["type"]) for part in user["content"][1:]] == [
        {"url": f"data:image/png;base64,{encoded(IMAGE)}", "detail": "low"},
        f"data:image/png;base64,{encoded(IMAGE)}",
        {"url": f"data:video/mp4;base64,{encoded(VIDEO)}"},
        {"data": encoded(AUDIO), "format": "wav"},
        {"data": encoded(AUDIO), "format": "mp3"},
    ]


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (image({"url": "@DB.S.T/none.png"}), "file '@DB.S.T/none.png' does not exist"),
        (image({"url": "@DB.S.T/../JOB.json"}), "leaves its stage"),
        (image({"url": "@DB.S.T/\ud83d.png"}), r"file '@DB.S.T/\ud83d.png': a path holds no half of a character"),
        ({"type": "input_audio", "input_audio": {"data": "@DB.S.T/d"}}, "format is neither stated nor in the file's"),
    ],
)
def test_a_file_that_cannot_be_had_is_named_with_its_row(batch: Batch, mounted: Path, part: Any, message: str) -> None:
    batch.rows({"ID": [0, 1], "MESSAGES": [chat(), chat(part)]})
    batch.job("Echo", stages={"DB.S.T": "mounted"})

    outcome = batch.run()

    assert outcome.code == 1
    assert message in outcome.last
    assert outcome.last.endswith("(column 'MESSAGES', row 1 of file data_000.parquet)")


def test_half_a_character_in_a_chat_stays_what_it_is(batch: Batch, mounted: Path) -> None:
    texts = [chat({"type": "text", "text": "half \ud83d, ä"}, image("@DB.S.T/a.png"))]
    batch.rows({"ID": [0], "MESSAGES": texts})
    batch.job("Echo", stages={"DB.S.T": "mounted"})

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    assert batch.result()["MESSAGES"].to_pylist() == texts
    (_, user) = json.loads(batch.result()["SEEN"][0].as_py())
    assert user["content"][1]["text"] == "half \ud83d, ä"
    assert user["content"][2]["image_url"] == f"data:image/png;base64,{encoded(IMAGE)}"


def test_other_characters_of_a_chat_stay_what_they_are(batch: Batch, mounted: Path) -> None:
    """Also beside what looks like an escape of half a character."""
    texts = [chat({"type": "text", "text": "Größe 😀, C:\\udp"}, image("@DB.S.T/a.png"))]
    batch.rows({"ID": [0], "MESSAGES": texts})
    batch.job("Echo", stages={"DB.S.T": "mounted"})
    assert batch.run().code == 0
    seen = batch.result()["SEEN"][0].as_py()
    assert "Größe 😀, C:\\\\udp" in seen


def test_a_text_nested_without_end_is_no_chat() -> None:
    text = "[" * 100_000 + "@"
    assert ChatFiles(StageFiles({})).inline(text) == text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["content", "image_url", "url", "input_audio", "data"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(json_values)
def test_whatever_is_no_chat_passes_unchanged(value: Any) -> None:
    text = json.dumps(value)
    try:
        assert ChatFiles(StageFiles({})).inline(text) == text
    except DataError as error:
        assert "not a full stage path" in error.message or "is not mounted" in error.message  # noqa: PT017
        assert '"@' in text
