"""One Airflow and one local Snowflake, both as processes, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests.airflow_stack import AirflowStack
from tests.models import log_model
from tests.stack.statsd import StatsD

# Airflow's own waits for what has died, shortened; and room for a whole test's runs at once.
IMPATIENT = {
    "AIRFLOW__CORE__PARALLELISM": "24",
    "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "50",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "3",
    # Where many tasks start at once, or on a busy machine, heartbeats come late. A scheduler whose own is older than
    # this takes itself for dead and gives all tasks that it has started a second try.
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "300",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "45",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
}
EXAMPLE_DAGS = Path(__file__).parents[2] / "example_dags"


@pytest.fixture
def hook(airflow: AirflowStack, snowflake_connection: str) -> Iterator[SnowflakeBatchHook]:
    with SnowflakeBatchHook(snowflake_connection) as opened:
        yield opened


@pytest.fixture(scope="package")
def metrics() -> Iterator[StatsD]:
    """Where that Airflow sends its metrics."""
    with StatsD() as server:
        yield server


@pytest.fixture(scope="package")
def airflow(
    local_server: LocalServer, metrics: StatsD, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AirflowStack]:
    """Airflow with the example Dags and those in ``dags/``, and what the latter name: a pool, a stage, a model."""
    from tests.file_models import Measure
    from tests.stack.models import Counter, Patience

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_SNOWFLAKE_DEFAULT", local_server.airflow_connection_json)
        SnowflakeBatchHook().run(
            [
                "CREATE COMPUTE POOL STACK_POOL MIN_NODES = 1 MAX_NODES = 24 INSTANCE_FAMILY = CPU_X64_S",
                "CREATE STAGE STACK_RESULTS ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')",
            ]
        )
    log_model(local_server, Measure(), "MEASURE", "V1", pd.DataFrame({"IMAGE": [b"abc"]}), pd.DataFrame({"BYTES": [3]}))
    waits = pd.DataFrame({"SECONDS": [0.0, 1.5]})
    log_model(local_server, Patience(), "PATIENCE", "V1", waits, waits.rename(columns={"SECONDS": "WAITED"}))

    lines = pd.DataFrame({"LINES": [0.0, 1.0]})
    log_model(local_server, Counter(), "COUNTER", "V1", lines, lines.rename(columns={"LINES": "COUNTED"}))

    home = tmp_path_factory.mktemp("airflow-stack")
    dags_folders = [EXAMPLE_DAGS, Path(__file__).parent / "dags"]
    with AirflowStack(home, dags_folders, local_server.airflow_connection_json, IMPATIENT | metrics.settings) as stack:
        yield stack
