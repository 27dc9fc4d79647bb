"""Where a model's folder is read, and the libraries that read it; neither needs to be there for these tests."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from airflow_provider_snowflake_batch.worker.errors import Refused
from airflow_provider_snowflake_batch.worker.models.transformer_folder import (
    default_batch_tokens,
    device_of,
    import_transformers,
    local_folder,
)


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    (tmp_path / "temporary").mkdir()
    return tmp_path / "temporary"


def save(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def lies_elsewhere(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a path be on a file system of its own, as a mounted stage is."""
    plain = Path.stat

    def stat(self: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        found = plain(self, follow_symlinks=follow_symlinks)
        return os.stat_result((*found[:2], found.st_dev + 1, *found[3:10])) if self == path else found

    monkeypatch.setattr(Path, "stat", stat)


def test_a_folder_on_the_same_disk_stays_where_it_is(tmp_path: Path, temporary: Path) -> None:
    model = save(tmp_path / "model")
    assert local_folder(model, temporary) == model
    assert not list(temporary.iterdir())


def test_the_only_folder_in_a_folder_is_the_model(tmp_path: Path, temporary: Path) -> None:
    model = save(tmp_path / "given/classifier")
    assert local_folder(tmp_path / "given", temporary) == model

    save(tmp_path / "given/another")
    with pytest.raises(Refused, match=r"model.path: .*given holds no config.json"):
        local_folder(tmp_path / "given", temporary)


def test_an_archive_is_unpacked(tmp_path: Path, temporary: Path) -> None:
    save(tmp_path / "given/classifier")
    archive = Path(shutil.make_archive(str(tmp_path / "model"), "zip", tmp_path / "given"))
    found = local_folder(archive, temporary)
    assert temporary in found.parents
    assert sorted(file.name for file in found.iterdir()) == ["config.json", "model.safetensors"]


def test_a_folder_on_a_mounted_stage_is_copied(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = save(tmp_path / "model")
    lies_elsewhere(model, monkeypatch)
    found = local_folder(model, temporary)
    assert temporary in found.parents
    assert (found / "model.safetensors").read_bytes() == b"weights"


def test_a_folder_that_cannot_be_copied_is_refused(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = save(tmp_path / "model")
    (model / "gone.bin").symlink_to(tmp_path / "nowhere")
    lies_elsewhere(model, monkeypatch)
    with pytest.raises(Refused, match=r"cannot be copied into \S*/temporary: \[Errno 2\] .*/model/gone.bin'$"):
        local_folder(model, temporary)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path, temporary: Path) -> None:
    with pytest.raises(Refused, match=r"model.path: .*nowhere does not exist"):
        local_folder(tmp_path / "nowhere", temporary)


def test_libraries_that_are_missing_are_named_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    for name in ("transformers", "torch", "PIL"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(Refused, match=r"^transformers and torch and pillow must be installed where the worker runs"):
        import_transformers(["PIL"])


def test_a_library_that_is_broken_says_so_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    (tmp_path / "transformers.py").write_text("import tokenizers_of_another_version")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "transformers", raising=False)
    with pytest.raises(ModuleNotFoundError, match="tokenizers_of_another_version"):
        import_transformers()


def test_libraries_fetch_nothing_and_draw_no_progress_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"TOKENIZERS_PARALLELISM": "true"})
    called: list[str] = []
    transformers, torch = ModuleType("transformers"), ModuleType("torch")
    transformers.utils = SimpleNamespace(  # type: ignore[attr-defined]
        logging=SimpleNamespace(disable_progress_bar=lambda: called.append("disabled"))
    )
    monkeypatch.setitem(sys.modules, "transformers", transformers)
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert import_transformers() == (transformers, torch)
    assert os.environ == {"TOKENIZERS_PARALLELISM": "true", "HF_HUB_OFFLINE": "1"}, "what is set is left as it is"
    assert called == ["disabled"]


@pytest.mark.parametrize(("available", "device"), [(True, "cuda:0"), (False, "cpu")])
def test_a_gpu_is_used_where_there_is_one(available: bool, device: str) -> None:
    assert device_of(SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: available))) == device


@pytest.mark.parametrize(("device", "tokens"), [("cpu", 8192), ("cuda:0", 65536)])
def test_tokens_where_nobody_says_how_many(device: str, tokens: int) -> None:
    assert default_batch_tokens(device) == tokens
