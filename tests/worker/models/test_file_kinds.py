"""Models in the files of XGBoost, LightGBM and scikit-learn return what the libraries return when called directly.

Also tests ``worker/models/base.py``, ``worker/models/file_kind.py``, ``worker/models/lightgbm.py``,
``worker/models/sklearn.py``, ``worker/models/tree_libraries.py``, ``worker/models/xgboost.py``.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from airflow_provider_snowflake_batch.contract.file_sources import (
    FileModel,
    LightGBMModel,
    SklearnModel,
    XGBoostModel,
)
from airflow_provider_snowflake_batch.contract.job_file import JobInput
from airflow_provider_snowflake_batch.worker.errors import Refused
from airflow_provider_snowflake_batch.worker.model_kinds import find_kind
from airflow_provider_snowflake_batch.worker.models.base import LoadedModel
from airflow_provider_snowflake_batch.worker.scoring.input_conversion import InputConverter
from airflow_provider_snowflake_batch.worker.scoring.results import to_table
from tests.worker.batches import Batch

sklearn_datasets = pytest.importorskip("sklearn.datasets")

Load = Callable[..., LoadedModel]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads a model as a job does, within this process."""

    def load(model: FileModel, **params: Any) -> LoadedModel:
        folder = tmp_path / f"job-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        kind, given = find_kind(model.KIND), JobInput(Path("input"), params=params)
        prepared = kind.prepare(model, folder)
        kind.describe(prepared, given)
        return kind.load(prepared, given)

    return load


def score(model: LoadedModel, rows: pd.DataFrame) -> pd.DataFrame:
    table = pa.Table.from_pandas(rows, preserve_index=False)
    argument = InputConverter(table.column_names, model.signature, model.form, model.columns)(table)
    found: pd.DataFrame = to_table(model.call(argument), len(rows), None).to_pandas()
    return found


def flowers() -> tuple[pd.DataFrame, np.ndarray]:
    found = sklearn_datasets.load_iris(as_frame=True)
    return found.data.rename(columns=lambda name: name.removesuffix(" (cm)").replace(" ", "_")), found.target.to_numpy()


def as_input(rows: pd.DataFrame) -> pd.DataFrame:
    """As a query returns them: a key, columns in another order, names in upper case."""
    others = rows[rows.columns[::-1]].rename(columns=str.upper)
    return others.assign(ID=range(len(rows)))


def expected(word: str, values: np.ndarray, names: Any = None) -> dict[str, Any]:
    if values.ndim == 1:
        return {word: values}
    return {f"{word}_{name}": values[:, index] for index, name in enumerate(names or range(values.shape[1]))}


def assert_same(found: pd.DataFrame, wanted: dict[str, Any], **how: Any) -> None:
    pd.testing.assert_frame_equal(found, pd.DataFrame(wanted), **(how or {"check_exact": True}))


@pytest.fixture(scope="module")
def xgboost_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Any]]:
    """Models by name, each in its file and as the library's own."""
    xgboost = pytest.importorskip("xgboost")
    folder, (rows, kind) = tmp_path_factory.mktemp("xgboost"), flowers()
    both = np.column_stack([kind, rows["petal_width"]])
    some = {"n_estimators": 5, "max_depth": 2}
    models = {
        "classes.json": xgboost.XGBClassifier(**some).fit(rows, kind),
        "binary.ubj": xgboost.XGBClassifier(**some).fit(rows, kind == 1),
        "value.json": xgboost.XGBRegressor(**some).fit(rows, kind),
        "values.json": xgboost.XGBRegressor(**some, multi_strategy="one_output_per_tree").fit(rows, both),
        "linear.json": xgboost.XGBRegressor(booster="gblinear", n_estimators=5).fit(rows, kind),
        "unnamed.json": xgboost.XGBRegressor(**some).fit(rows.to_numpy(), kind),
    }
    early = xgboost.XGBRegressor(n_estimators=30, learning_rate=2, early_stopping_rounds=2)
    models["early.json"] = early.fit(rows, kind, eval_set=[(rows[:9], 1 - kind[:9])], verbose=False)
    assert models["early.json"].best_iteration < 10
    for name, model in models.items():
        model.save_model(folder / name)
    return {name: (folder / name, model) for name, model in models.items()}


