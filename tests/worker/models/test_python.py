"""Functions as models: called as a class's method is, with the params by name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from airflow_provider_snowflake_batch.contract.job_file import JobInput
from airflow_provider_snowflake_batch.contract.model_sources import PythonModel
from airflow_provider_snowflake_batch.worker.errors import Refused
from airflow_provider_snowflake_batch.worker.models.base import LoadedModel
from airflow_provider_snowflake_batch.worker.models.python import describe, load

TEXT = """
async def later(rows, factor):
    return rows["A"] * factor

def score(rows, factor, bias=0):
    return rows["A"] * factor + bias

def total(rows):
    return {"TOTAL": [rows["A"].to_pylist()]}

total.input_format, total.partitioned, total.input_columns = "arrow", True, ["A"]
"""


@pytest.fixture
def loaded(tmp_path: Path) -> Iterator[Any]:
    (tmp_path / "functions_of_the_test.py").write_text(TEXT)

    def load_one(name: str, init: Any = None, function: str = "predict", **params: Any) -> LoadedModel:
        model = PythonModel(f"functions_of_the_test:{name}", function, init or {}, (tmp_path,))
        return load(model, JobInput(tmp_path, params=params))

    yield load_one
    sys.path.remove(str(tmp_path))
    sys.modules.pop("functions_of_the_test", None)


@pytest.mark.parametrize("function", ["predict", "__call__"])
@pytest.mark.parametrize("name", ["score", "later"])
def test_a_function_is_called_with_rows_and_params(loaded: Any, name: str, function: str) -> None:
    model = loaded(name, function=function, factor=2)
    assert model.call(pd.DataFrame({"A": [1, 2]})).tolist() == [2, 4]
    assert (model.form, model.columns, model.partitioned) == ("pandas", None, False)


def test_its_attributes_say_what_those_of_a_class_say(loaded: Any) -> None:
    model = loaded("total")
    assert (model.form, model.columns, model.partitioned) == ("arrow", ["A"], True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "functions_of_the_test:score needs the parameter 'factor'"),
        ({"factor": 1, "gain": 2}, "functions_of_the_test:score has no parameter 'gain'; it takes bias, factor"),
        ({"init": {"factor": 1}}, "is a function, which is not made with init: give its arguments as params"),
        ({"function": "explain", "factor": 1}, "is a function, which has no function 'explain'"),
    ],
)
def test_what_does_not_fit_a_function_is_refused(loaded: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(Refused, match=message):
        loaded("score", **arguments)


def test_a_module_that_the_models_own_lacks_is_named_with_what_to_do(loaded: Any, tmp_path: Path) -> None:
    (tmp_path / "functions_of_the_test.py").write_text("import helpers_of_the_test.numbers\n")
    needed = "^No module named 'helpers_of_the_test'; module 'functions_of_the_test' needs it, .* give it as code, too"
    with pytest.raises(ModuleNotFoundError, match=needed) as raised:
        loaded("score")
    assert raised.value.name == "helpers_of_the_test"


def test_what_is_no_source_beside_a_model_changes_nothing(tmp_path: Path) -> None:
    """An editor leaves a link that leads nowhere; a folder may be called as a module is."""
    (tmp_path / "m.py").write_text("class M: ...")
    model = PythonModel("m:M", "predict", {}, (tmp_path,))
    described = describe(model)
    (tmp_path / ".#m.py").symlink_to("user@host.123:456")
    (tmp_path / "loop.py").symlink_to("loop.py")
    (tmp_path / "package.py").mkdir()
    assert describe(model) == described
    (tmp_path / "package.py" / "other.py").touch()
    assert describe(model) != described
