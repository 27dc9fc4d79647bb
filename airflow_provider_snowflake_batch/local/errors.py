"""Errors in Snowflake's shape: number, SQLSTATE and text, as clients expect them."""

from __future__ import annotations

import re


class SnowflakeError(Exception):
    """A statement's failure as a Snowflake client reports it.

    :param message: the text after ``NNNNNN (SQLSTATE):``.
    :param errno: Snowflake's vendor code, for example 2003.
    :param sqlstate: five characters.
    """

    def __init__(self, message: str, *, errno: int, sqlstate: str) -> None:
        super().__init__(message)
        self.message = message
        self.errno = errno
        self.sqlstate = sqlstate


def compilation_error(message: str) -> SnowflakeError:
    return SnowflakeError(f"SQL compilation error:\n{message}", errno=1003, sqlstate="42000")


def syntax_error(message: str) -> SnowflakeError:
    return SnowflakeError(f"SQL compilation error:\nsyntax error {message}", errno=1003, sqlstate="42000")


def statement_cancelled() -> SnowflakeError:
    return SnowflakeError("SQL execution canceled", errno=604, sqlstate="57014")


def statement_timed_out(seconds: int) -> SnowflakeError:
    return SnowflakeError(
        f"Statement reached its statement or warehouse timeout of {seconds} second(s) and was canceled.",
        errno=630,
        sqlstate="57014",
    )


def does_not_exist(kind: str, name: str) -> SnowflakeError:
    return SnowflakeError(
        f"SQL compilation error:\n{kind} '{name}' does not exist or not authorized.", errno=2003, sqlstate="02000"
    )


def cannot_be_performed() -> SnowflakeError:
    """What Snowflake says of a name in USE, ALTER and SHOW … IN that is not there."""
    return SnowflakeError(
        "SQL compilation error:\nObject does not exist, or operation cannot be performed.", errno=2043, sqlstate="02000"
    )


def already_exists(name: str) -> SnowflakeError:
    return SnowflakeError(f"SQL compilation error:\nObject '{name}' already exists.", errno=2002, sqlstate="42710")


def invalid_specification(message: str) -> SnowflakeError:
    return SnowflakeError(f"Invalid spec: {message}", errno=395018, sqlstate="22023")


def not_supported(what: str) -> SnowflakeError:
    """What a real account has and this server lacks: refused, never ignored."""
    return SnowflakeError(f"{what} is not supported by the local Snowflake.", errno=2, sqlstate="0A000")


def nanoseconds(text: str) -> SnowflakeError:
    """A time with more digits of a second than are kept here: it is refused, not cut."""
    return not_supported(f"The time '{text}' with nanoseconds (six digits of a second are kept: cut the others)")


def ambiguous_column(name: str) -> SnowflakeError:
    """A column of which there are several."""
    return SnowflakeError(f"SQL compilation error:\nambiguous column name '{name}'", errno=1052, sqlstate="42601")


def invalid_identifier(name: str, where: str = "") -> SnowflakeError:
    """A column that is not there."""
    # What is not as Snowflake stores an unquoted name must have been quoted.
    written = name if re.fullmatch("[A-Z_][A-Z0-9_$]*", name) else f'"{name}"'
    return SnowflakeError(f"SQL compilation error:{where}\ninvalid identifier '{written}'", errno=904, sqlstate="42000")
