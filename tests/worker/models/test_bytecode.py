"""Compiled files of a model's modules count by the content of their source, not by its size and time."""

from __future__ import annotations

import importlib
import os
import py_compile
import sys
from pathlib import Path

import pytest

from airflow_provider_snowflake_batch.worker.models import bytecode


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "path_hooks", list(sys.path_hooks))
    monkeypatch.setattr(sys, "path_importer_cache", dict(sys.path_importer_cache))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    bytecode.compare_by_content([tmp_path])
    return tmp_path


def write(path: Path, weight: int) -> None:
    """Sources of the same size and time."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"WEIGHT = {weight}\n")
    os.utime(path, (1_000_000_000, 1_000_000_000))


def weight(name: str) -> object:
    try:
        return importlib.import_module(name).WEIGHT
    finally:
        sys.modules.pop(name, None)
        sys.modules.pop(name.partition(".")[0], None)


@pytest.mark.parametrize("name", ["weighted_module", "weighted_package.inner"])
def test_a_source_of_the_same_size_and_time_is_compiled_anew(folder: Path, name: str) -> None:
    path = folder / f"{name.replace('.', '/')}.py"
    write(path, 2)
    py_compile.compile(str(path), invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP)
    write(path, 3)
    assert weight(name) == 3
    (compiled,) = (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc")
    first = compiled.read_bytes()

    assert weight(name) == 3
    assert compiled.read_bytes() == first
    write(path, 4)
    assert weight(name) == 4
    assert compiled.read_bytes() != first


def test_a_hash_that_is_not_compared_does_not_count(folder: Path) -> None:
    path = folder / "unchecked_module.py"
    write(path, 2)
    py_compile.compile(str(path), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    write(path, 3)

    assert weight("unchecked_module") == 3


def test_where_nothing_can_be_written_the_source_counts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "read_only_module.py"
    write(path, 2)
    py_compile.compile(str(path), invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(py_compile, "compile", refuse)
    write(path, 3)

    assert weight("read_only_module") == 3


def test_a_source_that_is_wrong_says_so(folder: Path) -> None:
    (folder / "wrong_module.py").write_text("WEIGHT = \n")

    with pytest.raises(SyntaxError, match="invalid syntax"):
        weight("wrong_module")


def test_other_folders_are_left_to_python(folder: Path) -> None:
    assert sys.path_hooks[0](str(folder))
    with pytest.raises(ImportError):
        sys.path_hooks[0](str(folder) + "2")
