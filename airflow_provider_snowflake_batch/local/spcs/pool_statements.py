"""Statements on compute pools: https://docs.snowflake.com/en/sql-reference/sql/create-compute-pool,
…/alter-compute-pool, …/desc-compute-pool, …/show-compute-pools, …/drop-compute-pool
"""

from __future__ import annotations

from typing import Any

from airflow_provider_snowflake_batch.jobs.instance_families import FAMILIES
from airflow_provider_snowflake_batch.local.clauses import show_clauses
from airflow_provider_snowflake_batch.local.errors import compilation_error, not_supported
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.spcs import service_clauses
from airflow_provider_snowflake_batch.local.spcs.compute_pools import ComputePools
from airflow_provider_snowflake_batch.local.spcs.control_plane import SpcsControlPlane
from airflow_provider_snowflake_batch.local.spcs.records import ComputePool
from airflow_provider_snowflake_batch.local.spcs.scheduling import occupied
from airflow_provider_snowflake_batch.local.spcs.store import Store
from airflow_provider_snowflake_batch.local.sql.databases import Databases
from airflow_provider_snowflake_batch.local.statements import Result, Statement, columns_of, moment, statement

_COLUMNS = columns_of(
    "name, state, min_nodes:NUMBER, max_nodes:NUMBER, instance_family, num_services:NUMBER, num_jobs:NUMBER, "
    "auto_suspend_secs:NUMBER, auto_resume, active_nodes:NUMBER, idle_nodes:NUMBER, target_nodes:NUMBER, "
    "created_on:TIMESTAMP_LTZ(9), resumed_on:TIMESTAMP_LTZ(9), updated_on:TIMESTAMP_LTZ(9), owner, comment, "
    "is_exclusive, application, placement_group, backup_instance_families"
)
_DIAGNOSIS = columns_of("budget, error_code, status_message")


@statement("CREATE COMPUTE POOL")
def create_compute_pool(statement: Statement, cursor: Cursor, pools: ComputePools) -> Result:
    if_not_exists = cursor.accept("IF", "NOT", "EXISTS")
    name = service_clauses.pool_name(cursor)
    options = _options(cursor, creating=True)
    missing = [key.upper() for key in ("min_nodes", "max_nodes", "instance_family") if key not in options]
    if missing:
        raise compilation_error(f"Missing option(s): [{', '.join(missing)}]")
    if if_not_exists and any(pool.name == name for pool in pools.all()):
        return Result.message(f"{name} already exists, statement succeeded.")
    pools.create(name, statement.session.role or "", **options)
    return Result.message(f"Compute pool {name} successfully created.")


@statement("ALTER COMPUTE POOL")
def alter_compute_pool(statement: Statement, cursor: Cursor, spcs: SpcsControlPlane) -> Result:
    if_exists = cursor.accept("IF", "EXISTS")
    name = service_clauses.pool_name(cursor)
    if if_exists and spcs.store.find_pool(name) is None:
        return Result.message("Statement executed successfully.")
    spcs.pools.get(name)
    if cursor.accept("SUSPEND"):
        cursor.end()
        spcs.pools.suspend(name)
    elif cursor.accept("RESUME"):
        cursor.end()
        spcs.pools.resume(name)
    elif cursor.accept("STOP", "ALL"):
        if not cursor.done:
            raise not_supported("ALTER COMPUTE POOL … STOP ALL OF TYPE")
        spcs.stop_all(name)
    elif cursor.accept("SET"):
        spcs.pools.alter(name, _options(cursor, creating=False))
    elif cursor.accept("UNSET"):
        spcs.pools.alter(name, _defaults(cursor))
    else:
        raise cursor.unexpected("SUSPEND, RESUME, STOP ALL, SET or UNSET")
    spcs.wake()
    return Result.message("Statement executed successfully.")


@statement("DROP COMPUTE POOL")
def drop_compute_pool(statement: Statement, cursor: Cursor, store: Store, pools: ComputePools) -> Result:
    if_exists = cursor.accept("IF", "EXISTS")
    name = service_clauses.pool_name(cursor)
    cursor.end()
    if if_exists and store.find_pool(name) is None:
        return Result.dropped(name, was_there=False)
    pools.drop(name)
    return Result.dropped(name, was_there=True)


