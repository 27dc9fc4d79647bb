"""The Python code of Snowflake's page on batch inference jobs, run by the real client against a local Snowflake.

``client_1`` holds the page's code as it is, for snowflake-ml-python 1.x; ``client_2`` the same for 2.x, which renamed
the specifications. Names that the page takes for granted (``session``, ``mv``, ``input_df``) come from here. What
differs from the page, because it would be no Python or no client has it: an ellipsis is ``**rest``; the reader's chain
of calls stands in parentheses; ``log_model`` takes ``target_platforms`` everywhere; ``list_jobs`` answers with a pandas
DataFrame, which has no ``show``. Models from a hub are small local ones: under the page's own names, where transformers
is installed.

https://docs.snowflake.com/en/developer-guide/snowflake-ml/inference/batch-inference-jobs-v1
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import types
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from snowflake.ml.model import custom_model, openai_signatures
from snowflake.ml.model.inference_engine import InferenceEngine
from snowflake.ml.model.model_signature import DataType, FeatureSpec, ModelSignature, ParamSpec
from snowflake.ml.registry import Registry
from snowflake.ml.version import VERSION
from snowflake.snowpark import Session
from snowflake.snowpark.functions import col

from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests.document import models

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

CLIENT = VERSION.partition(".")[0]
BLOCKS = Path(__file__).parent / f"client_{CLIENT}"
SECONDS = 150
if CLIENT == "1":
    from snowflake.ml.model import batch as specs
else:
    from snowflake.ml.model import batch_inference as specs  # type: ignore[no-redef]

FILES = {
    "files/file1": b"one",
    "files/file2": b"two",
    "files/file3": b"three",
    **{f"audio/audio{number}.mp3": b"ID3" + bytes([number]) * number for number in (1, 2, 3)},
}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """A session with the objects that the page names."""
    # The page's code takes the only session there is; other tests in this process may have left theirs open.
    with LocalServer(tmp_path_factory.mktemp("document") / "state") as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr("snowflake.snowpark.session._active_sessions", set())
        session = Session.builder.configs(server.connection_kwargs).create()
        for statement in (
            "CREATE DATABASE DB",
            "CREATE SCHEMA DB.SCHEMA",
            "CREATE STAGE DB.SCHEMA.STAGE",
            "CREATE STAGE DB.SCHEMA.MY_STAGE",
            "CREATE DATABASE MY_DB",
            "CREATE SCHEMA MY_DB.MY_SCHEMA",
            "CREATE STAGE MY_DB.MY_SCHEMA.MY_STAGE",
            "CREATE COMPUTE POOL my_compute_pool MIN_NODES = 1 MAX_NODES = 4 INSTANCE_FAMILY = CPU_X64_M",
        ):
            session.sql(statement).collect()
        session.use_schema("MY_DB.MY_SCHEMA")
        rows = pd.DataFrame({"ID": range(6), "FEATURE_1": [50.0, 99.0, 100.0, 101.0, 200.0, 300.0], "FEATURE_2": 1.0})
        for table in ("my_table", "feature_table"):
            session.create_dataframe(rows).write.save_as_table(table)
        for name, content in FILES.items():
            session.file.put_stream(io.BytesIO(content), f"@DB.SCHEMA.STAGE/dataset/{name}", auto_compress=False)
        yield session
        session.close()


@pytest.fixture(scope="module")
def registry(session: Session) -> Registry:
    return Registry(session=session, database_name="MY_DB", schema_name="MY_SCHEMA")


@pytest.fixture(scope="module")
def mv(registry: Registry) -> Any:
    signature = ModelSignature(
        inputs=[FeatureSpec("FEATURE_1", DataType.DOUBLE), FeatureSpec("FEATURE_2", DataType.DOUBLE)],
        outputs=[FeatureSpec("score", DataType.DOUBLE), FeatureSpec("tokens", DataType.INT64)],
        params=[ParamSpec("temperature", DataType.DOUBLE, 0.5), ParamSpec("max_tokens", DataType.INT64, 8)],
    )
    model = models.Threshold(custom_model.ModelContext())
    return _log(registry, model, "my_model", "my_version", signatures={"predict": signature})


def _log(registry: Registry, model: Any, name: str, version: str = "v1", **options: Any) -> Any:
    return registry.log_model(model, model_name=name, version_name=version, ext_modules=[models], **options)


def run(name: str, **names: Any) -> dict[str, Any]:
    """Execute a block of the page.

    :return: the names it knew and made; ``job`` is the job that it started last.
    """
    path = BLOCKS / f"{name}.txt"
    if "mv" in names:
        names["mv"] = Kept(names["mv"])
    space = {**vars(specs), "pd": pd, "col": col, "json": json, "InferenceEngine": InferenceEngine, **names}
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec", dont_inherit=True), space)
    last = space.get("mv")
    if "job" not in space and isinstance(last, Kept):
        space["job"] = last.job
    return space


class Kept:
    """A model version that remembers the job it started, since the page does not always keep it."""

    def __init__(self, version: Any) -> None:
        self._version = version
        self.job: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._version, name)

    def run_batch(self, *given: Any, **named: Any) -> Any:
        self.job = self._version.run_batch(*given, **named)
        return self.job


class Logging:
    """A registry whose versions remember their jobs, as `Kept`, and that adds what a stand-in needs to be logged."""

    def __init__(self, registry: Registry, **more: Any) -> None:
        self._registry, self._more = registry, more

    def log_model(self, *given: Any, **named: Any) -> Kept:
        return Kept(self._registry.log_model(*given, **named, **self._more))


def results(session: Session, job: Any, base: str = "@my_db.my_schema.my_stage/path") -> pd.DataFrame:
    """What a job wrote, once it is done. Client 1 writes to the very location, client 2 to one of the job's own."""
    assert job.wait(timeout=SECONDS) == "DONE", job.get_logs()
    location = f"{base}/{job.name}/" if CLIENT == "2" else f"{base}/"
    files = [row["name"] for row in session.sql(f"LIST {location}").collect()]
    assert any(name.endswith("/_SUCCESS") for name in files)
    frame = session.read.option("pattern", ".*\\.parquet").parquet(location).to_pandas()
    session.sql(f"REMOVE {location}").collect()
    return frame


