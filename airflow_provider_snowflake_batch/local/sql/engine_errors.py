"""The SQL engine's errors as Snowflake's: number, SQLSTATE, text."""

from __future__ import annotations

import re

import duckdb
from sqlglot.errors import ParseError

from airflow_provider_snowflake_batch.local.errors import (
    SnowflakeError,
    already_exists,
    not_supported,
    statement_cancelled,
    syntax_error,
)
from airflow_provider_snowflake_batch.local.functions import unknown_function, unknown_table_function
from airflow_provider_snowflake_batch.local.parsing import tokenize
from airflow_provider_snowflake_batch.local.shortages import shortage
from airflow_provider_snowflake_batch.local.sql.fitting import WRONG_TYPE
from airflow_provider_snowflake_batch.local.sql.macros import DIVISION_BY_ZERO
from airflow_provider_snowflake_batch.local.sql.texts import TOO_LONG

_MISSING_TABLE = re.compile(r'(?:Table|View) with name "?(.+?)"? does not exist')
_MISSING_SCHEMA = re.compile(r'(?:Schema|Catalog) with name "?(.+?)"? does not exist|[Cc]atalog "(.+?)" does not exist')
_MISSING_FUNCTION = re.compile(r'(Scalar|Aggregate|Macro|Table) (?:Macro )?Function with name "?(.+?)"? does not exist')
_MISSING_TYPE = re.compile(r'Type with name "?(.+?)"? does not exist')
_EXISTS = re.compile(r'with name "?(.+?)"? already exists')
_COLUMN = re.compile(
    r'Referenced column "(.+?)" not found|Table "(?:.+?)" does not have a column (?:named|with name) "(.+?)"'
)
_TABLE_ALIAS = re.compile(r'Referenced table "(.+?)" not found')
_NUMBER = re.compile(r"Could not convert string '(.*?)' to '?(?:U?INT|DOUBLE|DECIMAL|FLOAT|HUGEINT)", re.DOTALL)


_TOO_WIDE = re.compile(r'Casting value "(.*?)" to type DECIMAL.* failed: value is out of range')
_SHAPE = re.compile(r"Expected Number of Columns: (\d+) Found: (\d+)|Error when sniffing file")
_WIDE = re.compile(
    r"out of range for the destination type U?INT64|Overflow in \w+ of U?INT64|to INT64 because value is out of range"
)


def snowflake_error(error: BaseException, text: str = "") -> SnowflakeError:
    """The Snowflake error for an exception raised while a statement was translated or run.

    :param text: the statement, to say where in it a name stands.
    """
    if isinstance(error, SnowflakeError):
        return error
    if isinstance(error, ParseError):
        return _parse_error(error)
    if isinstance(error.__cause__, duckdb.Error):
        error = error.__cause__
    if (lack := shortage(error)) is not None:
        return lack
    if isinstance(error, NotImplementedError):
        return not_supported(str(error) or "This statement")
    if isinstance(error, duckdb.Error):
        return _engine_error(error, text)
    errno, sqlstate, message = (getattr(error, name, None) for name in ("errno", "sqlstate", "raw_msg"))
    if isinstance(errno, int) and errno > 0:
        return SnowflakeError(str(message or error), errno=errno, sqlstate=str(sqlstate or "42000"))
    return SnowflakeError(f"Internal error of the local Snowflake: {error}", errno=603, sqlstate="XX000")


def _parse_error(error: ParseError) -> SnowflakeError:
    if error.errors:
        where = error.errors[0]
        column = max(int(where.get("col") or 1) - len(str(where.get("highlight") or "")), 0)
        return syntax_error(
            f"line {where.get('line') or 1} at position {column} unexpected '{where.get('highlight') or ''}'."
        )
    return syntax_error(str(error))