@statement("SHOW COMPUTE POOLS")
def show_compute_pools(statement: Statement, cursor: Cursor, databases: Databases, pools: ComputePools) -> Result:
    chosen = show_clauses(cursor, statement.session, databases, level="ACCOUNT")
    found = chosen.select(pools.all(), lambda pool: (pool.name,))
    return Result(_COLUMNS, [_row(pools, pool)[: len(_COLUMNS)] for pool in found])


@statement("DESCRIBE COMPUTE POOL", "DESC COMPUTE POOL")
def describe_compute_pool(statement: Statement, cursor: Cursor, pools: ComputePools) -> Result:
    pool = pools.get(service_clauses.pool_name(cursor))
    cursor.end()
    return Result([*_COLUMNS, *_DIAGNOSIS], [_row(pools, pool)])


@statement("SHOW NODES IN COMPUTE POOL")
def show_nodes(statement: Statement, cursor: Cursor, spcs: SpcsControlPlane) -> Result:
    pool = spcs.pools.get(service_clauses.pool_name(cursor))
    cursor.end()
    jobs = [job for job in spcs.store.active_jobs() if job.compute_pool == pool.name]
    containers = spcs.store.containers_of(jobs)
    taken = occupied((job, item) for job in jobs for item in containers[job.id])
    nodes = [] if pool.suspended and not taken else range(max(pool.min_nodes, max(taken, default=-1) + 1))
    return Result(
        columns_of("name, state, instance_family"),
        [(f"node-{node}", "ACTIVE" if node in taken else "IDLE", pool.instance_family) for node in nodes],
    )


@statement("SHOW COMPUTE POOL INSTANCE FAMILIES")
def show_instance_families(statement: Statement, cursor: Cursor, databases: Databases) -> Result:
    chosen = show_clauses(cursor, statement.session, databases, level="ACCOUNT")
    columns = columns_of("name, vcpu:NUMBER, memory_gib:NUMBER, gpu_count:NUMBER, gpu_type")
    families = chosen.select(FAMILIES.values(), lambda family: (family.name,))
    rows = [(item.name, int(item.cpu), int(item.memory / 2**30), item.gpu, item.gpu_type) for item in families]
    return Result(columns, rows)


def _options(cursor: Cursor, *, creating: bool) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for option in service_clauses.each_clause(cursor):
        if creating and option in ("FOR", "WITH", "TAG", "PLACEMENT_GROUP", "BACKUP_INSTANCE_FAMILIES"):
            raise not_supported(f"CREATE COMPUTE POOL … {option}")
        cursor.expect("=")
        if option in ("MIN_NODES", "MAX_NODES", "AUTO_SUSPEND_SECS"):
            options[option.lower()] = cursor.integer()
        elif option == "AUTO_RESUME" or (option == "INITIALLY_SUSPENDED" and creating):
            options[option.lower()] = cursor.boolean()
        elif option == "COMMENT":
            options["comment"] = cursor.string()
        elif option == "INSTANCE_FAMILY" and creating:
            token = cursor.next()
            options["instance_family"] = token.value
        else:
            raise compilation_error(f"invalid property '{option}' for 'COMPUTE POOL'.")
        cursor.accept(",")
    if not creating and not options:
        raise cursor.unexpected("a property")
    return options


def _defaults(cursor: Cursor) -> dict[str, Any]:
    defaults: dict[str, Any] = {"AUTO_SUSPEND_SECS": 3600, "AUTO_RESUME": True, "COMMENT": None}
    changes = {}
    while True:
        option = cursor.next().value
        if option not in defaults:
            raise compilation_error(f"invalid property '{option}' for UNSET of 'COMPUTE POOL'.")
        changes[option.lower()] = defaults[option]
        if cursor.done:
            return changes
        cursor.accept(",")


def _row(pools: ComputePools, pool: ComputePool) -> list[Any]:
    now = pools.state(pool)
    return [
        pool.name, now.state, pool.min_nodes, pool.max_nodes, pool.instance_family, 0, now.jobs,
        pool.auto_suspend_secs, str(pool.auto_resume).lower(), now.active_nodes, now.idle_nodes,
        0 if pool.suspended else max(pool.min_nodes, now.active_nodes), moment(pool.created_on),
        moment(pool.resumed_on), moment(pool.updated_on), pool.owner, pool.comment, "false", None, None, None, None,
        None if now.error_code is None else str(now.error_code), now.status_message,
    ]  # fmt: skip