@pytest.fixture
def input_df(session: Session) -> Any:
    return session.table("my_table")


def test_connect(session: Session, mv: Any) -> None:
    found = run("connect", session=session, DATABASE="MY_DB", REGISTRY_SCHEMA="MY_SCHEMA")["mv"]
    assert found.version_name == mv.version_name == "MY_VERSION"


def test_run_then_manage(session: Session, mv: Any) -> None:
    job = run("run", session=session, mv=mv)["job"]
    frame = results(session, job)
    assert frame.sort_values("ID")["score"].tolist() == [26.0, 50.5, 51.0, 51.5, 101.0, 151.0]

    running = mv.run_batch(
        X=session.table("my_table"),
        compute_pool="my_compute_pool",
        output_spec=specs.OutputSpec(stage_location="@my_db.my_schema.my_stage/managed/"),
        **({"job_spec": specs.JobSpec(job_name="job_name")} if CLIENT == "1" else {"job_name": "job_name"}),
    )
    run("manage", job=running)

    assert "JOB_NAME" not in [row["name"] for row in session.sql("SHOW JOB SERVICES").collect()]


def test_structured_input(session: Session, mv: Any) -> None:
    for number in (1, 2):
        frame = pd.DataFrame({"ID1": [number], "FEATURE_1": [100.5 * number], "FEATURE_2": [2.0]})
        content = io.BytesIO()
        frame.to_parquet(content)
        content.seek(0)
        target = f"@DB.SCHEMA.STAGE/some/path/my_file_{number}.parquet"
        session.file.put_stream(content, target, auto_compress=False)

    space = run("structured", session=session)

    assert sorted(row["ID"] for row in space["X"].collect()) == [1, 2]
    (query,) = [run_only_the_query(session)]
    assert sorted(row["ID"] for row in query.collect()) == [3, 4, 5]


