"""The operator with a model of one's own: the worker's archive in the container runtime, on the local Snowflake."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.sdk import DAG, task

from airflow_provider_snowflake_batch.exceptions import JobFailedError, JobInputError
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.card import JOB_CARD_KEY
from airflow_provider_snowflake_batch.jobs.example_rows import EXAMPLE_ROWS_KEY
from airflow_provider_snowflake_batch.jobs.models import PythonModel
from airflow_provider_snowflake_batch.jobs.sent_statement import STATEMENT_KEY
from airflow_provider_snowflake_batch.jobs.specs import JobSpec, OnError, OutputSpec
from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator
from tests.compute_pools import hook_with_pool
from tests.operators.task_instances import Store, TaskInstance

pytestmark = pytest.mark.slow

POOL, STAGE = "WORKER_OPERATOR", "WORKER_OPERATOR_RESULTS"
FILES = "@LOCAL.PUBLIC.WORKER_OPERATOR_FILES"
MODEL = """
import importlib.util
from pathlib import Path


class Linear:
    def __init__(self, gain, bad=None):
        assert importlib.util.find_spec("airflow") is None
        self.gain, self.bad = gain, bad
        self.offset = float(Path(__file__).with_name("offset.txt").read_text())

    def predict(self, rows, shift=0.0):
        if self.bad is not None and (rows["ID"] == self.bad).any():
            raise ValueError(f"row {self.bad} is not for this model")
        return {"PREDICTION": self.gain * rows["A"] + self.offset + shift}
"""


@pytest.fixture
def hook(snowflake_connection: str) -> Iterator[SnowflakeBatchHook]:
    statements = (
        f"CREATE OR REPLACE STAGE {STAGE} ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')",
        "CREATE OR REPLACE TABLE WORKER_FEATURES (ID INT, A FLOAT, NOTE VARCHAR)",
        "INSERT INTO WORKER_FEATURES VALUES (1, 1, 'a'), (2, 2, NULL), (3, 0, '')",
    )
    with hook_with_pool(snowflake_connection, POOL, 2, *statements) as opened:
        yield opened


@pytest.fixture
def dags(tmp_path: Path) -> Path:
    """A folder with a Dag file's code beside it."""
    package = tmp_path / "my_models"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "linear.py").write_text(MODEL)
    (package / "offset.txt").write_text("10")
    return tmp_path


def operator(dags: Path, **changes: Any) -> RunBatchOperator:
    given: dict[str, Any] = {
        "task_id": "score",
        "model": PythonModel("my_models.linear:Linear", code="my_models", init={"gain": 2}),
        "X": "SELECT * FROM WORKER_FEATURES",
        "compute_pool": POOL,
        "output_spec": OutputSpec(f"@{STAGE}/out/"),
        "poll_interval": 1,
    }
    dag = DAG("dag")
    dag.fileloc = str(dags / "dag.py")
    return RunBatchOperator(dag=dag, **(given | changes))


def execute(task: RunBatchOperator, store: Store | None = None) -> tuple[dict[str, Any], TaskInstance]:
    instance = TaskInstance(max_tries=3)
    return task.execute({"ti": instance, "task_state_store": store}), instance


def results(hook: SnowflakeBatchHook, location: str, by: str = "ID") -> pd.DataFrame:
    paths = [file.path for file in hook.list_files(location)]
    parts = [path for path in paths if path.endswith(".parquet") and "/_" not in path]
    frames = [pq.read_table(io.BytesIO(hook.read_file(f"@{STAGE}/{path}"))).to_pandas() for path in parts]
    return pd.concat(frames).sort_values(by, ignore_index=True)


def staged(hook: SnowflakeBatchHook) -> list[str]:
    """What jobs were given of their own: rows, job files."""
    paths = [file.path for file in hook.list_files(f"@{STAGE}/out/")]
    return [path for path in paths if "/_snowflake_temporary/" in path or re.search("/_batch_worker/.*/", path)]


