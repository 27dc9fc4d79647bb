"""The operator against the local Snowflake: what it refuses before it submits, and what a job brings back.

Also tests ``hooks/preflight.py``, ``operators/ended_job.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from airflow.sdk import Asset, AssetAlias
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_snowflake_batch.exceptions import JobFailedError, JobInputError, JobNotFoundError
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.card import JOB_CARD_KEY
from airflow_provider_snowflake_batch.jobs.deadlines import Deadlines
from airflow_provider_snowflake_batch.jobs.example_rows import EXAMPLE_ROWS_KEY
from airflow_provider_snowflake_batch.jobs.sent_statement import STATEMENT_KEY
from airflow_provider_snowflake_batch.jobs.specs import JobSpec, OutputSpec
from airflow_provider_snowflake_batch.jobs.statements import execute_inference_job
from airflow_provider_snowflake_batch.jobs.status import JobStatus
from airflow_provider_snowflake_batch.local.server_process import LocalServer
from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator
from tests.compute_pools import hook_with_pool
from tests.local_faults import faults_of
from tests.operators.task_instances import TaskInstance

pytestmark = pytest.mark.slow

POOL = "OPERATOR_TESTS"
HANDLING = {"input_format": "full_stage_path", "convert_to": "raw_bytes"}


@pytest.fixture
def hook(snowflake_connection: str, linear_model: str) -> Iterator[SnowflakeBatchHook]:
    statements = (
        "CREATE OR REPLACE STAGE OPERATOR_TESTS",
        "CREATE OR REPLACE TABLE FEATURES (ID INT, A FLOAT, B FLOAT)",
        "INSERT INTO FEATURES VALUES (1, 1, 1), (2, 2, 0), (3, 0, 2)",
    )
    with hook_with_pool(snowflake_connection, POOL, 4, *statements) as opened:
        yield opened


def operator(**changes: Any) -> RunBatchOperator:
    given: dict[str, Any] = {
        "task_id": "score",
        "model_name": "LINEAR",
        "version_name": "V1",
        "X": "FEATURES",
        "compute_pool": POOL,
        "output_spec": OutputSpec("@OPERATOR_TESTS/out/"),
    }
    return RunBatchOperator(**(given | changes))


def execute(task: RunBatchOperator, **context: Any) -> tuple[dict[str, Any], TaskInstance]:
    instance = TaskInstance()
    return task.execute({"ti": instance, **context}), instance


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"compute_pool": "NO_SUCH_POOL"}, r"compute_pool: NO_SUCH_POOL does not exist, or this role has no USAGE"),
        ({"X": "NO_SUCH_TABLE"}, r"X: Snowflake cannot read the input LOCAL.PUBLIC.NO_SUCH_TABLE: .*NO_SUCH_TABLE"),
        ({"X": "SELECT NO_SUCH_COLUMN FROM FEATURES"}, r"X: Snowflake cannot read the input SELECT NO_SUCH_COLUMN"),
        ({"X": "SELECT FROM WHERE"}, r"X: Snowflake cannot read the input SELECT FROM WHERE"),
        ({"X": "@OPERATOR_TESTS/nothing/"}, r"X: there are no files under @LOCAL.PUBLIC.OPERATOR_TESTS/nothing/"),
        ({"X": "@NO_SUCH_STAGE/in/"}, r"The stage of @LOCAL.PUBLIC.NO_SUCH_STAGE/in/ does not exist"),
        ({"model_name": "NO_SUCH_MODEL"}, r"model_name: LOCAL.PUBLIC.NO_SUCH_MODEL does not exist"),
        ({"function_name": "explain"}, r"function_name: the model has no function 'explain'; it has .*'predict'"),
        ({"input_spec": {"params": {"gain": 1}}}, r"input_spec.params: the model's function has no parameter 'gain'"),
        ({"job_spec": {"gpu_requests": "1"}}, r"job_spec.gpu_requests: version V1 of model LOCAL.PUBLIC.LINEAR has no"),
        ({"version_name": "V9"}, r"version_name: model LOCAL.PUBLIC.LINEAR has no version or alias V9; it has .*V1"),
        (
            {"output_spec": OutputSpec("@NO_SUCH_STAGE/out/")},
            r"output_spec.stage_location: The stage of @LOCAL.PUBLIC.NO_SUCH_STAGE/out/.* does not exist",
        ),
        (
            {"input_spec": {"partition_column": "STORE"}},
            r"input_spec.partition_column: the function 'predict' of LOCAL.PUBLIC.LINEAR takes row by row",
        ),
        (
            {"input_spec": {"column_handling": {"IMAGE": HANDLING}}},
            r"input_spec.column_handling\['IMAGE'\]: the input has no column 'IMAGE'; it has A, B, ID",
        ),
    ],
)
def test_bad_input_is_refused_before_anything_is_submitted(
    hook: SnowflakeBatchHook, changes: dict[str, Any], message: str
) -> None:
    jobs = hook.list_jobs()
    with pytest.raises(JobInputError, match=f"(?s)^{message}") as raised:
        execute(operator(**changes))
    assert isinstance(raised.value, AirflowFailException)
    assert hook.list_jobs() == jobs


@pytest.mark.parametrize(
    ("field_name", "value", "message"),
    [
        ("output_spec", {"stage_location": "OPERATOR_TESTS/out"}, "output_spec.stage_location: 'OPERATOR_TESTS/out'"),
        ("output_spec", {"stage_location": "@OPERATOR_TESTS/../x"}, "output_spec.stage_location: "),
        ("job_spec", {"replica": 2}, "job_spec: unknown field 'replica'"),
        ("X", {"query": "SELECT 1", "table": "T"}, "X: give exactly one of query, table, stage_location"),
        ("X", "@OPERATOR_TESTS/out/in/", "output_spec.stage_location: the input .* lies inside the output"),
        ("X", {}, "X: give exactly one of query, table, stage_location, .*; got none of them"),
        ("compute_pool", "P; DROP TABLE FEATURES", "compute_pool: "),
        ("version_name", "V1' OR '1", "version_name: "),
        ("version_name", "None", "version_name: it has become None: did the task that it is read from return it"),
        ("version_name", None, "version_name: it has become None"),
        ("X", None, "X: it has become None"),
        ("model_name", "LINEAR VERSION = V1", "model_name: "),
    ],
)
def test_what_a_template_brings_is_checked_like_the_rest(
    hook: SnowflakeBatchHook, field_name: str, value: Any, message: str
) -> None:
    jobs = hook.list_jobs()
    task = operator()
    setattr(task, field_name, value)
    with pytest.raises(JobInputError, match=f"^{message}"):
        execute(task)
    assert hook.list_jobs() == jobs


def test_an_output_directory_that_holds_something(hook: SnowflakeBatchHook) -> None:
    hook.write_file("@OPERATOR_TESTS/out/TAKEN/part-0.parquet", b"from somebody else")
    with pytest.raises(
        JobInputError,
        match=r"output_spec.stage_location: @LOCAL.PUBLIC.OPERATOR_TESTS/out/TAKEN/ already holds 1 file\(s\)",
    ):
        execute(operator(job_spec=JobSpec(job_name="TAKEN")))


def test_a_batch_from_table_to_result(hook: SnowflakeBatchHook, caplog: pytest.LogCaptureFixture) -> None:
    task = operator(job_spec={"job_name_prefix": "NIGHTLY", "max_batch_rows": 2}, poll_interval=1)
    result, instance = execute(task)
    name = result["job_name"]
    assert name.startswith("LOCAL.PUBLIC.NIGHTLY_DAG_SCORE_")
    assert result == {
        "job_name": name,
        "status": "DONE",
        "output_location": f"@LOCAL.PUBLIC.OPERATOR_TESTS/out/{name.rpartition('.')[2]}/",
        "rows": 3,
        "files": result["files"],
        "seconds": result["seconds"],
        "attempt": 1,
        "warnings": [],
        "model": "LOCAL.PUBLIC.LINEAR",
        "version": "V1",
        "rows_reused": 0,
    }
    assert result["files"] >= 1
    assert 0 < result["seconds"] < 120
    card = instance.xcoms[JOB_CARD_KEY]
    assert (card["job_name"], card["status"], card["replicas"], card["message"]) == (name, "DONE", 1, None)
    assert (card["model"], card["version"], card["compute_pool"]) == ("LOCAL.PUBLIC.LINEAR", "V1", POOL)
    # A job this small may have ended before anybody saw it run.
    seen = card["started_at"] or card["ended_at"]
    assert card["submitted_at"] < seen <= card["ended_at"] <= card["updated_at"]
    assert (card["progress"]["phase"], card["progress"]["rows_done"], card["progress"]["rows_total"]) == ("done", 3, 3)
    rows = read_results(hook, result["output_location"])
    assert rows["PREDICTION"].round(6).tolist() == [5, 4, 6]
    assert rows["A"].tolist() == [1, 2, 0]


def test_outlets_tell_of_the_job_and_keep_what_the_dag_says(hook: SnowflakeBatchHook) -> None:
    scores, events = Asset("scores"), OutletEventAccessors()
    events[scores].extra = {"job_name": "the Dag's own", "purpose": "test"}
    result, _ = execute(operator(outlets=[scores, AssetAlias("later")]), outlet_events=events)
    assert events[scores].extra == {
        "job_name": "the Dag's own",
        "purpose": "test",
        "status": "DONE",
        "output_location": result["output_location"],
        "rows": 3,
        "files": result["files"],
        "model": "LOCAL.PUBLIC.LINEAR",
        "version": "V1",
    }


@pytest.mark.parametrize("version", [None, "DEFAULT", "V1"])
def test_the_statement_says_what_is_run(
    hook: SnowflakeBatchHook, monkeypatch: pytest.MonkeyPatch, version: str | None
) -> None:
    sent: list[Any] = []
    submit = SnowflakeBatchHook.submit
    monkeypatch.setattr(SnowflakeBatchHook, "submit", lambda self, job: sent.append(job) or submit(self, job))
    result, instance = execute(operator(version_name=version, function_name="PREDICT", wait_for_completion=False))
    statement = execute_inference_job(*sent)
    assert instance.xcoms[STATEMENT_KEY]["statement"] == statement
    assert "MODEL = LOCAL.PUBLIC.LINEAR\nVERSION = V1\nFUNCTION = 'predict'\nNAME = " in statement
    card = instance.xcoms[JOB_CARD_KEY]
    assert (card["version"], card["function"], result["version"]) == ("V1", "predict", "V1")


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_few_rows_of_the_results_are_kept_if_the_task_asks(hook: SnowflakeBatchHook, deferrable: bool) -> None:
    task, instance = operator(deferrable=deferrable, example_rows=2, poll_interval=1), TaskInstance()
    if deferrable:
        with pytest.raises(TaskDeferred) as deferred:
            task.execute({"ti": instance})
        _, arguments = deferred.value.trigger.serialize()
        hook.wait(arguments["job_name"], query_id=arguments["query_id"], deadlines=Deadlines.within(120))
        event = {name: arguments[name] for name in ("job_name", "query_id", "output_location", "submitted_at")}
        result = task.execute_complete({"ti": instance}, event | {"status": "DONE"})
    else:
        result = task.execute({"ti": instance})
    kept = instance.xcoms[EXAMPLE_ROWS_KEY]
    assert (kept["job_name"], kept["columns_left_out"]) == (result["job_name"], 0)
    rows = [dict(zip(kept["columns"], row, strict=True)) for row in kept["rows"]]
    scored = {row["ID"]: row["PREDICTION"] for row in rows}
    assert len(scored) == 2
    assert {number: float(text) for number, text in scored.items()}.items() <= {"1": 5, "2": 4, "3": 6}.items()
    assert not {"largest_file", "example_rows"} & set(result)


def test_without_asking_no_row_leaves_snowflake(hook: SnowflakeBatchHook) -> None:
    _, instance = execute(operator())
    assert EXAMPLE_ROWS_KEY not in instance.xcoms


@pytest.mark.parametrize("statement", ["INFER_SCHEMA", "LIMIT 2"])
def test_rows_that_cannot_be_read_fail_no_task(
    hook: SnowflakeBatchHook, local_server: LocalServer, caplog: pytest.LogCaptureFixture, statement: str
) -> None:
    with faults_of(local_server) as faults:
        faults.add("http-error", status=404, statement=statement)
        result, instance = execute(operator(example_rows=2))
    assert (result["status"], result["rows"]) == ("DONE", 3)
    assert instance.xcoms[EXAMPLE_ROWS_KEY].keys() == {"job_name", "no_rows"}
    assert instance.xcoms[EXAMPLE_ROWS_KEY]["no_rows"].startswith("They could not be read: ")
    assert instance.xcoms[JOB_CARD_KEY]["status"] == "DONE"
    assert instance.xcoms[JOB_CARD_KEY]["message"] is None
    assert "Example rows of @LOCAL.PUBLIC.OPERATOR_TESTS/out/" in caplog.text


def read_results(hook: SnowflakeBatchHook, location: str) -> Any:
    with hook.get_snowpark_session() as session:
        frame = session.read.option("pattern", r".*\.parquet").parquet(location).to_pandas()
    frame.columns = [column.strip('"') for column in frame.columns]
    return frame.sort_values("ID")


def test_snowflakes_own_client_brings_the_same_predictions(hook: SnowflakeBatchHook) -> None:
    from snowflake.ml.model.batch_inference import OutputSpec as ClientOutputSpec
    from snowflake.ml.registry import Registry

    result, _ = execute(operator())
    with hook.get_snowpark_session() as session:
        version = Registry(session).get_model("LINEAR").version("V1")
        job = version.run_batch(
            X=session.table("FEATURES"),
            compute_pool=POOL,
            output_spec=ClientOutputSpec(stage_location="@LOCAL.PUBLIC.OPERATOR_TESTS/client/"),
        )
        job.wait(timeout=120)
    ours = read_results(hook, result["output_location"])
    theirs = read_results(hook, f"@LOCAL.PUBLIC.OPERATOR_TESTS/client/{job.id.rpartition('.')[2]}/")
    assert theirs["PREDICTION"].tolist() == ours["PREDICTION"].tolist()


def test_deferring_hands_everything_to_the_trigger(hook: SnowflakeBatchHook) -> None:
    task = operator(deferrable=True, poll_interval=3, role="SYSADMIN")
    with pytest.raises(TaskDeferred) as deferred:
        execute(task)
    _, arguments = deferred.value.trigger.serialize()
    assert (arguments["poll_interval"], arguments["role"]) == (3, "SYSADMIN")
    job_name = arguments["job_name"]
    assert hook.wait(job_name, query_id=arguments["query_id"], deadlines=Deadlines.within(120)).status is JobStatus.DONE
    event = {name: arguments[name] for name in ("job_name", "query_id", "output_location", "submitted_at")} | {
        "status": "DONE"
    }
    result = operator().execute_complete({"ti": TaskInstance(try_number=2)}, event)
    assert (result["job_name"], result["status"], result["rows"], result["attempt"]) == (job_name, "DONE", 3, 2)


def test_not_waiting_ends_with_the_job_accepted(hook: SnowflakeBatchHook) -> None:
    result, _ = execute(operator(wait_for_completion=False))
    # A short job may have ended by the time that it is accepted; then its result is complete.
    assert (result["status"], result["rows"]) in {("PENDING", None), ("RUNNING", None), ("DONE", 3)}
    assert hook.wait(result["job_name"], deadlines=Deadlines.within(120)).status is JobStatus.DONE


def test_the_models_own_error_is_the_tasks_error(hook: SnowflakeBatchHook, caplog: pytest.LogCaptureFixture) -> None:
    hook.run("CREATE OR REPLACE TABLE BROKEN AS SELECT 1 AS ID, NULL::FLOAT AS A, 1::FLOAT AS B")
    task, scores = TaskInstance(), Asset("scores")
    events = OutletEventAccessors()
    with pytest.raises(JobFailedError, match=r"^ModelError: ValueError: .*contains NaN.*ended as FAILED\.") as raised:
        operator(X="BROKEN", outlets=[scores]).execute({"ti": task, "outlet_events": events})
    assert events[scores].extra == {}
    card = task.xcoms[JOB_CARD_KEY]
    assert (card["status"], card["message"]) == ("FAILED", str(raised.value))
    assert card["log"][-1].startswith("ModelError: ValueError: ")
    job_name = card["job_name"]
    assert hook.status(job_name).status is JobStatus.FAILED
    assert not hook.is_complete(f"@OPERATOR_TESTS/out/{job_name.rpartition('.')[2]}/")


def test_a_killed_task_cancels_its_job(hook: SnowflakeBatchHook, local_server: LocalServer) -> None:
    task = operator(deferrable=True)
    with faults_of(local_server) as faults:
        faults.add("pending", job="SCORE")
        with pytest.raises(TaskDeferred) as deferred:
            execute(task)
        task.on_kill()
        status = hook.wait(deferred.value.trigger.job_name, deadlines=Deadlines.within(60)).status
    assert status is JobStatus.CANCELLED


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_job_is_dropped_when_it_has_succeeded(hook: SnowflakeBatchHook, deferrable: bool) -> None:
    task = operator(on_finish="drop", deferrable=deferrable, poll_interval=1)
    if deferrable:
        with pytest.raises(TaskDeferred) as deferred:
            execute(task)
        _, arguments = deferred.value.trigger.serialize()
        hook.wait(arguments["job_name"], query_id=arguments["query_id"], deadlines=Deadlines.within(120))
        event = {name: arguments[name] for name in ("job_name", "query_id", "output_location", "submitted_at")}
        result = task.execute_complete({"ti": TaskInstance()}, event | {"status": "DONE"})
    else:
        result, _ = execute(task)
    assert (result["status"], result["rows"], result["warnings"]) == ("DONE", 3, [])
    with pytest.raises(JobNotFoundError):
        hook.status(result["job_name"])
    assert read_results(hook, result["output_location"])["PREDICTION"].round(6).tolist() == [5, 4, 6]


def test_a_job_that_failed_is_kept(hook: SnowflakeBatchHook) -> None:
    hook.run("CREATE OR REPLACE TABLE BROKEN AS SELECT 1 AS ID, NULL::FLOAT AS A, 1::FLOAT AS B")
    task = TaskInstance()
    with pytest.raises(JobFailedError):
        operator(X="BROKEN", on_finish="drop").execute({"ti": task})
    job_name = task.xcoms[JOB_CARD_KEY]["job_name"]
    assert hook.status(job_name).status is JobStatus.FAILED
    assert "NaN" in hook.logs(job_name)


def test_a_job_that_cannot_be_dropped_has_succeeded_all_the_same(
    hook: SnowflakeBatchHook, local_server: LocalServer
) -> None:
    with faults_of(local_server) as faults:
        refused = faults.add("http-error", status=404, statement="^DROP SERVICE", count=1)
        result, _ = execute(operator(on_finish="drop"))
        assert faults.fired(refused) == 1
    assert (result["status"], result["rows"]) == ("DONE", 3)
    (warning,) = result["warnings"]
    assert warning.startswith(f"Job {result['job_name']} could not be dropped: ")
    assert hook.status(result["job_name"]).status is JobStatus.DONE
