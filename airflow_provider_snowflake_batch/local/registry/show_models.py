"""SHOW MODELS, VERSIONS and FUNCTIONS, and what clients ask about tags, capabilities and packages.

https://docs.snowflake.com/en/sql-reference/sql/show-models, …/show-versions-in-model, …/show-functions-in-model and
https://docs.snowflake.com/en/sql-reference/info-schema/packages. What a model can be run with here is what is
installed beside the server, since jobs run in the server's environment.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.metadata import distributions

from airflow_provider_snowflake_batch.local.clauses import like, show_clauses
from airflow_provider_snowflake_batch.local.errors import not_supported
from airflow_provider_snowflake_batch.local.functions import (
    Arguments,
    information_schema_view,
    scalar_function,
    table_function,
)
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.registry.registry import ModelRegistry
from airflow_provider_snowflake_batch.local.registry.versions import as_json
from airflow_provider_snowflake_batch.local.sql.databases import Databases
from airflow_provider_snowflake_batch.local.statements import Column, Result, Statement, columns_of, moment, statement


@statement("SHOW MODELS")
def show_models(statement: Statement, cursor: Cursor, databases: Databases, registry: ModelRegistry) -> Result:
    chosen = show_clauses(cursor, statement.session, databases)
    models = chosen.select(registry.all(), lambda model: (model.name, model.database, model.schema))
    rows = [
        (
            moment(model.created_on), model.name, "USER_MODEL", model.database, model.schema, model.comment,
            model.owner, model.default_version, as_json([version.name for version in model.versions]),
            as_json({alias: version.name for version in model.versions for alias in model.aliases(version)}),
        )
        for model in models
    ]  # fmt: skip
    columns = columns_of(
        "created_on:TIMESTAMP_LTZ(9), name, model_type, database_name, schema_name, comment, owner, "
        "default_version_name, versions, aliases"
    )
    return Result(columns, rows)


@statement("SHOW VERSIONS")
def show_versions(statement: Statement, cursor: Cursor, registry: ModelRegistry) -> Result:
    pattern = cursor.string() if cursor.accept("LIKE") else None
    cursor.expect("IN", "MODEL")
    model = registry.get(statement.session, cursor.name())
    cursor.end()
    columns = columns_of(
        "created_on:TIMESTAMP_LTZ(9), name, aliases, database_name, schema_name, model_name, is_default_version, "
        "functions, metadata, user_data, comment, model_attributes, size:NUMBER, environment, runnable_in, "
        "inference_services, model_spec"
    )
    rows = []
    for record in (version for version in model.versions if like(pattern, version.name)):
        version = registry.open(model, record)
        rows.append((
            moment(record.created_on), record.name, as_json(model.aliases(record)), model.database, model.schema,
            model.name, str(record.name == model.default_version).lower(),
            as_json([function.name for function in version.functions]), as_json(record.metadata),
            as_json(version.manifest.get("user_data") or {}), record.comment, as_json(version.attributes), version.size,
            as_json({"default": version.manifest.get("runtimes") or {}}), as_json(version.runnable_in), "[]",
            version.model_spec,
        ))  # fmt: skip
    return Result(columns, rows)


@statement("SHOW FUNCTIONS IN MODEL")
def show_functions_in_model(statement: Statement, cursor: Cursor, registry: ModelRegistry) -> Result:
    return _functions(statement, registry, cursor, None)


@statement("SHOW FUNCTIONS LIKE")
def show_functions_like(statement: Statement, cursor: Cursor, registry: ModelRegistry) -> Result:
    pattern = cursor.string()
    if not cursor.accept("IN", "MODEL"):
        raise not_supported("SHOW FUNCTIONS other than IN MODEL")
    return _functions(statement, registry, cursor, pattern)


def _functions(statement: Statement, registry: ModelRegistry, cursor: Cursor, pattern: str | None) -> Result:
    """Cursor placed after IN MODEL."""
    parts = cursor.name()
    name = cursor.name()[0] if cursor.accept("VERSION") else None
    cursor.end()
    version = registry.resolve(statement.session, parts, name)
    columns = columns_of(
        "created_on:TIMESTAMP_LTZ(9), name, version_name, min_num_arguments:NUMBER, max_num_arguments:NUMBER, "
        "arguments, return_type, description, language"
    )
    rows = [
        (
            moment(version.record.created_on), function.name, version.name, len(function.arguments),
            len(function.arguments), as_json(function.arguments), function.return_type, "user-defined function",
            "PYTHON",
        )
        for function in version.functions
        if like(pattern, function.name)
    ]  # fmt: skip
    return Result(columns, rows)


@scalar_function("SYSTEM$ML_PLATFORM_CAPABILITIES")
def platform_capabilities(statement: Statement, arguments: Arguments) -> str:
    """What clients may use; everything they do not find here they take as absent."""
    return as_json({"ENABLE_MODEL_METHOD_SIGNATURE_PARAMETERS": True})


@scalar_function("SYSTEM$GET_TAG")
def get_tag(statement: Statement, arguments: Arguments, registry: ModelRegistry) -> str | None:
    """Tags of models: …/functions/system_get_tag"""
    if str(arguments.get(2, default="")).upper() != "MODULE":
        raise not_supported("SYSTEM$GET_TAG for anything but models")
    model = registry.get(statement.session, _parts(arguments.get(1)))
    return model.tags.get(".".join(statement.session.qualify(_parts(arguments.get(0)))))


@table_function("INFORMATION_SCHEMA.TAG_REFERENCES")
def tag_references(statement: Statement, arguments: Arguments, registry: ModelRegistry) -> Result:
    if str(arguments.get(1, default="")).upper() != "MODULE":
        raise not_supported("TAG_REFERENCES for anything but models")
    model = registry.get(statement.session, _parts(arguments.get(0)))
    columns = columns_of("TAG_DATABASE, TAG_SCHEMA, TAG_NAME, TAG_VALUE, LEVEL, OBJECT_NAME, DOMAIN")
    rows = [(*tag.split("."), value, "MODULE", model.name, "MODULE") for tag, value in model.tags.items()]
    return Result(columns, rows)


def _parts(name: object) -> tuple[str, ...]:
    cursor = Cursor(str(name))
    parts = cursor.name()
    cursor.end()
    return parts


@scalar_function("SYSTEM$IMPORT_MODEL")
def import_model(statement: Statement, arguments: Arguments) -> str:
    """Refused: it downloads a model from Hugging Face in a job."""
    raise not_supported(
        "SYSTEM$IMPORT_MODEL, by which log_model lets an account download a model from Hugging Face (with "
        "compute_pool_for_log=None the client downloads it itself),"
    )


@information_schema_view("PACKAGES")
def packages(statement: Statement, database: str) -> Result:
    columns = [Column(name) for name in ("PACKAGE_NAME", "VERSION", "LANGUAGE", "RUNTIME_VERSION")]
    runtime = f"{sys.version_info.major}.{sys.version_info.minor}"
    return Result(columns, [(name, version, "python", runtime) for name, version in _installed()])


@cache
def _installed() -> tuple[tuple[str, str], ...]:
    found = {
        name.lower().replace("_", "-"): distribution.version
        for distribution in distributions()
        if (name := distribution.metadata["Name"])
    }
    return tuple(sorted(found.items()))
