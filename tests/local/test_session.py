"""Login, sessions and the request cycle, through the real driver.

Also tests ``local/protocol/chunks.py``, ``local/protocol/queries.py``, ``local/protocol/query_functions.py``,
``local/protocol/results.py``, ``local/server_process.py``, ``local/sessions.py``.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import snowflake.connector
from snowflake.connector import SnowflakeConnection
from snowflake.connector.constants import QueryStatus
from snowflake.connector.errors import DatabaseError, ProgrammingError

from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests.drivers import only_4x
from tests.quickest import quickest


def one(connection: SnowflakeConnection, sql: str, parameters: Any = None) -> Any:
    return connection.cursor().execute(sql, parameters).fetchone()[0]  # type: ignore[union-attr,index]


def test_the_printed_connection_logs_in(connection: SnowflakeConnection) -> None:
    row = connection.cursor().execute(
        "SELECT CURRENT_USER(), CURRENT_ROLE(), CURRENT_WAREHOUSE(), CURRENT_DATABASE(), CURRENT_SCHEMA()"
    )
    assert row is not None
    assert row.fetchone() == ("LOCAL", "SYSADMIN", "COMPUTE_WH", "LOCAL", "PUBLIC")


def test_a_wrong_password_is_refused_as_snowflake_does(connect: Any) -> None:
    with pytest.raises(DatabaseError, match="Incorrect username or password") as caught:
        connect(password="wrong")
    assert caught.value.errno == 390100


def test_an_unknown_role_is_refused(connect: Any) -> None:
    with pytest.raises(DatabaseError, match="NOPE"):
        connect(role="NOPE")


def test_an_unknown_database_leaves_the_session_without_one(connect: Any) -> None:
    connection = connect(database="NOPE", schema=None)
    assert one(connection, "SELECT CURRENT_DATABASE()") is None
    with pytest.raises(ProgrammingError) as caught:
        connection.cursor().execute("CREATE TABLE T (A INT)")
    assert caught.value.errno == 90105


@only_4x("does not show its tokens")
def test_a_closed_session_is_gone(local_server: LocalServer, connect: Any) -> None:
    connection = connect()
    token = connection.rest.token
    connection.close()
    other = connect()
    other.rest._token = token
    with pytest.raises(snowflake.connector.errors.Error):
        other.cursor().execute("SELECT 1")


@only_4x("does not show its tokens")
def test_a_session_renews_its_token(connection: SnowflakeConnection) -> None:
    before = connection.rest.token
    connection.rest._renew_session()
    assert connection.rest.token != before
    assert one(connection, "SELECT 1") == 1


def test_execute_async_returns_before_the_query_ends(connection: SnowflakeConnection) -> None:
    cursor = connection.cursor()
    cursor.execute_async("SELECT SYSTEM$WAIT(4), 7")
    query_id = cursor.sfqid
    assert query_id is not None
    assert connection.is_still_running(connection.get_query_status(query_id))
    cursor.get_results_from_sfqid(query_id)
    answer = cursor.fetchone()
    assert isinstance(answer, tuple)
    assert answer[1] == 7
    assert connection.get_query_status(query_id) == QueryStatus.SUCCESS


def test_an_asynchronous_failure_carries_its_error(connection: SnowflakeConnection) -> None:
    cursor = connection.cursor()
    cursor.execute_async("SELECT * FROM NO_SUCH_TABLE")
    query_id = cursor.sfqid
    assert query_id is not None
    deadline = time.monotonic() + 60
    while connection.is_still_running(connection.get_query_status(query_id)) and time.monotonic() < deadline:
        time.sleep(0.1)
    with pytest.raises(ProgrammingError, match="NO_SUCH_TABLE") as caught:
        connection.get_query_status_throw_if_error(query_id)
    assert caught.value.errno == 2003


def test_a_long_query_is_answered_by_ping_pong(connection: SnowflakeConnection) -> None:
    begun = time.monotonic()
    assert one(connection, "SELECT 7, SYSTEM$WAIT(2)") == 7
    assert time.monotonic() - begun > 1.5


@only_4x("takes no notice of execute(timeout=…)")
def test_a_timeout_cancels_the_query(connection: SnowflakeConnection) -> None:
    def run_into_it() -> None:
        with pytest.raises(ProgrammingError) as caught:
            connection.cursor().execute(
                "SELECT SUM(A.RANGE * B.RANGE * C.RANGE) FROM RANGE(100000) A, RANGE(100000) B, RANGE(1000) C",
                timeout=2,
            )
        assert caught.value.errno == 604

    assert quickest(10, run_into_it) < 10
    assert one(connection, "SELECT 1") == 1


def test_a_statement_timeout_is_kept(connection: SnowflakeConnection) -> None:
    connection.cursor().execute("ALTER SESSION SET STATEMENT_TIMEOUT_IN_SECONDS = 1")
    with pytest.raises(ProgrammingError) as caught:
        connection.cursor().execute(
            "SELECT SUM(A.RANGE * B.RANGE * C.RANGE) FROM RANGE(100000) A, RANGE(100000) B, RANGE(1000) C"
        )
    assert caught.value.errno == 630


def test_several_statements_in_one_request(connection: SnowflakeConnection) -> None:
    cursor = connection.cursor()
    cursor.execute("SELECT 1; SELECT 'a;b' AS X", num_statements=2)
    assert cursor.fetchall() == [(1,)]
    assert cursor.nextset() is not None
    assert cursor.fetchall() == [("a;b",)]
    with pytest.raises(ProgrammingError) as caught:
        cursor.execute("SELECT 1; SELECT 2")
    assert caught.value.errno == 8


def test_threads_share_one_connection(connection: SnowflakeConnection) -> None:
    wrong: list[Any] = []

    def work(number: int) -> None:
        for step in range(20):
            value = one(connection, f"SELECT {number} * 1000 + {step}")
            if value != number * 1000 + step:
                wrong.append((number, step, value))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@only_4x("sends no request that is not a statement")
def test_the_same_request_id_is_the_same_query(connection: SnowflakeConnection, schema: str) -> None:
    connection.cursor().execute("CREATE TABLE ONCE (A INT)")
    request = {"sqlText": "INSERT INTO ONCE VALUES (1)", "asyncExec": False, "sequenceId": 1}
    url = "/queries/v1/query-request?requestId=3d2f6a0e-0000-4000-8000-000000000001"
    first = connection.rest.request(url, request)
    second = connection.rest.request(url, request)
    assert first["data"]["queryId"] == second["data"]["queryId"]
    assert one(connection, "SELECT COUNT(*) FROM ONCE") == 1


def test_last_query_id_and_result_scan(connection: SnowflakeConnection) -> None:
    cursor = connection.cursor()
    cursor.execute("SELECT 1 AS A UNION ALL SELECT 2 ORDER BY 1")
    assert cursor.execute("SELECT SUM(A) FROM TABLE(RESULT_SCAN(LAST_QUERY_ID()))").fetchone() == (3,)
    cursor.execute("SHOW DATABASES LIKE 'local'")
    rows = cursor.execute(f"SELECT \"name\" FROM TABLE(RESULT_SCAN('{cursor.sfqid}'))").fetchall()
    assert rows == [("LOCAL",)]


def test_a_session_cancels_its_own_query(connection: SnowflakeConnection) -> None:
    running = connection.cursor()
    running.execute_async("SELECT SYSTEM$WAIT(600)")
    cancel = f"SELECT SYSTEM$CANCEL_QUERY('{running.sfqid}')"
    assert one(connection, cancel) == f"query [{running.sfqid}] terminated."
    deadline = time.monotonic() + 60
    while connection.is_still_running(status := connection.get_query_status(running.sfqid)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert status == QueryStatus.ABORTED
    for form in (f"{cancel};", f"{cancel} WHERE TRUE"):
        cursor = connection.cursor()
        assert cursor.execute(form).fetchall() == [("Identified SQL statement is not currently executing.",)]
        assert [column.name for column in cursor.description] == [cancel.removeprefix("SELECT ").upper()]


def test_cancelling_one_query_leaves_the_sessions_others_alone(connect: Any) -> None:
    connection, other = connect(), connect()
    running, waiting = connection.cursor(), connection.cursor()
    running.execute_async("SELECT COUNT(*) FROM RANGE(40000) A, RANGE(40000) B WHERE A.RANGE + B.RANGE > 0")
    waiting.execute_async("SELECT COUNT(*) FROM RANGE(100000) A, RANGE(100000) B, RANGE(100000) C")
    one(other, f"SELECT SYSTEM$CANCEL_QUERY('{waiting.sfqid}')")
    running.get_results_from_sfqid(running.sfqid)
    assert running.fetchone() == (40000 * 40000 - 1,)
    deadline = time.monotonic() + 60
    while connection.is_still_running(status := connection.get_query_status(waiting.sfqid)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert status == QueryStatus.ABORTED


@pytest.mark.parametrize("result_format", ["ARROW", "JSON"])
def test_large_results_come_whole_and_in_order(connect: Any, result_format: str) -> None:
    connection = connect(session_parameters={"PYTHON_CONNECTOR_QUERY_RESULT_FORMAT": result_format})
    rows = 450_000
    cursor = connection.cursor()
    cursor.execute(
        "SELECT SEQ4() AS N, IFF(N % 3 = 0, NULL, N * 1.5) AS D, 'r' || N AS S, SUM(1) OVER () AS ALL_ "
        f"FROM TABLE(GENERATOR(ROWCOUNT => {rows}))"
    )
    assert cursor.rowcount == rows
    if result_format == "ARROW":
        assert len(cursor.get_result_batches()) > 2
        frame = cursor.fetch_pandas_all()
        assert frame["N"].tolist() == list(range(rows))
        assert frame["ALL_"].dtype == "int32"
    else:
        assert [row[0] for row in cursor] == list(range(rows))
    cursor.execute("SELECT COUNT(D), MIN(S), MAX(ALL_) FROM TABLE(RESULT_SCAN(LAST_QUERY_ID()))")
    assert cursor.fetchone() == (rows - rows // 3, "r0", rows)


def test_one_number_of_a_large_result_may_be_larger_than_the_others(connect: Any) -> None:
    rows, large = 300_000, 99_999_999_999_999_999_999
    cursor = connect().cursor()
    cursor.execute(f"SELECT SEQ4() AS N FROM TABLE(GENERATOR(ROWCOUNT => {rows})) UNION ALL SELECT {large}")
    found = sorted(int(value) for (value,) in cursor.fetchall())
    assert (len(found), found[0], found[-1]) == (rows + 1, 0, large)
