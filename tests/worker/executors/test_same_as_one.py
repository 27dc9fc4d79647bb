"""What several replicas write is what one writes, file by file, for every kind of model: over Ray, and without."""

from __future__ import annotations

import itertools
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_snowflake_batch.contract.cluster import ADDRESS_VARIABLE
from airflow_provider_snowflake_batch.contract.model_sources import MODEL_SOURCES
from airflow_provider_snowflake_batch.contract.output_layout import BAD_ROWS_ENDING, PARQUET_ENDING, QUARANTINE
from tests.worker import transformer_models as made
from tests.worker.batches import HERE, ON_STAGES, WORKER, Batch
from tests.worker.executors.job_series import CURRENT, TASK_ROWS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(ON_STAGES, reason="replicas meet beside the job file, on a disk"),
    # The first test does all jobs of a series, on a busy machine.
    pytest.mark.timeout(1800),
]

REPLICAS = 2
ROWS = 9 * TASK_ROWS
# For all jobs of a series: a limit for what goes wrong.
SECONDS = 800
ROOT = Path(__file__).parents[3]
# Ray, and what it imports that is not everywhere.
RAY_PARTS = (
    "ray",
    "msgpack",
    "filelock",
    "jsonschema",
    "jsonschema_specifications",
    "referencing",
    "rpds",
    "attr",
    "attrs",
)
FIND = "import sys; from importlib.util import find_spec; print(*sys.version_info[:2])\n" + "".join(
    f"print(find_spec({one!r}).submodule_search_locations[0])\n" for one in RAY_PARTS
)
HOWS = {"alone": 1, "static": REPLICAS, "ray": REPLICAS}

Model = dict[str, Any]
Kind = tuple[Model, dict[str, Any]]


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Ray, for this Python, which has the models' libraries: links to where it is installed."""
    folder, fits = tmp_path_factory.mktemp("libraries"), " ".join(map(str, sys.version_info[:2]))
    for python in filter(None, (sys.executable, os.environ.get("LOCAL_SNOWFLAKE_RUNTIME_PYTHON"))):
        found = subprocess.run([python, "-c", FIND], check=False, capture_output=True, text=True)
        version, *places = found.stdout.splitlines() or [""]
        if found.returncode == 0 and version == fits:
            if python != sys.executable:
                described = next(Path(places[0]).parent.glob("ray-*.dist-info"))
                lacking = [Path(one) for one in places if find_spec(Path(one).name) is None]
                for place in [*lacking, described]:
                    (folder / place.name).symlink_to(place)
            return folder
    pytest.skip("no Ray for this Python; LOCAL_SNOWFLAKE_RUNTIME_PYTHON names one that has it")


def python_model(batch: Batch, target: str, **init: Any) -> Model:
    # In a folder of its own: whatever changes in the model's folder ends the batch.
    code = batch.root / "code"
    code.mkdir()
    shutil.copy(HERE / "sample_models.py", code)
    return {"kind": "python", "target": f"sample_models:{target}", "python_path": [str(code)], "init": init}


def numbers() -> pa.Table:
    ids = np.arange(ROWS)
    random = np.random.default_rng(0)
    return pa.table({"ID": ids, "X": ids * 3.0, "A": random.normal(size=ROWS), "B": random.normal(size=ROWS)})


def pandas_frames(batch: Batch) -> Kind:
    batch.rows(numbers())
    return python_model(batch, "Linear"), {}


def arrow_tables(batch: Batch) -> Kind:
    nested = pa.array([{"a": [one], "b": None if one % 3 else "x"} for one in range(ROWS)])
    batch.rows(numbers().append_column("N", nested).append_column("T", pa.array([f"é{one}" for one in range(ROWS)])))
    return python_model(batch, "SameInArrow"), {}


def widening_types(batch: Batch) -> Kind:
    # Nulls in the first task, then whole numbers, then fractions, in whatever order they are done.
    batch.rows(numbers().select(["ID"]))
    return python_model(batch, "Changing"), {}


def bad_rows(batch: Batch) -> Kind:
    batch.rows(numbers())
    return python_model(batch, "Picky", bad=list(range(50, ROWS, 50))), {"inference": {"on_error": "quarantine"}}


