"""Image repositories, by name only: no image is stored or run.

https://docs.snowflake.com/en/sql-reference/sql/create-image-repository, …/show-image-repositories
"""

from __future__ import annotations

import sqlite3
import time

from airflow_provider_snowflake_batch.local.clauses import drop, show_clauses
from airflow_provider_snowflake_batch.local.errors import (
    already_exists,
    compilation_error,
    does_not_exist,
    not_supported,
)
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.spcs import service_clauses
from airflow_provider_snowflake_batch.local.spcs.store import Store
from airflow_provider_snowflake_batch.local.sql.databases import Databases
from airflow_provider_snowflake_batch.local.statements import Result, Statement, columns_of, moment, statement


@statement("CREATE IMAGE REPOSITORY", "CREATE OR REPLACE IMAGE REPOSITORY")
def create_image_repository(statement: Statement, cursor: Cursor, store: Store) -> Result:
    if_not_exists = cursor.accept("IF", "NOT", "EXISTS")
    full_name = service_clauses.full_name(statement, cursor.name())
    comment = None
    while not cursor.done:
        option = cursor.next().value
        if option == "ENCRYPTION":
            cursor.expect("=")
            cursor.parenthesised()
        elif option == "COMMENT":
            cursor.expect("=")
            comment = cursor.string()
        else:
            raise compilation_error(f"invalid property '{option}' for 'IMAGE REPOSITORY'.")
    name = full_name.rpartition(".")[2]
    if cursor.tokens[1].value == "OR":
        store.drop_image_repository(full_name)
    record = {"created_on": time.time(), "owner": statement.session.role or "", "comment": comment}
    try:
        store.add_image_repository(full_name, record)
    except sqlite3.IntegrityError:
        if if_not_exists:
            return Result.message(f"{name} already exists, statement succeeded.")
        raise already_exists(full_name) from None
    return Result.message(f"Image Repository {name} successfully created.")


@statement("SHOW IMAGE REPOSITORIES")
def show_image_repositories(statement: Statement, cursor: Cursor, databases: Databases, store: Store) -> Result:
    chosen = show_clauses(cursor, statement.session, databases)
    named = [(tuple(full_name.split(".")), record) for full_name, record in store.image_repositories().items()]
    rows = [
        (
            moment(record["created_on"]), name, database, schema,
            f"local.registry.snowflakecomputing.com/{database}/{schema}/{name}".lower(), record["owner"], "ROLE",
            record["comment"], "SNOWFLAKE_SSE", None,
        )
        for (database, schema, name), record in chosen.select(named, lambda one: (one[0][2], *one[0][:2]))
    ]  # fmt: skip
    columns = columns_of(
        "created_on:TIMESTAMP_LTZ(9), name, database_name, schema_name, repository_url, owner, owner_role_type, "
        "comment, encryption, privatelink_repository_url"
    )
    return Result(columns, rows)


@statement("DROP IMAGE REPOSITORY")
def drop_image_repository(statement: Statement, cursor: Cursor, store: Store) -> Result:
    there = store.image_repositories()

    def remove(name: tuple[str, ...]) -> None:
        if ".".join(name) not in there:
            raise does_not_exist("Image repository", ".".join(name))
        store.drop_image_repository(".".join(name))

    return drop(cursor, statement.session.qualify, lambda name: ".".join(name) in there, remove)


@statement("SHOW IMAGES IN IMAGE REPOSITORY")
def show_images(statement: Statement, cursor: Cursor) -> Result:
    raise not_supported("SHOW IMAGES (images are neither stored nor run)")
