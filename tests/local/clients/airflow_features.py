"""Airflow's stock Snowflake provider, unmodified: it knows no ``protocol`` and so always speaks HTTPS."""

from __future__ import annotations

import asyncio
import datetime
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from tests.local.clients.catalogue import Client, Local, raising

CLIENT = Client(
    title="Airflow's stock Snowflake provider",
    distribution="apache-airflow-providers-snowflake",
    module="airflow",
    requires=("airflow.providers.snowflake.hooks.snowflake",),
    protocols=("https",),
)
CONNECTION = "stock_snowflake"
SCORES = "CREATE TABLE SCORES (ID INT, NAME VARCHAR); INSERT INTO SCORES VALUES (1, 'a'), (2, NULL)"


@contextmanager
def connection(local: Local) -> Iterator[dict[str, str]]:
    """The arguments of an operator: the printed connection as it is, but for the schema."""
    variable = f"AIRFLOW_CONN_{CONNECTION.upper()}"
    os.environ[variable] = json.dumps(local.airflow_connection)
    try:
        yield {"task_id": "task"}
    finally:
        os.environ.pop(variable, None)


@contextmanager
def hook(local: Local) -> Iterator[Any]:
    from airflow.providers.snowflake.hooks.snowflake import SnowflakeHook

    with connection(local):
        yield SnowflakeHook(CONNECTION)


def context() -> Any:
    return {"ti": SimpleNamespace(start_date=datetime.datetime.now(datetime.UTC), xcom_push=lambda **_: None)}


@CLIENT.works("`SnowflakeHook`: `run`, `get_records`, `get_first`, parameters")
def run_and_records(local: Local) -> None:
    with hook(local) as opened:
        opened.run(SCORES)
        assert opened.get_records("SELECT * FROM SCORES ORDER BY ID") == [(1, "a"), (2, None)]
        assert opened.get_first("SELECT NAME FROM SCORES WHERE ID = %s", parameters=(1,)) == ("a",)
        assert opened.run("SELECT 1 AS A", handler=lambda cursor: cursor.fetchall(), return_dictionaries=True) == [
            {"A": 1}
        ]
        assert opened.test_connection()[0] is True


@CLIENT.works("`SnowflakeHook`: several statements in one call")
def statement_blocks(local: Local) -> None:
    with hook(local) as opened:
        opened.run(f"BEGIN; {SCORES}; COMMIT", split_statements=False)
        assert opened.get_first("SELECT COUNT(*) FROM SCORES") == (2,)


@CLIENT.works("`SnowflakeHook`: `insert_rows`, `get_df`")
def rows_and_frames(local: Local) -> None:
    with hook(local) as opened:
        opened.run("CREATE TABLE SCORES (ID INT, NAME VARCHAR)")
        opened.insert_rows("SCORES", [(number, f"n{number}") for number in range(50)], target_fields=["ID", "NAME"])
        frame = opened.get_df("SELECT * FROM SCORES ORDER BY ID")
        assert frame["NAME"].tolist() == [f"n{number}" for number in range(50)], frame


@CLIENT.works("`SnowflakeHook`: `get_sqlalchemy_engine`")
def sqlalchemy_engine(local: Local) -> None:
    from sqlalchemy import inspect, text

    with hook(local) as opened:
        opened.run(SCORES)
        engine = opened.get_sqlalchemy_engine()
        with engine.connect() as open_connection:
            assert open_connection.execute(text("SELECT COUNT(*) FROM SCORES")).scalar() == 2
        assert inspect(engine).get_table_names() == ["scores"]
        engine.dispose()


@CLIENT.works("`SnowflakeHook`: `get_snowpark_session`")
def snowpark_session(local: Local) -> None:
    with hook(local) as opened:
        session = opened.get_snowpark_session()
        try:
            assert session.range(5).count() == 5
            assert "airflow_version" in json.loads(session.query_tag)
        finally:
            session.close()


@CLIENT.works("`SQLExecuteQueryOperator`")
def execute_query(local: Local) -> None:
    from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator

    with connection(local) as arguments:
        operator = SQLExecuteQueryOperator(
            **arguments, conn_id=CONNECTION, sql=f"{SCORES}; SELECT * FROM SCORES ORDER BY ID", split_statements=True
        )
        assert operator.execute(context()) == [(1, "a"), (2, None)]


@CLIENT.works("`SQLCheckOperator`, `SQLValueCheckOperator`, `SqlSensor`")
def checks(local: Local) -> None:
    from airflow.providers.common.compat.sdk import AirflowException
    from airflow.providers.common.sql.operators.sql import SQLCheckOperator, SQLValueCheckOperator
    from airflow.providers.common.sql.sensors.sql import SqlSensor

    with hook(local) as opened, connection(local) as arguments:
        opened.run(SCORES)
        SQLCheckOperator(**arguments, conn_id=CONNECTION, sql="SELECT COUNT(*) FROM SCORES").execute(context())
        value = SQLValueCheckOperator(**arguments, conn_id=CONNECTION, sql="SELECT COUNT(*) FROM SCORES", pass_value=3)
        with raising(AirflowException):
            value.execute(context())
        assert SqlSensor(**arguments, conn_id=CONNECTION, sql="SELECT COUNT(*) FROM SCORES").poke(context())


