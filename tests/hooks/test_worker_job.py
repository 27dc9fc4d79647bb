"""A worker's job on its way to submission, against the local Snowflake: what is looked up, unloaded and uploaded.

Also tests ``hooks/unload.py``.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from snowflake.connector.errors import ProgrammingError

from airflow_provider_snowflake_batch.exceptions import JobInputError, JobSubmissionError
from airflow_provider_snowflake_batch.hooks import unload
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.hooks.preflight import check_job, prepare
from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName
from airflow_provider_snowflake_batch.jobs.runtime_images import fallback_image
from airflow_provider_snowflake_batch.jobs.unload import Unload
from airflow_provider_snowflake_batch.jobs.worker_job import WorkerJob
from airflow_provider_snowflake_batch.jobs.worker_specification import specification
from tests.compute_pools import hook_with_pool

POOL, STAGE = "WORKER_JOBS", "@WORKER_RESULTS"
WITH_EVERY_TYPE = (
    """
    CREATE OR REPLACE TABLE WORKER_TYPES (I INT, D NUMBER(10,2), F FLOAT, S VARCHAR, B BOOLEAN, DT DATE, TM TIME,
        NTZ TIMESTAMP_NTZ, LTZ TIMESTAMP_LTZ, V VARIANT, O OBJECT, A ARRAY, BI BINARY, "q ""x" INT)
    """,
    """
    INSERT INTO WORKER_TYPES SELECT 2 * 1000000000 * 1000000000, 1.25, 0.1, 'ä', TRUE, '2026-01-02', '01:02:03.123456',
        '2026-01-02 03:04:05.123456', '2026-01-02 03:04:05.123456 +0200', PARSE_JSON('{"a": [1]}'),
        OBJECT_CONSTRUCT('k', 1), ARRAY_CONSTRUCT(1, 'b'), TO_BINARY('00FF', 'HEX'), 7
    """,
    "INSERT INTO WORKER_TYPES (I) VALUES (NULL)",
)
HANDLED = {"input_format": "full_stage_path", "convert_to": "raw_bytes"}


@pytest.fixture
def hook(snowflake_connection: str) -> Iterator[SnowflakeBatchHook]:
    statements = (
        "CREATE OR REPLACE STAGE WORKER_RESULTS ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')",
        "CREATE OR REPLACE TABLE WORKER_ROWS (ID INT, WEIGHT FLOAT)",
        "INSERT INTO WORKER_ROWS VALUES (1, 0.5), (2, 1.5), (3, NULL)",
    )
    with hook_with_pool(snowflake_connection, POOL, 2, *statements) as opened:
        yield opened


@pytest.fixture
def code(tmp_path: Path) -> str:
    (tmp_path / "my_models").mkdir()
    (tmp_path / "my_models" / "churn.py").write_text("class Churn: pass\n")
    return str(tmp_path)


def job(hook: SnowflakeBatchHook, code: str, **changes: Any) -> WorkerJob:
    given: dict[str, Any] = {
        "name": "WORKER_JOB",
        "model": {"target": "my_models.churn:Churn", "code": "my_models"},
        "X": "WORKER_ROWS",
        "compute_pool": POOL,
        "output_spec": {"stage_location": f"{STAGE}/out/"},
        "code_folder": code,
    }
    return WorkerJob.parse(**(given | changes)).qualify(*hook.namespace)


def prepared(hook: SnowflakeBatchHook, made: WorkerJob) -> WorkerJob:
    found = prepare(hook, check_job(hook, made))
    assert isinstance(found, WorkerJob)
    return found


def unloaded(hook: SnowflakeBatchHook, made: WorkerJob) -> tuple[pa.Table, Unload]:
    """The rows that are put on the stage for a job, and their list."""
    made = prepared(hook, made)
    assert made.upload is not None
    assert made.upload.rows is not None
    unload = Unload.parse(hook.read_file(made.upload.rows.child("_unload.json")))
    assert unload is not None
    tables = [pq.read_table(io.BytesIO(hook.read_file(made.upload.rows.child(file.name)))) for file in unload.files]
    return pa.concat_tables(tables), unload


def names(hook: SnowflakeBatchHook, location: str = STAGE) -> list[str]:
    return sorted(file.path for file in hook.list_files(location))


def test_everything_that_the_container_starts_from_is_on_the_stage(hook: SnowflakeBatchHook, code: str) -> None:
    made = prepared(hook, job(hook, code))
    assert made.placement is not None
    assert "/container_runtime/cpu_x86_64:" in made.placement.image
    assert made.placement.size.cpu == 3
    document = json.loads(hook.read_file(made.job_file))
    (archive,) = document["model"]["python_path"]
    files = names(hook)
    assert archive.replace("${BATCH_OUTPUT}", "out") in files
    assert made.upload is not None
    assert f"out/_batch_worker/{made.upload.archive}" in files
    assert any(file.startswith(document["input"]["path"].replace("${BATCH_OUTPUT}", "out")) for file in files)


def test_a_try_that_was_given_up_changes_nothing_of_what_a_job_reads(hook: SnowflakeBatchHook, code: str) -> None:
    """Airflow may start the next try while the last one, of which it has not heard for long, still unloads rows."""
    running = prepared(hook, job(hook, code))
    (container,) = specification(running)["spec"]["containers"]
    told = hook.read_file(running.job_file)
    late = prepared(hook, job(hook, code))
    assert late.upload is not None
    assert running.upload is not None
    assert late.upload.rows != running.upload.rows
    assert hook.read_file(running.job_file) == told
    assert container["command"][-1].removeprefix("/mnt/batch/output/") in str(running.job_file)


def test_what_is_on_the_stage_is_not_sent_again(hook: SnowflakeBatchHook, code: str) -> None:
    prepared(hook, job(hook, code))
    shared = {file.path: file.last_modified for file in hook.list_files(f"{STAGE}/out/_batch_worker/batch-worker-")}
    hook.write_file(f"{STAGE}/out/_batch_worker/{next(iter(shared)).rpartition('/')[2]}", b"left as it is")
    prepared(hook, job(hook, code, name="ANOTHER"))
    assert hook.read_file(f"@WORKER_RESULTS/{next(iter(shared))}") == b"left as it is"
    assert len([file for file in names(hook) if "/code-" in file]) == 1


def test_rows_are_unloaded_with_their_types(hook: SnowflakeBatchHook, code: str) -> None:
    for sql in WITH_EVERY_TYPE:
        hook.run(sql)
    table, unload = unloaded(hook, job(hook, code, X="WORKER_TYPES"))
    row, nulls = sorted(table.to_pylist(), key=lambda row: row["I"] is None)
    assert row == {
        "I": 2 * 10**18,
        "D": row["D"],
        "F": 0.1,
        "S": "ä",
        "B": True,
        "DT": row["DT"],
        "TM": "01:02:03.123456000",
        "NTZ": "2026-01-02 03:04:05.123456000",
        "LTZ": "2026-01-02 01:04:05.123456000Z",
        "V": '{"a":[1]}',
        "O": '{"k":1}',
        "A": '[1,"b"]',
        "BI": b"\x00\xff",
        'q "x': 7,
    }
    assert (str(row["D"]), str(row["DT"])) == ("1.25", "2026-01-02")
    assert set(nulls.values()) == {None}
    types = dict(unload.columns)
    assert (types["I"], types["D"], types["LTZ"]) == ("NUMBER(38,0)", "NUMBER(10,2)", "TIMESTAMP_LTZ(9)")
    assert unload.rows == 2


def test_types_are_known_through_a_chain_of_jobs(hook: SnowflakeBatchHook, code: str) -> None:
    content = io.BytesIO()
    pq.write_table(pa.table({"ID": [1], "At": ["2026-01-02 03:04:05.0 +0200"], "N": [2], "S": ["x"]}), content)
    manifest = {
        "rows": 1,
        "original_types": {"At": "TIMESTAMP_TZ(9)", "N": "VARIANT", "S": "NEWER(1)", "GONE": "TIME(9)"},
    }
    for name, file in {"a.parquet": content.getvalue(), "_manifest.json": json.dumps(manifest).encode()}.items():
        hook.write_file(f"{STAGE}/first/JOB/{name}", file)
    hook.write_file(f"{STAGE}/first/JOB/_SUCCESS", b"")
    first = {"output_location": f"{STAGE}/first/JOB"}

    _, unload = unloaded(hook, job(hook, code, X=first))
    assert dict(unload.columns) == {"ID": "NUMBER(38,0)", "At": "TIMESTAMP_TZ(9)", "N": "NUMBER(38,0)", "S": "VARCHAR"}

    hook.write_file(f"{STAGE}/first/JOB/_manifest.json", b"none")
    _, unload = unloaded(hook, job(hook, code, name="OTHER", X=first))
    assert dict(unload.columns)["At"] == "VARCHAR"


def test_a_column_that_cannot_be_unloaded_is_refused_before_anything_is_written(
    hook: SnowflakeBatchHook, code: str
) -> None:
    with pytest.raises(JobInputError, match="X: .*TIMESTAMP_TZ"):
        prepared(hook, job(hook, code, X="SELECT '2026-01-02 03:04:05 +0200'::TIMESTAMP_TZ AS AT"))
    assert not any("_unload" in file for file in names(hook))


@pytest.mark.parametrize("X", ["SELECT * FROM WORKER_ROWS WHERE FALSE", "SELECT ID, WEIGHT FROM WORKER_ROWS LIMIT 0"])
def test_no_rows_are_a_valid_input(hook: SnowflakeBatchHook, code: str, X: str) -> None:
    table, unload = unloaded(hook, job(hook, code, X=X))
    assert (table.num_rows, unload.rows) == (0, 0)
    assert table.column_names == ["ID", "WEIGHT"]


def test_a_list_of_files_is_rows_of_their_paths(hook: SnowflakeBatchHook, code: str) -> None:
    hook.run("CREATE STAGE IF NOT EXISTS WORKER_IMAGES ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')")
    hook.write_file("@WORKER_IMAGES/a.png", b"1")
    hook.write_file("@WORKER_IMAGES/b.png", b"2")
    made = job(hook, code, X={"list_stage_files": "@WORKER_IMAGES"}, input_spec={"column_handling": {"IMAGE": HANDLED}})
    table, _ = unloaded(hook, made)
    paths = ["@LOCAL.PUBLIC.WORKER_IMAGES/a.png", "@LOCAL.PUBLIC.WORKER_IMAGES/b.png"]
    assert table.to_pydict() == {"IMAGE": paths}
    document = json.loads(hook.read_file(prepared(hook, made).job_file))
    assert document["stages"] == {"LOCAL.PUBLIC.WORKER_IMAGES": "${BATCH_STAGE_0}"}


def test_parquet_on_a_stage_is_read_where_it_lies_unless_some_of_it_is_chosen(
    hook: SnowflakeBatchHook, code: str
) -> None:
    content = io.BytesIO()
    pq.write_table(pa.table({"ID": [1, 2]}), content)
    hook.write_file(f"{STAGE}/in/a.parquet", content.getvalue())
    made = prepared(hook, job(hook, code, X=f"{STAGE}/in/"))
    assert made.upload is not None
    assert made.upload.rows is None
    assert json.loads(hook.read_file(made.job_file))["input"]["path"] == "${BATCH_INPUT}"
    chosen = {"stage_location": f"{STAGE}/in/", "filter": "ID > 1"}
    table, _ = unloaded(hook, job(hook, code, name="CHOSEN", X=chosen))
    assert table.to_pydict() == {"ID": [2]}


def test_a_later_try_finds_the_rows_of_the_first(hook: SnowflakeBatchHook, code: str) -> None:
    first = prepared(hook, job(hook, code))
    hook.run("INSERT INTO WORKER_ROWS VALUES (4, 4)")
    again = job(hook, code).under_name(QualifiedName("SECOND", "PUBLIC", "LOCAL")).resuming(first.output_directory)
    second = prepared(hook, again)
    assert first.upload is not None
    assert second.upload is not None
    assert second.upload.rows == first.upload.rows
    document = json.loads(hook.read_file(second.job_file))
    assert document["job_name"] == "LOCAL.PUBLIC.SECOND"
    assert document["output"]["path"] == "${BATCH_OUTPUT}/WORKER_JOB"


@pytest.mark.parametrize("damage", ["no list", "of another job", "a file is missing"])
def test_rows_that_are_not_whole_or_not_the_jobs_are_unloaded_anew(
    hook: SnowflakeBatchHook, code: str, damage: str
) -> None:
    first = prepared(hook, job(hook, code))
    assert first.upload is not None
    assert first.upload.rows is not None
    again = job(hook, code).resuming(first.output_directory)
    if damage == "no list":
        hook.remove_files(first.upload.rows.child("_unload.json"))
    elif damage == "of another job":
        again = job(hook, code, X="SELECT * FROM WORKER_ROWS WHERE ID > 1").resuming(first.output_directory)
    else:
        (file,) = (name for name in names(hook, str(first.upload.rows)) if name.endswith(".parquet"))
        hook.remove_files(f"@WORKER_RESULTS/{file}")
    second = prepared(hook, again)
    assert second.upload is not None
    assert second.upload.rows != first.upload.rows


def test_a_job_that_does_not_resume_unloads_anew(hook: SnowflakeBatchHook, code: str) -> None:
    first, second = prepared(hook, job(hook, code)), prepared(hook, job(hook, code))
    assert first.upload is not None
    assert second.upload is not None
    assert first.upload.rows != second.upload.rows


def test_the_image_may_be_pinned(hook: SnowflakeBatchHook, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__SNOWFLAKE_BATCH__CPU_IMAGE", "/db/s/repo/configured:1")
    configured = check_job(hook, job(hook, code))
    assert isinstance(configured, WorkerJob)
    assert configured.placement is not None
    assert configured.placement.image == "/db/s/repo/configured:1"
    pinned = check_job(hook, job(hook, code, job_spec={"image": "/db/s/repo/mine:2"}))
    assert isinstance(pinned, WorkerJob)
    assert pinned.placement is not None
    assert pinned.placement.image == "/db/s/repo/mine:2"


@pytest.mark.parametrize(
    ("family", "image", "gpus"),
    [("GPU_NV_S", "gpu_x86_64", 1), ("GPU_NV_M", "gpu_x86_64", 4), ("CPU_X64_M", "cpu_", 0)],
)
def test_a_pool_with_gpus_gets_their_image_and_asks_for_them(
    hook: SnowflakeBatchHook, code: str, monkeypatch: pytest.MonkeyPatch, family: str, image: str, gpus: int
) -> None:
    pool = f"WORKER_JOBS_{family}"
    hook.run(f"CREATE COMPUTE POOL IF NOT EXISTS {pool} MIN_NODES = 1 MAX_NODES = 1 INSTANCE_FAMILY = {family}")
    made = prepared(hook, job(hook, code, compute_pool=pool))
    assert made.placement is not None
    assert f"/container_runtime/{image}" in made.placement.image
    (container,) = specification(made)["spec"]["containers"]
    asked = container["resources"]["requests"].get("nvidia.com/gpu", 0)
    assert asked == container["resources"]["limits"].get("nvidia.com/gpu", 0) == gpus
    monkeypatch.setenv("AIRFLOW__SNOWFLAKE_BATCH__CPU_IMAGE", "/db/s/repo/cpu_x86:1")
    monkeypatch.setenv("AIRFLOW__SNOWFLAKE_BATCH__GPU_IMAGE", "/db/s/repo/gpu_x86_64:1")
    pinned = check_job(hook, job(hook, code, compute_pool=pool))
    assert isinstance(pinned, WorkerJob)
    assert pinned.placement is not None
    assert pinned.placement.image.startswith(f"/db/s/repo/{image}")


def test_an_account_that_does_not_tell_its_image_gets_a_known_one(
    hook: SnowflakeBatchHook, code: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from airflow_provider_snowflake_batch.jobs import statements

    monkeypatch.setattr(statements, "ml_job_runtime", lambda pool: f"CALL SYSTEM$NO_SUCH_FUNCTION('{pool}')")
    found = check_job(hook, job(hook, code))
    assert isinstance(found, WorkerJob)
    assert found.placement is not None
    assert found.placement.image == fallback_image(gpu=False)
    assert "pin one by job_spec.image or by [snowflake_batch] cpu_image" in caplog.text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"target": "my_models.churn:Churn", "code": "nowhere"}}, "model.code: there is no file or folder"),
        ({"model": {"target": "m:C", "code": "@NO_SUCH_STAGE/m"}}, "model.code: The stage of .* does not exist"),
        (
            {"X": [f"@STAGE_{number}/a.png" for number in range(20)]},
            "X: the job would have to mount 21 stages, a container takes at most 20: @LOCAL.PUBLIC.WORKER_RESULTS/out/",
        ),
        ({"job_spec": {"cpu_requests": "9"}}, "job_spec.cpu_requests: 9 is more than a node of CPU_X64_S has"),
        (
            {"job_spec": {"gpu_requests": "1"}},
            "job_spec.gpu_requests: the pool's instance family CPU_X64_S has no GPUs",
        ),
        ({"X": "SELECT NO_SUCH_COLUMN FROM WORKER_ROWS"}, "X: Snowflake cannot read the input"),
        ({"X": 'SELECT ID AS "id", ID FROM WORKER_ROWS'}, "X: Snowflake cannot unload the rows of SELECT ID AS"),
        ({"X": "@NO_SUCH_STAGE/in/"}, "X: The stage of .* does not exist"),
        ({"compute_pool": "NO_SUCH_POOL"}, "compute_pool: NO_SUCH_POOL does not exist"),
        ({"compute_pool": "SYSTEM_COMPUTE_POOL_CPU"}, "compute_pool: SYSTEM_COMPUTE_POOL_CPU is Snowflake's own"),
        ({"output_spec": {"stage_location": "@NO_SUCH_STAGE/x"}}, "output_spec.stage_location: The stage of"),
        ({"input_spec": {"partition_column": "SHOP"}}, "input_spec.partition_column: the input has no column 'SHOP'"),
        ({"job_spec": {"stages": ["@NO_SUCH_STAGE"]}}, "job_spec.stages: The stage of"),
    ],
)
def test_what_would_make_the_job_fail_is_one_error_and_leaves_nothing_behind(
    hook: SnowflakeBatchHook, code: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(JobInputError, match=f"(?s)^{message}"):
        check_job(hook, job(hook, code, **changes))
    assert names(hook) == []


def test_pools_of_other_processors_are_refused(hook: SnowflakeBatchHook, code: str) -> None:
    hook.run("CREATE COMPUTE POOL IF NOT EXISTS ARM_POOL MIN_NODES = 1 MAX_NODES = 1 INSTANCE_FAMILY = GEN_ARM_G1_2")
    with pytest.raises(JobInputError, match="^compute_pool: its instance family GEN_ARM_G1_2 has arm64 processors"):
        check_job(hook, job(hook, code, compute_pool="ARM_POOL"))


def test_results_of_somebody_else_are_in_the_way_but_not_those_of_an_earlier_try(
    hook: SnowflakeBatchHook, code: str
) -> None:
    hook.write_file(f"{STAGE}/out/WORKER_JOB/part-0.parquet", b"")
    with pytest.raises(JobInputError, match="already holds 1 file"):
        check_job(hook, job(hook, code))
    made = job(hook, code)
    check_job(hook, made.resuming(made.output_directory))


def test_an_unload_that_fails_tells_why(hook: SnowflakeBatchHook, code: str) -> None:
    made = check_job(hook, job(hook, code, X="SELECT ID, 1 / (ID - 2) AS RATIO FROM WORKER_ROWS"))
    with pytest.raises(JobInputError, match="(?s)^X: Snowflake cannot unload the rows of SELECT .*: .*[Dd]ivision"):
        prepare(hook, made)
    assert not any("_unload" in file for file in names(hook))


@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (ProgrammingError("SQL execution canceled", errno=604), JobSubmissionError, "^Snowflake gave up unloading"),
        (ProgrammingError("Statement timed out", errno=630), JobSubmissionError, "timed out"),
        (OSError(28, "No space left on device"), OSError, "No space"),
    ],
)
def test_what_another_try_may_mend_does_not_fail_the_task_for_good(
    hook: SnowflakeBatchHook,
    code: str,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    raised: type[Exception],
    message: str,
) -> None:
    def fails(hook: SnowflakeBatchHook, *_: object) -> None:
        raise error

    monkeypatch.setattr(unload, "_wait_for_rows", fails)
    with pytest.raises(raised, match=message):
        prepared(hook, job(hook, code))


def test_an_unload_of_which_a_file_is_missing_does_not_count(
    hook: SnowflakeBatchHook, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = unload._wait_for_rows

    def removed(hook: SnowflakeBatchHook, *others: Any) -> list[dict[str, Any]]:
        rows = wait(hook, *others)
        hook.remove_files(f"{STAGE}/out/_snowflake_temporary/")
        return rows

    monkeypatch.setattr(unload, "_wait_for_rows", removed)
    with pytest.raises(JobSubmissionError, match=r"written 1 file\(s\), but .* has 0: rows would be lost"):
        prepared(hook, job(hook, code))
    assert not any("_unload" in file for file in names(hook))


def test_an_unload_is_cancelled_when_nobody_waits_for_it_any_more(
    hook: SnowflakeBatchHook, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    rows = SnowflakeBatchHook.rows
    monkeypatch.setattr(SnowflakeBatchHook, "rows", lambda self, sql, **more: (said.append(sql), rows(self, sql))[1])

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(unload, "_wait_for_rows", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepared(hook, job(hook, code))
    assert "SYSTEM$CANCEL_QUERY" in said[-1]


def test_what_the_hook_alone_is_given_is_looked_up_first(hook: SnowflakeBatchHook, code: str) -> None:
    made = prepare(hook, job(hook, code))
    assert isinstance(made, WorkerJob)
    assert made.placement is not None
    assert made.upload is not None
    assert prepare(hook, made) is made
