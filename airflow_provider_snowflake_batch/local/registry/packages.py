"""INFORMATION_SCHEMA.PACKAGES: https://docs.snowflake.com/en/sql-reference/info-schema/packages

What a model can be run with here is what is installed beside the server, since jobs run in the server's environment.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.metadata import distributions

from airflow_provider_snowflake_batch.local.functions import information_schema_view
from airflow_provider_snowflake_batch.local.statements import Column, Result, Statement


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
