"""Rows that come from other tasks, through real XComs, deferred and mapped."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from tests.airflow_stack import AirflowStack

pytestmark = pytest.mark.slow


def test_rows_come_from_other_tasks(airflow: AirflowStack, hook: SnowflakeBatchHook) -> None:
    hook.run("CREATE STAGE IF NOT EXISTS STACK_IMAGES ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')")
    for name, size in {"one.bin": 1, "three.bin": 3, "notes.txt": 9}.items():
        hook.write_file(f"@STACK_IMAGES/in/{name}", b"x" * size)

    run = airflow.trigger("inputs_from_tasks")
    state = airflow.wait_for_run(run)
    broken = [name for name, each in airflow.task_states(run).items() if each not in ("success", "upstream_failed")]
    assert state == "success", "\n".join(airflow.task_log(run, name) for name in broken)

    def column(name: str, task: str) -> list[Any]:
        location = airflow.xcom(run, task)["output_location"]
        with hook.get_snowpark_session() as session:
            frame = session.read.option("pattern", r".*\.parquet").parquet(location).to_pandas()
        return sorted(frame.rename(columns=lambda each: each.strip('"'))[name].tolist())

    assert column("BYTES", "listed") == column("BYTES", "named") == [1, 3]
    assert [column("BYTES", f"mapped[{index}]") for index in (0, 1)] == [[1], [1, 3]]
    assert column("WAITED", "second") == [1]
    assert column("WAITED", "third") == column("WAITED", "fourth") == [0, 1]
    assert airflow.xcom(run, "tell") == {
        "location": airflow.xcom(run, "first")["output_location"],
        "rows": 2,
        "version": "V1",
        "loaded": 2,
        "mapped": [1, 2],
    }
    # None, too, and all of them: a key that is added belongs into the Dag.
    assert airflow.xcom(run, "every_key") == airflow.xcom(run, "first")
    assert airflow.xcom(run, "verify")["output_location"] == airflow.xcom(run, "first")["output_location"]
    assert [airflow.xcom(run, f"verify_each[{index}]")["rows"] for index in (0, 1)] == [1, 2]
