from __future__ import annotations

import pytest
from snowflake.connector import errors as driver

from airflow_provider_snowflake_batch.jobs.errors import (
    already_exists,
    does_not_exist,
    error_number,
    is_session_gone,
    is_transient,
    some,
)


@pytest.mark.parametrize(
    "error",
    [
        driver.OperationalError("connection closed", errno=250002),
        driver.DatabaseError("could not connect", errno=250001),
        driver.OperationalError("HTTP 503", errno=290503),
        driver.InterfaceError("429", errno=290429),
        # As the 4.x line raises what it has tried again in vain: 290503 and 290429 given, 580503 and 580429 shown.
        driver.ServiceUnavailableError(errno=290503),
        driver.TooManyRequests(errno=290429),
        driver.ProgrammingError("session no longer exists", errno=390111),
        driver.ProgrammingError("SQL execution was cancelled by the client due to a timeout.", errno=604),
        driver.DatabaseError("Connection reset by peer"),
        ConnectionResetError("reset"),
        TimeoutError("slow"),
    ],
)
def test_transient(error: Exception) -> None:
    assert is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        driver.ProgrammingError("does not exist", errno=2003),
        driver.ProgrammingError("syntax", errno=1003),
        driver.OperationalError("forbidden", errno=290403),
        driver.ForbiddenError(errno=290403),
        driver.ProgrammingError("SQL execution canceled", errno=604),
        driver.OperationalError("the file does not exist", errno=253006),
        driver.DatabaseError("Incorrect username or password was specified.", errno=390100),
        driver.ProgrammingError("Invalid spec: connection timeout", errno=395018),
        ValueError("connection reset"),
    ],
)
def test_permanent(error: Exception) -> None:
    assert not is_transient(error)


def test_numbers() -> None:
    assert error_number(driver.ProgrammingError("x", errno=2003)) == 2003
    assert error_number(type("E", (Exception,), {"errno": "002003"})()) == 2003
    assert error_number(ValueError()) is None
    assert error_number(OSError(2003, "of the system")) is None
    assert does_not_exist(driver.ProgrammingError("x", errno=2003))
    assert already_exists(driver.ProgrammingError("x", errno=2002))
    assert is_session_gone(driver.ProgrammingError("x", errno=390112))
    assert not is_session_gone(driver.ProgrammingError("x", errno=2003))


def test_of_many_names_the_first_are_told() -> None:
    assert some([]) == "none"
    assert some(["b", "a"]) == "a, b"
    assert some((f"n{number:02}" for number in range(15)), most=2) == "n00, n01 and 13 more"