def test_a_class_of_the_dags_author_scores_a_table(hook: SnowflakeBatchHook, dags: Path) -> None:
    task = operator(dags, input_spec={"params": {"shift": 0.5}}, example_rows=2)
    result, instance = execute(task)
    assert (result["status"], result["rows"], result["model"]) == ("DONE", 3, "my_models.linear:Linear")
    assert (result["version"], result["rows_reused"]) == (None, 0)
    scored = results(hook, result["output_location"])
    assert scored["PREDICTION"].tolist() == [12.5, 14.5, 10.5]
    assert scored["ID"].tolist() == [1, 2, 3]
    assert scored["NOTE"].tolist() == ["a", None, ""]
    card = instance.xcoms[JOB_CARD_KEY]
    assert (card["model"], card["function"], card["status"]) == ("my_models.linear:Linear", "predict", "DONE")
    assert card["progress"]["rows_done"] == 3
    assert card["output"]["files"] == result["files"]
    assert ["PREDICTION", "double"] in card["output"]["columns"]
    kept = instance.xcoms[EXAMPLE_ROWS_KEY]
    assert (kept["job_name"], kept["columns"]) == (result["job_name"], ["ID", "A", "NOTE", "PREDICTION"])
    assert kept["rows"] == [["1", "1", "a", "12.5"], ["2", "2", None, "14.5"]]
    sent = instance.xcoms[STATEMENT_KEY]["statement"]
    assert sent.startswith("EXECUTE JOB SERVICE\n")
    assert f"NAME = {result['job_name']}\n" in sent
    assert staged(hook) == [], "what the job was given is removed after success"


def test_without_rows_there_is_a_result_all_the_same(hook: SnowflakeBatchHook, dags: Path) -> None:
    result, instance = execute(operator(dags, X="SELECT * FROM WORKER_FEATURES WHERE FALSE", example_rows=2))
    assert (result["status"], result["rows"]) == ("DONE", 0)
    kept = instance.xcoms[EXAMPLE_ROWS_KEY]
    assert (kept.get("rows", []), kept.get("no_rows", "The results have no file.")) == ([], "The results have no file.")
    assert hook.is_complete(result["output_location"])


def test_on_a_pool_with_gpus_a_job_runs_without_them_where_there_are_none(hook: SnowflakeBatchHook, dags: Path) -> None:
    pool = f"{POOL}_GPU"
    hook.run(f"CREATE COMPUTE POOL IF NOT EXISTS {pool} MIN_NODES = 1 MAX_NODES = 1 INSTANCE_FAMILY = GPU_NV_S")
    result, _ = execute(operator(dags, compute_pool=pool))
    assert results(hook, result["output_location"])["PREDICTION"].tolist() == [12, 14, 10]
    if not list(Path("/dev").glob("nvidia[0-9]*")):
        assert hook.logs(result["job_name"]).startswith("Local Snowflake: 1 GPU(s) asked for, 0 on this machine")


def test_options_of_the_worker_runtime_reach_the_worker(hook: SnowflakeBatchHook, dags: Path) -> None:
    task = operator(
        dags,
        model={"target": "my_models.linear:Linear", "code": "my_models", "init": {"gain": 2, "bad": 2}},
        output_spec={"stage_location": f"@{STAGE}/out/", "columns": ["ID"]},
        job_spec=JobSpec(
            on_error=OnError.QUARANTINE, max_quarantined=1, num_workers=1, replicas=2, block_volume={"size": "10Gi"}
        ),
    )
    result, _ = execute(task)
    scored = results(hook, result["output_location"])
    assert scored.columns.tolist() == ["ID", "PREDICTION"]
    assert scored["ID"].tolist() == [1, 3]
    assert any("1 row(s) failed" in warning for warning in result["warnings"])


def test_a_model_gets_secrets_that_no_statement_holds(hook: SnowflakeBatchHook, dags: Path) -> None:
    hook.run(
        [
            "CREATE OR REPLACE SECRET WORKER_TOKEN TYPE = GENERIC_STRING SECRET_STRING = 'it''s $$ a token-q7zw'",
            "CREATE OR REPLACE SECRET WORKER_LOGIN TYPE = PASSWORD USERNAME = 'someone' PASSWORD = 'word-q7zw'",
        ]
    )
    (dags / "hub.py").write_text(
        "import os\n"
        "class Hub:\n"
        "    def predict(self, rows):\n"
        "        assert os.environ['TOKEN'] == \"it's $$ a token-q7zw\"\n"
        "        return {'WHO': [os.environ['WHO']] * len(rows), 'LENGTH': [len(os.environ['TOKEN'])] * len(rows)}\n"
    )
    secrets = {"TOKEN": "worker_token", "WHO": {"secret": "worker_login", "key": "username"}}
    task = operator(dags, model=PythonModel("hub:Hub", code="hub.py"), job_spec={"secrets": secrets})
    result, instance = execute(task)
    scored = results(hook, result["output_location"])
    assert (set(scored["WHO"]), set(scored["LENGTH"])) == ({"someone"}, {len("it's $$ a token-q7zw")})
    described = hook.get_records(f"DESCRIBE SERVICE {result['job_name']}")
    assert "WORKER_TOKEN" in str(described)
    assert "q7zw" not in str([described, instance.xcoms, hook.logs(result["job_name"])])


