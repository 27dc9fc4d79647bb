"""Columns of full stage paths: the model gets what the files hold.

Also tests ``worker/input/file_columns.py``, ``worker/stage_files/loaders.py``.
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_snowflake_batch.contract.vocabulary import FileEncoding
from airflow_provider_snowflake_batch.worker.errors import DataError
from airflow_provider_snowflake_batch.worker.stage_files.files import StageFiles, encode
from tests.worker.batches import Batch


@pytest.fixture
def stage(batch: Batch) -> Path:
    folder = batch.root / "mounted"
    (folder / "sub").mkdir(parents=True)
    for number in range(70):
        (folder / "sub" / f"{number}.png").write_bytes(bytes([number]) * (number + 1))
    return folder


def job(batch: Batch, convert_to: str, **changes: object) -> None:
    batch.job(
        "Sizes",
        input={"column_handling": {"file": {"input_format": "full_stage_path", "convert_to": convert_to}}},
        stages={"DB.SCHEMA.IMAGES": "mounted"},
        **changes,
    )


@pytest.mark.parametrize(
    ("convert_to", "kind", "length", "head"),
    [
        ("raw_bytes", "bytes", lambda n: n + 1, lambda n: str((bytes([n]) * (n + 1))[:22])),
        ("base64", "str", lambda n: (n + 3) // 3 * 4, lambda n: base64.b64encode(bytes([n]) * (n + 1)).decode()[:22]),
        ("base64_data_url", "str", lambda n: 22 + (n + 3) // 3 * 4, lambda n: "data:image/png;base64,"),
    ],
)
def test_the_model_gets_the_content_and_the_output_the_path(
    batch: Batch, stage: Path, convert_to: str, kind: str, length: object, head: object
) -> None:
    paths = [f"@DB.SCHEMA.IMAGES/sub/{number}.png" for number in range(70)]
    batch.rows({"ID": [*range(70), 70], "FILE": [*paths, None]})
    job(batch, convert_to, inference={"max_batch_rows": 50})

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    result = batch.result()
    assert result["FILE"].to_pylist() == [*paths, None]
    assert result["SIZE"].to_pylist() == [*(length(n) for n in range(70)), None]  # type: ignore[operator]
    assert result["KIND"].to_pylist() == [kind] * 70 + ["NoneType"]
    assert result["HEAD"].to_pylist()[:70] == [head(n) for n in range(70)]  # type: ignore[operator]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("@DB.SCHEMA.IMAGES/sub/nothing.png", "does not exist"),
        ("@DB.SCHEMA.IMAGES/../JOB.json", "leaves its stage"),
        ("@DB.SCHEMA.IMAGES/sub/../../JOB.json", "leaves its stage"),
        ("@DB.SCHEMA.IMAGES/link", "leaves its stage"),
        ("@DB.SCHEMA.IMAGES/sub", "cannot be read: Is a directory"),
        ("@DB.SCHEMA.OTHER/x.png", "stage DB.SCHEMA.OTHER is not mounted here (mounted: DB.SCHEMA.IMAGES)"),
        ("@IMAGES/x.png", "is not a full stage path"),
        ("/etc/passwd", "is not a full stage path"),
    ],
)
def test_a_file_that_cannot_be_had_is_named_with_its_row(batch: Batch, stage: Path, path: str, message: str) -> None:
    (stage / "link").symlink_to("/etc/passwd")
    batch.rows({"ID": [0, 1, 2], "FILE": ["@db.schema.images/sub/0.png", path, "@DB.SCHEMA.IMAGES/sub/1.png"]})
    job(batch, "raw_bytes")

    outcome = batch.run()

    assert outcome.code == 1
    assert outcome.last.startswith("DataError: ")
    assert repr(path) in outcome.last
    assert message in outcome.last
    assert outcome.last.endswith("(column 'FILE', row 1 of file data_000.parquet)")
    assert not batch.succeeded()


@pytest.mark.parametrize("partitioned", [False, True], ids=["rows", "groups"])
def test_a_path_that_is_no_text_is_named_with_its_row_and_can_be_set_aside(
    batch: Batch, stage: Path, partitioned: bool
) -> None:
    paths = [b"@DB.SCHEMA.IMAGES/sub/0.png", b"@DB.SCHEMA.IMAGES/sub/\xff.png", None, b"@DB.SCHEMA.IMAGES/sub/3.png"]
    stored = pa.array(paths, pa.binary())
    batch.rows(pa.table({"ID": [0, 1, 2, 3], "FILE": pa.Array.from_buffers(pa.string(), 4, stored.buffers())}))
    handled = {"file": {"input_format": "full_stage_path", "convert_to": "raw_bytes"}}
    read = {"column_handling": handled} | ({"partition_column": "ID"} if partitioned else {})
    rest: dict[str, Any] = {"input": read, "stages": {"DB.SCHEMA.IMAGES": "mounted"}}
    batch.job("Sizes", **rest)

    outcome = batch.run()

    assert outcome.code == 1
    assert r"b'@DB.SCHEMA.IMAGES/sub/\xff.png' is not valid UTF-8 (column 'FILE', " in outcome.last
    assert "row 1 of file data_000.parquet" in outcome.last

    batch.job("Sizes", inference={"on_error": "quarantine"}, **rest)
    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    assert batch.result()["SIZE"].to_pylist() == [1, None, 4]
    (told,) = outcome.progress[-1]["first_bad_rows"]
    assert "is not valid UTF-8 (column 'FILE'" in told


@given(st.text(st.sampled_from("ab./\\\0 "), max_size=12))
def test_no_path_leaves_its_stage(tmp_path_factory: pytest.TempPathFactory, rest: str) -> None:
    around = tmp_path_factory.getbasetemp() / "around"
    folder = around / "stage"
    if not folder.exists():
        (folder / "a" / "a").mkdir(parents=True)
        (folder / "a" / "b").symlink_to("../b")
        (folder / "a" / "a" / "a").symlink_to(around)
        (folder / "a" / "a" / "b").symlink_to(around / "b")
        (folder / "b").write_bytes(b"inside")
        (around / "b").write_bytes(b"outside")
    files = StageFiles({"DB.SCHEMA.S": folder})
    path = f"@DB.SCHEMA.S/{rest}"
    try:
        content = files.read(path)
    except DataError:
        pass
    else:
        assert content == b"inside"
        assert folder in files.resolve(path).parents


def test_links_within_a_stage_are_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x").write_bytes(b"outside")
    stage = tmp_path / "stage"
    (stage / "real").mkdir(parents=True)
    (stage / "real" / "x").write_bytes(b"inside")
    (stage / "folder").symlink_to("real")
    (stage / "file").symlink_to("real/x")
    (stage / "away").symlink_to(tmp_path / "outside")
    files = StageFiles({"DB.SCHEMA.S": stage})

    for path in ("real/x", "folder/x", "file", "real/./x", "real//x"):
        assert files.read(f"@DB.SCHEMA.S/{path}") == b"inside", path
    for path in ("away/x", "folder/../../outside/x", "real/../real/x", "real/..", "/real/x"):
        with pytest.raises(DataError, match="leaves its stage"):
            files.read(f"@DB.SCHEMA.S/{path}")


@pytest.mark.parametrize("size", [0, 1, 3 * 1024 * 1024 + 1])
def test_a_file_is_read_whole(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    (tmp_path / "x").write_bytes(content)

    assert StageFiles({"DB.SCHEMA.S": tmp_path}).read("@DB.SCHEMA.S/x") == content


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs files that state no size")
def test_a_file_that_does_not_state_its_size_is_read_whole() -> None:
    assert b"VmRSS" in StageFiles({"DB.SCHEMA.S": Path("/proc/self")}).read("@DB.SCHEMA.S/status")


@pytest.mark.parametrize("convert_to", ["raw_bytes", "base64", "base64_data_url", None])
def test_hundreds_of_slow_openings_are_under_way(
    batch: Batch, monkeypatch: pytest.MonkeyPatch, convert_to: str | None
) -> None:
    count = 600
    stage, counts = batch.root / "mounted", batch.root / "counts"
    stage.mkdir()
    counts.mkdir()
    contents = [f"content {number}".encode() for number in range(count)]
    paths = [f"@DB.SCHEMA.IMAGES/{number}.txt" for number in range(count)]
    for number, content in enumerate(contents):
        (stage / f"{number}.txt").write_bytes(content)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent / "slow_opens"))
    monkeypatch.setenv("SLOW_OPENS_STAGE", str(stage))
    monkeypatch.setenv("SLOW_OPENS_COUNTS", str(counts))
    monkeypatch.setenv("SLOW_OPENS_SECONDS", "20")
    monkeypatch.setenv("SLOW_OPENS_ENOUGH", "100")
    if convert_to is None:
        chats = [json.dumps([{"content": [{"type": "image_url", "image_url": path}]}]) for path in paths]
        batch.rows({"ID": list(range(count)), "MESSAGES": chats})
        batch.job("Echo", stages={"DB.SCHEMA.IMAGES": "mounted"}, inference={"num_workers": 1})
    else:
        batch.rows({"ID": list(range(count)), "FILE": paths})
        job(batch, convert_to, inference={"num_workers": 1})

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    # Rows that bring files along are costly, so a task has few of them.
    assert outcome.progress[-1]["tasks_total"] == 3
    result = batch.result()
    assert result["ID"].to_pylist() == list(range(count))
    encoded = [base64.b64encode(content).decode() for content in contents]
    if convert_to is None:
        chats = [json.loads(chat) for chat in result["SEEN"].to_pylist()]
        urls = [chat[0]["content"][0]["image_url"] for chat in chats]
        assert urls == [f"data:text/plain;base64,{text}" for text in encoded]
    else:
        given = {
            "raw_bytes": [str(content[:22]) for content in contents],
            "base64": [text[:22] for text in encoded],
            "base64_data_url": [f"data:text/plain;base64,{text}"[:22] for text in encoded],
        }
        assert result["HEAD"].to_pylist() == given[convert_to]
    assert max(int(one.read_text()) for one in counts.iterdir()) >= 100


def test_quoted_stage_names_keep_their_case(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"1")
    files = StageFiles({'DB.SCHEMA."my.Stage"': tmp_path})

    assert files.load('@db.schema."my.Stage"/x', FileEncoding.RAW_BYTES) == b"1"
    with pytest.raises(DataError, match="is not mounted"):
        files.load('@db.schema."MY.STAGE"/x', FileEncoding.RAW_BYTES)


def test_a_data_url_without_a_known_type() -> None:
    assert encode(b"x", FileEncoding.BASE64_DATA_URL, "noending") == "data:application/octet-stream;base64,eA=="
