"""What became of the runs of tasks."""

from __future__ import annotations

import time

from snowflake.connector import SnowflakeConnection

from tests.local.statement_calls import execute

HISTORY = "TABLE(INFORMATION_SCHEMA.TASK_HISTORY(RESULT_LIMIT => 1000))"


def ends(connection: SnowflakeConnection, count: int) -> dict[str, str]:
    """How the runs of the session's schema have ended, once there are so many."""
    deadline = time.monotonic() + 120
    query = f"SELECT NAME, STATE FROM {HISTORY} WHERE SCHEMA_NAME = CURRENT_SCHEMA() AND COMPLETED_TIME IS NOT NULL"
    while len(found := execute(connection, query)) < count:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return dict(found)