def test_the_rows_of_a_group_come_together(hook: SnowflakeBatchHook, dags: Path) -> None:
    (dags / "sums.py").write_text(
        "class Sum:\n"
        "    partitioned = True\n"
        "    def predict(self, rows):\n"
        "        return {'TOTAL': [float(rows['A'].sum())]}\n"
    )
    hook.run("INSERT INTO WORKER_FEATURES VALUES (4, 5, 'a')")
    task = operator(dags, model=PythonModel("sums:Sum", code="sums.py"), input_spec={"partition_column": "NOTE"})
    result, _ = execute(task)
    totals = results(hook, result["output_location"], by="TOTAL")
    assert dict(zip(totals["NOTE"].fillna("-"), totals["TOTAL"], strict=True)) == {"": 0.0, "-": 2.0, "a": 6.0}


@pytest.mark.parametrize("X", [{"list_stage_files": "@WORKER_OPERATOR_FILES"}, "SELECT * FROM WORKER_FILES"])
def test_the_files_that_rows_name_reach_the_model(hook: SnowflakeBatchHook, dags: Path, X: Any) -> None:
    hook.run(
        [
            "CREATE OR REPLACE STAGE WORKER_OPERATOR_FILES ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')",
            "CREATE OR REPLACE TABLE WORKER_FILES (FILE VARCHAR)",
            f"INSERT INTO WORKER_FILES VALUES ('{FILES}/a.bin'), ('{FILES}/b.bin')",
        ]
    )
    hook.write_file("@WORKER_OPERATOR_FILES/a.bin", b"1234")
    hook.write_file("@WORKER_OPERATOR_FILES/b.bin", b"")
    (dags / "sizes.py").write_text(
        "class Size:\n    def predict(self, rows):\n        return {'SIZE': [len(file) for file in rows['FILE']]}\n"
    )
    task = operator(
        dags,
        model=PythonModel("sizes:Size", code="sizes.py"),
        X=X,
        input_spec={"column_handling": {"FILE": {"input_format": "full_stage_path", "convert_to": "raw_bytes"}}},
        job_spec={"stages": ["@WORKER_OPERATOR_FILES"]},
    )
    result, _ = execute(task)
    found = results(hook, result["output_location"], by="FILE")
    assert found["SIZE"].tolist() == [4, 0]
    assert found["FILE"].str[-5:].tolist() == ["a.bin", "b.bin"]


@pytest.mark.parametrize("code", ["@WORKER_OPERATOR_CODE/lib", "@WORKER_OPERATOR_CODE/lib/models.zip"])
def test_code_and_rows_may_lie_on_stages(hook: SnowflakeBatchHook, dags: Path, code: str) -> None:
    hook.run("CREATE OR REPLACE STAGE WORKER_OPERATOR_CODE ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')")
    files = {f"my_models/{name}": (dags / "my_models" / name).read_bytes() for name in ("linear.py", "offset.txt")}
    files["my_models/__init__.py"] = b"# A stage has no empty files on every cloud."
    if code.endswith(".zip"):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        files = {"models.zip": packed.getvalue()}
    for name, content in files.items():
        hook.write_file(f"@WORKER_OPERATOR_CODE/lib/{name}", content)
    rows = io.BytesIO()
    pq.write_table(pa.table({"ID": [1, 2], "A": [1.0, 2.0]}), rows)
    hook.write_file(f"@{STAGE}/in/a.parquet", rows.getvalue())
    model = PythonModel("my_models.linear:Linear", code=code, init={"gain": 2})
    result, _ = execute(operator(dags, model=model, X=f"@{STAGE}/in/"))
    assert results(hook, result["output_location"])["PREDICTION"].tolist() == [12, 14]
    assert not [file for file in hook.list_files(f"@{STAGE}/out/_batch_worker/") if "/code-" in file.path]


