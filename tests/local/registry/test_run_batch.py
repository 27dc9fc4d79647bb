"""Batch inference through the real client and through SQL, down to the worker's Parquet.

Also tests ``local/spcs/worker_job.py``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from snowflake.connector.errors import Error
from snowflake.ml.jobs import delete_job, get_job, list_jobs
from snowflake.ml.model.batch_inference import InferenceSpec, InputSpec, OutputSpec, ResourcesSpec, SaveMode
from snowflake.ml.utils.stage_file import list_stage_files

from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests.local.registry.conftest import Registered, run_batch
from tests.local.task_runs import HISTORY, ends
from tests.local_faults import faults_of

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

POOL = "SYSTEM_COMPUTE_POOL_CPU"
BASE = "@LOCAL.MODELS.OUT/results"


def predictions(registered: Registered, job_name: str, base: str = BASE) -> pd.DataFrame:
    reader = registered.session.read.option("pattern", ".*\\.parquet")
    return reader.parquet(f"{base}/{job_name}/").to_pandas().sort_values("ID").reset_index(drop=True)


def check(registered: Registered, result: pd.DataFrame) -> None:
    """Every row is there once, with its input columns and the estimator's own prediction."""
    assert list(result["ID"]) == list(range(len(registered.rows)))
    assert (result[list(registered.rows.columns)].to_numpy() == registered.rows.to_numpy()).all()
    assert list(result["output_feature_0"]) == list(registered.model.predict(registered.rows))


def execute(registered: Registered, specification: str, rest: str) -> str:
    sql = f"EXECUTE INFERENCE JOB SERVICE IN COMPUTE POOL {POOL} WITH SPECIFICATION $${specification}$$ {rest}"
    return str(registered.session.sql(sql).collect()[0][0])


def times_of_change(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_ctime_ns for path in folder.rglob("*") if path.is_file()}


def test_run_batch_gives_what_the_model_gives(registered: Registered, local_server: LocalServer) -> None:
    session = registered.session
    before = times_of_change(local_server.state_dir / "models")
    assert before
    job = run_batch(
        registered.version, X=session.table("ROWS_IN"), compute_pool=POOL, output_spec=OutputSpec(stage_location=BASE)
    )
    assert re.fullmatch(r"LOCAL\.MODELS\.BATCH_INFERENCE_[0-9A-F_]{36}", job.id)
    assert job.wait(timeout=120) == "DONE"
    assert job.status == "DONE"
    check(registered, predictions(registered, job.name))
    # Other jobs of the model, which watch its files, see no change.
    assert times_of_change(local_server.state_dir / "models") == before
    names = [row["name"] for row in session.sql(f"LIST {BASE}/{job.name}/").collect()]
    assert any(name.endswith("/_SUCCESS") for name in names)
    # The rows that the client staged for the job are gone.
    assert session.sql(f"LIST {BASE}/_snowflake_temporary/").collect() == []
    assert '"phase": "done"' in job.get_logs()
    files = list_stage_files(session, f"{BASE}/{job.name}", pattern=".*\\.parquet", column_name="FILE").collect()
    assert all(row["FILE"].startswith(f"@LOCAL.MODELS.OUT/results/{job.name}/part-") for row in files)


def test_every_block_of_the_specification_and_replicas(registered: Registered) -> None:
    job = run_batch(
        registered.version,
        X=registered.session.table("ROWS_IN"),
        compute_pool=POOL,
        job_name="LOCAL.MODELS.ALL_BLOCKS",
        output_spec=OutputSpec(stage_location=f"{BASE}/", mode=SaveMode.OVERWRITE),
        input_spec=InputSpec(params={}),
        inference_spec=InferenceSpec(num_workers=1, max_batch_rows=16),
        resources_spec=ResourcesSpec(cpu_requests="1", memory_requests="2GiB"),
        replicas=2,
    )
    assert job.wait(timeout=120) == "DONE"
    assert job.target_instances == 2
    check(registered, predictions(registered, "ALL_BLOCKS"))
    assert job.get_logs(instance_id=1, limit=1).count("\n") == 0


def test_jobs_are_listed_found_and_deleted(registered: Registered) -> None:
    job = run_batch(
        registered.version,
        X=registered.session.table("ROWS_IN"),
        compute_pool=POOL,
        job_name="MANAGED",
        output_spec=OutputSpec(stage_location=BASE),
    )
    assert job.wait(timeout=120) == "DONE"
    listed = list_jobs(session=registered.session, limit=50).set_index("name")
    assert listed.loc["MANAGED", "status"] == "DONE"
    assert get_job("LOCAL.MODELS.MANAGED", session=registered.session).status == "DONE"
    delete_job(job)
    assert "MANAGED" not in set(list_jobs(session=registered.session, limit=50)["name"])
    # The history still knows it.
    assert get_job("LOCAL.MODELS.MANAGED", session=registered.session).status == "DONE"
    # Its output is still there, so that a second run must say what to do with it.
    with pytest.raises(Error, match=r"not empty and 'output\.mode' is 'error'"):
        run_batch(
            registered.version,
            X=registered.session.table("ROWS_IN"),
            compute_pool=POOL,
            job_name="MANAGED",
            output_spec=OutputSpec(stage_location=BASE),
        )