@pytest.mark.parametrize(
    ("name", "function", "word"),
    [
        ("classes.json", "predict", "PREDICTION"),
        ("classes.json", "predict_proba", "PROBABILITY"),
        ("classes.json", "predict_raw", "RAW"),
        ("binary.ubj", "predict", "PREDICTION"),
        ("binary.ubj", "predict_proba", "PROBABILITY"),
        ("binary.ubj", "predict_raw", "RAW"),
        ("value.json", "predict", "PREDICTION"),
        ("values.json", "predict", "PREDICTION"),
        ("linear.json", "predict", "PREDICTION"),
        ("early.json", "predict", "PREDICTION"),
    ],
)
def test_functions_of_xgboost(
    xgboost_files: dict[str, tuple[Path, Any]], load: Load, name: str, function: str, word: str
) -> None:
    path, model = xgboost_files[name]
    rows = flowers()[0]
    own = model.predict(rows, output_margin=True) if function == "predict_raw" else getattr(model, function)(rows)
    assert_same(score(load(XGBoostModel(path, function)), as_input(rows)), expected(word, own))


@pytest.fixture(scope="module")
def lightgbm_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Any]]:
    lightgbm = pytest.importorskip("lightgbm")
    folder, (rows, kind) = tmp_path_factory.mktemp("lightgbm"), flowers()
    spaced = rows.rename(columns=lambda name: name.replace("_", " "))
    some = {"n_estimators": 5, "verbose": -1}
    models = {
        "classes.txt": lightgbm.LGBMClassifier(**some).fit(rows, kind),
        "binary.txt": lightgbm.LGBMClassifier(**some).fit(rows, kind == 1),
        "value.txt": lightgbm.LGBMRegressor(**some).fit(spaced, kind),
        "unnamed.txt": lightgbm.LGBMRegressor(**some).fit(rows.to_numpy(), kind),
    }
    for name, model in models.items():
        model.booster_.save_model(folder / name)
    return {name: (folder / name, model) for name, model in models.items()}


@pytest.mark.parametrize(
    ("name", "function", "word"),
    [
        ("classes.txt", "predict", "PREDICTION"),
        ("classes.txt", "predict_proba", "PROBABILITY"),
        ("classes.txt", "predict_raw", "RAW"),
        ("binary.txt", "predict", "PREDICTION"),
        ("binary.txt", "predict_proba", "PROBABILITY"),
    ],
)
def test_functions_of_lightgbm(
    lightgbm_files: dict[str, tuple[Path, Any]], load: Load, name: str, function: str, word: str
) -> None:
    path, model = lightgbm_files[name]
    rows = flowers()[0]
    own = model.predict(rows, raw_score=True) if function == "predict_raw" else getattr(model, function)(rows)
    own = own.astype(np.int64) if function == "predict" else own
    assert_same(score(load(LightGBMModel(path, function)), as_input(rows)), expected(word, own))


def test_names_that_lightgbm_spells_its_own_way(lightgbm_files: dict[str, tuple[Path, Any]], load: Load) -> None:
    path, model = lightgbm_files["value.txt"]
    spaced = flowers()[0].rename(columns=lambda name: name.replace("_", " "))
    assert_same(score(load(LightGBMModel(path, "predict")), as_input(spaced)), {"PREDICTION": model.predict(spaced)})


@pytest.mark.parametrize(("source", "name"), [(XGBoostModel, "unnamed.json"), (LightGBMModel, "unnamed.txt")])
def test_a_model_without_names_gets_columns_in_the_order_that_the_job_states(
    request: pytest.FixtureRequest, load: Load, source: type[FileModel], name: str
) -> None:
    path, model = request.getfixturevalue(f"{source.KIND}_files")[name]
    rows = flowers()[0]
    wanted = {"PREDICTION": model.predict(rows.to_numpy())}
    assert_same(score(load(source(path, "predict")), rows), wanted)
    columns = tuple(column.upper() for column in rows)
    assert_same(score(load(source(path, "predict", columns=columns)), as_input(rows)), wanted)
    with pytest.raises(Refused, match="trained with 4 columns and does not know their names, the input has 5: name"):
        score(load(source(path, "predict")), as_input(rows))
    with pytest.raises(Refused, match=r"model\.columns names 1 columns, the \w+ model was trained with 4"):
        load(source(path, "predict", columns=("A",)))


