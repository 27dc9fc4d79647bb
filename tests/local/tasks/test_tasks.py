"""Tasks: kept by name, run by EXECUTE TASK, one after another; what became of them is in TASK_HISTORY.

Also tests ``local/tasks/task_statements.py``.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import snowflake.connector
from snowflake.connector import SnowflakeConnection

from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests.local.statement_calls import error, execute
from tests.local.task_runs import HISTORY, ends

REFUSED = "not supported by the local Snowflake"


def test_a_graph_of_tasks(connection: SnowflakeConnection, schema: str) -> None:
    execute(connection, "CREATE TABLE T (A INT)")
    execute(connection, "CREATE TASK ROOT SCHEDULE = '5 MINUTE' WAREHOUSE = COMPUTE_WH AS INSERT INTO T VALUES (1)")
    execute(
        connection, "CREATE TASK NEXT AFTER ROOT WHEN (SELECT COUNT(*) FROM T) = 1 AS INSERT INTO T SELECT A + 1 FROM T"
    )
    execute(connection, "CREATE TASK SKIPPED AFTER ROOT WHEN 1 = 2 AS INSERT INTO T VALUES (99)")
    execute(connection, "CREATE TASK AFTER_BOTH AFTER NEXT, SKIPPED AS INSERT INTO T VALUES (98)")
    execute(connection, "CREATE TASK FAILS AFTER NEXT AS SELECT NOPE FROM T")
    execute(connection, "CREATE TASK SUSPENDED AFTER ROOT AS INSERT INTO T VALUES (97)")
    for name in ("NEXT", "SKIPPED", "AFTER_BOTH", "FAILS"):
        execute(connection, f"ALTER TASK {name} RESUME")
    assert "scheduled to run" in execute(connection, "EXECUTE TASK ROOT")[0][0]

    states = ends(connection, 4)
    assert states == {"ROOT": "SUCCEEDED", "NEXT": "SUCCEEDED", "SKIPPED": "SKIPPED", "FAILS": "FAILED"}
    assert execute(connection, "SELECT A FROM T ORDER BY A") == [(1,), (2,)]
    query = (
        f"SELECT ERROR_CODE, ERROR_MESSAGE, QUERY_TEXT FROM {HISTORY} WHERE NAME = 'FAILS' AND SCHEMA_NAME = '{schema}'"
    )
    ((code, message, text),) = execute(connection, query)
    assert (code, text) == ("000904", "SELECT NOPE FROM T")
    assert "invalid identifier 'NOPE'" in message
    ((count,),) = execute(
        connection, f"SELECT COUNT(DISTINCT GRAPH_RUN_GROUP_ID) FROM {HISTORY} WHERE SCHEMA_NAME = '{schema}'"
    )
    assert count == 1


def test_a_task_runs_a_job(connection: SnowflakeConnection, schema: str) -> None:
    pool = f"P_{schema}"
    execute(connection, f"CREATE COMPUTE POOL {pool} MIN_NODES = 1 MAX_NODES = 1 INSTANCE_FAMILY = CPU_X64_XS")
    container = {"name": "main", "image": "/db/schema/repo/image:1", "command": ["true"]}
    job = (
        f"EXECUTE JOB SERVICE IN COMPUTE POOL {pool} NAME = STEP FROM SPECIFICATION "
        f"$${json.dumps({'spec': {'containers': [container]}})}$$"
    )
    execute(connection, "CREATE TABLE DONE (A INT)")
    execute(connection, f"CREATE TASK SCORE AS {job}")
    execute(connection, "CREATE TASK NOTE AFTER SCORE AS INSERT INTO DONE VALUES (1)")
    execute(connection, "ALTER TASK NOTE RESUME")
    execute(connection, "EXECUTE TASK SCORE")
    assert ends(connection, 2) == {"SCORE": "SUCCEEDED", "NOTE": "SUCCEEDED"}
    cursor = connection.cursor(snowflake.connector.DictCursor).execute("DESCRIBE SERVICE STEP")
    assert cursor is not None
    assert cursor.fetchall()[0]["status"] == "DONE"  # type: ignore[call-overload]
    assert execute(connection, "SELECT * FROM DONE") == [(1,)]
    execute(connection, "DROP SERVICE STEP")
    execute(connection, f"DROP COMPUTE POOL {pool}")


def test_an_inference_job_that_cannot_start_fails_its_task(connection: SnowflakeConnection, schema: str) -> None:
    execute(
        connection,
        "CREATE TASK SCORE AS EXECUTE INFERENCE JOB SERVICE IN COMPUTE POOL SYSTEM_COMPUTE_POOL_CPU "
        "USING MODEL NOPE FROM (SELECT 1 AS A) SPECIFICATION $$job:\n  output:\n    location: '@NOPE/'\n$$",
    )
    execute(connection, "EXECUTE TASK SCORE")
    assert ends(connection, 1) == {"SCORE": "FAILED"}


def test_tasks_are_shown_changed_and_dropped(connection: SnowflakeConnection, schema: str) -> None:
    execute(connection, "CREATE TASK A COMMENT = 'c' AS SELECT 1;")
    assert error(connection, "CREATE TASK A AS SELECT 1")[0] == 2002
    assert "already exists" in execute(connection, "CREATE TASK IF NOT EXISTS A AS SELECT 2")[0][0]
    execute(connection, "CREATE TASK B AFTER A WHEN 1 = CAST('1' AS INT) AS SELECT 2")
    execute(connection, "ALTER TASK B RESUME")
    cursor = connection.cursor(snowflake.connector.DictCursor).execute("SHOW TASKS")
    assert cursor is not None
    rows = cursor.fetchall()
    keys = ("name", "definition", "state", "predecessors", "condition", "comment")
    assert [tuple(row[key] for key in keys) for row in rows] == [  # type: ignore[call-overload]
        ("A", "SELECT 1", "suspended", "[]", None, "c"),
        ("B", "SELECT 2", "started", f'["LOCAL.{schema}.A"]', "1 = CAST('1' AS INT)", ""),
    ]
    execute(connection, "ALTER TASK B SUSPEND")
    assert "suspended" in execute(connection, "DESCRIBE TASK B")[0]
    execute(connection, "DROP TASK B")
    execute(connection, "DROP TASK IF EXISTS B")
    for statement in ("DROP TASK B", "EXECUTE TASK B", "ALTER TASK B RESUME", "CREATE TASK C AFTER B AS SELECT 1"):
        assert error(connection, statement)[0] == 2003


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TASK B CONFIG = '{}' AS SELECT 1",
        "CREATE TASK B SCHEDULE = '1 MINUTE' AFTER A AS SELECT 1",
        "CREATE TASK B AS BEGIN SELECT 1 END",
        "ALTER TASK A RESUME",
        "ALTER TASK A SET COMMENT = 'x'",
        "EXECUTE TASK A RETRY LAST",
    ],
)
def test_what_tasks_lack_is_refused(connection: SnowflakeConnection, schema: str, statement: str) -> None:
    execute(connection, "CREATE TASK A SCHEDULE = 'USING CRON 0 9 * * * UTC' AS SELECT 1")
    errno, _, message = error(connection, statement)
    assert (errno, REFUSED in message) == (2, True), message


@pytest.mark.parametrize(
    "statement", ["CREATE TASK B AS", "CREATE TASK B FOO AS SELECT 1", "CREATE TASK B WHEN AS SELECT 1"]
)
def test_half_a_task_is_a_syntax_error(connection: SnowflakeConnection, schema: str, statement: str) -> None:
    assert error(connection, statement)[0] == 1003


def test_a_run_that_a_stop_has_cut_off_has_failed(tmp_path: Path) -> None:
    for start in ("first", "second"):
        with (
            LocalServer(tmp_path / "state") as server,
            snowflake.connector.connect(**server.connection_kwargs) as connection,
        ):
            if start == "first":
                execute(connection, "CREATE TASK T AS SELECT SYSTEM$WAIT(600)")
                execute(connection, "EXECUTE TASK T")
                deadline = time.monotonic() + 60
                while execute(connection, f"SELECT STATE FROM {HISTORY}") != [("EXECUTING",)]:
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
            else:
                ((state, message),) = execute(connection, f"SELECT STATE, ERROR_MESSAGE FROM {HISTORY}")
                assert (state, "stopped" in message) == ("FAILED", True)
                assert len(execute(connection, "SHOW TASKS")) == 1
