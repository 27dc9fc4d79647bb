"""Statements over Snowflake's SQL API, as a program without a driver sends them."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from airflow_provider_snowflake_batch.local.server_process import LocalServer


class Api:
    """:ivar token: with which statements are sent."""

    def __init__(self, server: LocalServer) -> None:
        self.token = str(server.airflow_connection["password"])
        self._url = f"http://127.0.0.1:{server.port}/api/v2/statements"

    def ask(self, body: dict[str, Any] | None, path: str = "") -> tuple[int, dict[str, Any]]:
        """The status and the body of the answer."""
        headers = {
            "Authorization": f"Bearer {self.token}",
            "X-Snowflake-Authorization-Token-Type": "OAUTH",
            "Content-Type": "application/json",
        }
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answered:
                return answered.status, json.load(answered)
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)


@pytest.fixture
def api(local_server: LocalServer) -> Api:
    return Api(local_server)


def test_rows_come_as_text_beside_their_types(api: Api) -> None:
    statement = "SELECT 1 AS N, 'é' AS T, NULL AS NOTHING UNION ALL SELECT 2, 'b', NULL ORDER BY N"
    status, answer = api.ask({"statement": statement, "database": "LOCAL", "schema": "PUBLIC"})

    assert (status, answer["code"]) == (200, "090001")
    assert answer["data"] == [["1", "é", None], ["2", "b", None]]
    described = answer["resultSetMetaData"]
    assert [column["name"] for column in described["rowType"]] == ["N", "T", "NOTHING"]
    assert (described["numRows"], described["partitionInfo"]) == (2, [{"rowCount": 2}])
    # By its handle once more.
    assert api.ask(None, f"/{answer['statementHandle']}")[1]["data"] == answer["data"]


def test_names_are_relative_to_database_and_schema(api: Api, schema: str) -> None:
    body = {"statement": "SELECT CURRENT_DATABASE(), CURRENT_SCHEMA()", "database": "LOCAL", "schema": schema}
    assert api.ask(body)[1]["data"] == [["LOCAL", schema]]


def test_what_is_refused_says_why(api: Api) -> None:
    status, answer = api.ask({"statement": "SELECT * FROM NO_SUCH_TABLE", "database": "LOCAL", "schema": "PUBLIC"})
    assert (status, answer["code"], answer["sqlState"]) == (422, "002003", "42S02")
    assert "NO_SUCH_TABLE" in answer["message"]
    assert api.ask(None, "/no-such-handle")[0] == 404
    status, answer = api.ask({"statement": "SELECT ?", "bindings": {"1": {"type": "FIXED", "value": "1"}}})
    assert (status, "not supported by the local Snowflake" in answer["message"]) == (422, True)
    for token in ("", "guessed", "guessed.guessed"):
        api.token = token
        assert api.ask({"statement": "SELECT 1"}) == (401, {"code": "390303", "message": "Invalid OAuth access token."})
        assert api.ask(None, "/no-such-handle")[0] == 401