def groups(batch: Batch) -> Kind:
    values = [None if one % 7 == 0 else float("nan") if one % 11 == 0 else float(one % 40) for one in range(ROWS)]
    categories = pa.array([f"c{one % 5}" for one in range(ROWS)]).dictionary_encode()
    table = numbers().append_column("G", pa.array(values, pa.float64())).append_column("C", categories)
    batch.rows(table.slice(0, ROWS // 2), table.slice(ROWS // 2))
    return python_model(batch, "Ranks"), {"input": {"partition_column": "G"}}


def image_paths(batch: Batch) -> Kind:
    stage = batch.root / "stage"
    stage.mkdir()
    for number in range(5):
        (stage / f"{number}.png").write_bytes(b"\x89PNG" + bytes([number]) * (number + 1))
    batch.rows({"ID": range(ROWS), "FILE": [f"@DB.S.T/{one % 5}.png" for one in range(ROWS)]})
    handling = {"FILE": {"input_format": "full_stage_path", "convert_to": "raw_bytes"}}
    return python_model(batch, "Sizes"), {"stages": {"DB.S.T": str(stage)}, "input": {"column_handling": handling}}


def trained() -> tuple[pd.DataFrame, np.ndarray]:
    rows = numbers().to_pandas()[["A", "B"]]
    return rows, (rows["A"] + rows["B"] > 0).to_numpy().astype(int)


def sklearn_file(batch: Batch) -> Kind:
    linear = pytest.importorskip("sklearn.linear_model")
    path = batch.root / "model.pkl"
    path.write_bytes(pickle.dumps(linear.LogisticRegression().fit(*trained())))
    batch.rows(numbers())
    return {"kind": "sklearn", "path": str(path), "function": "predict_proba"}, {}


def xgboost_file(batch: Batch) -> Kind:
    path = batch.root / "model.json"
    pytest.importorskip("xgboost").XGBClassifier(n_estimators=5).fit(*trained()).save_model(path)
    batch.rows(numbers())
    return {"kind": "xgboost", "path": str(path), "function": "predict_proba"}, {}


def lightgbm_file(batch: Batch) -> Kind:
    path = batch.root / "model.txt"
    lightgbm = pytest.importorskip("lightgbm")
    lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(*trained()).booster_.save_model(path)
    batch.rows(numbers())
    return {"kind": "lightgbm", "path": str(path), "function": "predict_raw"}, {}


def onnx_file(batch: Batch) -> Kind:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    make, kind = onnx.helper, onnx.TensorProto.FLOAT
    weights = onnx.numpy_helper.from_array(np.arange(6, dtype=np.float32).reshape(2, 3) / 7, "weights")
    graph = make.make_graph(
        [make.make_node("MatMul", ["x", "weights"], ["y"])],
        "graph",
        [make.make_tensor_value_info("x", kind, [None, 2])],
        [make.make_tensor_value_info("y", kind, [None, 3])],
        [weights],
    )
    path = batch.root / "model.onnx"
    onnx.save(make.make_model(graph, opset_imports=[make.make_opsetid("", 18)], ir_version=9), path)
    batch.rows(numbers())
    return {"kind": "onnx", "path": str(path), "columns": ["A", "B"]}, {}


def registered(batch: Batch) -> Kind:
    pytest.importorskip("snowflake.ml.model")
    from sklearn.linear_model import LogisticRegression

    from tests.worker.registry_models import pack, registry

    rows, target = trained()
    pack(batch.root / "packed", LogisticRegression().fit(rows, target), sample_input_data=rows)
    batch.rows(numbers())
    return registry(batch.root / "packed", "predict_proba"), {}


def chat(batch: Batch) -> Kind:
    yaml = pytest.importorskip("yaml")
    signatures = pytest.importorskip("snowflake.ml.model.openai_signatures").OPENAI_CHAT_WITH_PARAMS_SIGNATURE
    folder = batch.root / "model"
    folder.mkdir()
    described = {"signatures": {name: one.to_dict() for name, one in signatures.items()}}
    (folder / "model.yaml").write_text(yaml.safe_dump(described))
    chats = [json.dumps([{"role": "user", "content": f"What is {one}?"}]) for one in range(ROWS)]
    batch.rows({"ID": range(ROWS), "MESSAGES": chats})
    return {"kind": "chat_stand_in", "path": str(folder), "function": "__call__", "name": "DB.SCHEMA.CATS"}, {}


def mlflow_folder(batch: Batch) -> Kind:
    pytest.importorskip("mlflow.pyfunc")
    import mlflow
    from sklearn.linear_model import LogisticRegression

    rows, target = trained()
    model = LogisticRegression().fit(rows, target)
    signature = mlflow.models.infer_signature(rows, model.predict(rows))
    mlflow.sklearn.save_model(model, batch.root / "model", signature=signature, pip_requirements=[])
    batch.rows(numbers())
    return {"kind": "mlflow", "path": str(batch.root / "model")}, {}


def huggingface_pipeline(batch: Batch) -> Kind:
    for library in ("torch", "transformers"):
        pytest.importorskip(library)
    path = made.save_text_classifier(batch.root / "model")
    batch.rows({"ID": range(ROWS), "TEXT": made.texts(ROWS)})
    return {"kind": "huggingface", "path": str(path), "task": "text-classification", "batch_tokens": 500}, {}


def chat_model(batch: Batch) -> Kind:
    for library in ("torch", "transformers"):
        pytest.importorskip(library)
    path = made.save_chat_model(batch.root / "model")
    chats = [json.dumps([{"role": "user", "content": text}]) for text in made.texts(ROWS, most=9)]
    batch.rows({"ID": range(ROWS), "MESSAGES": chats})
    model = {"kind": "chat", "path": str(path), "function": "__call__", "name": "CATS", "engine": "transformers"}
    return model, {"input": {"params": {"max_completion_tokens": 5, "temperature": 0.0}}}


# By the word that a job file has in `model.kind`.
OF_KIND: Mapping[str, tuple[Callable[[Batch], Kind], ...]] = {
    "python": (pandas_frames, arrow_tables, widening_types, bad_rows, groups, image_paths),
    "sklearn": (sklearn_file,),
    "xgboost": (xgboost_file,),
    "lightgbm": (lightgbm_file,),
    "onnx": (onnx_file,),
    "mlflow": (mlflow_folder,),
    "registry": (registered,),
    "chat_stand_in": (chat,),
    "huggingface": (huggingface_pipeline,),
    "chat": (chat_model,),
}
KINDS = {one.__name__: one for one in itertools.chain(*OF_KIND.values())}
# When a chat was answered.
ALWAYS_ANOTHER = {"chat_model": "created"}


class Series:
    """A batch of each kind of model, done in each way.

    :ivar missing: kinds that cannot be tried here, and why.
    """

    def __init__(self, root: Path, libraries: Path, kinds: set[str]) -> None:
        self._root, self._libraries = root, libraries
        self._done: set[str] = set()
        self.processes: list[subprocess.Popen[str]] = []
        self.batches: dict[str, Batch] = {}
        self.missing: dict[str, str] = {}
        for kind in sorted(kinds):
            batch = Batch(root / kind)
            batch.root.mkdir()
            try:
                model, changes = KINDS[kind](batch)
            except pytest.skip.Exception as missing:
                self.missing[kind] = str(missing)
                continue
            assert KINDS[kind] in OF_KIND[model["kind"]]
            self.batches[kind] = batch
            inference = {"num_workers": 1, "max_batch_rows": 40, **changes.pop("inference", {})}
            source = {"path": str(batch.input), **changes.pop("input", {})}
            for how in HOWS:
                output = {"path": str(batch.root / how)}
                # Where there is no cluster, all would wait for those that cannot come.
                sharing = {"executor": "ray"} if how == "ray" else {}
                path = batch.job(model, inference=inference | sharing, input=source, output=output, **changes)
                path.rename(self.job(batch, how))

    @staticmethod
    def job(batch: Batch, how: str) -> Path:
        return batch.root / f"{how}.json"

    def start(self, command: list[str], replica: int, count: int) -> None:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(self._libraries), str(ROOT)]),
            "SNOWFLAKE_JOB_INDEX": str(replica),
            "SNOWFLAKE_JOBS_COUNT": str(count),
            ADDRESS_VARIABLE: f"127.0.0.{replica + 2}",
        }
        with (self._root / f"log-{len(self.processes)}").open("w") as log:
            self.processes.append(subprocess.Popen(command, stdout=log, stderr=log, text=True, env=environment))

    def run(self, how: str) -> None:
        """Do all batches in one way, unless that is done."""
        if how in self._done:
            return
        self._done.add(how)
        shared, count = self._root / how, HOWS[how]
        shared.mkdir()
        jobs = [str(self.job(batch, how)) for batch in self.batches.values()]
        series = [sys.executable, "-m", "tests.worker.executors.job_series", how, str(shared), *jobs]
        shutil.copy(jobs[0], shared / CURRENT)
        for replica in range(count):
            self.start([*WORKER, str(shared / CURRENT)] if replica and how == "ray" else series, replica, count)
        for process in self.processes[-count:]:
            assert process.wait(SECONDS) == 0, self.logs()

    def logs(self) -> str:
        return "\n\n".join(f"{path.name}:\n{path.read_text()[-3000:]}" for path in sorted(self._root.glob("log-*")))


