"""What a session's hook knows without a session. Logging in and repeating: ``test_faults.py``."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowNotFoundException
from snowflake.connector.errors import Error

from airflow_provider_snowflake_batch.hooks.session import SnowflakeSessionHook
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError, error_number, error_text
from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests.drivers import DRIVER_LINE


def connection(monkeypatch: pytest.MonkeyPatch, **changes: object) -> None:
    given = {"conn_type": "snowflake", "login": "me", "password": "open-sesame", "extra": {"account": "a"}}
    monkeypatch.setenv("AIRFLOW_CONN_SESSION", json.dumps(given | changes))


@pytest.mark.parametrize(
    ("extra", "schema", "overrides", "expected"),
    [
        ({"database": "db"}, "sc", {}, ("DB", "SC")),
        ({"database": '"Db"'}, "", {}, ("Db", None)),
        ({"database": "db"}, "sc", {"database": "other", "schema": "s2"}, ("OTHER", "S2")),
        ({}, "", {}, (None, None)),
    ],
)
def test_the_expected_namespace_is_the_connections(
    monkeypatch: pytest.MonkeyPatch,
    extra: dict[str, str],
    schema: str,
    overrides: dict[str, str],
    expected: tuple[str | None, str | None],
) -> None:
    connection(monkeypatch, extra={"account": "a"} | extra, schema=schema)
    monkeypatch.setattr(SnowflakeSessionHook, "get_conn", lambda self: pytest.fail("logs in"))
    assert SnowflakeSessionHook("session", **overrides).expected_namespace() == expected


def test_a_connection_whose_database_is_no_identifier(monkeypatch: pytest.MonkeyPatch) -> None:
    connection(monkeypatch, extra={"account": "a", "database": "my db"})
    with pytest.raises(InvalidJobError, match="database"):
        SnowflakeSessionHook("session").expected_namespace()


def test_statements_are_repeated_for_another_time_within_a_block() -> None:
    hook = SnowflakeSessionHook("session", transient_timeout=60)

    def fail_within() -> None:
        with hook.repeating_for(0):
            assert hook.transient_timeout == 0
            raise ConnectionError

    with pytest.raises(ConnectionError):
        fail_within()
    assert hook.transient_timeout == 60


def test_a_twin_asks_airflow_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    connection(monkeypatch, extra={"account": "a", "login_timeout": "7"})
    hook = SnowflakeSessionHook("session", warehouse="wh")
    twin = hook.twin()
    monkeypatch.delenv("AIRFLOW_CONN_SESSION")
    monkeypatch.setattr(SnowflakeSessionHook, "get_connection", lambda *_: pytest.fail("asks Airflow"))
    parameters = twin._get_static_conn_params
    assert (parameters["warehouse"], parameters["login_timeout"]) == ("wh", 7)
    assert twin.transient_timeout == 20


def test_a_connection_that_has_changed_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    connection(monkeypatch, password="old")
    hook = SnowflakeSessionHook("session")
    assert hook._get_static_conn_params["password"] == "old"
    connection(monkeypatch, password="new")
    assert hook._get_static_conn_params["password"] == "old"
    hook._read_connection_again()
    assert hook._get_static_conn_params["password"] == "new"
    monkeypatch.setattr(SnowflakeSessionHook, "get_connection", lambda *_: 1 / 0)
    hook._read_connection_again()
    assert hook._get_static_conn_params["password"] == "new"


def test_what_a_connection_asks_for_is_told_as_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    connection(monkeypatch, extra={"account": "a", "role": "r", "database": '"Db"'})
    hook = SnowflakeSessionHook("session", warehouse="other")
    asked = [hook.expected(name) for name in ("account", "user", "role", "database", "warehouse", "schema")]
    assert asked == ["a", "me", "r", '"Db"', "other", None]


def test_timeouts_of_the_connection_come_before_the_hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    connection(monkeypatch, extra={"account": "a", "login_timeout": "7"})
    hook = SnowflakeSessionHook("session", driver_timeouts={"login_timeout": 20, "network_timeout": 60})
    parameters = hook._get_static_conn_params
    assert (parameters["login_timeout"], parameters["network_timeout"]) == (7, 60)


def test_a_connection_that_is_not_there_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: pytest.fail("tries again"))
    for ask in (SnowflakeSessionHook.columns, SnowflakeSessionHook.rows):
        with pytest.raises(AirflowNotFoundException, match="connection no_such, .* --conn-id no_such` shows"):
            ask(SnowflakeSessionHook("no_such"), "SELECT 1")


@pytest.mark.parametrize(
    ("changes", "number", "reason"),
    [
        ({"password": "wrong-secret"}, 390100, "Incorrect username or password was specified."),
        ({"role": "NOBODY"}, 390189, "Role 'NOBODY' specified in the connect string does not exist"),
        (
            {"port": None},
            # The driver of the 5.x line counts it as a timeout.
            250001 if DRIVER_LINE < 5 else 14,
            "Could not connect to Snowflake backend" if DRIVER_LINE < 5 else "login timed out after 1s.",
        ),
    ],
)
def test_a_login_that_fails_says_which_connection_it_was(
    local_server: LocalServer, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], number: int, reason: str
) -> None:
    given = json.loads(local_server.airflow_connection_json)
    given["password"] = changes.get("password", given["password"])
    extra = given["extra"] | {"login_timeout": 1, "platform_detection_timeout_seconds": 0}
    with socket.socket() as unused:
        # Nobody listens at a port that is bound and no more.
        unused.bind(("127.0.0.1", 0))
        extra |= {"role": changes.get("role", extra["role"])}
        extra |= {"port": unused.getsockname()[1]} if "port" in changes else {}
        connection(monkeypatch, **(given | {"extra": extra}))
        with SnowflakeSessionHook("session", transient_timeout=0) as hook, pytest.raises(Error) as caught:
            hook.rows("SELECT 1")
    error = caught.value
    assert error_number(error) == number
    assert reason in str(error)
    whose = f"account local, host 127.0.0.1, port {extra['port']}, user LOCAL, role {extra['role']}"
    assert str(error).endswith(f" This is the login of the Airflow connection session ({whose}).")
    assert given["password"] not in str(error)
    # Where the connection is known already, as in a command's answer, Snowflake's own sentence is enough.
    assert "session" not in error_text(error)


def test_a_connection_is_tested(snowflake_connection: str) -> None:
    hook = SnowflakeSessionHook(snowflake_connection)
    works, told = hook.test_connection()
    assert works, told
    user, role = hook.expected("user"), hook.expected("role")
    assert user is not None
    assert f" as {user.upper()}, with role {role}, warehouse COMPUTE_WH, database LOCAL, schema PUBLIC." in told
    # Nobody else will log out.
    assert hook._connection is None


def test_what_is_wrong_with_a_connection_is_told_without_its_secrets(
    local_server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The password stands where a message shows it: in the field for the role."""
    given = json.loads(local_server.airflow_connection_json)
    given["extra"]["role"] = f'"{given["password"]}"'
    monkeypatch.setenv("AIRFLOW_CONN_SESSION", json.dumps(given))
    works, told = SnowflakeSessionHook("session").test_connection()
    assert not works
    assert "*** specified in the connect string does not exist" in told.replace("'", "").replace('"', "")
    assert given["password"].lower() not in told.lower()


def test_a_connection_that_is_not_there_fails_its_test() -> None:
    works, told = SnowflakeSessionHook("no_such").test_connection()
    assert not works
    assert told.startswith("There is no Airflow connection no_such")