def run_only_the_query(session: Session) -> Any:
    """The page's first assignment to X, which its second one replaces; its comma makes a tuple of it."""
    source = (BLOCKS / "structured.txt").read_text().partition("# reading")[0]
    space: dict[str, Any] = {"session": session}
    exec(source, space)
    (query,) = space["X"]
    return query


def test_paths_as_bytes(session: Session, registry: Registry) -> None:
    digest = _log(
        registry,
        models.Digest(custom_model.ModelContext()),
        "digest",
        signatures={
            "predict": ModelSignature(
                inputs=[FeatureSpec("PATH", DataType.BYTES)], outputs=[FeatureSpec("digest", DataType.STRING)]
            )
        },
    )
    files = run("paths", session=session)["X"].select(col("image").alias("path"))
    output = specs.OutputSpec(stage_location="@my_db.my_schema.my_stage/path/")

    space = run("column_handling", mv=digest, X=files, rest={"compute_pool": "my_compute_pool", "output_spec": output})

    frame = results(session, space["job"]).set_index("PATH")["digest"]
    assert frame.to_dict() == {
        f"@DB.SCHEMA.STAGE/dataset/files/file{number}": hashlib.sha256(word).hexdigest()
        for number, word in enumerate((b"one", b"two", b"three"), 1)
    }


def test_list_stage_files(session: Session) -> None:
    for name in ("a.jpg", "b.jpg", "c.png"):
        session.file.put_stream(io.BytesIO(b"x"), f"@db.schema.my_stage/path/{name}", auto_compress=False)

    files = run("list_files", session=session)["X"]

    assert files.columns == ["IMAGES"]
    assert sorted(row["IMAGES"].upper() for row in files.collect()) == [
        f"@DB.SCHEMA.MY_STAGE/PATH/{name}.JPG" for name in ("A", "B")
    ]


def test_output_and_reading_it(session: Session, mv: Any, input_df: Any) -> None:
    space = run("output", mv=mv, rest={"X": input_df, "compute_pool": "my_compute_pool"})
    assert len(results(session, space["job"], "@db.schema.stage/path")) == 6
    session.file.put_stream(
        io.BytesIO(_parquet({"A": [1]})), "@db.schema.stage/output_path/x.parquet", auto_compress=False
    )
    run("read", session=session)


def _parquet(columns: dict[str, Any]) -> bytes:
    content = io.BytesIO()
    pd.DataFrame(columns).to_parquet(content)
    return content.getvalue()


def test_params(session: Session, mv: Any, input_df: Any) -> None:
    frame = results(session, run("params", mv=mv, input_df=input_df)["job"]).sort_values("ID")
    assert frame["score"].tolist() == pytest.approx([value * 0.9 + 1 for value in frame["FEATURE_1"]])
    assert set(frame["tokens"]) == {512}


def test_job_spec(session: Session, mv: Any, input_df: Any) -> None:
    job = run("job_spec", mv=mv, input_df=input_df)["job"]
    assert job.name == "MY_INFERENCE_JOB"
    assert len(results(session, job)) == 6
    assert job.target_instances == 2


def test_custom_model_with_nested_outputs(
    session: Session, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = types.ModuleType("transformers")
    hub.pipeline = lambda task, model: models.Speech(custom_model.ModelContext())  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "transformers", hub)

    space = run("custom_model", session=session, reg=Logging(registry, ext_modules=[models]))

    frame = results(session, space["job"]).set_index("AUDIO")["outputs"]
    assert {path.rpartition("/")[2]: _plain(value) for path, value in frame.items()} == {
        f"audio{number}.mp3": {
            "text": f"{3 + number} bytes",
            "chunks": [{"timestamp": [0.0, 0.5], "text": "73"}, {"timestamp": [0.5, 0.5], "text": "68"}],
        }
        for number in (1, 2, 3)
    }


