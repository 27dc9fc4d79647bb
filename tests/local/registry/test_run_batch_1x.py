"""Batch inference as the client before version 2 does it: SYSTEM$DEPLOY_MODEL on a description in a stage file.

Only the environment with ``snowflake-ml-python`` 1.x runs this.
"""

from __future__ import annotations

import re
from importlib.util import find_spec

import pandas as pd
import pytest

from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests.local.registry.conftest import Registered
from tests.local_faults import faults_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(
        find_spec("snowflake.ml.model.batch") is None,
        reason="snowflake-ml-python 2.x has no SYSTEM$DEPLOY_MODEL client",
    ),
]

POOL = "SYSTEM_COMPUTE_POOL_CPU"
BASE = "@LOCAL.MODELS.OUT/one_x"


def check(registered: Registered, location: str) -> None:
    """Every row is there once with the estimator's own prediction, and ``_SUCCESS``."""
    session = registered.session
    frame: pd.DataFrame = session.read.option("pattern", ".*\\.parquet").parquet(location).to_pandas()
    frame = frame.sort_values("ID")
    assert list(frame["ID"]) == list(range(len(registered.rows)))
    assert list(frame["output_feature_0"]) == list(registered.model.predict(registered.rows))
    assert any(row["name"].endswith("/_SUCCESS") for row in session.sql(f"LIST {location}").collect())


def test_results_are_the_models_own(registered: Registered) -> None:
    from snowflake.ml.model.batch import OutputSpec

    location = f"{BASE}/direct/"
    job = registered.version.run_batch(
        registered.session.table("ROWS_IN"), compute_pool=POOL, output_spec=OutputSpec(stage_location=location)
    )
    assert re.fullmatch(r"LOCAL\.MODELS\.BATCH_INFERENCE_[0-9A-F_]{36}", job.id)
    assert job.wait(timeout=120) == "DONE"
    check(registered, location)
    assert '"phase": "done"' in job.get_logs()


def test_a_name_a_base_location_and_replicas(registered: Registered) -> None:
    from snowflake.ml.jobs import get_job
    from snowflake.ml.model.batch import InputSpec, JobSpec, OutputSpec

    job = registered.version.run_batch(
        registered.session.table("ROWS_IN"),
        compute_pool=POOL,
        input_spec=InputSpec(params={}),
        output_spec=OutputSpec(base_stage_location=f"{BASE}/base/"),
        job_spec=JobSpec(job_name="NAMED_1X", max_batch_rows=16, num_workers=1, replicas=2, cpu_requests="1"),
    )
    assert job.wait(timeout=120) == "DONE"
    assert job.id == "LOCAL.MODELS.NAMED_1X"
    assert job.target_instances == 2
    assert get_job(job.id, session=registered.session).status == "DONE"
    check(registered, f"{BASE}/base/NAMED_1X/")


def test_a_location_that_holds_something(registered: Registered) -> None:
    from snowflake.ml.model.batch import OutputSpec, SaveMode

    location = f"{BASE}/twice/"
    rows = registered.session.table("ROWS_IN")
    registered.session.sql(f"COPY INTO {location}old.csv FROM (SELECT 1) SINGLE = TRUE").collect()
    with pytest.raises(Exception, match="not empty"):
        registered.version.run_batch(rows, compute_pool=POOL, output_spec=OutputSpec(stage_location=location))
    job = registered.version.run_batch(
        rows, compute_pool=POOL, output_spec=OutputSpec(stage_location=location, mode=SaveMode.OVERWRITE)
    )
    assert job.wait(timeout=120) == "DONE"
    check(registered, location)


def test_cancel(registered: Registered, local_server: LocalServer) -> None:
    from snowflake.ml.model.batch import OutputSpec

    with faults_of(local_server) as faults:
        faults.add("pending")
        job = registered.version.run_batch(
            registered.session.table("ROWS_IN"),
            compute_pool=POOL,
            output_spec=OutputSpec(stage_location=f"{BASE}/cancelled/"),
        )
        job.cancel()
        assert job.wait(timeout=60) == "CANCELLED"
