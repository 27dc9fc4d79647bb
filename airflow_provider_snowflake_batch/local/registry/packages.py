"""What models may need: INFORMATION_SCHEMA.PACKAGES, and models from Hugging Face.

Source: https://docs.snowflake.com/en/sql-reference/info-schema/packages

What a model can be run with here is what is installed beside the server, since jobs run in the server's environment.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.metadata import distributions

from airflow_provider_snowflake_batch.local.errors import not_supported
from airflow_provider_snowflake_batch.local.functions import Arguments, information_schema_view, scalar_function
from airflow_provider_snowflake_batch.local.statements import Column, Result, Statement


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