def _plain(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


@pytest.mark.skipif(CLIENT == "1", reason="client 1.x accepts an inference engine for Hugging Face models only")
def test_chat_with_a_custom_model(session: Session, registry: Registry) -> None:
    """What the page does with a model from a hub, for clients without transformers: the engine does not look at it."""
    signature = openai_signatures.OPENAI_CHAT_SIGNATURE["__call__"]
    hub = types.SimpleNamespace(TransformersPipeline=lambda model, task: models.Chat(custom_model.ModelContext()))
    reg = Logging(registry, ext_modules=[models], signatures={"predict": signature})
    _put_image(session)

    space = run("chat_with_image", session=session, reg=reg, huggingface=hub)
    registry.delete_model("qwen2_vl_2b")

    _check_answer(results(session, space["job"]), "What breed of cat is this? [image/jpeg, 4 bytes, sha256 ")


def _put_image(session: Session) -> None:
    session.file.put_stream(io.BytesIO(b"\xff\xd8\xff\xe0"), "@db.schema.stage/path/cat.jpeg", auto_compress=False)


def _check_answer(frame: pd.DataFrame, words: str) -> None:
    (choices,) = frame["choices"]
    (choice,) = _plain(choices)
    content = choice["message"]["content"]
    assert content.startswith("[chat stand-in, no language model] system: You are an expert on cats and kitchens. ")
    assert words in content
    assert set(frame["object"]) == {"chat.completion"}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Tiny models with random weights in the place of those that the page takes from a hub."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    import huggingface_hub
    from snowflake.ml.model.models import huggingface

    from tests.worker import transformer_models as made

    made.save_image_classifier(tmp_path / "google/vit-base-patch16-224", labels=("one", "two", "three"))
    for name in ("Qwen/Qwen2.5-0.5B-Instruct", "Qwen/Qwen2-VL-2B-Instruct"):
        made.save_chat_model_without_weights(tmp_path / name)
    # A name that is a folder here is not looked for on a hub.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda repo_id, **_: str(tmp_path / repo_id))
    # The page has the model logged by a job in the account, which fetches it from the hub itself.
    local = {"compute_pool_for_log": None, "lazy_upload": False}
    return types.SimpleNamespace(TransformersPipeline=partial(huggingface.TransformersPipeline, **local))


def test_hugging_face_images(session: Session, registry: Registry, hub: Any) -> None:
    from PIL import Image

    for number in (1, 2, 3):
        content = io.BytesIO()
        Image.new("RGB", (16, 16), (80 * number, 0, 0)).save(content, "PNG")
        content.seek(0)
        # The page's images end in .mp3; what they are is in their content.
        session.file.put_stream(content, f"@DB.SCHEMA.STAGE/dataset/image/image{number}.mp3", auto_compress=False)

    space = run("hugging_face", session=session, reg=Logging(registry))

    frame = results(session, space["job"])
    assert sorted(frame["IMAGES"]) == [f"@DB.SCHEMA.STAGE/dataset/image/image{number}.mp3" for number in (1, 2, 3)]
    for number, path in enumerate(frame["IMAGES"]):
        image = session.file.get_stream(path)
        expected = space["classifier"](Image.open(io.BytesIO(image.read())))
        answer = _plain(frame.drop(columns="IMAGES").iloc[number, 0])
        assert [one["label"] for one in answer] == [one["label"] for one in expected]
        assert [one["score"] for one in answer] == pytest.approx([one["score"] for one in expected], rel=1e-4)


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ("chat", "user: How many breeds of cats are there?"),
        ("chat_with_image", "What breed of cat is this? [image/jpeg, 4 bytes, sha256 "),
    ],
)
def test_hugging_face_chats(session: Session, registry: Registry, hub: Any, block: str, words: str) -> None:
    _put_image(session)

    space = run(block, session=session, reg=Logging(registry), huggingface=hub)

    _check_answer(results(session, space["job"]), words)