def _engine_error(error: duckdb.Error, statement: str) -> SnowflakeError:
    text = str(error)
    first_line = re.sub(r"^[A-Za-z ]+ Error: ", "", text.split("\n", maxsplit=1)[0])
    if isinstance(error, duckdb.InterruptException):
        return statement_cancelled()
    if match := re.search(rf"String '.*' {TOO_LONG}", text, re.DOTALL):
        return SnowflakeError(match[0], errno=100078, sqlstate="22000")
    if match := re.search(r"Timestamp '.*' is not recognized as seconds since 1970", text):
        hint = "A Parquet file's timestamps are such numbers without USE_LOGICAL_TYPE = TRUE."
        return SnowflakeError(f"{match[0]}. {hint}", errno=100035, sqlstate="22007")
    if "blob contained invalid UTF8" in text or "is not valid UTF8" in text:
        return SnowflakeError(f"Invalid UTF8 detected in string: {first_line}", errno=100144, sqlstate="22000")
    if match := re.search(rf"{WRONG_TYPE}.*", text):
        return SnowflakeError(f"SQL compilation error:\n{match[0]}", errno=2023, sqlstate="22000")
    if "Invalid input for hex digit" in text:
        return SnowflakeError("The following string is not a legal hex-encoded value.", errno=100115, sqlstate="22000")
    if match := _EXISTS.search(text):
        return already_exists(match[1])
    if isinstance(error, (duckdb.CatalogException, duckdb.BinderException)):
        if "cannot be volatile" in text:
            return not_supported("RANDOM in the ORDER BY of a window (a subquery may give it a name first)")
        if match := _MISSING_FUNCTION.search(text):
            return (unknown_table_function if match[1] == "Table" else unknown_function)(match[2].upper())
        if match := _MISSING_TYPE.search(text):
            return not_supported(f"The type {match[1].upper()}")
        if match := _MISSING_TABLE.search(text):
            return _does_not_exist("Object", match[1], "42S02")
        if match := _MISSING_SCHEMA.search(text):
            return _does_not_exist("Schema", match[1] or match[2], "02000")
        if match := _COLUMN.search(text) or _TABLE_ALIAS.search(text):
            name = next(group for group in match.groups() if group)
            return SnowflakeError(
                f"SQL compilation error: error {_place(statement, name)}\ninvalid identifier '{name}'",
                errno=904,
                sqlstate="42000",
            )
        if match := re.search(r"No function matches .* '(?:hex|decode)\((\w+)", text):
            return not_supported(f"A value of the type {match[1]} as BINARY")
        if "No function matches" in text and "JSON" in first_line:
            first_line += "\nA VARIANT without a cast, as in v:n::NUMBER, is not supported by the local Snowflake here."
        return SnowflakeError(f"SQL compilation error:\n{first_line}", errno=1003, sqlstate="42000")
    if isinstance(error, duckdb.ParserException):
        # What Snowflake's grammar let through and the engine's did not.
        words = "If an account takes it: it is not supported by the local Snowflake."
        return SnowflakeError(f"SQL compilation error:\n{first_line}\n{words}", errno=1003, sqlstate="42000")
    if isinstance(error, duckdb.ConversionException):
        if _WIDE.search(text):
            return not_supported("A whole number beyond 64 bits")
        if match := _NUMBER.search(text):
            if re.fullmatch(r"[+-]?\d{19,}", match[1].strip()):
                return not_supported(f"The whole number {match[1].strip()}, which has more than 64 bits,")
            return SnowflakeError(f"Numeric value '{match[1]}' is not recognized", errno=100038, sqlstate="22018")
        if match := _TOO_WIDE.search(text):
            return SnowflakeError(f"Numeric value '{match[1]}' is out of range", errno=100039, sqlstate="22003")
        return SnowflakeError(first_line, errno=100035, sqlstate="22007")
    if isinstance(error, duckdb.ConstraintException):
        if "NOT NULL" in text:
            return SnowflakeError("NULL result in a non-nullable column", errno=100072, sqlstate="22000")
        return SnowflakeError(first_line, errno=100000, sqlstate="22000")
    if "cannot affect the same target row" in text:
        return SnowflakeError("Duplicate row detected during DML action", errno=100090, sqlstate="42P18")
    if DIVISION_BY_ZERO in text:
        return SnowflakeError(DIVISION_BY_ZERO, errno=100051, sqlstate="22012")
    if match := _SHAPE.search(text):
        found = f" ({match[2]}) does not match that of the first row ({match[1]})" if match[1] else " differs by row"
        return SnowflakeError(
            f"Number of columns in file{found}, use file format option error_on_column_count_mismatch=false to ignore "
            "this error",
            errno=100080,
            sqlstate="22000",
        )
    if isinstance(error, duckdb.OutOfRangeException) and _WIDE.search(text):
        return not_supported("A whole number beyond 64 bits")
    if isinstance(error, duckdb.OutOfRangeException):
        return SnowflakeError(first_line, errno=100046, sqlstate="22003")
    if isinstance(error, duckdb.PermissionException):
        return not_supported("Reading or writing files in SQL")
    if isinstance(error, duckdb.NotImplementedException):
        return not_supported(first_line)
    if isinstance(error, duckdb.TransactionException) and "aborted" in text:
        return not_supported("A statement after a failed one in the same transaction")
    if isinstance(error, duckdb.TransactionException):
        return SnowflakeError(first_line, errno=625, sqlstate="57014")
    if isinstance(error, (duckdb.InvalidInputException, duckdb.SyntaxException, duckdb.SequenceException)):
        return SnowflakeError(first_line, errno=100183, sqlstate="22023")
    if isinstance(error, duckdb.InternalException):
        return not_supported(f"What the statement asks of the engine ({first_line})")
    return SnowflakeError(first_line, errno=603, sqlstate="XX000")


def _does_not_exist(kind: str, name: str, sqlstate: str) -> SnowflakeError:
    return SnowflakeError(
        f"SQL compilation error:\n{kind} '{name}' does not exist or not authorized.", errno=2003, sqlstate=sqlstate
    )


def _place(statement: str, name: str) -> str:
    """Line and position of the first mention of a name, as Snowflake counts them: from 1 and from 0."""
    token = next((token for token in tokenize(statement) if token.value == name), None)
    start = token.start if token is not None else 0
    return f"line {statement.count(chr(10), 0, start) + 1} at position {start - statement.rfind(chr(10), 0, start) - 1}"