def test_a_function_of_the_dag_scores_a_table(hook: SnowflakeBatchHook) -> None:
    with DAG("dag"):

        @task.snowflake_batch(
            X="SELECT ID, A FROM WORKER_FEATURES",
            compute_pool=POOL,
            output_spec=OutputSpec(f"@{STAGE}/out/"),
            job_spec=JobSpec(on_error=OnError.QUARANTINE),
            poll_interval=1,
        )
        def score(rows, shift, bad=None):
            import importlib.util

            assert importlib.util.find_spec("airflow") is None
            if (rows["ID"] == bad).any():
                raise ValueError(f"{{bad}}: row {bad} is not for this function")
            return {"PREDICTION": rows["A"] + shift}

        made = score(0.5, bad=2)
    result, instance = execute(made.operator)
    scored = results(hook, result["output_location"])
    assert scored["ID"].tolist() == [1, 3]
    assert scored["PREDICTION"].tolist() == [1.5, 0.5]
    assert instance.xcoms[JOB_CARD_KEY]["model"] == "task_function:score"
    rejected = next(file.path for file in hook.list_files(result["output_location"]) if "/_quarantine/" in file.path)
    row = pq.read_table(io.BytesIO(hook.read_file(f"@{STAGE}/{rejected}"))).to_pylist()[0]
    assert row["QUARANTINE_ERROR"] == "ValueError: {bad}: row 2 is not for this function"


def test_a_later_try_goes_on_in_the_same_directory(hook: SnowflakeBatchHook, dags: Path) -> None:
    store = Store()
    failing = operator(dags, model=PythonModel("my_models.linear:Linear", code="my_models", init={"gain": 2, "bad": 3}))
    with pytest.raises(JobFailedError, match="row 3 is not for this model"):
        execute(failing, store)
    first = store.record
    rows = staged(hook)
    assert any(path.endswith("_unload.json") for path in rows), "the rows are kept for the next try"
    assert any("/JOB-" in path for path in rows)

    # The cause is removed, and the task asks for the same.
    linear = dags / "my_models" / "linear.py"
    linear.write_text(MODEL.replace("self.bad is not None", "False"))
    hook.run("INSERT INTO WORKER_FEATURES VALUES (4, 4, 'later')")
    result, _ = execute(failing, store)
    assert result["job_name"] != first["job_name"]
    assert result["output_location"] == first["output_location"]
    assert results(hook, result["output_location"])["ID"].tolist() == [1, 2, 3], "the rows of the first try"
    assert staged(hook) == []


def test_a_later_try_does_only_what_is_missing_also_with_more_replicas(
    hook: SnowflakeBatchHook, dags: Path, tmp_path: Path
) -> None:
    hook.run(
        "CREATE OR REPLACE TABLE WORKER_FEATURES AS SELECT SEQ4() AS ID, 1.0 AS A, 'n' AS NOTE "
        "FROM TABLE(GENERATOR(ROWCOUNT => 300000))"
    )
    obstacle = tmp_path / "obstacle"
    obstacle.write_text("")
    # The container with all its processes, as when its node is lost.
    killed = f"if os.path.exists({str(obstacle)!r}) and (rows['ID'] == self.bad).any():"
    code = MODEL.replace('if self.bad is not None and (rows["ID"] == self.bad).any():', killed)
    code = code.replace('raise ValueError(f"row {self.bad} is not for this model")', "os.killpg(0, 9)")
    (dags / "my_models" / "linear.py").write_text(f"import os\n{code}")
    model = PythonModel("my_models.linear:Linear", code="my_models", init={"gain": 2, "bad": 299999})
    store = Store()
    with pytest.raises(JobFailedError):
        execute(operator(dags, model=model, job_spec=JobSpec(num_workers=1)), store)
    first = store.record["output_location"]
    finished = records(hook, first)
    kept = sum(json.loads(hook.read_file(f"@{STAGE}/{path}"))["input_rows"] for path, _ in finished)
    assert 0 < kept < 300000

    obstacle.unlink()
    result, instance = execute(operator(dags, model=model, job_spec=JobSpec(num_workers=1, replicas=2)), store)
    assert (result["rows"], result["output_location"], result["rows_reused"]) == (300000, first, kept)
    assert json.loads(hook.read_file(f"{first}_manifest.json"))["rows_reused"] == kept
    assert instance.xcoms[JOB_CARD_KEY]["progress"]["rows_reused"] == kept
    assert finished < records(hook, first)
    assert sorted(results(hook, first)["ID"]) == list(range(300000))


