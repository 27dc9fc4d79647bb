"""Kinds of models: those of this package at no cost, others from packages that are installed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_snowflake_batch.contract.job_fields import JobFileError
from airflow_provider_snowflake_batch.contract.model_sources import MODEL_SOURCES
from airflow_provider_snowflake_batch.worker import model_kinds
from airflow_provider_snowflake_batch.worker.errors import Refused
from airflow_provider_snowflake_batch.worker.models.base import ModelKind

KIND = """
from dataclasses import dataclass
from typing import Any, ClassVar
from airflow_provider_snowflake_batch.contract.model_sources import PythonModel
from airflow_provider_snowflake_batch.worker.models.python import Kind as PythonKind

class Source(PythonModel):
    KIND = "brought"

class Brought(PythonKind):
    source = Source
"""


@pytest.fixture(autouse=True)
def nothing_found_before() -> None:
    model_kinds.find_kind.cache_clear()


def install(folder: Path, package: str, code: str, *entries: str) -> Path:
    """A package as it lies in a folder where packages are installed."""
    metadata = folder / f"{package}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (folder / f"{package}.py").write_text(code)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("\n".join([f"[{model_kinds.GROUP}]", *entries]))
    return folder


@pytest.mark.parametrize("word", MODEL_SOURCES)
def test_each_built_in_kind_has_a_module_of_its_name(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_kinds, "_installed", lambda: pytest.fail("looked for packages"))

    assert model_kinds.find_source(word) is MODEL_SOURCES[word]
    kind = model_kinds.find_kind(word)

    assert isinstance(kind, ModelKind)
    assert kind.source is MODEL_SOURCES[word]
    assert word == kind.source.KIND


def test_a_job_file_is_read_without_loading_libraries(tmp_path: Path) -> None:
    document = {
        "version": 1,
        "job_name": "J",
        "input": {"path": "in"},
        "output": {"path": "out"},
        "model": {"kind": "registry", "path": "m"},
    }
    (tmp_path / "JOB.json").write_text(json.dumps(document))
    code = (
        "import pathlib, sys\n"
        "from airflow_provider_snowflake_batch.worker.job import read_job\n"
        f"read_job(pathlib.Path({str(tmp_path / 'JOB.json')!r}))\n"
        "print(sorted({'numpy', 'pandas', 'pyarrow', 'yaml', 'importlib.metadata'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_a_package_brings_a_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(install(tmp_path, "bringing", KIND, "brought = bringing:Brought"))

    assert model_kinds.find_source("brought").KIND == "brought"
    assert type(model_kinds.find_kind("brought")).__name__ == "Brought"
    with pytest.raises(JobFileError, match="'other' is not supported; supported: registry, python, .*brought"):
        model_kinds.find_source("other")


@pytest.mark.parametrize(
    ("code", "entries", "message"),
    [
        ("import no_such_module", ["x = broken:X"], "'x' of broken cannot be loaded: ModuleNotFoundError: No module"),
        ("", ["x = broken:X"], "'x' of broken cannot be loaded: AttributeError"),
        ("X = 1", ["x = broken:X"], "'x' of broken: broken:X is no ModelKind whose source is 'x'"),
        (KIND, ["x = broken:Brought"], "'x' of broken: broken:Brought is no ModelKind whose source is 'x'"),
    ],
    ids=["no module", "no class", "no kind", "another word"],
)
def test_a_package_that_brings_something_else_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, entries: list[str], message: str
) -> None:
    monkeypatch.delitem(sys.modules, "broken", raising=False)
    monkeypatch.syspath_prepend(install(tmp_path, "broken", code, *entries))

    with pytest.raises(Refused, match=message):
        model_kinds.find_source("x")


def test_two_packages_that_bring_the_same_kind_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("first", "second"):
        monkeypatch.syspath_prepend(install(tmp_path / package, package, "X = 1", f"x = {package}:X"))

    with pytest.raises(Refused, match="'x' is brought by several packages: first, second"):
        model_kinds.find_source("x")
