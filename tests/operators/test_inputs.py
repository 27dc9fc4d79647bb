"""Every form of the operator's X against the local Snowflake: the rows that are scored, and what is refused.

Also tests ``operators/staged_input.py``.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_snowflake_batch.exceptions import JobInputError
from airflow_provider_snowflake_batch.hooks import inputs
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.hooks.inputs import look_up_source
from airflow_provider_snowflake_batch.jobs import row_statements, statements
from airflow_provider_snowflake_batch.jobs.card import JOB_CARD_KEY
from airflow_provider_snowflake_batch.jobs.identifiers import StagePath
from airflow_provider_snowflake_batch.jobs.job import RegistryJob
from airflow_provider_snowflake_batch.local.server_process import LocalServer
from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator
from tests.file_models import Measure
from tests.models import log_linear_model, log_model
from tests.operators.task_instances import TaskInstance

pytestmark = pytest.mark.slow

STAGE = "@LOCAL.PUBLIC.INPUTS"
DAY = date(2026, 1, 2)
IMAGES = {"one.png": 1, "two (2).png": 2, "it's.png": 4}


@pytest.fixture(scope="module")
def models(local_server: LocalServer) -> None:
    log_linear_model(local_server, "LINEAR_OF_INPUTS", "V1")
    files = pd.DataFrame({"IMAGE": [b"abc"]})
    log_model(local_server, Measure(), "MEASURE_OF_INPUTS", "V1", files, pd.DataFrame({"BYTES": [3]}))


@pytest.fixture(scope="module")
def prepared(local_server: LocalServer, models: None, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_SNOWFLAKE_DEFAULT", local_server.airflow_connection_json)
        with SnowflakeBatchHook() as hook:
            hook.run(
                [
                    "CREATE COMPUTE POOL INPUTS_POOL MIN_NODES = 1 MAX_NODES = 4 INSTANCE_FAMILY = CPU_X64_S",
                    "CREATE STAGE INPUTS ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')",
                    "CREATE STAGE CLIENT_ENCRYPTED",
                    "CREATE FILE FORMAT MY_PARQUET TYPE = PARQUET",
                    "CREATE TABLE INPUT_ROWS (ID INT, A FLOAT, B FLOAT)",
                    "INSERT INTO INPUT_ROWS VALUES (1, 1, 1), (2, 2, 0)",
                ]
            )
            write_parquet(hook, "parquet/day=1/data_1.parquet", number=[1, 2], feature_a=[1.0, 2.0], B=[1.0, 0.0])
            write_parquet(hook, "parquet/day=2/data_2.parquet", number=[3], feature_a=[0.0], B=[2.0])
            write_parquet(hook, "parquet/day=2/other.parquet", number=[9], feature_a=[9.0], B=[9.0])
            hook.write_file(f"{STAGE}/parquet/_SUCCESS", b"")
            folder = tmp_path_factory.mktemp("images")
            for name in (*IMAGES, "notes.txt"):
                (folder / name).write_bytes(b"x" * IMAGES.get(name, 0))
                hook.run(statements.put_stage_file(str(folder / name), StagePath.parse(f"{STAGE}/images", field="X")))
            hook.write_file(f"{STAGE}/images/sub/three.png", b"xxx")
            hook.write_file("@CLIENT_ENCRYPTED/one.png", b"x")


@pytest.fixture
def hook(snowflake_connection: str, prepared: None) -> Iterator[SnowflakeBatchHook]:
    with SnowflakeBatchHook(snowflake_connection) as opened:
        yield opened


def write_parquet(hook: SnowflakeBatchHook, path: str, **columns: list[Any]) -> None:
    content = io.BytesIO()
    pd.DataFrame(columns).to_parquet(content)
    hook.write_file(f"{STAGE}/{path}", content.getvalue())


def score(X: Any, task: TaskInstance | None = None, **changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "task_id": "score",
        "model_name": "LINEAR_OF_INPUTS",
        "X": X,
        "compute_pool": "INPUTS_POOL",
        "output_spec": {"stage_location": "@INPUTS/out/"},
        "job_spec": {"num_workers": 1},
        "poll_interval": 1,
    }
    return RunBatchOperator(**(given | changes)).execute({"ti": task or TaskInstance()})


def measure(X: Any, **changes: Any) -> dict[str, Any]:
    handling = {"IMAGE": {"input_format": "full_stage_path", "convert_to": "raw_bytes"}}
    return score(X, model_name="MEASURE_OF_INPUTS", input_spec={"column_handling": handling}, **changes)


def results(hook: SnowflakeBatchHook, result: dict[str, Any]) -> pd.DataFrame:
    with hook.get_snowpark_session() as session:
        frame = session.read.option("pattern", r".*\.parquet").parquet(result["output_location"]).to_pandas()
    return frame.rename(columns=lambda name: name.strip('"'))


FILES = {
    "stage_location": f"{STAGE}/parquet/",
    "pattern": r".*data_.*\.parquet",
    "select": {"number": "id", "feature_a": "a", "B": "b"},
}


@pytest.mark.parametrize(
    ("X", "expected"),
    [
        pytest.param("SELECT ID, A, B FROM INPUT_ROWS WHERE ID = 2", {2: 4}, id="query"),
        pytest.param("LOCAL.PUBLIC.INPUT_ROWS", {1: 5, 2: 4}, id="table"),
        pytest.param(FILES, {1: 5, 2: 4, 3: 6}, id="stage Parquet, pattern and select"),
        pytest.param(FILES | {"filter": "feature_a < 2 AND b >= 1 -- why"}, {1: 5, 3: 6}, id="stage Parquet, filter"),
        pytest.param(
            FILES | {"pattern": None, "filter": "number > 3"}, {9: 45}, id="all Parquet files, beside a _SUCCESS"
        ),
        pytest.param(FILES | {"filter": "number IN (2)", "file_format": "MY_PARQUET"}, {2: 4}, id="named file format"),
    ],
)
def test_rows(hook: SnowflakeBatchHook, X: Any, expected: dict[int, float]) -> None:
    found = results(hook, score(X))
    assert dict(zip(found["ID"], found["PREDICTION"].round(6), strict=True)) == expected


@pytest.mark.parametrize(
    ("X", "expected"),
    [
        pytest.param([f"{STAGE}/images/{name}" for name in IMAGES], IMAGES, id="plain list"),
        pytest.param(
            {"paths": ["@INPUTS/images/one.png", '@"INPUTS"/images/sub/three.png'], "column_name": "image"},
            {"one.png": 1, "three.png": 3},
            id="list with its column",
        ),
        pytest.param(
            {"list_stage_files": "@INPUTS/images", "pattern": r".*\.png", "column_name": "IMAGE"},
            IMAGES | {"three.png": 3},
            id="stage listing",
        ),
    ],
)
def test_files(hook: SnowflakeBatchHook, X: Any, expected: dict[str, int]) -> None:
    found = results(hook, measure(X))
    files = {path.rpartition("/")[2]: size for path, size in zip(found["IMAGE"], found["BYTES"], strict=True)}
    assert files == expected
    assert all(path.startswith("@LOCAL.PUBLIC.INPUTS/images/") for path in found["IMAGE"])


def looked_up(hook: SnowflakeBatchHook, X: Any) -> RegistryJob:
    job = RegistryJob.parse(
        name="JOB", model_name="M", X=X, compute_pool="P", output_spec={"stage_location": "@INPUTS/out"}
    ).qualify(*hook.namespace)
    return replace(job, source=look_up_source(hook, job))


@pytest.mark.parametrize("pattern", [None, r".*\.png", ".*three.*"])
@pytest.mark.parametrize("location", ["images", "images/", "images/sub", "images/one.png", ""])
def test_a_listing_finds_what_snowflakes_client_finds(
    hook: SnowflakeBatchHook, location: str, pattern: str | None
) -> None:
    from snowflake.ml.utils.stage_file import list_stage_files

    place = f"{STAGE}/{location}".rstrip("/") + ("/" if location.endswith("/") else "")
    with hook.get_snowpark_session() as session:
        theirs = [row[0] for row in list_stage_files(session, place, pattern=pattern, column_name="IMAGE").collect()]
    X = {"list_stage_files": place, "pattern": pattern, "column_name": "IMAGE"}
    if theirs:
        assert sorted(str(path) for path in looked_up(hook, X).source.paths) == sorted(theirs)
    else:
        with pytest.raises(JobInputError, match="there are no files"):
            looked_up(hook, X)


def test_stage_parquet_has_the_rows_that_snowpark_reads(hook: SnowflakeBatchHook) -> None:
    from snowflake.snowpark.functions import col

    with hook.get_snowpark_session() as session:
        theirs = (
            session.read.option("pattern", r".*data_.*\.parquet")
            .parquet(f"{STAGE}/parquet/")
            .select(col('"number"').alias("id"), col("B"))
            .filter(col("B") < 2)
            .collect()
        )
    X = {
        "stage_location": f"{STAGE}/parquet/",
        "pattern": r".*data_.*\.parquet",
        "select": {"number": "id", "B": None},
        "filter": "B < 2",
    }
    columns, ours = read(hook, X)
    assert sorted(ours) == sorted(tuple(row) for row in theirs) == [(1, 1.0), (2, 0.0)]
    assert columns == ["ID", "B"]


@pytest.mark.parametrize(
    ("options", "columns", "rows"),
    [
        (
            {"pattern": ".*"},
            ["i", "day", "at", "price", "raw", "tags", "petal length (cm)", "select"],
            [
                (1, DAY, datetime(2026, 1, 2, 3, 4, 5), Decimal("1.25"), b"\x00\xff", '[\n  "a"\n]', 1.5, "x"),
                (None, None, None, None, None, "[]", 2.5, "y"),
            ],
        ),
        ({"select": ["i"], "filter": "day = '2026-01-02'::DATE AND price > 1"}, ["i"], [(1,)]),
        ({"select": ["petal length (cm)"], "filter": '"PETAL LENGTH (CM)" > 2'}, ["petal length (cm)"], [(2.5,)]),
        ({"select": {"select": "from", "I": '"i"'}, "filter": "\"SELECT\" = 'y'"}, ["FROM", "i"], [("y", None)]),
        ({"select": ["raw"], "filter": "tags[0]::TEXT = 'a'"}, ["raw"], [(b"\x00\xff",)]),
    ],
)
def test_columns_of_every_kind_and_name(
    hook: SnowflakeBatchHook, options: dict[str, Any], columns: list[str], rows: list[tuple[Any, ...]]
) -> None:
    table = pa.table(
        {
            "i": pa.array([1, None], pa.int32()),
            "day": [DAY, None],
            "at": pa.array([datetime(2026, 1, 2, 3, 4, 5), None], pa.timestamp("us")),
            "price": pa.array([Decimal("1.25"), None], pa.decimal128(10, 2)),
            "raw": [b"\x00\xff", None],
            "tags": [["a"], []],
            "petal length (cm)": [1.5, 2.5],
            "select": ["x", "y"],
        }
    )
    content = io.BytesIO()
    pq.write_table(table, content)
    hook.write_file(f"{STAGE}/kinds/all.parquet", content.getvalue())
    found = read(hook, {"stage_location": f"{STAGE}/kinds/"} | options)
    assert found == (columns, rows)


def read(hook: SnowflakeBatchHook, X: Any) -> tuple[list[str], list[Any]]:
    """Column names and rows of the query in a job's statement."""
    job = looked_up(hook, X)

    def fetch(cursor: Any) -> tuple[list[str], list[Any]]:
        for statement in statements.before_inference_job(job):
            cursor.execute(statement)
        cursor.execute(row_statements.select_source(job.source))
        return [column.name for column in cursor.description], cursor.fetchall()

    return hook.on_session(fetch)


