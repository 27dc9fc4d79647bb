"""The SQL engine's errors as Snowflake's: number, SQLSTATE, text."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import NamedTuple

import duckdb
from sqlglot.errors import ParseError, SqlglotError, TokenError

from airflow_provider_snowflake_batch.local.errors import (
    SnowflakeError,
    already_exists,
    compilation_error,
    does_not_exist,
    invalid_identifier,
    nanoseconds,
    not_supported,
    statement_cancelled,
    syntax_error,
)
from airflow_provider_snowflake_batch.local.functions import unknown_function, unknown_table_function
from airflow_provider_snowflake_batch.local.parsing import tokenize
from airflow_provider_snowflake_batch.local.shortages import shortage
from airflow_provider_snowflake_batch.local.snowflake_names import refuse_clauses, refused_beginning
from airflow_provider_snowflake_batch.local.sql.column_values import WRONG_TYPE
from airflow_provider_snowflake_batch.local.sql.macros import (
    BOUNDS_DOWN,
    DIVISION_BY_ZERO,
    INEXACT,
    LENIENT,
    NO_NUMBER,
    NO_OBJECT,
    NO_WORDS,
    REPEATED,
    SORTS_ANY,
    TAKES_NO_TEXT,
    TOO_FINE,
    TOO_LONG,
    UNDEFINED,
    WITHOUT_CAST,
)
from airflow_provider_snowflake_batch.local.sql.math_functions import OUT_OF_DOMAIN

log = logging.getLogger(__name__)

_OF_ARGUMENTS = (
    ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError, SqlglotError, TypeError, ValueError,
)  # fmt: skip


class _Failure(NamedTuple):
    """What the engine says of a statement.

    :param words: what a rule's pattern has found in it.
    :param line: its first line, without the error's kind.
    """

    words: re.Match[str]
    line: str
    statement: str


_Answer = Callable[[_Failure], SnowflakeError]


def _says(message: str, errno: int, sqlstate: str) -> _Answer:
    """An error with this text, in which ``{0}`` is what the pattern has found, ``{1}`` its first group, ``{line}`` …"""

    def answer(failure: _Failure) -> SnowflakeError:
        found = message.format(failure.words[0], *failure.words.groups(), line=failure.line)
        return SnowflakeError(found, errno=errno, sqlstate=sqlstate)

    return answer


def _lacks(what: str) -> _Answer:
    """ "Not supported", with the same fields in the text."""
    return lambda failure: not_supported(what.format(failure.words[0], *failure.words.groups(), line=failure.line))


def _missing_function(failure: _Failure) -> SnowflakeError:
    unknown = unknown_table_function if failure.words[1] == "Table" else unknown_function
    return unknown(failure.words[2].upper())


def _missing_schema(failure: _Failure) -> SnowflakeError:
    return does_not_exist("Schema", failure.words[1] or failure.words[2])


def _invalid_identifier(failure: _Failure) -> SnowflakeError:
    name = next(group for group in failure.words.groups() if group)
    numbered = re.fullmatch(r"COLUMN(\d+)", name)
    if numbered is not None and f"${numbered[1]}" in failure.statement:
        return not_supported(f"${numbered[1]} of anything but VALUES and staged files (a column's name does the same)")
    where = _place(failure.statement, name)
    return invalid_identifier(name, f" error {where}")


def _no_such_call(failure: _Failure) -> SnowflakeError:
    if "JSON" in failure.line:
        hint = "A VARIANT without a cast, as in v:n::NUMBER, is not supported by the local Snowflake here."
    else:
        hint = f"{_NOT_TAKEN} A cast says which type is meant."
    return compilation_error(f"{failure.line}\n{hint}")


def _duplicate_column(failure: _Failure) -> SnowflakeError:
    if failure.statement.lstrip().upper().startswith("ALTER"):
        words, errno, sqlstate = f"column '{failure.words[1]}' already exists", 1430, "42601"
    else:
        words, errno, sqlstate = f"duplicate column name '{failure.words[1]}'", 2025, "42S21"
    return SnowflakeError(f"SQL compilation error:\n{words}", errno=errno, sqlstate=sqlstate)


def _not_a_number(failure: _Failure) -> SnowflakeError:
    given = failure.words[1].removesuffix(NO_NUMBER)
    if re.fullmatch(r"[+-]?\d{19,}", given.strip()):
        return not_supported(f"The whole number {given.strip()}, which has more than 64 bits,")
    return SnowflakeError(f"Numeric value '{given}' is not recognized", errno=100038, sqlstate="22018")


def _not_recognized(kind: str, failure: _Failure, errno: int) -> SnowflakeError:
    given = next(group for group in failure.words.groups() if group is not None)
    return SnowflakeError(f"{kind} '{given}' is not recognized", errno=errno, sqlstate="22007")


def other_width(found: str, wanted: str) -> SnowflakeError:
    """The error for a line, or a file, that has more fields than the table has columns, or fewer."""
    words = f"Number of columns in file ({found}) does not match that of the corresponding table ({wanted})"
    return SnowflakeError(
        f"{words}, use file format option error_on_column_count_mismatch=false to ignore this error",
        errno=100080,
        sqlstate="22000",
    )


_WIDE = (
    r"out of range for the destination type U?INT64|Overflow in \w+ of U?INT64|to INT64 because value is out of range"
    r"|Failed to cast decimal value \S+ to type U?INT64"
)
WIDTHS = r"Expected Number of Columns: (\d+) Found: (\d+)"
_NAMES = (duckdb.CatalogException, duckdb.BinderException)
# What the engine's reader of regular expressions says of a bad one.
_BAD_EXPRESSION = (
    r"(no argument for repetition operator|missing [)\]]|unexpected \)|bad repetition operator|trailing \\"
    r"|invalid (escape|character class|perl operator|repetition size|named capture))"
)
_VALUES = duckdb.ConversionException
_NOT_READ = "A Parquet file's timestamps are such numbers without USE_LOGICAL_TYPE = TRUE."
_NOT_TAKEN = "If an account takes it: it is not supported by the local Snowflake."
_Class = type[duckdb.Error] | tuple[type[duckdb.Error], ...]
_ANY = duckdb.Error

# The first rule whose class and pattern fit answers, so what is special stands before what is general.
_RULES: tuple[tuple[_Class, str, _Answer], ...] = (
    (duckdb.InterruptException, "", lambda failure: statement_cancelled()),
    (_ANY, rf"String '(?s:.*)' {TOO_LONG}", _says("{0}", 100078, "22000")),
    (_ANY, "Timestamp '.*' is not recognized as seconds since 1970", _says(f"{{0}}. {_NOT_READ}", 100035, "22007")),
    (
        _ANY,
        "blob contained invalid UTF8|is not valid UTF8|Invalid unicode",
        _says("Invalid UTF8 detected in string: {line}", 100144, "22000"),
    ),
    (_ANY, f"{NO_OBJECT} (?s:.*) to OBJECT", _says("{0}", 100071, "22000")),
    (_ANY, "Duplicate field key '.*'", _says("{0}", 100199, "22000")),
    (_ANY, f"{OUT_OF_DOMAIN}.*", _says("{0}", 100046, "22003")),
    (_ANY, f"The time (.*?) {TOO_FINE}", lambda failure: nanoseconds(failure.words[1])),
    (
        _ANY,
        "Values were not provided for the following (?:prepared statement )?parameters: ([^\\n,]+)",
        _says("SQL compilation error:\nBind variable :{1} not set.", 2049, "42601"),
    ),
    (
        duckdb.InvalidInputException,
        rf"{_BAD_EXPRESSION}.*",
        _says("Invalid regular expression: {line}", 100048, "2201B"),
    ),
    (
        _ANY,
        'Could not parse string "(.*?)" according to format',
        _says("Can't parse '{1}' with the format that is given", 100096, "22007"),
    ),
    (_ANY, "Insufficient padding in", _lacks("An empty text to pad with")),
    (_ANY, "Argument for ntile must be", _says("NTILE argument must be at least 1", 100183, "22023")),
    (_ANY, re.escape(SORTS_ANY), _lacks(SORTS_ANY)),
    (_ANY, re.escape(UNDEFINED), _lacks(UNDEFINED)),
    (_ANY, BOUNDS_DOWN, _lacks(BOUNDS_DOWN)),
    (_ANY, re.escape(NO_WORDS), _lacks(NO_WORDS)),
    (_ANY, rf"(?:A )?\w+ of (a VARIANT|text) {WITHOUT_CAST}", _lacks("{0}")),
    (_ANY, "Malformed JSON at byte.*", _says("Error parsing JSON: {0}", 100069, "22P02")),
    (_ANY, f"{WRONG_TYPE}.*", _says("SQL compilation error:\n{0}", 2023, "22000")),
    (
        _ANY,
        "Invalid input for hex digit",
        _says("The following string is not a legal hex-encoded value.", 100115, "22000"),
    ),
    (_ANY, 'Column with name "?(.+?)"? already exists', _duplicate_column),
    (_ANY, 'with name "?(.+?)"? already exists', lambda failure: already_exists(failure.words[1])),
    # Names and calls
    (_NAMES, "cannot be volatile", _lacks("RANDOM in the ORDER BY of a window (a subquery may give it a name first)")),
    (
        _NAMES,
        '(Scalar|Aggregate|Macro|Table) (?:Macro )?Function with name "?(.+?)"? does not exist',
        _missing_function,
    ),
    (
        _NAMES,
        'Function with name "(.+?)" is not in the catalog, but it exists',
        lambda failure: not_supported(f"The function {failure.words[1].upper()}"),
    ),
    (
        _NAMES,
        'Type with name "?(.+?)"? does not exist',
        lambda failure: not_supported(f"The type {failure.words[1].upper()}"),
    ),
    (
        _NAMES,
        '(?:Table|View|Sequence) with name "?(.+?)"? does not exist',
        _says("SQL compilation error:\nObject '{1}' does not exist or not authorized.", 2003, "42S02"),
    ),
    (
        _NAMES,
        '(?:Schema|Catalog) with name "?(.+?)"? does not exist|[Cc]atalog "(.+?)" does not exist',
        _missing_schema,
    ),
    (
        _NAMES,
        '(?:Table|Values list) "(?:.+?)" does not have a column (?:named|with name) "(.+?)"',
        _invalid_identifier,
    ),
    (_NAMES, 'Referenced column "(.+?)" (?:was )?not found', _invalid_identifier),
    (_NAMES, 'Referenced update column "?(.+?)"? not found', _invalid_identifier),
    (
        _NAMES,
        "Set operations can only apply to expressions with the same number of result columns",
        _says(
            "SQL compilation error:\ninvalid number of result columns for set operator input branches", 1789, "42601"
        ),
    ),
    (_NAMES, 'Referenced table "(.+?)" not found', _invalid_identifier),
    (_NAMES, r"No function matches .* '(?:hex|decode)\((\w+)", _lacks("A value of the type {1} as BINARY")),
    (_NAMES, "No function matches|Could not choose a best candidate function", _no_such_call),
    (_NAMES, "Collation with name", _lacks("COLLATE")),
    (
        _NAMES,
        r"(?:has|expected) (\d+) columns but (\d+) values were supplied",
        _says(
            "SQL compilation error:\nInsert value list does not match column list expecting {1} but got {2}",
            2057,
            "42601",
        ),
    ),
    (
        _NAMES,
        'Ambiguous reference to column name "(.+?)"',
        _says("SQL compilation error:\nambiguous column name '{1}'", 1052, "42601"),
    ),
    (
        _NAMES,
        'column "(.+?)" must appear in the GROUP BY clause',
        _says("SQL compilation error:\n[{1}] is not a valid group by expression", 979, "42601"),
    ),
    (
        _ANY,
        'Cannot (drop|alter) entry "(.+?)" because',
        _lacks("To {1} {2}, on which others depend (DROP or ALTER these first),"),
    ),
    (_NAMES, "", _says(f"SQL compilation error:\n{{line}}\n{_NOT_TAKEN}", 1003, "42000")),
    # What Snowflake's grammar let through and the engine's did not.
    (duckdb.ParserException, "syntax error at or near", _lacks("What the statement asks of the engine ({line})")),
    (duckdb.ParserException, "", _says(f"SQL compilation error:\n{{line}}\n{_NOT_TAKEN}", 1003, "42000")),
    # Values
    (
        _VALUES,
        TAKES_NO_TEXT,
        _says(f"SQL compilation error:\nInvalid argument types: {TAKES_NO_TEXT} (PARSE_JSON reads one)", 1044, "42P13"),
    ),
    (_VALUES, _WIDE, _lacks("A whole number beyond 64 bits")),
    (_VALUES, f"{LENIENT}|{INEXACT}", _lacks("{0}")),
    (_VALUES, f"{REPEATED} (?s:.*?)(?=' to )", _says("Error parsing JSON: {0}", 100069, "22P02")),
    (_VALUES, r"Could not convert string '((?s:.*?))' to '?(?:U?INT|DOUBLE|DECIMAL|FLOAT|HUGEINT)", _not_a_number),
    (
        _VALUES,
        r"Could not convert string '((?s:.*?))' to BOOL",
        _says("Boolean value '{1}' is not recognized", 100037, "22018"),
    ),
    (
        _VALUES,
        "Failed to cast value to numerical: ((?s:.*))",
        _says("Failed to cast variant value {1} to FIXED", 100071, "22000"),
    ),
    (
        _VALUES,
        'Casting value "(.*?)" to type DECIMAL.* failed: value is out of range',
        _says("Numeric value '{1}' is out of range", 100039, "22003"),
    ),
    (
        _VALUES,
        r"date field value out of range: \"(.*?)\"|invalid date field format: \"(.*?)\"",
        lambda failure: _not_recognized("Date", failure, 100040),
    ),
    (_VALUES, r'time field value out of range: "(.*?)"', lambda failure: _not_recognized("Time", failure, 100108)),
    (
        _VALUES,
        r'invalid timestamp field format: "(.*?)"',
        lambda failure: _not_recognized("Timestamp", failure, 100035),
    ),
    (_VALUES, r'Could not convert string "((?s:.*?))" to DECIMAL', _not_a_number),
    (_VALUES, r"Could not cast value (.*?) to DECIMAL", _says("Numeric value '{1}' is out of range", 100039, "22003")),
    (_VALUES, "^[^:]*: (Date|Time) out of range: ", _lacks("A part of a timestamp beyond its range ({line})")),
    (_VALUES, "", _says("{line}", 100035, "22007")),
    (duckdb.ConstraintException, "NOT NULL", _says("NULL result in a non-nullable column", 100072, "22000")),
    (duckdb.ConstraintException, "", _says("{line}", 100000, "22000")),
    (_ANY, "cannot affect the same target row", _says("Duplicate row detected during DML action", 100090, "42P18")),
    (_ANY, re.escape(DIVISION_BY_ZERO), _says(DIVISION_BY_ZERO, 100051, "22012")),
    (_ANY, WIDTHS, lambda failure: other_width(failure.words[2], failure.words[1])),
    (
        duckdb.OutOfRangeException,
        r"Overflow in \w+ of DECIMAL",
        _lacks("A result of so many digits (a factor cast to NUMBER(38, s) gives them room; {line})"),
    ),
    (duckdb.OutOfRangeException, _WIDE, _lacks("A whole number beyond 64 bits")),
    (
        duckdb.OutOfRangeException,
        r"Overflow in \w+ of U?INT\d+",
        _lacks("A result beyond the bits of these literals (a cast to NUMBER gives them room; {line})"),
    ),
    (duckdb.OutOfRangeException, "", _says("{line}", 100046, "22003")),
    (
        _ANY,
        "More than one row returned by a subquery",
        _says("Single-row subquery returns more than one row.", 90150, "22000"),
    ),
    # The rest, by its class
    (duckdb.PermissionException, "", _lacks("Reading or writing files in SQL")),
    (duckdb.NotImplementedException, "", _lacks("{line}")),
    (duckdb.TransactionException, "aborted", _lacks("A statement after a failed one in the same transaction")),
    (duckdb.TransactionException, "", _says("{line}", 625, "57014")),
    (
        (duckdb.InvalidInputException, duckdb.SyntaxException, duckdb.SequenceException),
        "",
        _says("{line}", 100183, "22023"),
    ),
    (duckdb.InternalException, "", _lacks("What the statement asks of the engine ({line})")),
    (_ANY, "", _says("{line}", 603, "XX000")),
)


def _told(error: duckdb.Error, statement: str) -> SnowflakeError:
    """The engine's own error as Snowflake's."""
    text = str(error)
    line = re.sub(r"^[A-Za-z ]+ Error: ", "", text.split("\n", maxsplit=1)[0])
    for kind, pattern, answer in _RULES:
        if isinstance(error, kind) and (words := re.search(pattern, text)) is not None:
            return answer(_Failure(words, line, statement))
    raise AssertionError("the last rule fits every error")


def snowflake_error(error: BaseException, text: str = "") -> SnowflakeError:
    """The Snowflake error for an exception raised while a statement was translated or run.

    :param text: the statement, to say where in it a name stands.
    """
    if isinstance(error, SnowflakeError):
        return error
    if isinstance(error, TokenError):
        return syntax_error(str(error).split("\n", maxsplit=1)[0])
    if isinstance(error, ParseError):
        try:
            refuse_clauses(text)
        except SnowflakeError as refusal:
            return refusal
        return refused_beginning(text) or _parse_error(error)
    if isinstance(error.__cause__, duckdb.Error):
        error = error.__cause__
    if (lack := shortage(error)) is not None:
        return lack
    if isinstance(error, NotImplementedError):
        return not_supported(str(error) or "This statement")
    if isinstance(error, duckdb.Error):
        return _told(error, text)
    errno, sqlstate, message = (getattr(error, name, None) for name in ("errno", "sqlstate", "raw_msg"))
    if isinstance(errno, int) and errno > 0:
        return SnowflakeError(str(message or error), errno=errno, sqlstate=str(sqlstate or "42000"))
    if text and isinstance(error, _OF_ARGUMENTS):
        # The code of sqlglot, fakesnow or this server expects other arguments, or more, than the statement has.
        log.warning("%s failed with %r", text, error, exc_info=error)
        return not_supported(f"What the statement says ({str(error) or type(error).__name__})")
    return SnowflakeError(f"Internal error of the local Snowflake: {error}", errno=603, sqlstate="XX000")


def _parse_error(error: ParseError) -> SnowflakeError:
    if error.errors:
        where = error.errors[0]
        found = str(where.get("highlight") or "")
        if found.upper() in ("PIVOT", "UNPIVOT"):
            return not_supported(f"{found.upper()} of anything but a table or a query in parentheses")
        column = max(int(where.get("col") or 1) - len(found), 0)
        return syntax_error(f"line {where.get('line') or 1} at position {column} unexpected '{found}'.")
    return syntax_error(str(error))


def _place(statement: str, name: str) -> str:
    """Line and position of the first mention of a name, as Snowflake counts them: from 1 and from 0."""
    token = next((token for token in tokenize(statement) if token.value == name), None)
    start = token.start if token is not None else 0
    return f"line {statement.count(chr(10), 0, start) + 1} at position {start - statement.rfind(chr(10), 0, start) - 1}"
