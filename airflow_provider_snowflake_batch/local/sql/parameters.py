"""Session parameters: what is known of them, and which values this server can follow.

Source: https://docs.snowflake.com/en/sql-reference/parameters
"""

from __future__ import annotations

import re
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from airflow_provider_snowflake_batch.local.errors import SnowflakeError, not_supported

TIMEZONE = "America/Los_Angeles"
"""The time zone of a session that sets none."""

PARAMETERS: dict[str, tuple[Any, str]] = {
    "ABORT_DETACHED_QUERY": (False, "abort queries of a lost session"),
    "AUTOCOMMIT": (True, "whether a DML statement is its own transaction"),
    "BINARY_INPUT_FORMAT": ("HEX", "input format of BINARY"),
    "BINARY_OUTPUT_FORMAT": ("HEX", "display format of BINARY"),
    "CLIENT_SESSION_KEEP_ALIVE": (False, "keep the session without requests"),
    "DATE_INPUT_FORMAT": ("AUTO", "input format of DATE"),
    "DATE_OUTPUT_FORMAT": ("YYYY-MM-DD", "display format of DATE"),
    "DEFAULT_DDL_COLLATION": ("", "the collation of new columns"),
    "ERROR_ON_NONDETERMINISTIC_MERGE": (True, "refuse a MERGE in which several rows match one"),
    "ERROR_ON_NONDETERMINISTIC_UPDATE": (False, "refuse an UPDATE in which several rows match one"),
    "EVENT_TABLE": ("", "the account's event table"),
    "MULTI_STATEMENT_COUNT": (1, "statements in one request; 0 for any number"),
    "PREVENT_UNLOAD_TO_INTERNAL_STAGES": (False, "whether queries may not be written to internal stages"),
    "PYTHON_CONNECTOR_QUERY_RESULT_FORMAT": ("ARROW", "ARROW or JSON"),
    "QUERY_TAG": ("", "a tag for the session's statements"),
    "QUOTED_IDENTIFIERS_IGNORE_CASE": (False, "whether quoted names are stored in upper case"),
    "ROWS_PER_RESULTSET": (0, "most rows a query returns; 0 for all"),
    "STATEMENT_TIMEOUT_IN_SECONDS": (172800, "seconds after which a statement is cancelled"),
    "TIME_INPUT_FORMAT": ("AUTO", "input format of TIME"),
    "TIME_OUTPUT_FORMAT": ("HH24:MI:SS", "display format of TIME"),
    "TIMESTAMP_INPUT_FORMAT": ("AUTO", "input format of timestamps"),
    "TIMESTAMP_DAY_IS_ALWAYS_24H": (False, "whether a day has 24 hours where the clocks change"),
    "TIMESTAMP_LTZ_OUTPUT_FORMAT": ("", "display format of TIMESTAMP_LTZ"),
    "TIMESTAMP_NTZ_OUTPUT_FORMAT": ("YYYY-MM-DD HH24:MI:SS.FF3", "display format of TIMESTAMP_NTZ"),
    "TIMESTAMP_TZ_OUTPUT_FORMAT": ("", "display format of TIMESTAMP_TZ"),
    "TIMESTAMP_OUTPUT_FORMAT": ("", "display format of timestamps"),
    "TIMESTAMP_TYPE_MAPPING": ("TIMESTAMP_NTZ", "what TIMESTAMP means"),
    "TIMEZONE": (TIMEZONE, "the session's time zone"),
    "TRANSACTION_ABORT_ON_ERROR": (False, "whether an error ends the transaction"),
    "TWO_DIGIT_CENTURY_START": (1970, "the first year of two digits"),
    "USE_CACHED_RESULT": (True, "reuse results of the same query"),
    "WEEK_OF_YEAR_POLICY": (0, "which week is the first of a year"),
    "WEEK_START": (0, "the first day of the week"),
}
"""Default and description by name."""

# They would change what statements mean or return, and this server follows only their default.
_FIXED = {
    "BINARY_INPUT_FORMAT",
    "BINARY_OUTPUT_FORMAT",
    "DATE_INPUT_FORMAT",
    "DATE_OUTPUT_FORMAT",
    "DEFAULT_DDL_COLLATION",
    "ERROR_ON_NONDETERMINISTIC_MERGE",
    "ERROR_ON_NONDETERMINISTIC_UPDATE",
    "PREVENT_UNLOAD_TO_INTERNAL_STAGES",
    "QUOTED_IDENTIFIERS_IGNORE_CASE",
    "ROWS_PER_RESULTSET",
    "TIME_INPUT_FORMAT",
    "TIME_OUTPUT_FORMAT",
    "TIMESTAMP_DAY_IS_ALWAYS_24H",
    "TIMESTAMP_INPUT_FORMAT",
    "TIMESTAMP_LTZ_OUTPUT_FORMAT",
    "TIMESTAMP_NTZ_OUTPUT_FORMAT",
    "TIMESTAMP_OUTPUT_FORMAT",
    "TIMESTAMP_TYPE_MAPPING",
    "TIMESTAMP_TZ_OUTPUT_FORMAT",
    "TRANSACTION_ABORT_ON_ERROR",
    "TWO_DIGIT_CENTURY_START",
    "WEEK_OF_YEAR_POLICY",
    "WEEK_START",
}


# Parameters of the clients, of costs and of logging: they change no result here.
WITHOUT_EFFECT = (
    "CLIENT_", "JDBC_", "ODBC_", "PYTHON_", "SNOWPARK_", "C_API_", "GO_", "NODE_", "JS_", "UI_",
    "ENABLE_UNLOAD_PHYSICAL_TYPE_OPTIMIZATION", "ENABLE_UNREDACTED_QUERY_SYNTAX_ERROR",
    "LOCK_TIMEOUT", "LOG_LEVEL", "METRIC_LEVEL",
    "STATEMENT_QUEUED_TIMEOUT_IN_SECONDS",
    "TRACE_LEVEL", "UNSUPPORTED_DDL_ACTION",
)  # fmt: skip
"""Beginnings of the names of further parameters that ALTER SESSION takes."""


def check_known(name: str) -> None:
    """:raises SnowflakeError: "not supported" for a parameter of which this server knows nothing."""
    if name not in PARAMETERS and not name.startswith(WITHOUT_EFFECT):
        raise not_supported(f"The session parameter {name}")


def check_parameter(name: str, value: Any) -> None:
    """:raises SnowflakeError: for a value that this server cannot follow."""
    if name in _FIXED and _text(value) != _text(PARAMETERS[name][0]):
        raise not_supported(f"{name} = {value}")
    default = PARAMETERS.get(name, (None, ""))[0]
    fits = True
    if isinstance(default, bool):
        fits = str(value).upper() in ("TRUE", "FALSE")
    elif isinstance(default, int):
        fits = re.fullmatch(r"\d{1,9}", str(value)) is not None
    if name == "TIMEZONE":
        try:
            ZoneInfo(str(value))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            fits = False
    if not fits:
        raise SnowflakeError(f"invalid value [{value}] for parameter '{name}'", errno=1008, sqlstate="22023")


def parameter_value(name: str, value: Any) -> Any:
    """A value of a login request, in the parameter's own type: some drivers send each as text.

    :raises SnowflakeError: for a value that this server cannot follow.
    """
    check_parameter(name, value)
    default = PARAMETERS.get(name, (None, ""))[0]
    if isinstance(value, str) and isinstance(default, bool) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if isinstance(value, str) and isinstance(default, int) and not isinstance(default, bool) and value.isdecimal():
        return int(value)
    return value


def _text(value: Any) -> str:
    return str(value).upper()