@pytest.mark.parametrize(("source", "name"), [(XGBoostModel, "value.json"), (LightGBMModel, "classes.txt")])
def test_columns_of_other_names(request: pytest.FixtureRequest, load: Load, source: type[FileModel], name: str) -> None:
    path, model = request.getfixturevalue(f"{source.KIND}_files")[name]
    rows = flowers()[0]
    others = rows.rename(columns=dict(zip(rows, "ABCD", strict=True)))[["D", "B", "C", "A"]]
    found = score(load(source(path, "predict", columns=tuple("ABCD"))), others)
    assert found["PREDICTION"].tolist() == model.predict(rows).tolist()
    with pytest.raises(Refused, match="model column 'sepal_length' is not among the input columns: ID"):
        score(load(source(path, "predict")), as_input(rows)[["ID"]])


@pytest.mark.parametrize(("source", "name"), [(XGBoostModel, "value.json"), (LightGBMModel, "value.txt")])
def test_what_a_tree_model_does_not_have(
    request: pytest.FixtureRequest, load: Load, source: type[FileModel], name: str
) -> None:
    path, _ = request.getfixturevalue(f"{source.KIND}_files")[name]
    with pytest.raises(Refused, match=r"the \w+ model is no classifier \(objective .*\), so it has no predict_proba"):
        load(source(path, "predict_proba"))
    with pytest.raises(Refused, match="models have no function 'transform': predict, predict_proba, predict_raw"):
        load(source(path, "transform"))
    with pytest.raises(Refused, match="models take no params, got shift"):
        load(source(path, "predict"), shift=1)
    with pytest.raises(Refused, match=r"model\.path: .*/none\.json does not exist"):
        load(source(path.with_name("none.json"), "predict"))
    other = path.with_name("other.json")
    other.write_text("{}")
    with pytest.raises(Refused, match=r"model\.path: \w+ cannot read other\.json: "):
        load(source(other, "predict"))


def fitted(folder: Path, estimator: Any, *data: Any, ending: str = ".pkl") -> tuple[Path, Any]:
    path = folder / f"model{ending}"
    path.write_bytes(pickle.dumps(estimator.fit(*data)))
    return path, estimator


@pytest.mark.parametrize("function", ["predict", "predict_proba", "predict_log_proba", "decision_function"])
def test_functions_of_a_classifier_name_its_classes(tmp_path: Path, load: Load, function: str) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows, kind = flowers()
    names = np.array(["setosa", "versicolor", "virginica"])
    path, model = fitted(tmp_path, make_pipeline(StandardScaler(), LogisticRegression()), rows, names[kind])
    words = {"predict": "PREDICTION", "predict_proba": "PROBABILITY", "predict_log_proba": "LOG_PROBABILITY"}
    word = words.get(function, "DECISION")
    wanted = expected(word, getattr(model, function)(rows), names.tolist())
    # The last digits of a product of matrices depend on how they lie in memory.
    assert_same(score(load(SklearnModel(path, function)), as_input(rows)), wanted, rtol=1e-12)


def test_several_outputs_of_an_estimator(tmp_path: Path, load: Load) -> None:
    from sklearn.ensemble import RandomForestClassifier

    rows, kind = flowers()
    both = np.column_stack([kind, kind == 1])
    path, model = fitted(tmp_path, RandomForestClassifier(5, n_jobs=-1), rows, both)
    assert_same(score(load(SklearnModel(path, "predict")), as_input(rows)), expected("PREDICTION", model.predict(rows)))
    first, second = model.predict_proba(rows)
    wanted = expected("PROBABILITY_0", first) | expected("PROBABILITY_1", second)
    assert_same(score(load(SklearnModel(path, "predict_proba")), as_input(rows)), wanted)


def test_a_transformer_names_its_features(tmp_path: Path, load: Load) -> None:
    from sklearn.compose import make_column_transformer
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    rows = flowers()[0].assign(soil=["clay", "sand", "clay"] * 50)
    columns = make_column_transformer(
        (OneHotEncoder(), ["soil"]), (StandardScaler(), ["petal_width"]), sparse_threshold=1
    )
    path, model = fitted(tmp_path, columns, rows)
    found = score(load(SklearnModel(path, "transform")), as_input(rows))
    assert found.columns.tolist() == model.get_feature_names_out().tolist()
    assert (found.to_numpy() == model.transform(rows).toarray()).all()