def test_cancel(registered: Registered, local_server: LocalServer) -> None:
    with faults_of(local_server) as faults:
        faults.add("pending")
        job = run_batch(
            registered.version,
            X=registered.session.table("ROWS_IN"),
            compute_pool=POOL,
            output_spec=OutputSpec(stage_location=BASE),
        )
        job.cancel()
        assert job.wait(timeout=60) == "CANCELLED"
    names = [row["name"] for row in registered.session.sql(f"LIST {BASE}/{job.name}/").collect()]
    assert not any(name.endswith("/_SUCCESS") for name in names)


@pytest.mark.parametrize("file", ["", "000000_0"])
def test_input_from_a_stage(registered: Registered, file: str) -> None:
    location = f"@LOCAL.MODELS.OUT/staged{file}/"
    registered.session.table("ROWS_IN").write.copy_into_location(
        location + file, file_format_type="parquet", header=True, overwrite=True, single=bool(file)
    )
    job = run_batch(
        registered.version,
        input_stage_location=location,
        compute_pool=POOL,
        output_spec=OutputSpec(stage_location=BASE),
    )
    assert job.wait(timeout=120) == "DONE"
    check(registered, predictions(registered, job.name))
    assert registered.session.sql(f"LIST {location}").collect() != []


def test_sql_with_a_query_waits_and_names_its_output(registered: Registered) -> None:
    answer = execute(
        registered,
        'output: {stage_location: "@OUT/sql"}',
        "FROM (SELECT * FROM ROWS_IN WHERE ID < 150) MODEL = IRISES VERSION = DEFAULT FUNCTION = 'predict' "
        "NAME = FROM_SQL ASYNC = FALSE",
    )
    assert answer == (
        "Batch inference job LOCAL.MODELS.FROM_SQL with model LOCAL.MODELS.IRISES version V1 method predict is in DONE "
        "state. Results will be persisted to the destination: @OUT/sql/FROM_SQL/, once the job is completed."
    )
    check(registered, predictions(registered, "FROM_SQL", "@LOCAL.MODELS.OUT/sql"))


def test_a_dropped_model_does_not_stop_its_job(registered: Registered) -> None:
    registered.registry.log_model(registered.version, model_name="SHORT_LIVED", version_name="V1")
    execute(
        registered,
        f'output: {{stage_location: "{BASE}"}}',
        "FROM (SELECT * FROM ROWS_IN) MODEL = SHORT_LIVED NAME = ORPHAN",
    )
    registered.registry.delete_model("SHORT_LIVED")
    assert get_job("LOCAL.MODELS.ORPHAN", session=registered.session).wait(timeout=120) == "DONE"


def test_the_models_own_error_is_told(registered: Registered) -> None:
    execute(
        registered,
        f'output: {{stage_location: "{BASE}"}}',
        "FROM (SELECT * FROM ROWS_IN UNION ALL SELECT NULL, NULL, NULL, NULL, -1) MODEL = IRISES NAME = BAD_ROW",
    )
    job = get_job("LOCAL.MODELS.BAD_ROW", session=registered.session)
    assert job.wait(timeout=120) == "FAILED"
    (container,) = registered.session.sql("SHOW SERVICE CONTAINERS IN SERVICE BAD_ROW").collect()
    assert container["last_exit_code"] == 1
    assert "NaN" in container["message"]
    assert "NaN" in job.get_logs()
    names = [row["name"] for row in registered.session.sql(f"LIST {BASE}/BAD_ROW/").collect()]
    assert not any(name.endswith("/_SUCCESS") for name in names)


