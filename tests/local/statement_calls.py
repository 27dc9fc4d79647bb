"""Statements sent by the driver, and what they answer."""

from __future__ import annotations

from typing import Any

import pytest
import snowflake.connector
from snowflake.connector import SnowflakeConnection


def execute(connection: SnowflakeConnection, sql: str, parameters: Any = None) -> list[Any]:
    cursor = connection.cursor().execute(sql, parameters)
    assert cursor is not None
    return cursor.fetchall()


def error(connection: SnowflakeConnection, sql: str, parameters: Any = None) -> tuple[int, str, str]:
    with pytest.raises(snowflake.connector.errors.DatabaseError) as caught:
        connection.cursor().execute(sql, parameters)
    return caught.value.errno, caught.value.sqlstate, caught.value.msg
