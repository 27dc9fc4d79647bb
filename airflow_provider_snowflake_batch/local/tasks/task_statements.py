"""CREATE, ALTER, DROP, DESCRIBE, SHOW and EXECUTE TASK, and TASK_HISTORY.

Sources: https://docs.snowflake.com/en/sql-reference/sql/create-task and the pages beside it.
"""

from __future__ import annotations

import time
from typing import Any

from airflow_provider_snowflake_batch.local.clauses import drop, property_value, show_clauses
from airflow_provider_snowflake_batch.local.errors import not_supported
from airflow_provider_snowflake_batch.local.functions import Arguments, table_function
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.sql.databases import Databases
from airflow_provider_snowflake_batch.local.statements import Result, Statement, columns_of, moment, statement
from airflow_provider_snowflake_batch.local.tasks.tasks import Run, Task, Tasks

_SHOW, _DESCRIBE = 0x4400, 0x4500
# Those that say where and how long a task runs, which makes no difference here.
_OPTIONS = {
    "WAREHOUSE", "SCHEDULE", "COMMENT", "USER_TASK_MANAGED_INITIAL_WAREHOUSE_SIZE", "USER_TASK_TIMEOUT_MS",
    "ALLOW_OVERLAPPING_EXECUTION", "SUSPEND_TASK_AFTER_NUM_FAILURES",
}  # fmt: skip
_LTZ = ("TIMESTAMP_LTZ", 0, 3)
_SHOWN = columns_of(
    "created_on:TIMESTAMP_LTZ(3), name, id, database_name, schema_name, owner, comment, warehouse, schedule, "
    "predecessors, state, definition, condition, allow_overlapping_execution, error_integration, "
    "last_committed_on:TIMESTAMP_LTZ(3), last_suspended_on:TIMESTAMP_LTZ(3), owner_role_type, config, budget, "
    "task_relations"
)
_HISTORY = columns_of(
    "QUERY_ID, NAME, DATABASE_NAME, SCHEMA_NAME, QUERY_TEXT, CONDITION_TEXT, STATE, ERROR_CODE, ERROR_MESSAGE, "
    "SCHEDULED_TIME:TIMESTAMP_LTZ(3), QUERY_START_TIME:TIMESTAMP_LTZ(3), NEXT_SCHEDULED_TIME:TIMESTAMP_LTZ(3), "
    "COMPLETED_TIME:TIMESTAMP_LTZ(3), ROOT_TASK_ID, GRAPH_VERSION:NUMBER, RUN_ID:NUMBER, RETURN_VALUE, "
    "SCHEDULED_FROM, ATTEMPT_NUMBER:NUMBER, CONFIG, QUERY_HASH, QUERY_HASH_VERSION:NUMBER, "
    "QUERY_PARAMETERIZED_HASH, QUERY_PARAMETERIZED_HASH_VERSION:NUMBER, GRAPH_RUN_GROUP_ID"
)


@statement("CREATE TASK", "CREATE OR REPLACE TASK")
def create_task(statement: Statement, cursor: Cursor, tasks: Tasks) -> Result:
    session = statement.session
    or_replace = cursor.tokens[1].value == "OR"
    if_not_exists = cursor.accept("IF", "NOT", "EXISTS")
    database, schema, name = session.qualify(cursor.name())
    options, after, condition = _clauses(statement, cursor)
    cursor.expect("AS")
    sql = cursor.rest().rstrip().rstrip(";")
    if not sql:
        raise cursor.unexpected("a statement")
    if cursor.looking_at("DECLARE") or (cursor.looking_at("BEGIN") and not cursor.looking_at("BEGIN", "TRANSACTION")):
        raise not_supported("A block of statements in a task (one statement a task, AFTER another, does the same)")
    if after and options.get("SCHEDULE") is not None:
        raise not_supported("A task with SCHEDULE and AFTER")
    task = Task(
        database, schema, name, sql, session.role or "", session.user, after=after, condition=condition,
        warehouse=options.get("WAREHOUSE", session.warehouse), schedule=options.get("SCHEDULE"),
        comment=str(options.get("COMMENT", "")),
    )  # fmt: skip
    if tasks.create(task, or_replace=or_replace, if_not_exists=if_not_exists):
        return Result.message(f"Task {name} successfully created.")
    return Result.message(f"{name} already exists, statement succeeded.")


