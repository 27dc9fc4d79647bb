"""Models as MLflow saves them return what its ``pyfunc`` returns; what they take is known without the library."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml

from airflow_provider_snowflake_batch.contract.file_sources import MLflowModel
from airflow_provider_snowflake_batch.contract.job_file import JobInput
from airflow_provider_snowflake_batch.worker.errors import DataError, Refused
from airflow_provider_snowflake_batch.worker.model_kinds import find_kind
from airflow_provider_snowflake_batch.worker.scoring.input_conversion import InputConverter
from airflow_provider_snowflake_batch.worker.scoring.results import to_table
from tests.worker.batches import Batch

Prepare = Callable[..., MLflowModel]
Score = Callable[..., pa.Table]


@pytest.fixture
def prepare(tmp_path: Path) -> Prepare:
    def prepare(path: Path, **params: Any) -> MLflowModel:
        folder = tmp_path / f"job-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        columns = params.pop("columns", ())
        kind = find_kind("mlflow")
        model: MLflowModel = kind.prepare(MLflowModel(path, "predict", columns=columns), folder)
        kind.describe(model, JobInput(Path("input"), params=params))
        return model

    return prepare


@pytest.fixture
def score(prepare: Prepare) -> Score:
    """Scores rows as a job does, within this process."""

    def score(path: Path, rows: pa.Table, **params: Any) -> pa.Table:
        model = prepare(path, **params)
        params.pop("columns", None)
        loaded = find_kind("mlflow").load(model, JobInput(Path("input"), params=params))
        argument = InputConverter(rows.column_names, loaded.signature, loaded.form, loaded.columns)(rows)
        return to_table(loaded.call(argument), rows.num_rows, loaded.signature)

    return score


@pytest.fixture
def mlflow() -> Any:
    pytest.importorskip("mlflow.pyfunc")
    import mlflow

    return mlflow


def described(folder: Path, *inputs: dict[str, Any], params: tuple[str, ...] = (), **changes: Any) -> Path:
    """A folder that MLflow could have written, as far as it is read without MLflow."""
    folder.mkdir()
    signature = {
        "inputs": json.dumps(list(inputs)),
        "params": json.dumps([{"name": name, "type": "double", "default": 1.0} for name in params]),
    }
    document = {"flavors": {"python_function": {}}, "signature": signature, **changes}
    (folder / "MLmodel").write_text(yaml.safe_dump(document))
    return folder


def test_a_wrong_job_is_refused_without_the_library(
    prepare: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("mlflow", "mlflow.pyfunc"):
        monkeypatch.setitem(sys.modules, name, None)
    column = {"name": "A", "type": "double", "required": True}
    model = described(tmp_path / "model", column, params=("low", "high"))
    assert prepare(model, low=1).path.name == "model"
    with pytest.raises(Refused, match="the MLflow model has no parameter 'mid'; it has low, high"):
        prepare(model, mid=1)
    with pytest.raises(Refused, match="has no parameter 'mid'; its signature has none"):
        prepare(described(tmp_path / "plain", column), mid=1)
    with pytest.raises(Refused, match=r"model\.columns: the MLflow model names its inputs itself: A"):
        prepare(model, columns=("B",))
    with pytest.raises(Refused, match="states no flavor python_function"):
        prepare(described(tmp_path / "other", flavors={"spark": {}}))
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "MLmodel").write_text("[1")
    with pytest.raises(Refused, match=r"model\.path: MLmodel cannot be read: "):
        prepare(tmp_path / "damaged")
    (tmp_path / "empty").mkdir()
    with pytest.raises(Refused, match="is no model of MLflow: it holds no MLmodel"):
        prepare(tmp_path / "empty")
    with pytest.raises(Refused, match=r"model\.path: .*/none does not exist"):
        prepare(tmp_path / "none")
    with pytest.raises(Refused, match="the package mlflow is not installed here, .* does not bring it"):
        find_kind("mlflow").load(prepare(model), JobInput(Path("input")))


@pytest.mark.parametrize("inside", ["", "model/"])
def test_a_zip_file_is_what_is_in_it(prepare: Prepare, tmp_path: Path, inside: str) -> None:
    folder = described(tmp_path / "model")
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        archive.write(folder / "MLmodel", f"{inside}MLmodel")
    kind, given = find_kind("mlflow"), JobInput(Path("input"))
    identities = {kind.describe(prepare(path), given).identity for path in (folder, tmp_path / "model.zip")}
    assert len(identities) == 1


def save(mlflow: Any, path: Path, function: Any, signature: Any) -> Path:
    class Model(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return function(model_input, params)

    mlflow.pyfunc.save_model(path, python_model=Model(), signature=signature, pip_requirements=[])
    return path


def test_columns_come_by_name_in_the_types_of_the_signature(mlflow: Any, score: Score, tmp_path: Path) -> None:
    types = mlflow.types
    columns = {"a": "integer", "b": "float", "c": "string", "d": "boolean"}
    inputs = types.Schema([types.ColSpec(kind, name) for name, kind in columns.items()])
    params = types.ParamSchema([types.ParamSpec("gain", "double", 2.0)])

    def function(rows: Any, params: Any) -> Any:
        text = ",".join(str(kind) for kind in rows.dtypes)
        return pd.DataFrame({"SUM": rows["a"] * params["gain"] + rows["b"], "TYPES": text})

    signature = mlflow.models.ModelSignature(inputs=inputs, params=params)
    path = save(mlflow, tmp_path / "model", function, signature)
    rows = pa.table({"D": [True, False], "C": ["x", "y"], "B": [0.5, 1.5], "A": [1, 2], "ID": [1, 2]})
    found = score(path, rows).to_pydict()
    assert found["SUM"] == [2.5, 5.5]
    assert found["TYPES"][0].startswith("int32,float32,")
    assert score(path, rows, gain=3.0)["SUM"].to_pylist() == [3.5, 7.5]
    with pytest.raises(DataError, match="input column 'A'"):
        score(path, rows.set_column(3, "A", pa.array([1, 2**40])))
    with pytest.raises(Refused, match="'d' is not among the input columns: C, B, A, ID"):
        score(path, rows.drop_columns("D"))


def test_an_optional_column_may_be_missing(mlflow: Any, score: Score, tmp_path: Path) -> None:
    types = mlflow.types
    inputs = types.Schema([types.ColSpec("double", "a"), types.ColSpec("double", "b", required=False)])
    path = save(
        mlflow,
        tmp_path / "model",
        lambda rows, params: rows.sum(axis=1).to_numpy(),
        mlflow.models.ModelSignature(inputs=inputs),
    )
    rows = pa.table({"A": [1.0, 2.0], "B": [0.5, 0.5], "ID": [7, 8]})
    assert score(path, rows)["PREDICTION"].to_pylist() == [1.5, 2.5]
    assert score(path, rows.drop_columns("B"))["PREDICTION"].to_pylist() == [1.0, 2.0]
    with pytest.raises(Refused, match="input of the MLflow model 'a' is not among the input columns: B, ID"):
        score(path, rows.drop_columns("A"))


def test_a_matrix_is_made_of_columns(mlflow: Any, score: Score, tmp_path: Path) -> None:
    types = mlflow.types
    inputs = types.Schema([types.TensorSpec(np.dtype(np.float32), (-1, 2))])
    outputs = types.Schema([types.TensorSpec(np.dtype(np.float32), (-1, 2))])
    signature = mlflow.models.ModelSignature(inputs=inputs, outputs=outputs)
    path = save(mlflow, tmp_path / "model", lambda rows, params: rows * 2, signature)
    rows = pa.table({"A": [1.0, 2.0], "B": [0.5, 0.25]})
    assert score(path, rows).to_pydict() == {"PREDICTION_0": [2.0, 4.0], "PREDICTION_1": [1.0, 0.5]}
    more = rows.append_column("ID", pa.array([1, 2]))
    assert score(path, more, columns=("B", "A"))["PREDICTION_0"].to_pylist() == [1.0, 0.5]
    with pytest.raises(Refused, match="trained with 2 columns and does not know their names, the input has 3"):
        score(path, more)


def test_a_job_scores_with_what_a_library_has_saved(mlflow: Any, batch: Batch, tmp_path: Path) -> None:
    sklearn_datasets = pytest.importorskip("sklearn.datasets")
    from sklearn.linear_model import LogisticRegression

    rows, target = sklearn_datasets.load_iris(return_X_y=True, as_frame=True)
    model = LogisticRegression(max_iter=500).fit(rows, target)
    signature = mlflow.models.infer_signature(rows, model.predict(rows))
    mlflow.sklearn.save_model(model, tmp_path / "model", signature=signature, pip_requirements=[])
    table = pa.Table.from_pandas(rows.rename(columns=str.upper), preserve_index=False)
    batch.rows(table.append_column("ID", pa.array(range(len(rows)))), row_group_size=60)
    batch.job({"kind": "mlflow", "path": str(tmp_path / "model")}, inference={"max_batch_rows": 40, "num_workers": 1})
    outcome = batch.run()
    assert outcome.code == 0, outcome.stderr
    own = mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(rows)
    assert batch.result()["PREDICTION"].to_pylist() == own.tolist() == model.predict(rows).tolist()