def test_a_step_of_a_task_scores_before_what_comes_after_it(registered: Registered) -> None:
    session = registered.session
    location = "LOCAL.MODELS.OUT/tasks"
    session.sql("CREATE TABLE SCORED (N INT)").collect()

    def task(name: str, rows: str) -> None:
        session.sql(
            f"CREATE TASK {name} AS EXECUTE INFERENCE JOB SERVICE IN COMPUTE POOL {POOL} WITH SPECIFICATION "
            f'$$output: {{stage_location: "@{location}"}}$$ FROM ({rows}) MODEL = IRISES VERSION = V1 '
            f"FUNCTION = 'predict' NAME = {name}_JOB ASYNC = FALSE"
        ).collect()
        session.sql(
            f"CREATE TASK {name}_NEXT AFTER {name} AS INSERT INTO SCORED SELECT COUNT($1) FROM @{location}/{name}_JOB/ "
            "(PATTERN => '.*[.]parquet', FILE_FORMAT => 'PARQUET_OF_TASKS')"
        ).collect()
        session.sql(f"ALTER TASK {name}_NEXT RESUME").collect()
        session.sql(f"EXECUTE TASK {name}").collect()

    session.sql("CREATE FILE FORMAT PARQUET_OF_TASKS TYPE = PARQUET").collect()
    task("STEP", "SELECT * FROM ROWS_IN")
    task("BROKEN", "SELECT * FROM ROWS_IN UNION ALL SELECT NULL, NULL, NULL, NULL, -1")
    with session.connection.cursor() as cursor:
        states = ends(session.connection, 3)
        cursor.execute(f"SELECT ERROR_MESSAGE FROM {HISTORY} WHERE NAME = 'BROKEN' AND SCHEMA_NAME = 'MODELS'")
        ((message,),) = cursor.fetchall()
    assert states == {"STEP": "SUCCEEDED", "STEP_NEXT": "SUCCEEDED", "BROKEN": "FAILED"}
    assert "BROKEN_JOB" in message
    check(registered, predictions(registered, "STEP_JOB", f"@{location}"))
    assert session.sql("SELECT N FROM SCORED").collect()[0][0] == len(registered.rows)


OUTPUT = f'output: {{stage_location: "{BASE}"}}'
ROWS = "FROM (SELECT * FROM ROWS_IN)"


@pytest.mark.parametrize(
    ("specification", "rest", "errno", "words"),
    [
        (OUTPUT, f"{ROWS} MODEL = NO_MODEL", 2003, "Model 'LOCAL.MODELS.NO_MODEL' does not exist"),
        (OUTPUT, f"{ROWS} MODEL = IRISES VERSION = V9", 2003, "V9"),
        (OUTPUT, f"{ROWS} MODEL = IRISES FUNCTION = 'PREDICT'", 2003, "Did you mean 'predict'?"),
        (OUTPUT, "FROM (SELECT * FROM NO_TABLE) MODEL = IRISES", 2003, "NO_TABLE"),
        (OUTPUT, "FROM (SELECT ID, SEPAL_LENGTH FROM ROWS_IN) MODEL = IRISES", 395018, "PETAL_WIDTH"),
        (OUTPUT, "FROM @NO_STAGE/x/ MODEL = IRISES", 2003, "NO_STAGE"),
        ('output: {stage_location: "@NO_STAGE/x"}', f"{ROWS} MODEL = IRISES", 2003, "NO_STAGE"),
        ('output: {stage_location: "@OUT/../../etc"}', f"{ROWS} MODEL = IRISES", 1003, "invalid path"),
        (OUTPUT, f"FROM {BASE}/in/ MODEL = IRISES", 395018, "must not be inside"),
        (f"{OUTPUT}\ninput: {{params: {{depth: 1}}}}", f"{ROWS} MODEL = IRISES", 395018, "unknown parameter 'depth'"),
        (
            f"{OUTPUT}\ninput: {{column_handling: {{PIC: {{input_format: full_stage_path, convert_to: base64}}}}}}",
            f"{ROWS} MODEL = IRISES",
            395018,
            "column 'PIC' is not in the input",
        ),
        (f"{OUTPUT}\ninput: {{partition_column: ID}}", f"{ROWS} MODEL = IRISES", 395018, "is a FUNCTION"),
        (f"{OUTPUT}\nspeed: 1", f"{ROWS} MODEL = IRISES", 395018, "unknown option 'speed'"),
        (f"{OUTPUT}\nimage_build: {{image_repo: LOCAL.MODELS.R}}", f"{ROWS} MODEL = IRISES", 2003, "LOCAL.MODELS.R"),
        (f"{OUTPUT}\nresources: {{cpu_requests: 64}}", f"{ROWS} MODEL = IRISES", 395018, "exceeds compute pool"),
        (OUTPUT, f"MODEL = IRISES {ROWS}", 1003, "expected FROM"),
        (OUTPUT, f"{ROWS} MODEL = IRISES NAME = X COMMENT = 'c'", 1003, "COMMENT"),
    ],
)
def test_what_is_refused_at_submission(
    registered: Registered, specification: str, rest: str, errno: int, words: str
) -> None:
    before = jobs(registered)
    with pytest.raises(Exception) as caught:  # noqa: PT011
        execute(registered, specification, rest)
    assert words in str(caught.value)
    assert getattr(caught.value, "sql_error_code", None) == errno
    assert jobs(registered) == before


def jobs(registered: Registered) -> list[Any]:
    return [row["name"] for row in registered.session.sql("SHOW JOB SERVICES IN SCHEMA LOCAL.MODELS").collect()]
