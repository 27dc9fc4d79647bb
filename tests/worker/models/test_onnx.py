"""Models in ONNX files return what a session of ONNX Runtime returns for the same tensors.

Also tests ``worker/models/onnx_tensors.py``.
"""

from __future__ import annotations

import sys
import warnings
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from airflow_provider_snowflake_batch.contract.file_sources import OnnxModel
from airflow_provider_snowflake_batch.contract.job_file import JobInput
from airflow_provider_snowflake_batch.worker.errors import DataError, Refused
from airflow_provider_snowflake_batch.worker.model_kinds import find_kind
from airflow_provider_snowflake_batch.worker.scoring.input_conversion import InputConverter
from airflow_provider_snowflake_batch.worker.scoring.results import to_table
from tests.worker.batches import Batch

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

Score = Callable[..., pa.Table]
Shape = Sequence[Any]
DTYPES = {"FLOAT": np.float32, "DOUBLE": np.float64, "INT8": np.int8, "INT64": np.int64, "BOOL": np.bool_}


def save(path: Path, nodes: Sequence[Any], inputs: dict[str, tuple[str, Shape]], outputs: dict[str, Any]) -> Path:
    """Write a model.

    :param inputs: type and shape of each. :param outputs: likewise, or the type as ONNX has it.
    """
    helper, numbers = onnx.helper, onnx.TensorProto

    def described(name: str, kind: Any) -> Any:
        if isinstance(kind, tuple):
            return helper.make_tensor_value_info(name, getattr(numbers, kind[0]), kind[1])
        return helper.make_value_info(name, kind)

    constants = [
        onnx.numpy_helper.from_array(np.arange(12, dtype=np.float32).reshape(4, 3) / 7, "weights"),
        onnx.numpy_helper.from_array(np.array([-1], dtype=np.int64), "all"),
    ]
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "graph",
        [described(*one) for one in inputs.items()],
        [described(*one) for one in outputs.items()],
        [one for one in constants if one.name in used],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return path


@pytest.fixture
def score(tmp_path: Path) -> Score:
    """Scores rows as a job does, within this process."""

    def score(path: Path, rows: pa.Table, **fields: Any) -> pa.Table:
        folder = tmp_path / f"job-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        kind, given = find_kind("onnx"), JobInput(Path("input"))
        model = kind.prepare(OnnxModel(path, "predict", **fields), folder)
        kind.describe(model, given)
        loaded = kind.load(model, given)
        argument = InputConverter(rows.column_names, None, loaded.form, loaded.columns)(rows)
        return to_table(loaded.call(argument), rows.num_rows, None)

    return score


def node(operation: str, inputs: str, outputs: str, **options: Any) -> Any:
    return onnx.helper.make_node(operation, inputs.split(), outputs.split(), **options)


@pytest.fixture
def linear(tmp_path: Path) -> Path:
    nodes = [node("MatMul", "x weights", "y"), node("ArgMax", "y", "label", axis=1, keepdims=0)]
    return save(
        tmp_path / "linear.onnx",
        nodes,
        {"x": ("FLOAT", [None, 4])},
        {"y": ("FLOAT", [None, 3]), "label": ("INT64", [None])},
    )


def numbers(count: int = 5) -> pa.Table:
    values = np.random.default_rng(0).normal(size=(count, 4))
    return pa.table({name: values[:, index] for index, name in enumerate("ABCD")})


def directly(path: Path, **tensors: np.ndarray) -> list[Any]:
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return list(session.run(None, tensors))


def test_the_only_input_is_all_columns_in_the_models_type(score: Score, linear: Path) -> None:
    rows = numbers()
    tensor = rows.to_pandas().to_numpy().astype(np.float32)
    with pytest.warns(UserWarning, match="'A' .double. is rounded to the nearest numbers: .* 'x' takes float32"):
        found = score(linear, rows)
    y, label = directly(linear, x=tensor)
    assert found.column_names == ["y", "label"]
    assert np.array(found["y"].to_pylist(), dtype=np.float32).tolist() == y.tolist()
    assert found["label"].to_pylist() == label.tolist()


