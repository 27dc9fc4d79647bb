"""A table's rows through a job of the worker runtime, and into a table again: every value is what it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow.sdk import DAG

from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs.models import PythonModel
from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator
from airflow_provider_snowflake_batch.operators.load import LoadBatchResultsOperator
from tests.compute_pools import hook_with_pool
from tests.operators.task_instances import TaskInstance

pytestmark = pytest.mark.slow

POOL, STAGE = "ORIGINAL_TYPES", "ORIGINAL_TYPES_RESULTS"
COLUMNS = (
    "ID INT, D NUMBER(20,4), N NUMBER(5,0), BIG NUMBER(38,0), F FLOAT, S VARCHAR, B BOOLEAN, DT DATE, TM TIME, "
    'NTZ TIMESTAMP_NTZ, LTZ TIMESTAMP_LTZ, V VARIANT, O OBJECT, A ARRAY, BI BINARY, "mixed c" TIMESTAMP_NTZ'
)
ROWS = (
    # The values that text, JSON or Parquet would spoil most easily.
    """
    1, -1234567.0625, -32768, 9223372036854775807, -0.1, '', TRUE,
    '0001-01-01', '00:00:00', '9999-12-31 23:59:59.999999', '1969-12-31 23:59:59.000001 +0530',
    PARSE_JSON('{"a": [1, null, "x\\\\"y"], "b": 1.5}'), OBJECT_CONSTRUCT('k', 'ü'), ARRAY_CONSTRUCT(1, 'b'),
    TO_BINARY('00FF', 'HEX'), '2026-03-29 02:30:00'
    """,
    """
    2, 0, 0, 0, 1e308, ' 2026-01-02 03:04:05 ', FALSE, '9999-12-31', '23:59:59.999999', '1582-10-15',
    '2026-10-25 01:30:00.5 +0000', PARSE_JSON('""'), OBJECT_CONSTRUCT(), ARRAY_CONSTRUCT(), TO_BINARY('', 'HEX'),
    '2026-01-02 03:04:05.123456'
    """,
    "3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, PARSE_JSON('null'), NULL, NULL, NULL, NULL",
    "4, 1, 1, 1, 1, 'null', TRUE, '2026-01-01', '12:00', NULL, NULL, NULL, NULL, NULL, NULL, NULL",
    "5, 1, 1, 1, 1, 'x', TRUE, '2026-01-01', '12:00', NULL, NULL, PARSE_JSON('\"2026-01-01\"'), NULL, NULL, NULL, NULL",
)
MODEL = """
class Marks:
    def predict(self, rows):
        return {"MARK": rows["ID"] * 2, "F": ["replaced"] * len(rows)}
"""


@pytest.fixture
def hook(snowflake_connection: str) -> Iterator[SnowflakeBatchHook]:
    statements = (
        f"CREATE OR REPLACE STAGE {STAGE} ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')",
        f"CREATE OR REPLACE TABLE TYPED ({COLUMNS})",
        *(f"INSERT INTO TYPED SELECT {row}" for row in ROWS),
    )
    with hook_with_pool(snowflake_connection, POOL, 2, *statements) as opened:
        yield opened


def types(hook: SnowflakeBatchHook, table: str) -> dict[str, str]:
    return {row["name"]: row["type"] for row in hook.rows(f"DESCRIBE TABLE {table}")}


def rows(hook: SnowflakeBatchHook, table: str, columns: list[str]) -> list[str]:
    listed = ", ".join(f'"{name}" AS C{number}' for number, name in enumerate(columns))
    # By their text, which tells 1 from 1.0 and JSON's null from NULL.
    return [repr(row) for row in hook.rows(f"SELECT {listed} FROM {table} ORDER BY ID")]


def test_columns_that_pass_through_a_job_load_as_what_they_were(hook: SnowflakeBatchHook, tmp_path: Path) -> None:
    (tmp_path / "marks.py").write_text(MODEL)
    dag = DAG("dag")
    dag.fileloc = str(tmp_path / "dag.py")
    score = RunBatchOperator(
        task_id="score",
        model=PythonModel("marks:Marks", code="marks.py"),
        X="TYPED",
        compute_pool=POOL,
        output_spec={"stage_location": f"@{STAGE}/out/"},
        poll_interval=1,
        dag=dag,
    )
    location = score.execute({"ti": TaskInstance()})["output_location"]

    LoadBatchResultsOperator(task_id="new", stage_location=location, table="MADE").execute({})
    hook.run(f"CREATE OR REPLACE TABLE THERE ({COLUMNS}, MARK INT)".replace("F FLOAT", "F VARCHAR"))
    LoadBatchResultsOperator(task_id="there", stage_location=location, table="THERE").execute({})

    was = types(hook, "TYPED")
    passed = [name for name in was if name != "F"]
    for table, called in (("MADE", str.upper), ("THERE", str)):
        found = types(hook, table)
        assert [found[called(name)] for name in passed] == [was[name] for name in passed]
        assert found["F"].startswith("VARCHAR"), "the model's column is not the input's of that name"
        assert rows(hook, table, [called(name) for name in passed]) == rows(hook, "TYPED", passed)
