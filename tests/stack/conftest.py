"""One Airflow and one local Snowflake, both as processes, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from tests.airflow_stack import AirflowStack
from tests.local_server import LocalServer
from tests.models import log_model

EXAMPLE_DAGS = Path(__file__).parents[2] / "example_dags"


@pytest.fixture
def hook(airflow: AirflowStack, snowflake_connection: str) -> Iterator[SnowflakeBatchHook]:
    with SnowflakeBatchHook(snowflake_connection) as opened:
        yield opened


@pytest.fixture(scope="package")
def airflow(local_server: LocalServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowStack]:
    """Airflow with the example Dags and those in ``dags/``, and what the latter name: a pool, a stage, a model."""
    from tests.stack.models import Patience

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_SNOWFLAKE_DEFAULT", local_server.airflow_connection_json)
        SnowflakeBatchHook().run(
            [
                "CREATE COMPUTE POOL STACK_POOL MIN_NODES = 1 MAX_NODES = 4 INSTANCE_FAMILY = CPU_X64_S",
                "CREATE STAGE STACK_RESULTS ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')",
            ]
        )
    waits = pd.DataFrame({"SECONDS": [0.0, 1.5]})
    log_model(local_server, Patience(), "PATIENCE", "V1", waits, waits.rename(columns={"SECONDS": "WAITED"}))

    home = tmp_path_factory.mktemp("airflow-stack")
    dags_folders = [EXAMPLE_DAGS, Path(__file__).parent / "dags"]
    with AirflowStack(home, dags_folders, local_server.airflow_connection_json) as stack:
        yield stack