def test_params_reach_an_estimators_function(tmp_path: Path, load: Load) -> None:
    from sklearn.linear_model import BayesianRidge

    rows, kind = flowers()
    values = np.ascontiguousarray(rows.to_numpy())
    path, model = fitted(tmp_path, BayesianRidge(), values, kind)
    mean, deviation = model.predict(values, return_std=True)
    loaded = load(SklearnModel(path, "predict"), return_std=True)
    assert_same(score(loaded, rows), {"PREDICTION": mean, "PREDICTION_1": deviation})
    with pytest.raises(Refused, match=r"BayesianRidge\.predict has no parameter 'shift'; it takes return_std"):
        load(SklearnModel(path, "predict"), shift=1)
    with pytest.raises(Refused, match="a BayesianRidge has no function 'predict_proba'; it has predict"):
        load(SklearnModel(path, "predict_proba"))


def test_missing_numbers_reach_an_estimator_as_such(tmp_path: Path, load: Load) -> None:
    from sklearn.ensemble import HistGradientBoostingRegressor

    rows, kind = flowers()
    whole = (rows * 10).round().astype("Int64")
    whole.iloc[3, 1] = pd.NA
    plain = whole.astype(float)
    path, model = fitted(tmp_path, HistGradientBoostingRegressor(max_iter=5), plain.to_numpy(), kind)
    assert_same(score(load(SklearnModel(path, "predict")), whole), {"PREDICTION": model.predict(plain.to_numpy())})


def test_a_file_that_needs_a_module_says_which(tmp_path: Path, load: Load) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(b"cno_such_module\nThing\n.")
    with pytest.raises(Refused, match="model.pkl needs the module no_such_module, which is not here: give it as code"):
        load(SklearnModel(path, "predict"))


def test_a_file_of_skops_holds_types_that_are_trusted(tmp_path: Path, load: Load) -> None:
    skops = pytest.importorskip("skops.io")
    from sklearn.tree import DecisionTreeClassifier

    rows, kind = flowers()
    model, path = DecisionTreeClassifier(max_depth=3).fit(rows, kind), tmp_path / "model.skops"
    skops.dump(model, path)
    unknown = tuple(skops.get_untrusted_types(file=path))
    if unknown:
        with pytest.raises(Refused, match=r"model\.skops holds types that are not in model\.trusted: sklearn\.tree"):
            load(SklearnModel(path, "predict"))
    found = score(load(SklearnModel(path, "predict", trusted=unknown)), as_input(rows))
    assert_same(found, {"PREDICTION": model.predict(rows)})


def test_skops_is_asked_for_by_its_name(tmp_path: Path, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    path = tmp_path / "model.skops"
    path.write_bytes(b"")
    for name in ("skops", "skops.io"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(Refused, match="the package skops is not installed here, .* container runtime does not bring"):
        load(SklearnModel(path, "predict"))


@pytest.mark.parametrize("kind", ["xgboost", "lightgbm", "sklearn"])
def test_a_job_scores_with_a_models_file(
    request: pytest.FixtureRequest, batch: Batch, tmp_path: Path, kind: str
) -> None:
    rows, target = flowers()
    if kind == "sklearn":
        from sklearn.tree import DecisionTreeClassifier

        path, model = fitted(tmp_path, DecisionTreeClassifier(max_depth=3), rows, target)
    else:
        ending = {"xgboost": "json", "lightgbm": "txt"}[kind]
        path, model = request.getfixturevalue(f"{kind}_files")[f"classes.{ending}"]
    batch.rows(pa.Table.from_pandas(as_input(rows), preserve_index=False), row_group_size=40)
    batch.job({"kind": kind, "path": str(path), "function": "predict_proba"}, inference={"max_batch_rows": 33})
    outcome = batch.run()
    assert outcome.code == 0, outcome.stderr
    found = batch.result().to_pandas().sort_values("ID")
    assert (found[[f"PROBABILITY_{index}" for index in range(3)]].to_numpy() == model.predict_proba(rows)).all()


def test_another_model_of_the_same_name_is_another(tmp_path: Path, load: Load) -> None:
    path, identities = tmp_path / "model.json", []
    for content in (b"one", b"two", b"one"):
        path.write_bytes(content)
        described = find_kind("xgboost").describe(XGBoostModel(path, "predict"), JobInput(Path("input")))
        identities.append(described.identity)
    assert identities[0] == identities[2] != identities[1]
    described = find_kind("xgboost").describe(XGBoostModel(path, "predict_raw"), JobInput(Path("input")))
    assert described.identity != identities[0]