def _clauses(
    statement: Statement, cursor: Cursor
) -> tuple[dict[str, Any], tuple[tuple[str, str, str], ...], str | None]:
    """The options, the tasks of AFTER and the condition of WHEN, up to AS."""
    options: dict[str, Any] = {}
    after: list[tuple[str, str, str]] = []
    condition = None
    while not cursor.looking_at("AS"):
        if cursor.accept("AFTER"):
            after.append(statement.session.qualify(cursor.name()))
            while cursor.accept(","):
                after.append(statement.session.qualify(cursor.name()))
        elif cursor.accept("WHEN"):
            # A cast inside of parentheses has an AS of its own.
            condition = cursor.text_until(lambda rest: rest.looking_at("AS"), "a condition")
        else:
            name = cursor.next().value
            if name not in _OPTIONS:
                cursor.at -= 1
                if not (cursor.peek(1) is not None and cursor.looking_at(name, "=")):
                    raise cursor.unexpected("AS")
                raise not_supported(f"The option {name} of CREATE TASK")
            cursor.expect("=")
            options[name] = property_value(cursor)
        cursor.accept(",")
    return options, tuple(after), condition


@statement("ALTER TASK")
def alter_task(statement: Statement, cursor: Cursor, tasks: Tasks) -> Result:
    cursor.accept("IF", "EXISTS")
    task = tasks.get(statement.session.qualify(cursor.name()))
    if cursor.accept("RESUME"):
        if not task.after:
            raise not_supported("A task that runs by the clock (EXECUTE TASK runs it, and those after it)")
        tasks.start(task.qualified, True)
    elif cursor.accept("SUSPEND"):
        tasks.start(task.qualified, False)
    else:
        raise not_supported(f"ALTER TASK … {cursor.next().value} (CREATE OR REPLACE TASK does the same)")
    cursor.end()
    return Result.message("Statement executed successfully.")


@statement("DROP TASK")
def drop_task(statement: Statement, cursor: Cursor, tasks: Tasks) -> Result:
    there = {task.qualified for task in tasks.all()}
    return drop(cursor, statement.session.qualify, lambda name: name in there, tasks.drop)


@statement("EXECUTE TASK")
def execute_task(statement: Statement, cursor: Cursor, tasks: Tasks) -> Result:
    name = statement.session.qualify(cursor.name())
    if not cursor.done:
        raise not_supported(f"EXECUTE TASK with {cursor.next().value}")
    tasks.execute(name)
    return Result.message(f"Task {name[2]} is scheduled to run immediately.")


@statement("SHOW TASKS")
def show_tasks(statement: Statement, cursor: Cursor, databases: Databases, tasks: Tasks) -> Result:
    clauses = show_clauses(cursor, statement.session, databases)
    found = clauses.select(tasks.all(), lambda task: (task.name, task.database, task.schema))
    return Result(_SHOWN, [_shown(task) for task in found], statement_type=_SHOW)


@statement("DESCRIBE TASK", "DESC TASK")
def describe_task(statement: Statement, cursor: Cursor, tasks: Tasks) -> Result:
    name = statement.session.qualify(cursor.name())
    cursor.end()
    return Result(_SHOWN, [_shown(tasks.get(name))], statement_type=_DESCRIBE)


def _shown(task: Task) -> tuple[Any, ...]:
    predecessors = ", ".join(f'"{".".join(name)}"' for name in task.after)
    return (
        moment(task.created), task.name, task.id, task.database, task.schema, task.owner, task.comment,
        task.warehouse, task.schedule, f"[{predecessors}]", "started" if task.started else "suspended", task.sql,
        task.condition, "false", "null", moment(task.created) if task.started else None, None, "ROLE", None, None, None,
    )  # fmt: skip


@table_function("INFORMATION_SCHEMA.TASK_HISTORY")
def task_history(statement: Statement, arguments: Arguments, tasks: Tasks) -> Result:
    """The runs of the last seven days, newest first."""
    name, limit = arguments.get(9, "TASK_NAME"), int(arguments.get(9, "RESULT_LIMIT", 100))
    root, failed_only = arguments.get(9, "ROOT_TASK_ID"), bool(arguments.get(9, "ERROR_ONLY", False))
    earliest = time.time() - 7 * 24 * 3600
    runs = [
        run
        for run in tasks.runs()
        if run.scheduled >= earliest
        and (name is None or run.task[2] == str(name).upper() or run.task[2] == name)
        and (root is None or run.root == root)
        and (not failed_only or run.state == "FAILED")
    ]
    return Result(_HISTORY, [_past(run) for run in runs[:limit]])


def _past(run: Run) -> tuple[Any, ...]:
    database, schema, name = run.task
    return (
        run.query_id, name, database, schema, run.sql, run.condition, run.state, run.error_code, run.error,
        moment(run.scheduled), moment(run.began), None, moment(run.completed), run.root, 1, run.number, None,
        "EXECUTE TASK", 1, None, None, None, None, None, run.graph,
    )  # fmt: skip
