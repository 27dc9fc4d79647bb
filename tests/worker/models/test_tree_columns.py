"""Tree models get their columns by name and in their order, and their categories whole, however they are called."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_snowflake_batch.worker.models.tree_columns import TreeColumns
from tests.worker.batches import HERE, Batch

CATEGORIES = ["a", "b", "c", "d"]
VALUES = {None: 0.0, **{name: 10.0 * number for number, name in enumerate(CATEGORIES)}}

Frame = pd.DataFrame
COLUMNS = TreeColumns("Trees", ("N", "C"), {"C": pa.array(CATEGORIES)})


def training(rows: int = 400) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "N": rng.random(rows),
            "C": pd.Categorical(rng.choice(CATEGORIES, rows), categories=CATEGORIES),
            "M": rng.random(rows),
        }
    )
    return frame, frame["C"].map(VALUES).astype(float).to_numpy() + 5 * frame["N"].to_numpy()


@pytest.fixture(scope="module")
def xgboost_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    xgboost = pytest.importorskip("xgboost")
    path = tmp_path_factory.mktemp("xgboost") / "model.json"
    model = xgboost.XGBRegressor(enable_categorical=True, n_estimators=60, max_cat_to_onehot=1)
    model.fit(*training()).save_model(path)
    return path


@pytest.fixture(scope="module")
def lightgbm_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lightgbm = pytest.importorskip("lightgbm")
    path = tmp_path_factory.mktemp("lightgbm") / "model.txt"
    model = lightgbm.LGBMRegressor(n_estimators=60, verbose=-1, min_data_per_group=1, cat_smooth=0)
    model.fit(*training()).booster_.save_model(path)
    return path


WAYS = ("ESTIMATOR", "BOOSTER", "LIGHTGBM")


@pytest.fixture
def each_way(xgboost_model: Path, lightgbm_model: Path) -> tuple[str, dict[str, Any]]:
    return "EachWay", {"xgboost": str(xgboost_model), "lightgbm": str(lightgbm_model)}


def job(batch: Batch, model: tuple[str, dict[str, Any]], form: str, **changes: Any) -> None:
    batch.job(
        {
            "kind": "python",
            "target": f"tree_models:{model[0]}",
            "python_path": [str(HERE)],
            "init": {**model[1], "input_format": form},
        },
        **changes,
    )


def table(names: list[str | None], *, text: bool, order: str = "M C ID N") -> pa.Table:
    columns = {
        "ID": list(range(len(names))),
        "N": [0.5] * len(names),
        "C": pa.array(names, pa.string()) if text else pa.array(names, pa.string()).dictionary_encode(),
        "M": [0.9] * len(names),
    }
    return pa.table({name: columns[name] for name in order.split()})


# Text in Arrow's form is covered by test_every_form_of_the_rows_becomes_the_models.
@pytest.mark.parametrize(("form", "text"), [("pandas", True), ("pandas", False), ("arrow", False)])
def test_columns_and_categories_are_those_of_the_model(
    batch: Batch, each_way: tuple[str, dict[str, Any]], form: str, text: bool
) -> None:
    # Each file, and so each batch, has categories of its own; in one all are missing.
    files: list[list[str | None]] = [["d", "b"], [None, None], ["c", "a", None], ["d", "d"]]
    batch.rows(*(table(names, text=text) for names in files))
    inference = {"num_workers": 1, "max_batch_rows": 2}
    job(batch, each_way, form, inference=inference, output={"columns": ["C"]})

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    parts = [pq.read_table(part).to_pylist() for part in sorted(batch.output.glob("*.parquet"))]
    for way in WAYS:
        rows = [(str(row["C"]), row[way]) for part in parts for row in part if row["C"] is not None]
        assert len(rows) == 6
        assert all(y == pytest.approx(VALUES[category] + 2.5, abs=2) for category, y in rows), way


@pytest.mark.parametrize("form", ["pandas", "arrow"])
def test_a_booster_of_a_file_of_its_own_is_given_them_in_a_matrix(batch: Batch, xgboost_model: Path, form: str) -> None:
    batch.rows(*(table(names, text=False) for names in (["d", "b"], [None], ["c", "a", "zz"])))
    inference = {"num_workers": 1, "max_batch_rows": 2, "on_error": "quarantine"}
    job(batch, ("XgboostBooster", {"path": str(xgboost_model)}), form, inference=inference, output={"columns": ["C"]})

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    found = [row for part in sorted(batch.output.glob("*.parquet")) for row in pq.read_table(part).to_pylist()]
    scored = {row["C"]: row["Y"] for row in found if row["C"] is not None}
    assert scored == {name: pytest.approx(VALUES[name] + 2.5, abs=2) for name in "dbca"}
    assert batch.manifest()["quarantined_rows"] == 1


@pytest.mark.parametrize("form", ["pandas", "arrow"])
def test_a_category_that_xgboost_was_not_trained_with_is_set_aside(
    batch: Batch, xgboost_model: Path, form: str
) -> None:
    # Each file has categories of its own: the unknown one comes after, between and before those of the model.
    unknown = ["zz", "aa", ""]
    batch.rows(*(table(["a", "b", name, "c", "d"], text=False) for name in unknown))
    model = ("EachWay", {"xgboost": str(xgboost_model)})
    job(batch, model, form, inference={"num_workers": 1, "on_error": "quarantine"})

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    assert batch.manifest()["rows"] == 12
    rows = [row for path in (batch.output / "_quarantine").glob("*.pq") for row in pq.read_table(path).to_pylist()]
    assert [row["ID"] for row in rows] == [2, 2, 2]
    said = [f"column 'C' holds {name!r}, a category that the XGBoost model was not trained with" for name in unknown]
    assert sorted(row["QUARANTINE_ERROR"] for row in rows) == sorted(
        f"ValueError: ESTIMATOR ValueError: {one}; BOOSTER ValueError: {one}" for one in said
    )
    for way in ("ESTIMATOR", "BOOSTER"):
        scored = sorted(row[way] for row in batch.result().to_pylist())
        assert scored == [pytest.approx(n * 10 + 2.5, abs=2) for n in (0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3)]


def test_lightgbm_scores_an_unknown_category_as_a_missing_one_and_the_log_says_so(
    batch: Batch, lightgbm_model: Path
) -> None:
    batch.rows(table(["b", "zz", None], text=False))
    job(batch, ("Lightgbm", {"path": str(lightgbm_model)}), "pandas")

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    assert "column 'C' holds 'zz', a category that the LightGBM model was not trained with" in outcome.stderr
    scored = batch.result()["Y"].to_pylist()
    assert scored[1] == scored[2]


@pytest.mark.parametrize("form", ["pandas", "arrow"])
def test_categories_of_xgboost_may_be_numbers(batch: Batch, tmp_path: Path, form: str) -> None:
    """It takes none such in an Arrow table, and a flag that is missing makes objects of a column of pandas."""
    xgboost = pytest.importorskip("xgboost")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "N": rng.random(400),
            "C": pd.Categorical(rng.choice([30, 10, 20], 400), categories=[30, 10, 20]),
            "F": rng.choice([True, False], 400),
        }
    )
    model = xgboost.XGBRegressor(enable_categorical=True, n_estimators=20, max_cat_to_onehot=1)
    model.fit(frame, frame["C"].cat.codes * 10 + frame["N"] + frame["F"])
    model.save_model(tmp_path / "model.json")
    numbers, flags = [10, 20, None, 30, 10], [True, None, False, True, False]
    whole = pd.DataFrame(
        {
            "N": [0.5] * 5,
            "C": pd.Categorical(numbers, categories=[30, 10, 20]),
            "F": [np.nan if flag is None else float(flag) for flag in flags],
        }
    )
    batch.rows({"ID": [0, 1, 2, 3, 4], "F": flags, "C": pa.array(numbers, pa.int32()), "N": [0.5] * 5})
    job(
        batch,
        ("Xgboost", {"path": str(tmp_path / "model.json")}),
        form,
        inference={"num_workers": 1, "max_batch_rows": 1},
    )

    outcome = batch.run()

    assert outcome.code == 0, outcome.stderr
    assert batch.result()["Y"].to_pylist() == model.predict(whole).tolist()


def test_wrong_names_are_not_scored_by_position(batch: Batch, each_way: tuple[str, dict[str, Any]]) -> None:
    batch.rows(table(["a", "b"], text=False).select(["N", "C", "M"]).rename_columns(["N", "C", "OTHER"]))
    job(batch, each_way, "arrow")

    outcome = batch.run()

    assert outcome.code == 1
    (raised,) = (line for line in outcome.stderr.splitlines() if line.startswith("ValueError: ESTIMATOR "))
    lacking = {"ESTIMATOR": "column 'M' is not among", "BOOSTER": "expected M in input", "LIGHTGBM": "'M' is not among"}
    for (way, said), one in zip(lacking.items(), raised.removeprefix("ValueError: ").split("; "), strict=True):
        assert one.startswith(f"{way} ValueError: ")
        assert said in one
    assert not batch.succeeded()


# What is loaded when matters, so that it is a program of its own; one, since it takes long to load the library.
PROGRAM = """
import json, pathlib, pickle, sys
import pandas as pd, pyarrow as pa
from airflow_provider_snowflake_batch.worker.models import tree_libraries