def test_a_list_too_long_for_the_statement(hook: SnowflakeBatchHook, caplog: pytest.LogCaptureFixture) -> None:
    paths = [f"{STAGE}/images/one.png", f"{STAGE}/images/sub/three.png"] * (inputs.MOST_PATHS_IN_STATEMENT // 2 + 1)
    result = measure(paths)
    assert result["rows"] == len(paths)
    assert results(hook, result)["BYTES"].sum() == 4 * len(paths) / 2
    assert f"{STAGE}/images/one.png" not in caplog.text
    assert hook.list_files(f"{STAGE}/out/_snowflake_temporary/") == []


def test_a_long_list_does_not_outlive_a_refused_job(hook: SnowflakeBatchHook) -> None:
    paths = [f"{STAGE}/images/one.png"] * (inputs.MOST_PATHS_IN_STATEMENT + 1)
    task = TaskInstance()
    with pytest.raises(JobInputError, match="Snowflake refused the job: .*FILE_PATH") as raised:
        score(paths, task)
    # The job was refused: its page says so, and why.
    card = task.xcoms[JOB_CARD_KEY]
    assert (card["status"], card["message"]) == ("REFUSED", str(raised.value))
    assert task.xcoms["_link_JobCardLink"].endswith("/plugin/snowflake-batch-job")
    assert hook.list_files(f"{STAGE}/out/_snowflake_temporary/") == []


def test_the_results_of_another_job(hook: SnowflakeBatchHook) -> None:
    first = score("INPUT_ROWS")
    hook.write_file(f"{first['output_location']}_quarantine/part.parquet", b"not a result")
    # Its column PREDICTION is in the input now, and the model's own replaces it.
    second = score(first, job_spec={"num_workers": 1, "job_name_prefix": "SECOND"})
    assert second["rows"] == 2
    again = results(hook, second)
    assert dict(zip(again["ID"], again["PREDICTION"].round(6), strict=True)) == {1: 5, 2: 4}


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (FILES | {"stage_location": "@NO_SUCH_STAGE/x"}, "The stage of @LOCAL.PUBLIC.NO_SUCH_STAGE/x/ does not exist"),
        (
            FILES | {"pattern": ".*csv"},
            "X: there are no files under @LOCAL.PUBLIC.INPUTS/parquet/ that match the pattern '.*csv'",
        ),
        (FILES | {"select": ["number", "C"]}, "X.select: the files have no column 'C'; they have number, feature_a, B"),
        (FILES | {"filter": "C > 1"}, "X: Snowflake cannot read the input .*C"),
        (FILES | {"filter": "a >"}, "X: Snowflake cannot read the input"),
        (FILES | {"pattern": ".*one.*", "stage_location": f"{STAGE}/images"}, "X: Snowflake cannot read the input"),
        (FILES | {"file_format": "NO_SUCH_FORMAT"}, "X: Snowflake cannot read the input .*NO_SUCH_FORMAT"),
        ({"list_stage_files": "@INPUTS/images", "pattern": ".*jpg"}, "X: there are no files under .*'.*jpg'"),
        ({"list_stage_files": "@NO_SUCH_STAGE"}, "The stage of @LOCAL.PUBLIC.NO_SUCH_STAGE does not exist"),
        (["@NO_SUCH_STAGE/one.png"], "X: stage LOCAL.PUBLIC.NO_SUCH_STAGE does not exist"),
        (["@CLIENT_ENCRYPTED/one.png"], "X: the files on stage LOCAL.PUBLIC.CLIENT_ENCRYPTED are encrypted by"),
        ({"paths": [f"{STAGE}/x"], "column_name": "B"}, r"input_spec.column_handling\['IMAGE'\]: .* has B"),
        ({"output_location": f"{STAGE}/images"}, "X: @LOCAL.PUBLIC.INPUTS/images/ has no _SUCCESS"),
    ],
)
def test_what_is_refused_before_it_is_submitted(hook: SnowflakeBatchHook, X: Any, message: str) -> None:
    jobs = hook.list_jobs()
    with pytest.raises(JobInputError, match=f"(?s)^{message}"):
        measure(X)
    assert hook.list_jobs() == jobs