@pytest.fixture(scope="module")
def series(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, libraries: Path
) -> Iterator[Series]:
    # Of those alone that tests are run for.
    kinds = {item.callspec.params.get("kind") for item in request.session.items if hasattr(item, "callspec")}
    series = Series(tmp_path_factory.mktemp("series"), libraries, kinds & set(KINDS) or set(KINDS))
    try:
        yield series
    finally:
        for process in series.processes:
            if process.poll() is None:
                process.kill()
                process.wait()


def without_tokens(name: str) -> str:
    """The name of a part without the attempt that wrote it, and how often it was written in other types."""
    return re.sub(r"\.[0-9a-f]{8}(\.r\d+)?", "", name)


def told(folder: Path) -> Mapping[str, Any]:
    """What the manifest tells, but for who wrote the files, and how long it took."""
    manifest: dict[str, Any] = json.loads((folder / "_manifest.json").read_text())
    del manifest["attempt"], manifest["seconds"]
    return manifest


def files(folder: Path, manifest: Mapping[str, Any]) -> dict[str, bytes]:
    """Parts and files of bad rows, and no other ones are there."""
    listed = {one["name"] for one in manifest["files"]} | {
        f"{QUARANTINE}/{one['name']}" for one in manifest["quarantine_files"]
    }
    there = [path for path in folder.rglob("*") if path.suffix in (PARQUET_ENDING, BAD_ROWS_ENDING)]
    assert listed == {str(path.relative_to(folder)) for path in there}
    return {without_tokens(name): (folder / name).read_bytes() for name in listed}


