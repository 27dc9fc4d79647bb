"""A model's own file beside the Dag: what is uploaded, and what is refused."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import pytest

from airflow_provider_snowflake_batch.exceptions import JobInputError
from airflow_provider_snowflake_batch.hooks import model_files
from airflow_provider_snowflake_batch.hooks.model_files import find_model_file
from airflow_provider_snowflake_batch.jobs.models import MLflowModel, OnnxModel, PythonModel, XGBoostModel


def test_a_file_is_named_after_its_content(tmp_path: Path) -> None:
    names = []
    for content in (b"one", b"two", b"one"):
        (tmp_path / "churn.json").write_bytes(content)
        found = find_model_file(XGBoostModel("churn.json"), str(tmp_path))
        assert found is not None
        assert found.packed().content == content
        names.append(found.packed().name)
    assert names[0] == names[2] != names[1]
    assert names[0].startswith("model-")
    assert names[0].endswith(".json")


def test_what_is_on_a_stage_is_not_looked_for(tmp_path: Path) -> None:
    assert find_model_file(XGBoostModel("@db.s.st/churn.json"), str(tmp_path)) is None
    assert find_model_file(PythonModel("m:C"), str(tmp_path)) is None


def test_a_folder_is_one_archive(tmp_path: Path) -> None:
    (tmp_path / "churn" / "data").mkdir(parents=True)
    (tmp_path / "churn" / "m.onnx").write_bytes(b"graph")
    (tmp_path / "churn" / "data" / "weights").write_bytes(b"weights")
    (tmp_path / "churn" / "again").symlink_to(tmp_path / "churn")
    found = find_model_file(OnnxModel("churn"), str(tmp_path))
    assert found is not None
    packed = found.packed()
    assert packed.name.endswith(".zip")
    with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
        assert set(archive.namelist()) == {"m.onnx", "data/weights"}
    (tmp_path / "churn.bin").write_bytes(b"1")
    (tmp_path / "nothing").mkdir()
    for name, message in {"churn.bin": "is neither a folder nor a zip archive", "nothing": "is empty"}.items():
        with pytest.raises(JobInputError, match=rf"^model\.path: .*{message}"):
            find_model_file(OnnxModel(name), str(tmp_path))


def test_what_is_no_model_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "empty.json").touch()
    (tmp_path / "large.json").write_bytes(b"12345")
    monkeypatch.setattr(model_files, "MOST_BYTES", 4)
    for name, message in {
        "none.json": "there is no file or folder .*/none.json",
        "folder.json": "is a folder, the model is one file",
        "empty.json": "is empty",
        "large.json": "large.json has more than 0 MiB. Put it on a stage",
    }.items():
        with pytest.raises(JobInputError, match=rf"^model\.path: .*{message}"):
            find_model_file(XGBoostModel(name), str(tmp_path))


def test_a_folder_has_all_that_links_lead_to(tmp_path: Path) -> None:
    """As caches of models lay them out: each file, and maybe a folder, under several names."""
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "1a").write_bytes(b"weights")
    (tmp_path / "m" / "v1").mkdir(parents=True)
    (tmp_path / "m" / "v1" / "weights").symlink_to(tmp_path / "blobs" / "1a")
    (tmp_path / "m" / "latest").symlink_to(tmp_path / "m" / "v1")
    (tmp_path / "m" / "gone").symlink_to(tmp_path / "nowhere")
    found = find_model_file(MLflowModel("m"), str(tmp_path))
    assert found is not None
    with zipfile.ZipFile(io.BytesIO(found.packed().content)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "v1/weights": b"weights",
            "latest/weights": b"weights",
        }


def test_what_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m" / "lib").mkdir(parents=True)
    for name in ("m/MLmodel", "m/lib/weights", "m.json"):
        (tmp_path / name).write_bytes(b"1")

    def denied(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", denied)
        for model in (MLflowModel("m"), XGBoostModel("m.json")):
            found = find_model_file(model, str(tmp_path))
            assert found is not None
            with pytest.raises(JobInputError, match=r"^model\.path: /.*/m.* cannot be read: Permission denied"):
                found.packed()
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: denied(path) if str(path).endswith("lib") else scandir(path))
    with pytest.raises(JobInputError, match=r"^model\.path: /.*/m/lib cannot be read: Permission denied"):
        find_model_file(MLflowModel("m"), str(tmp_path))


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    Path(os.fsdecode(bytes(tmp_path / "m") + b"/\xff.bin")).write_bytes(b"1")
    found = find_model_file(MLflowModel("m"), str(tmp_path))
    assert found is not None
    with pytest.raises(JobInputError, match=r"^model\.path: the name of the file '\\udcff.bin' is no text"):
        found.packed()
