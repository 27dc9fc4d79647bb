"""Models as ``log_model`` packs them: the predictions are those of the model itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from snowflake.ml.model import custom_model, model_signature

from tests.worker import packed_models
from tests.worker.batches import Batch
from tests.worker.registry_models import pack, registry

pytestmark = pytest.mark.slow

DataType = model_signature.DataType


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, pd.DataFrame]:
    data = load_digits(as_frame=True)
    model = LogisticRegression(max_iter=300).fit(data.data[:900], data.target[:900])
    directory = tmp_path_factory.mktemp("digits")
    pack(directory, model, sample_input_data=data.data[:100])
    return directory, model, data.data[900:].reset_index(drop=True)


SCALER = model_signature.ModelSignature(
    inputs=[
        model_signature.FeatureSpec(name="values", dtype=DataType.DOUBLE, shape=(-1,)),
        model_signature.FeatureSpec(name="extra", dtype=DataType.OBJECT),
    ],
    outputs=[
        model_signature.FeatureGroupSpec(
            name="outputs",
            specs=[
                model_signature.FeatureSpec(name="text", dtype=DataType.STRING),
                model_signature.FeatureGroupSpec(
                    name="chunks",
                    specs=[
                        model_signature.FeatureSpec(name="timestamp", dtype=DataType.DOUBLE, shape=(2,)),
                        model_signature.FeatureSpec(name="text", dtype=DataType.STRING),
                    ],
                    shape=(-1,),
                ),
            ],
        ),
        model_signature.FeatureSpec(name="image", dtype=DataType.UINT8, shape=(2, 3)),
    ],
    params=[
        model_signature.ParamSpec(name="gain", dtype=DataType.DOUBLE, default_value=2.0),
        model_signature.ParamSpec(name="times", dtype=DataType.INT64, default_value=3),
        model_signature.ParamSpec(name="label", dtype=DataType.STRING, default_value="x"),
        model_signature.ParamSpec(name="flag", dtype=DataType.BOOL, default_value=False),
    ],
)


@pytest.fixture(scope="module")
def scaler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("scaler")
    pack(directory, packed_models.Scaler(custom_model.ModelContext()), signatures={"predict": SCALER})
    return directory


def test_predictions_are_the_models_own(batch: Batch, digits: tuple[Path, Any, pd.DataFrame]) -> None:
    path, model, rows = digits
    # Snowflake upper-cases the names of unquoted columns.
    table = pa.Table.from_pandas(rows.rename(columns=str.upper), preserve_index=False)
    batch.rows(table.append_column("ID", pa.array(range(len(rows)))))
    batch.job(registry(path), inference={"max_batch_rows": 100})

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    result = batch.result()
    assert result.column_names == [*table.column_names, "ID", "output_feature_0"]
    assert result["output_feature_0"].to_pylist() == model.predict(rows).tolist()
    assert result.schema.field("output_feature_0").type == pa.int64()


def test_functions_are_found_by_either_spelling(batch: Batch, digits: tuple[Path, Any, pd.DataFrame]) -> None:
    path, model, rows = digits
    batch.rows(pa.Table.from_pandas(rows[:50], preserve_index=False))
    batch.job(registry(path, "PREDICT_PROBA"))

    assert batch.run().code == 0
    result = batch.result()
    found = np.column_stack([result[f"output_feature_{index}"].to_numpy() for index in range(10)])
    np.testing.assert_allclose(found, model.predict_proba(rows[:50]), rtol=0, atol=1e-12)


def test_columns_come_in_types_that_snowflake_unloads(batch: Batch, digits: tuple[Path, Any, pd.DataFrame]) -> None:
    """NUMBER columns are unloaded as decimals; the order of the columns is the query's, not the signature's."""
    path, model, rows = digits
    columns = {
        name.upper(): pa.array(rows[name].astype("int64")[:50]).cast(pa.decimal128(38, 0))
        for name in reversed(list(rows.columns))
    }
    batch.rows(pa.table(columns))
    batch.job(registry(path))

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    assert batch.result()["output_feature_0"].to_pylist() == model.predict(rows[:50]).tolist()
    assert batch.result().schema.field("PIXEL_0_0").type == pa.decimal128(38, 0)


def test_an_empty_input_has_the_columns_of_the_signature(batch: Batch, scaler: Path) -> None:
    batch.rows(pa.table({"VALUES": pa.array([], pa.string()), "EXTRA": pa.array([], pa.string())}))
    batch.job(registry(scaler))

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    manifest = batch.manifest()
    assert [one["name"] for one in manifest["schema"]] == ["VALUES", "EXTRA", "outputs", "image"]
    assert manifest["schema"][3]["type"] == "list<list<uint8>>"
    assert batch.verify().code == 0


@pytest.mark.parametrize("as_json", [True, False])
def test_nested_inputs_and_outputs_survive(batch: Batch, scaler: Path, as_json: bool) -> None:
    values: list[Any] = [[1.0], [], [2.0, 3.0]]
    extra: list[Any] = [{"a": "1"}, None, {"a": "2"}]
    if as_json:
        table = {"VALUES": [json.dumps(one) for one in values], "EXTRA": [one and json.dumps(one) for one in extra]}
    else:
        table = {"VALUES": values, "EXTRA": extra}
    batch.rows({"ID": [0, 1, 2], **table})
    batch.job(registry(scaler), input={"params": {"gain": 10, "label": "é"}})

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    result = batch.result()
    assert result["outputs"].to_pylist()[2] == {
        "text": "éFalse",
        "chunks": [{"timestamp": [2.0, 20.0], "text": "ééé"}, {"timestamp": [3.0, 30.0], "text": "ééé"}],
    }
    assert result["outputs"].to_pylist()[1]["chunks"] == []
    assert result["image"].to_pylist()[2] == [[2, 2, 2], [2, 2, 2]]
    assert batch.verify().code == 0


def test_params_have_the_defaults_of_the_signature(batch: Batch, scaler: Path) -> None:
    batch.rows({"VALUES": [[1.0]], "EXTRA": ["{}"]})
    batch.job(registry(scaler), input={"params": {"times": None}})

    assert batch.run().code == 0
    assert batch.result()["outputs"].to_pylist()[0]["chunks"] == [{"timestamp": [1.0, 2.0], "text": "xxx"}]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"temperature": 1.0}, "has no parameter 'temperature'; it takes flag, gain, label, times"),
        ({"gain": "high"}, "parameter gain must be DOUBLE, not 'high'"),
        ({"times": 1.5}, "parameter times must be INT64, not 1.5"),
        ({"times": True}, "parameter times must be INT64, not True"),
        ({"times": 2**63}, "does not fit INT64"),
        ({"gain": 10**400}, "parameter gain: the number does not fit DOUBLE"),
        ({"flag": 1}, "parameter flag must be BOOL, not 1"),
        ({"label": ["a"]}, "parameter label must be STRING"),
    ],
)
def test_wrong_params_are_refused(batch: Batch, scaler: Path, params: dict[str, Any], message: str) -> None:
    batch.rows({"VALUES": [[1.0]], "EXTRA": ["{}"]})
    batch.job(registry(scaler), input={"params": params})

    outcome = batch.run()

    assert outcome.code == 2
    assert message in outcome.last
    assert not batch.output.exists()


def test_wrong_columns_and_functions_are_refused(
    make_batch: Callable[[str], Batch], digits: tuple[Path, Any, pd.DataFrame]
) -> None:
    path, _, rows = digits
    cases = {
        "missing": (rows.drop(columns="pixel_3_3"), "predict", "model input 'pixel_3_3' is not among the input"),
        "twice": (
            rows.rename(columns={"pixel_0_0": "Pixel_0_0"}).assign(PIXEL_0_0=1.0),
            "predict",
            "model input 'pixel_0_0' matches more than one input column: Pixel_0_0, PIXEL_0_0",
        ),
        "function": (rows, "transform", "has no function 'transform'; it has decision_function, predict"),
    }
    for name, (frame, function, message) in cases.items():
        batch = make_batch(name)
        batch.rows(pa.Table.from_pandas(frame[:5], preserve_index=False))
        batch.job(registry(path, function))

        outcome = batch.run()

        assert outcome.code == 2
        assert message in outcome.last


def test_text_where_numbers_are_needed_is_an_error_of_the_data(
    batch: Batch, digits: tuple[Path, Any, pd.DataFrame]
) -> None:
    path, _, rows = digits
    batch.rows(pa.Table.from_pandas(rows[:5].assign(pixel_2_2="many"), preserve_index=False))
    batch.job(registry(path))

    outcome = batch.run()

    assert outcome.code == 1
    assert "input column 'pixel_2_2' (string) cannot be read as DOUBLE" in outcome.last
    assert outcome.last.endswith("(row 0 of file data_000.parquet)")


def test_a_directory_that_is_no_model_is_refused(batch: Batch, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    batch.ids(5)
    batch.job(registry(tmp_path / "model"))

    outcome = batch.run()

    assert outcome.code == 2
    assert "is not a packed model: it holds no model.yaml" in outcome.last


def test_a_function_on_partitions_needs_a_partition_column(
    batch: Batch, digits: tuple[Path, Any, pd.DataFrame], tmp_path: Path
) -> None:
    path, _, _ = digits
    metadata = yaml.safe_load((path / "model" / "model.yaml").read_text())
    metadata["function_properties"] = {"predict": {"PARTITIONED": True}}
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.yaml").write_text(yaml.safe_dump(metadata))
    batch.ids(5)
    batch.job(registry(tmp_path / "model"))

    outcome = batch.run()

    assert outcome.code == 2
    assert "works on partitions: input.partition_column is needed" in outcome.last


def test_all_of_the_registry_package_is_there_for_a_model_that_asks(batch: Batch, tmp_path: Path) -> None:
    signature = model_signature.ModelSignature(
        inputs=[model_signature.FeatureSpec(name="ID", dtype=DataType.INT64)],
        outputs=[model_signature.FeatureSpec(name="names", dtype=DataType.STRING)],
    )
    pack(tmp_path / "packed", packed_models.Client(custom_model.ModelContext()), signatures={"predict": signature})
    batch.ids(3)
    batch.job(registry(tmp_path / "packed"))

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    assert batch.result()["names"].to_pylist() == ["ModelVersion Volatility INT8"] * 3