@pytest.mark.parametrize("how", [one for one in HOWS if one != "alone"])
@pytest.mark.parametrize("kind", KINDS)
def test_parts_and_manifest_are_those_of_one_replica(series: Series, kind: str, how: str) -> None:
    if kind in series.missing:
        pytest.skip(series.missing[kind])
    series.run("alone")
    series.run(how)
    root = series.batches[kind].root
    wanted, found = told(root / "alone"), told(root / how)
    one, several = files(root / "alone", wanted), files(root / how, found)

    assert (root / how / "_SUCCESS").exists()
    assert len(one) > REPLICAS
    assert set(several) == set(one)
    for name, content in one.items():
        if several[name] != content:
            tables = [pq.read_table(pa.BufferReader(data)) for data in (several[name], content)]
            assert tables[0].schema.equals(tables[1].schema, check_metadata=True), name
            if another := ALWAYS_ANOTHER.get(kind):
                tables = [table.drop_columns([another]) for table in tables]
            assert tables[0].equals(tables[1]), name
            assert another, f"{name} holds the same rows in other bytes"
    for manifest in (wanted, found):
        for part in [*manifest["files"], *manifest["quarantine_files"]]:
            part["name"] = without_tokens(part["name"])
            if kind in ALWAYS_ANOTHER:
                del part["checksum"], part["bytes"]
    assert found == wanted


def test_every_kind_of_model_is_among_these() -> None:
    assert set(OF_KIND) == set(MODEL_SOURCES)


def test_over_ray_each_replica_has_done_a_part(series: Series) -> None:
    series.run("ray")
    for kind, batch in series.batches.items():
        names = [path.name for path in (batch.root / "ray" / "_tasks").glob("*.json")]
        assert len({name.split(".")[1] for name in names}) == REPLICAS, (kind, names)
