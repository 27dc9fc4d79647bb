"""Models of the worker as a task states them.

Also tests ``jobs/models/base.py``, ``jobs/models/files.py``, ``jobs/models/python.py``, ``jobs/models/registry.py``.
"""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.models import (
    FunctionModel,
    LightGBMModel,
    MLflowModel,
    OnnxModel,
    PythonModel,
    RegistryModel,
    SklearnModel,
    XGBoostModel,
    parse_model,
)
from airflow_provider_snowflake_batch.jobs.models.files import FileModel
from airflow_provider_snowflake_batch.jobs.spec_fields import plain_value


def test_a_dict_says_the_same_and_comes_back() -> None:
    model = PythonModel("my_models.churn:Churn", code="my_models", init={"threshold": 0.5}, function="score")
    plain = {
        "kind": "python",
        "target": "my_models.churn:Churn",
        "code": "my_models",
        "init": {"threshold": 0.5},
        "function": "score",
    }
    assert plain_value(model) == plain
    assert parse_model(plain) == parse_model(model) == model
    assert pickle.loads(pickle.dumps(model)) == model
    assert hash(parse_model(plain)) == hash(model)


def test_what_is_not_given_is_left_out() -> None:
    assert PythonModel("m:C").to_dict() == {"kind": "python", "target": "m:C"}
    assert parse_model({"target": "m:C"}) == PythonModel("m:C")
    assert PythonModel("m:C", code=["a.zip", "@db.s.st/b"]).code_places == ("a.zip", "@db.s.st/b")


def test_templates_are_left_for_later() -> None:
    assert PythonModel("{{ params.target }}", code="{{ params.code }}").target == "{{ params.target }}"


@pytest.mark.parametrize(
    "model",
    [
        XGBoostModel("models/churn.json"),
        LightGBMModel("@models/churn.txt", function="predict_proba", columns=["A", "B"]),
        OnnxModel("churn.onnx", inputs={"x": ["A", "B"]}, outputs={"p": ["LOW", "HIGH"], "label": "KIND"}),
        MLflowModel("@models/churn/7"),
        SklearnModel("churn.skops", function="transform", code="@code/wheels", trusted=["my.Type"]),
    ],
)
def test_a_models_file_as_a_dict(model: FileModel) -> None:
    plain = plain_value(model)
    assert plain["kind"] == model.kind
    assert parse_model(plain) == model
    assert hash(parse_model(plain)) == hash(model)
    assert pickle.loads(pickle.dumps(model)) == model
    assert str(model) == model.path
    place = f"@db.s.st/{model.path.lstrip('@')}"
    assert model.at([], place).file == place


def test_a_registered_model_as_a_dict() -> None:
    model = RegistryModel("db.s.churn", version="v1", function="predict_proba")
    plain = {"kind": "registry", "name": "db.s.churn", "version": "v1", "function": "predict_proba"}
    assert plain_value(model) == plain
    assert parse_model(plain) == model
    assert str(model) == "db.s.churn"
    assert RegistryModel("{{ params.name }}", version="{{ params.version }}").file is None


def test_fields_of_a_models_file_may_be_templates() -> None:
    model = XGBoostModel("{{ params.path }}", function="{{ params.function }}")
    assert model.to_dict() == {"kind": "xgboost", "path": "{{ params.path }}", "function": "{{ params.function }}"}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("churn", "model: expected PythonModel"),
        ({"kind": "pmml", "target": "m:C"}, "model: kind 'pmml' is not one of 'python'"),
        ({"kind": "python"}, "model: the field target is missing"),
        ({"target": "m:C", "path": "x"}, "model: unknown field 'path'; the fields are target, code, init, function"),
        ({"target": "churn.Churn"}, "model.target: expected of the form package.module:Class"),
        ({"target": "m:C; import os"}, "model.target: "),
        ({"target": "m:C", "function": "not a name"}, "model.function: expected the name of a method"),
        ({"target": "m:C", "code": []}, "model.code: expected a path or a list of paths"),
        ({"target": "m:C", "code": ["a", 1]}, "model.code: expected a path, got 1"),
        ({"target": "m:C", "code": "@~/x"}, "model.code: .* user or table stage"),
        ({"kind": "xgboost"}, "model: the field path is missing"),
        ({"kind": "xgboost", "path": "churn.model"}, "model.path: expected a file .json or .ubj, got 'churn.model'"),
        ({"kind": "xgboost", "path": "@~/a.json"}, "model.path: .* user or table stage"),
        ({"kind": "lightgbm", "path": "a.txt", "function": "transform"}, "model.function: LightGBMModel has predict, "),
        ({"kind": "sklearn", "path": "a.pkl", "columns": "A"}, "model.columns: expected a list of input columns"),
        ({"kind": "sklearn", "path": "a.skops", "trusted": [1]}, "model.trusted: expected a list of types"),
        ({"kind": "onnx", "path": "a", "inputs": ["A"]}, "model.inputs: expected a dict from inputs of the model to"),
        ({"kind": "onnx", "path": "a", "inputs": {"x": "A"}}, "model.inputs: expected .* got 'x': 'A'"),
        ({"kind": "onnx", "path": "a", "outputs": {"y": [1]}}, "model.outputs: expected .* got 'y': "),
        ({"kind": "onnx", "path": "a", "inputs": {"x": ["A"]}, "columns": ["A"]}, "model.columns: give either"),
        ({"kind": "mlflow", "path": "a", "function": "score"}, "model.function: MLflowModel has predict, not 'score'"),
        ({"kind": "registry", "name": "a b"}, "model.name: "),
        ({"kind": "registry", "name": "m", "version": "1 2"}, "model.version: "),
        ({"kind": "registry", "name": "m", "function": "a.b"}, "model.function: expected the name of a method"),
        ({"target": "m:C", "init": [1]}, "model.init: expected a dict"),
        ({"target": "m:C", "init": {"a": float("nan")}}, "model.init: every value must be JSON"),
        ({"target": "m:C", "init": {"a": [{1: "one"}]}}, "model.init: the key 1 is no text"),
        ({"target": "m:C", "init": {"a": object()}}, "model.init: every value must be JSON"),
    ],
)
def test_what_is_no_model_is_refused_by_its_field(value: Any, message: str) -> None:
    with pytest.raises(InvalidJobError, match=f"^{message}"):
        parse_model(value)


def test_a_function_is_a_module_of_its_own() -> None:
    model = FunctionModel("score", "def score(rows):\n    return f'{{rows}}'\n")
    plain = {"kind": "function", "name": "score", "text": model.text}
    assert plain_value(model) == plain
    assert parse_model(plain) == model == pickle.loads(pickle.dumps(model))
    assert hash(parse_model(plain)) == hash(model)
    assert model.own_code == {"task_function.py": f"from __future__ import annotations\n\n\n{model.text}"}
    assert (str(model), model.code_places) == ("task_function:score", ("task_function.py",))
    for wrong in ({"name": "a b"}, {"text": " "}):
        with pytest.raises(InvalidJobError, match="^model.(name|text): expected"):
            parse_model(plain | wrong)