def test_columns_and_outputs_by_name(score: Score, linear: Path) -> None:
    rows = numbers().append_column("ID", pa.array(range(5))).select(["ID", "D", "B", "A", "C"])
    names = ("low", "mid", "high")
    (y, _) = directly(linear, x=numbers().to_pandas().to_numpy().astype(np.float32))
    for fields in ({"columns": tuple("abcd")}, {"inputs": {"x": tuple("ABCD")}}):
        found = score(linear, rows, outputs={"y": names}, **fields)
        assert found.column_names == list(names)
        assert found.to_pandas().to_numpy().tolist() == y.tolist()
    assert score(linear, rows, columns=tuple("ABCD"), outputs={"label": "KIND"}).column_names == ["KIND"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "input 'x' takes 4 values a row, and gets the 5 columns A, B, C, D, ID: name those"),
        ({"columns": ("A", "B")}, "input 'x' takes 4 values a row, and gets the 2 columns A, B"),
        ({"columns": ("A", "B", "C", "E")}, "input 'x' 'E' is not among the input columns: A, B, C, D, ID"),
        ({"inputs": {"z": ("A",)}}, "model.inputs: the ONNX model has no input 'z'; it has x"),
        ({"outputs": {"z": "A"}}, "model.outputs: the ONNX model has no output 'z'; it has y, label"),
    ],
)
def test_what_does_not_fit_the_model_is_refused(
    score: Score, linear: Path, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(Refused, match=message):
        score(linear, numbers().append_column("ID", pa.array(range(5))), **fields)


def test_inputs_are_columns_of_their_names(score: Score, tmp_path: Path) -> None:
    nodes = [
        node("Cast", "count", "times", to=onnx.TensorProto.DOUBLE),
        node("Cast", "flag", "one", to=onnx.TensorProto.DOUBLE),
        node("Mul", "amount times", "product"),
        node("Add", "product one", "result"),
        node("Identity", "note", "same"),
    ]
    inputs = {"amount": ("DOUBLE", [None, 1]), "count": ("INT8", [None, 1]), "flag": ("BOOL", [None, 1])}
    path = save(
        tmp_path / "named.onnx",
        nodes,
        {**inputs, "note": ("STRING", [None])},
        {"result": ("DOUBLE", [None, 1]), "same": ("STRING", [None])},
    )
    rows = pa.table(
        {
            "NOTE": pa.array(["a", "ä"]).dictionary_encode(),
            "FLAG": [True, False],
            "COUNT": pa.array([3, -4], pa.decimal128(38, 0)),
            "AMOUNT": pa.array([0.1, None]),
            "ID": [1, 2],
        }
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = score(path, rows).to_pydict()
    assert found["result"][0] == 0.1 * 3 + 1
    assert np.isnan(found["result"][1])
    assert found["same"] == ["a", "ä"]

    def changed(name: str, values: pa.Array) -> pa.Table:
        return rows.set_column(rows.column_names.index(name), name, values)

    for name, values, message in [
        ("COUNT", pa.array([3, 300]), "input column 'COUNT' .int64.*takes int8: .*300"),
        ("COUNT", pa.array([3, None]), "input column 'COUNT' holds NULL, .* takes int8, which has none"),
        ("COUNT", pa.array([3, 0.5]), "input column 'COUNT' .double., .* takes int8: "),
        ("COUNT", pa.array(["3", "4"]), "input column 'COUNT' holds string, .* takes int8"),
        ("FLAG", pa.array([1, 2]), "input column 'FLAG' holds other numbers than 0 and 1, .* takes bool"),
        ("NOTE", pa.array([1, 2]), "input column 'NOTE' holds int64, .* takes str"),
        ("AMOUNT", pa.array([[1.0, 2.0], [3.0, 4.0]]), "input column 'AMOUNT' holds 2 a row, .*'amount' takes 1"),
    ]:
        with pytest.raises(DataError, match=message):
            score(path, changed(name, values))
    with pytest.raises(Refused, match="ONNX model input 'note' is not among the input columns"):
        score(path, rows.drop_columns("NOTE"))
    with pytest.raises(
        Refused, match=r"model\.columns is for models with one input; give model\.inputs: this has amou"
    ):
        score(path, rows, columns=("A",))


def test_numbers_that_are_too_large_are_refused(score: Score, linear: Path) -> None:
    rows = numbers().set_column(0, "A", pa.array([1e300, 1, 1, 1, 1]))
    with pytest.raises(DataError, match="input column 'A' holds a number that is too large: .* takes float32"):
        score(linear, rows)


@pytest.mark.parametrize("as_text", [False, True])
def test_a_column_of_lists_is_a_tensor(score: Score, tmp_path: Path, as_text: bool) -> None:
    path = save(
        tmp_path / "image.onnx",
        [node("Flatten", "image", "flat", axis=1), node("Identity", "image", "same")],
        {"image": ("FLOAT", ["rows", 2, 3])},
        {"flat": ("FLOAT", [None, 6]), "same": ("FLOAT", [None, 2, 3])},
    )
    images = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
    values = pa.array([str(one) for one in images.tolist()]) if as_text else pa.array(images.tolist())
    found = score(path, pa.table({"IMAGE": values, "ID": range(4)}), inputs={"image": ("IMAGE",)})
    assert found["flat"].to_pylist() == images.reshape(4, 6).tolist()
    assert found["same"].to_pylist() == images.tolist()
    flat = pa.table({"IMAGE": pa.array(images.reshape(4, 6).tolist())})
    assert score(path, flat)["same"].to_pylist() == images.tolist()
    with pytest.raises(DataError, match="input column 'IMAGE' holds lists of different lengths"):
        score(path, pa.table({"IMAGE": pa.array([[[1.0]], [[1.0], [2.0]]])}))
    with pytest.raises(DataError, match="input column 'IMAGE' is no JSON of lists of one length"):
        score(path, pa.table({"IMAGE": ["1.5"]}))


def test_a_classifiers_map_of_classes(score: Score, tmp_path: Path) -> None:
    helper, kinds = onnx.helper, onnx.TensorProto
    row = helper.make_map_type_proto(kinds.STRING, helper.make_tensor_type_proto(kinds.FLOAT, []))
    path = save(
        tmp_path / "classes.onnx",
        [
            node("MatMul", "x weights", "y"),
            node("Softmax", "y", "p", axis=1),
            helper.make_node("ZipMap", ["p"], ["chances"], domain="ai.onnx.ml", classlabels_strings=["a", "b", "c"]),
        ],
        {"x": ("FLOAT", [None, 4])},
        {"chances": helper.make_sequence_type_proto(row)},
    )
    rows = numbers()
    (wanted,) = directly(path, x=rows.to_pandas().to_numpy().astype(np.float32))
    found = score(path, rows, outputs={"chances": "PROBABILITY"})
    assert found.column_names == ["PROBABILITY_a", "PROBABILITY_b", "PROBABILITY_c"]
    assert found["PROBABILITY_b"].to_pylist() == [one["b"] for one in wanted]
    assert score(path, rows, outputs={"chances": ("A", "B", "C")}).column_names == ["A", "B", "C"]
    with pytest.raises(DataError, match="output 'chances' has 3 values a row, model.outputs has 2 names"):
        score(path, rows, outputs={"chances": ("A", "B")})


@pytest.mark.parametrize("size", [1, 2, 5, 7])
def test_a_model_that_takes_so_many_rows_at_once(score: Score, tmp_path: Path, size: int) -> None:
    path = save(
        tmp_path / "fixed.onnx",
        [node("MatMul", "x weights", "y")],
        {"x": ("FLOAT", [size, 4])},
        {"y": ("FLOAT", [size, 3])},
    )
    tensor = numbers().to_pandas().to_numpy().astype(np.float32)
    weights = np.arange(12, dtype=np.float32).reshape(4, 3) / 7
    found = np.array(score(path, numbers())["y"].to_pylist(), dtype=np.float32)
    np.testing.assert_allclose(found, tensor @ weights, rtol=1e-5)


def test_a_folder_with_a_model_and_its_data(score: Score, linear: Path, tmp_path: Path) -> None:
    folder = tmp_path / "whole"
    folder.mkdir()
    model = onnx.load(linear)
    onnx.save(model, folder / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    assert (folder / "m.data").stat().st_size
    with zipfile.ZipFile(tmp_path / "whole.zip", "w") as archive:
        for one in folder.iterdir():
            archive.write(one, one.name)
    wanted = score(linear, numbers())
    assert score(folder, numbers()) == score(tmp_path / "whole.zip", numbers()) == wanted
    with pytest.raises(Refused, match=r"model\.path: ONNX Runtime .* cannot load m\.onnx: "):
        score(folder / "m.onnx", numbers())
    (folder / "n.onnx").touch()
    with pytest.raises(Refused, match=r"must hold one file \.onnx, it has m\.onnx, n\.onnx"):
        score(folder, numbers())


def test_the_library_is_asked_for_by_its_name(score: Score, linear: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(Refused, match="the package onnxruntime is not installed here, .* does not bring it"):
        score(linear, numbers())


def test_a_job_scores_with_an_onnx_file(batch: Batch, linear: Path) -> None:
    batch.rows(numbers(100).append_column("ID", pa.array(range(100))), row_group_size=30)
    model = {"kind": "onnx", "path": str(linear), "columns": list("ABCD"), "outputs": {"label": "KIND"}}
    batch.job(model, inference={"max_batch_rows": 7})
    outcome = batch.run()
    assert outcome.code == 0, outcome.stderr
    _, label = directly(linear, x=numbers(100).to_pandas().to_numpy().astype(np.float32))
    assert batch.result()["KIND"].to_pylist() == label.tolist()
