"""Which wheels of a folder are for this Python."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest

from airflow_provider_snowflake_batch.worker.errors import Refused
from airflow_provider_snowflake_batch.worker.models.wheels import fitting

HERE = f"cp3{sys.version_info[1]}"
MACHINE = f"macosx_11_0_{platform.machine()}" if sys.platform == "darwin" else f"manylinux_2_28_{platform.machine()}"


def chosen(*names: str) -> list[str]:
    return [path.name for path in fitting(map(Path, names), "model.python_path")]


@pytest.mark.parametrize(
    "name",
    [
        "a-1-py3-none-any.whl",
        "a-1-py2.py3-none-any.whl",
        "a-1-py38-none-any.whl",
        "a-1-1build-py3-none-any.whl",
        f"a-1-{HERE}-{HERE}-{MACHINE}.whl",
        f"a-1-cp38-abi3-manylinux1_x86_64.musllinux_1_1_x86_64.{MACHINE}.whl",
        f"a-1-{HERE}-none-any.whl",
        "whatever.whl",
    ],
)
def test_what_this_python_can_import(name: str) -> None:
    assert chosen(name) == [name]


@pytest.mark.parametrize(
    "name",
    [
        "a-1-py2-none-any.whl",
        "a-1-py399-none-any.whl",
        f"a-1-cp37-cp37m-{MACHINE}.whl",
        f"a-1-cp399-abi3-{MACHINE}.whl",
        f"a-1-{HERE}-{HERE}t-{MACHINE}.whl",
        f"a-1-{HERE}-{HERE}-win_amd64.whl",
        f"a-1-{HERE}-{HERE}-manylinux_2_28_riscv64.whl",
        f"a-1-pp3{sys.version_info[1]}-none-any.whl",
    ],
)
def test_what_it_cannot_is_refused_where_there_is_nothing_else(name: str) -> None:
    with pytest.raises(Refused, match=rf"^model.python_path: no wheel of a is for Python 3\.\d+ on .*: {name}"):
        chosen(name)
    assert chosen(name, "a-1-py3-none-any.whl", "b-2-py3-none-any.whl") == [
        "a-1-py3-none-any.whl",
        "b-2-py3-none-any.whl",
    ]


def test_versions_of_a_package_are_not_guessed_between() -> None:
    with pytest.raises(Refused, match=r"more than one version of a-b, leave one of them: A\.b-1\.10-.*, a_b-1\.9-"):
        chosen("a_b-1.9-py3-none-any.whl", "A.b-1.10-py3-none-any.whl")
    # Another version for another Python is no rival, and the same one twice is no question.
    assert chosen("a-1-cp37-cp37m-any.whl", "a-2-py3-none-any.whl") == ["a-2-py3-none-any.whl"]
    assert len(chosen("a-1-py3-none-any.whl", f"a-1-{HERE}-none-any.whl")) == 1