@CLIENT.works("`CopyFromExternalStageToSnowflakeOperator`, from an internal stage")
def copy_into_table(local: Local) -> None:
    from airflow.providers.snowflake.transfers.copy_into_snowflake import CopyFromExternalStageToSnowflakeOperator

    (local.folder / "scores.csv").write_text("1,a\n2,b\n")
    with hook(local) as opened, connection(local) as arguments:
        opened.run(["CREATE TABLE SCORES (ID INT, NAME VARCHAR)", "CREATE STAGE FILES"])
        opened.run(f"PUT file://{local.folder}/scores.csv @FILES")
        CopyFromExternalStageToSnowflakeOperator(
            **arguments, snowflake_conn_id=CONNECTION, table="SCORES", stage="FILES", file_format="(TYPE = CSV)"
        ).execute(context())
        assert opened.get_records("SELECT * FROM SCORES ORDER BY ID") == [(1, "a"), (2, "b")]


# Container jobs


def container_job(local: Local, pool: str, **options: Any) -> Any:
    from airflow.providers.snowflake.operators.snowpark_containers import SnowparkContainerJobOperator

    command = options.pop("command", ["sh", "-c", "echo from the container"])
    return SnowparkContainerJobOperator(
        task_id="task",
        snowflake_conn_id=CONNECTION,
        compute_pool=pool,
        container_name="main",
        spec_text=json.dumps({"spec": {"containers": [{"name": "main", "image": "/i", "command": command}]}}),
        poll_interval=1,
        **options,
    )


@contextmanager
def pool(opened: Any, local: Local) -> Iterator[str]:
    name = f"POOL_{local.schema}"
    opened.run(f"CREATE COMPUTE POOL {name} MIN_NODES = 1 MAX_NODES = 2 INSTANCE_FAMILY = CPU_X64_XS")
    try:
        yield name
    finally:
        opened.run([f"ALTER COMPUTE POOL {name} STOP ALL", f"DROP COMPUTE POOL {name}"])


@CLIENT.works("`SnowparkContainerJobOperator`, in its slot")
def container_job_in_slot(local: Local) -> None:
    with hook(local) as opened, pool(opened, local) as name:
        job = container_job(local, name, drop_on_completion=False, replicas=2).execute(context())
        assert opened.get_first(f"SELECT SYSTEM$GET_SERVICE_LOGS('{job}', 1, 'main')") == ("from the container",)
        (row,) = opened.run(
            f"DESCRIBE SERVICE {job}", handler=lambda cursor: cursor.fetchall(), return_dictionaries=True
        )
        assert row["status"] == "DONE", row


@CLIENT.works("`SnowparkContainerJobOperator`, deferred")
def container_job_deferred(local: Local) -> None:
    from airflow.providers.common.compat.sdk import TaskDeferred

    with hook(local) as opened, pool(opened, local) as name:
        operator = container_job(local, name, deferrable=True)
        with raising(TaskDeferred) as deferred:
            operator.execute(context())
        path, arguments = deferred.error.trigger.serialize()
        assert path.endswith("SnowparkContainerJobTrigger")
        event = asyncio.run(first_event(type(deferred.error.trigger)(**arguments)))
        job = operator.execute_complete(context(), event)
        # It drops the job once it is done.
        assert opened.get_records(f"SHOW SERVICES LIKE '{job}' IN SCHEMA {local.schema}") == []


@CLIENT.works("`SnowparkContainerJobOperator`: a job that fails, a specification on a stage")
def container_job_fails(local: Local) -> None:
    from airflow.providers.snowflake.operators.snowpark_containers import SnowparkContainerJobOperator

    container = {"name": "main", "image": "/i", "command": ["sh", "-c", "exit 3"]}
    (local.folder / "job.yaml").write_text(json.dumps({"spec": {"containers": [container]}}))
    with hook(local) as opened, pool(opened, local) as name:
        opened.run("CREATE STAGE SPECS")
        opened.run(f"PUT file://{local.folder}/job.yaml @SPECS AUTO_COMPRESS = FALSE")
        operator = SnowparkContainerJobOperator(
            task_id="task", snowflake_conn_id=CONNECTION, compute_pool=name, container_name="main",
            spec="job.yaml", spec_stage="@SPECS", poll_interval=1,
        )  # fmt: skip
        with raising(RuntimeError) as failed:
            operator.execute(context())
        assert "finished with status: FAILED" in str(failed.error)
        (row,) = opened.run(
            f"SHOW SERVICE CONTAINERS IN SERVICE {operator.job_name}",
            handler=lambda cursor: cursor.fetchall(),
            return_dictionaries=True,
        )
        assert row["last_exit_code"] in (3, "3"), row


async def first_event(trigger: Any) -> dict[str, Any]:
    async for event in trigger.run():
        payload: dict[str, Any] = event.payload
        return payload
    raise AssertionError("no event")
