"""CALL of system functions and of the methods of objects: ``CALL SYSTEM$F(…)``, ``CALL <object>!METHOD(…)``."""

from __future__ import annotations

from airflow_provider_snowflake_batch.local.functions import (
    Functions,
    read_arguments,
    unknown_function,
)
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.statements import Column, Result, Statement, statement


@statement("CALL")
def call(statement: Statement, cursor: Cursor, functions: Functions) -> Result:
    parts = cursor.name()
    if cursor.accept("!"):
        called = cursor.next().value
        method = functions.methods.get(called)
        if method is None:
            raise unknown_function(f"{'.'.join(parts)}!{called}")
        arguments = read_arguments(cursor)
        cursor.end()
        return method(statement, parts, arguments)
    function = functions.scalar.get(parts[0]) if len(parts) == 1 else None
    if function is None:
        raise unknown_function(".".join(parts))
    arguments = read_arguments(cursor)
    cursor.end()
    return Result([Column(parts[0])], [(function(statement, arguments),)])