def records(hook: SnowflakeBatchHook, location: str) -> set[tuple[str, str | None]]:
    """The records of finished tasks, each with the hash of its content."""
    files = hook.list_files(location)
    return {(file.path, file.md5) for file in files if "/_tasks/" in file.path}


def test_a_try_that_dies_while_its_rows_are_unloaded_is_made_good_by_the_next(
    hook: SnowflakeBatchHook, dags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store()
    with monkeypatch.context() as patched:
        patched.setattr(SnowflakeBatchHook, "submit", dies)
        with pytest.raises(ConnectionAbortedError):
            execute(operator(dags), store)
    begun = store.record
    assert begun["query_id"] is None
    rows = staged(hook)
    result, _ = execute(operator(dags), store)
    assert (result["job_name"], result["output_location"]) == (begun["job_name"], begun["output_location"])
    assert result["rows"] == 3
    assert rows
    assert staged(hook) == []


def dies(hook: SnowflakeBatchHook, job: object) -> str:
    raise ConnectionAbortedError("the worker of Airflow is gone")


def test_deadlines_count_from_when_the_statement_is_sent(
    hook: SnowflakeBatchHook, dags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, sent = Store(), []
    submit = SnowflakeBatchHook.submit

    def noted(self: SnowflakeBatchHook, job: Any) -> str:
        sent.append(store.record["submitted_at"])
        return submit(self, job)

    monkeypatch.setattr(SnowflakeBatchHook, "submit", noted)
    execute(operator(dags), store)
    assert store.record["submitted_at"] > sent[0], "not when the rows began to be unloaded"


def test_after_a_clear_the_rows_are_read_anew(hook: SnowflakeBatchHook, dags: Path) -> None:
    store = Store()
    task = operator(dags, model=PythonModel("my_models.linear:Linear", code="my_models", init={"gain": 2, "bad": 3}))
    with pytest.raises(JobFailedError):
        execute(task, store)
    first = store.record
    store.change(begun_within=[99, 0])
    (dags / "my_models" / "linear.py").write_text(MODEL.replace("self.bad is not None", "False"))
    hook.run("INSERT INTO WORKER_FEATURES VALUES (4, 4, 'later')")
    result, _ = execute(task, store)
    assert result["output_location"] != first["output_location"]
    assert results(hook, result["output_location"])["ID"].tolist() == [1, 2, 3, 4]
    assert staged(hook) == [], "nobody reads the rows of before any more"


def test_a_task_that_now_asks_for_other_rows_leaves_none_of_the_earlier_ones(
    hook: SnowflakeBatchHook, dags: Path
) -> None:
    store = Store()
    failing = PythonModel("my_models.linear:Linear", code="my_models", init={"gain": 2, "bad": 3})
    with pytest.raises(JobFailedError):
        execute(operator(dags, model=failing), store)
    first = store.record
    result, _ = execute(operator(dags, model=failing, X="SELECT * FROM WORKER_FEATURES WHERE ID < 3"), store)
    assert result["output_location"] != first["output_location"]
    assert results(hook, result["output_location"])["ID"].tolist() == [1, 2]
    assert staged(hook) == []


def test_code_that_is_not_there_is_an_error_before_anything_is_submitted(hook: SnowflakeBatchHook, dags: Path) -> None:
    jobs = hook.list_jobs()
    with pytest.raises(JobInputError, match=f"^model.code: there is no file or folder {dags}/elsewhere"):
        execute(operator(dags, model=PythonModel("my_models.linear:Linear", code="elsewhere")))
    assert hook.list_jobs() == jobs
    assert hook.list_files(f"@{STAGE}/") == []