def raised(call):
    try:
        call()
    except ValueError as error:
        return str(error)

found = {}
tree_libraries.install()
tree_libraries.install()
assert "xgboost" not in sys.modules
booster = pickle.loads(pathlib.Path(sys.argv[2]).read_bytes())
import xgboost

rows = pa.table({'m': [0.5], 'c': pa.array([None], pa.dictionary(pa.int32(), pa.string())), 'n': [0.5]})
matrix = xgboost.DMatrix(rows, enable_categorical=True)
found["unpickled"] = (booster.inplace_predict(rows) == booster.predict(matrix)).tolist()

booster = xgboost.Booster()
booster.load_model(sys.argv[1])
first = booster[:30]
frame = pd.DataFrame({'M': [0.9], 'C': [None], 'N': [0.5]}).astype({'C': 'category'})
found["first trees"] = len(first.inplace_predict(frame))
found["first trees, unknown category"] = raised(lambda: first.inplace_predict(frame.assign(C=pd.Categorical(['zz']))))

train = pd.DataFrame({'N': [10, 20, 30, 40] * 50})
model = xgboost.XGBRegressor(n_estimators=60, n_jobs=1).fit(train, train['N'] * 2)
booster = model.get_booster()
whole = pd.DataFrame({'n': [10, 40, 20]})
places = whole.astype('category')
table = pa.Table.from_pandas(places, preserve_index=False)
frames = [model.predict(places), booster.inplace_predict(places), booster.inplace_predict(table)]
matrices = [booster.predict(xgboost.DMatrix(one, enable_categorical=True)) for one in (places, table)]
found["places"] = [bool((one == model.predict(whole)).all()) for one in frames + matrices]
texts = whole.astype(str).astype('category')
labelled = xgboost.DMatrix(texts.rename(columns=str.upper), [0] * 3, enable_categorical=True)
found["texts"] = [raised(lambda: model.predict(texts)), raised(lambda: booster.predict(labelled))]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(xgboost_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    import xgboost

    pickled = tmp_path_factory.mktemp("pickled") / "booster"
    booster = xgboost.Booster()
    booster.load_model(xgboost_model)
    pickled.write_bytes(pickle.dumps(booster))
    command = [sys.executable, "-c", PROGRAM, str(xgboost_model), str(pickled)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_xgboost_is_wrapped_whenever_it_is_imported_and_unpickled(found: dict[str, Any]) -> None:
    assert found["unpickled"] == [True]


def test_some_of_the_trees_know_what_all_were_trained_with(found: dict[str, Any]) -> None:
    assert found["first trees"] == 1
    message = "column 'C' holds 'zz', a category that the XGBoost model was not trained with"
    assert found["first trees, unknown category"] == message


def test_categories_in_a_column_of_numbers_are_not_scored_by_their_places(found: dict[str, Any]) -> None:
    assert found["places"] == [True] * 5
    assert found["texts"] == [
        "column 'N' holds categories of string, the XGBoost model was trained with numbers",
        "column 'N' holds categories, the XGBoost model was trained with numbers",
    ]


def test_a_column_is_not_two_columns_of_the_model() -> None:
    with pytest.raises(ValueError, match="column 'a' and column 'A' would both be the input column 'A'"):
        TreeColumns("Trees", ("a", "A")).fit(Frame({"A": [1], "B": [2]}))


@settings(deadline=None)
@given(
    names=st.lists(st.none() | st.sampled_from(CATEGORIES), min_size=1, max_size=8),
    order=st.permutations(["N", "c", "OTHER"]),
    own=st.permutations(CATEGORIES),
    text=st.booleans(),
    chunk=st.integers(1, 8),
)
def test_every_form_of_the_rows_becomes_the_models(
    names: list[str | None], order: list[str], own: list[str], text: bool, chunk: int
) -> None:
    column = pd.Series(names, dtype=object) if text else pd.Series(pd.Categorical(names, categories=own))
    columns = {"N": np.arange(len(names)), "c": column, "OTHER": 0}
    frame = pd.DataFrame({name: columns[name] for name in order})
    arrow = pa.Table.from_pandas(frame, preserve_index=False)
    chunked = pa.concat_tables([arrow.slice(start, chunk) for start in range(0, len(names), chunk)])

    as_frame, as_table = COLUMNS.fit(frame), COLUMNS.fit(chunked)

    assert list(as_frame.columns) == as_table.column_names == ["N", "C"]
    assert list(as_frame["C"].cat.categories) == CATEGORIES
    assert [None if pd.isna(one) else one for one in as_frame["C"]] == names == as_table["C"].to_pylist()
    assert as_table["C"].chunk(0).dictionary.to_pylist() == CATEGORIES
    assert as_table["N"].to_pylist() == list(range(len(names)))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (Frame({"N": [1], "C": ["e"]}), "column 'C' holds 'e', a category that the Trees model was not trained with"),
        (Frame({"N": [1], "C": [7]}), "column 'C' holds int64, the Trees model was trained with categories of string"),
        (
            Frame([[1, "a", 2]], columns=["N", "C", "N"]),
            "the Trees model was trained with the columns N, C: column 'N' is there more than once",
        ),
        (Frame({"N": [1]}), "the Trees model was trained with the columns N, C: column 'C' is not among"),
    ],
)
def test_what_would_be_scored_wrong_is_refused(rows: pd.DataFrame, message: str) -> None:
    for form in (rows, pa.table([pa.array(rows.iloc[:, place]) for place in range(rows.shape[1])], list(rows.columns))):
        with pytest.raises(ValueError, match="column") as caught:
            COLUMNS.fit(form)
        assert message in str(caught.value)


def test_a_number_is_no_flag() -> None:
    flags = TreeColumns("Trees", ("C",), {"C": pa.array([False, True])})
    assert flags.fit(pa.table({"C": [True, None]}))["C"].to_pylist() == [True, None]
    with pytest.raises(ValueError, match="column 'C' holds int64, the Trees model was trained with categories of bool"):
        flags.fit(pa.table({"C": [1, 5]}))


def test_rows_without_names_are_left_alone() -> None:
    rows = np.zeros((2, 2))

    assert COLUMNS.fit(rows) is rows
    assert TreeColumns("Trees", ()).fit(frame := Frame({"X": [1]})) is frame
