"""The Python connector, of the lines 4 and 5."""

from __future__ import annotations

import datetime
import json
import math
import threading
import time
import uuid
from decimal import Decimal
from typing import Any

from tests.local.clients.catalogue import Client, Local, raising

CLIENT = Client(
    title="snowflake-connector-python",
    distribution="snowflake-connector-python",
    module="connector",
    requires=("snowflake.connector",),
)
ROWS = 250_000
ENDLESS = "SELECT COUNT(*) FROM RANGE(100000) A, RANGE(100000) B, RANGE(100000) C WHERE A.RANGE + B.RANGE + C.RANGE > 0"
NOON = datetime.datetime(2024, 2, 29, 12, 30, 15, 123456)
CEST = datetime.timezone(datetime.timedelta(hours=2))


def one(connection: Any, sql: str, parameters: Any = None) -> Any:
    return connection.cursor().execute(sql, parameters).fetchone()[0]


# Results


@CLIENT.works("results as Arrow: every type")
def arrow_results(local: Local) -> None:
    check_types(local, "ARROW")


@CLIENT.works("results as JSON: every type")
def json_results(local: Local) -> None:
    check_types(local, "JSON")


def check_types(local: Local, result_format: str) -> None:
    with local.connect(session_parameters={"PYTHON_CONNECTOR_QUERY_RESULT_FORMAT": result_format}) as connection:
        connection.cursor().execute("ALTER SESSION SET TIMEZONE = 'UTC'")
        row = (
            connection.cursor()
            .execute(
                """SELECT 42, 12345678901234567890123456789012345678, 1.25::NUMBER(10, 2), 1.5::FLOAT, TRUE, 'ä''\\n',
                      X'00FF', '2024-02-29'::DATE, '12:30:15.123456'::TIME,
                      '2024-02-29 12:30:15.123456'::TIMESTAMP_NTZ, '2024-02-29 12:30:15.123456 +0000'::TIMESTAMP_LTZ,
                      PARSE_JSON('{"a": [1, null]}'), ARRAY_CONSTRUCT(1, 'x'), NULL::INT, NULL::VARCHAR,
                      '1969-12-31 23:59:59.5'::TIMESTAMP_NTZ"""
            )
            .fetchone()
        )
        assert row[:10] == (
            42, 12345678901234567890123456789012345678, Decimal("1.25"), 1.5, True, "ä'\n",
            b"\x00\xff", datetime.date(2024, 2, 29), datetime.time(12, 30, 15, 123456), NOON,
        ), row  # fmt: skip
        assert row[10] == NOON.replace(tzinfo=datetime.UTC), row[10]
        assert json.loads(row[11]) == {"a": [1, None]}
        assert json.loads(row[12]) == [1, "x"]
        assert row[13:] == (None, None, datetime.datetime(1969, 12, 31, 23, 59, 59, 500000)), row[13:]


@CLIENT.works("a large result in chunks, in order")
def chunks(local: Local) -> None:
    with local.connect() as connection:
        cursor = connection.cursor()
        cursor.execute(f"SELECT SEQ4() AS N, 'r' || N AS S FROM TABLE(GENERATOR(ROWCOUNT => {ROWS}))")
        assert cursor.rowcount == ROWS
        for number, row in enumerate(cursor):
            assert row == (number, f"r{number}")
        assert number == ROWS - 1


@CLIENT.works("`fetch_pandas_all`")
def fetch_pandas_all(local: Local) -> None:
    with local.connect() as connection:
        frame = (
            connection.cursor()
            .execute(
                f"SELECT SEQ4() AS N, IFF(N % 3 = 0, NULL, N * 0.5::FLOAT) AS D "
                f"FROM TABLE(GENERATOR(ROWCOUNT => {ROWS}))"
            )
            .fetch_pandas_all()
        )
        assert frame["N"].tolist() == list(range(ROWS))
        assert int(frame["D"].isna().sum()) == (ROWS + 2) // 3
        assert frame["D"][1] == 0.5


@CLIENT.works("`fetch_pandas_batches`")
def fetch_pandas_batches(local: Local) -> None:
    with local.connect() as connection:
        cursor = connection.cursor().execute(f"SELECT SEQ4() AS N FROM TABLE(GENERATOR(ROWCOUNT => {ROWS}))")
        frames = list(cursor.fetch_pandas_batches())
        assert len(frames) > 1
        assert [value for frame in frames for value in frame["N"]] == list(range(ROWS))


@CLIENT.works("`fetch_arrow_all`")
def fetch_arrow_all(local: Local) -> None:
    with local.connect() as connection:
        table = (
            connection.cursor().execute("SELECT 1 AS A, 'x' AS B UNION ALL SELECT 2, NULL ORDER BY 1").fetch_arrow_all()
        )
        assert table.to_pydict() == {"A": [1, 2], "B": ["x", None]}


@CLIENT.works("`get_result_batches`, read apart")
def result_batches(local: Local) -> None:
    with local.connect() as connection:
        cursor = connection.cursor().execute(f"SELECT SEQ4() AS N FROM TABLE(GENERATOR(ROWCOUNT => {ROWS}))")
        batches = cursor.get_result_batches()
        assert len(batches) > 1
        assert sum(batch.rowcount for batch in batches) == ROWS
        assert sum(row[0] for batch in batches for row in batch.create_iter()) == sum(range(ROWS))


@CLIENT.works("`DictCursor`, `description`, `rowcount`, `sfqid`")
def cursors(local: Local) -> None:
    from snowflake.connector import DictCursor

    with local.connect() as connection:
        cursor = connection.cursor(DictCursor)
        cursor.execute("SELECT 1 AS A, 'x' AS \"b\"")
        assert [(column.name, column.type_code) for column in cursor.description] == [("A", 0), ("b", 2)]
        assert (cursor.fetchall(), cursor.rowcount) == ([{"A": 1, "b": "x"}], 1)
        uuid.UUID(cursor.sfqid)
        cursor.execute("CREATE TABLE T (A INT)")
        assert cursor.execute("INSERT INTO T VALUES (1), (2), (3)").rowcount == 3
        assert cursor.execute("UPDATE T SET A = 0 WHERE A > 1").rowcount == 2
        assert cursor.execute("DELETE FROM T").rowcount == 3


@CLIENT.works("`describe` runs nothing")
def describe(local: Local) -> None:
    with local.connect() as connection:
        cursor = connection.cursor()
        columns = cursor.describe("SELECT 1::NUMBER(5, 2) AS A, 'x'::VARCHAR(7) AS B, CURRENT_DATE() AS C")
        assert [(column.name, column.type_code) for column in columns] == [("A", 0), ("B", 2), ("C", 3)]
        assert (columns[0].precision, columns[0].scale) == (5, 2)
        cursor.execute("CREATE TABLE T (A INT)")
        cursor.describe("INSERT INTO T VALUES (1)")
        assert one(connection, "SELECT COUNT(*) FROM T") == 0


# Bind variables

VALUES = (
    ("a string", "it's ä \\ 'quoted' ?", "VARCHAR"),
    ("an empty string", "", "VARCHAR"),
    ("an int", -7, "INT"),
    ("a float", 0.1, "FLOAT"),
    ("a bool", True, "BOOLEAN"),
    ("a Decimal", Decimal("-123.45"), "NUMBER(10, 2)"),
    ("bytes", b"\x00\x01\xfe", "BINARY"),
    ("a bytearray", bytearray(b"\x00\x01\xfe"), "BINARY"),
    ("a date", datetime.date(1950, 1, 31), "DATE"),
    ("a time", datetime.time(23, 59, 58, 7), "TIME"),
    ("a naive datetime", NOON, "TIMESTAMP_NTZ"),
    ("a datetime with a zone", NOON.replace(tzinfo=CEST), "TIMESTAMP_TZ"),
    ("None", None, "VARCHAR"),
)


@CLIENT.works("bind variables of every Python type (`qmark`)")
def qmark_binds(local: Local) -> None:
    with local.connect(paramstyle="qmark") as connection:
        for what, value, kind in VALUES:
            # Without its type's name the driver sends a datetime as one without a zone.
            bound = (kind, value) if what == "a datetime with a zone" else value
            got = one(connection, "SELECT ?", (bound,))
            assert got == expected(value), f"{what}: {got!r} for {value!r}"
        assert one(connection, "SELECT ?", (2**62,)) == 2**62
        assert math.isinf(one(connection, "SELECT ?", (math.inf,)))


@CLIENT.works("bind variables into a table of every type (`qmark`)")
def qmark_inserts(local: Local) -> None:
    check_inserts(local, "qmark", "?")


@CLIENT.works("bind variables into a table of every type (`pyformat`)")
def pyformat_inserts(local: Local) -> None:
    check_inserts(local, "pyformat", "%s")


def check_inserts(local: Local, style: str, mark: str) -> None:
    with local.connect(paramstyle=style) as connection:
        # The driver binds a datetime without saying its zone: as what a clock in UTC shows.
        connection.cursor().execute("ALTER SESSION SET TIMEZONE = 'UTC'")
        columns = ", ".join(f"C{number} {kind}" for number, (_, _, kind) in enumerate(VALUES))
        connection.cursor().execute(f"CREATE TABLE T ({columns})")
        marks = ", ".join([mark] * len(VALUES))
        connection.cursor().execute(f"INSERT INTO T VALUES ({marks})", [value for _, value, _ in VALUES])
        row = connection.cursor().execute("SELECT * FROM T").fetchone()
        for (what, value, _), got in zip(VALUES, row, strict=True):
            assert got == expected(value), f"{what}: {got!r} for {value!r}"


def expected(value: Any) -> Any:
    return bytes(value) if isinstance(value, bytearray) else value


@CLIENT.works("`executemany`, one batch of bind variables")
def executemany(local: Local) -> None:
    rows = [(number, f"n{number}", number / 4, None if number % 2 else NOON) for number in range(3000)]
    with local.connect(paramstyle="qmark") as connection:
        connection.cursor().execute("CREATE TABLE T (A INT, B VARCHAR, C FLOAT, D TIMESTAMP_NTZ)")
        assert connection.cursor().executemany("INSERT INTO T VALUES (?, ?, ?, ?)", rows).rowcount == 3000
        assert connection.cursor().execute("SELECT * FROM T ORDER BY A").fetchall() == rows


@CLIENT.works("`executemany` with `pyformat`")
def executemany_pyformat(local: Local) -> None:
    rows = [(number, f"it's {number}") for number in range(300)]
    with local.connect() as connection:
        connection.cursor().execute("CREATE TABLE T (A INT, B VARCHAR)")
        connection.cursor().executemany("INSERT INTO T (A, B) VALUES (%s, %s)", rows)
        assert connection.cursor().execute("SELECT * FROM T ORDER BY A").fetchall() == rows


# The request cycle


@CLIENT.works("asynchronous queries")
def asynchronous(local: Local) -> None:
    from snowflake.connector.constants import QueryStatus

    with local.connect() as connection:
        cursor = connection.cursor()
        cursor.execute_async("SELECT SYSTEM$WAIT(4), 7")
        # The call did not wait for it.
        assert connection.is_still_running(connection.get_query_status(cursor.sfqid))
        other = connection.cursor()
        other.get_results_from_sfqid(cursor.sfqid)
        assert other.fetchone()[1] == 7
        assert connection.get_query_status(cursor.sfqid) == QueryStatus.SUCCESS


@CLIENT.works("the error of an asynchronous query")
def asynchronous_error(local: Local) -> None:
    from snowflake.connector.errors import ProgrammingError

    with local.connect() as connection:
        cursor = connection.cursor()
        cursor.execute_async("SELECT * FROM NO_SUCH_TABLE")
        query_id = cursor.sfqid
        wait_until(lambda: not connection.is_still_running(connection.get_query_status(query_id)))
        with raising(ProgrammingError) as caught:
            connection.get_query_status_throw_if_error(query_id)
        assert "NO_SUCH_TABLE" in str(caught.error)
        assert caught.error.errno == 2003, caught.error.errno


@CLIENT.works("a long statement, asked for again until it ends")
def ping_pong(local: Local) -> None:
    with local.connect() as connection:
        started = time.monotonic()
        row = connection.cursor().execute("SELECT SYSTEM$WAIT(3), 7").fetchone()
        assert row[1] == 7
        assert time.monotonic() - started > 2.5


@CLIENT.works("a repeated request is the same query", absent=("5",))
def request_id(local: Local) -> None:
    with local.connect() as connection:
        connection.cursor().execute("CREATE TABLE T (A INT)")
        url = f"/queries/v1/query-request?requestId={uuid.uuid4()}"
        request = {"sqlText": "INSERT INTO T VALUES (1)", "asyncExec": False, "sequenceId": 1}
        first, second = (connection.rest.request(url, request) for _ in range(2))
        assert first["data"]["queryId"] == second["data"]["queryId"]
        assert one(connection, "SELECT COUNT(*) FROM T") == 1


@CLIENT.works("`timeout` of a statement ends it on the server", absent=("5",))
def timeout(local: Local) -> None:
    from snowflake.connector.errors import Error

    with local.connect() as connection:
        started = time.monotonic()
        with raising(Error) as caught:
            connection.cursor().execute(ENDLESS, timeout=2)
        assert time.monotonic() - started < 15
        assert caught.error.errno == 604, caught.error
        assert one(connection, "SELECT 1") == 1


@CLIENT.works("`abort_query`")
def abort_query(local: Local) -> None:
    with local.connect() as connection:
        cursor = connection.cursor()
        cursor.execute_async(ENDLESS)
        query_id = cursor.sfqid
        assert connection.is_still_running(connection.get_query_status(query_id))
        assert connection.cursor().abort_query(query_id)
        wait_until(lambda: not connection.is_still_running(connection.get_query_status(query_id)))
        assert one(connection, "SELECT 1") == 1


@CLIENT.works("`SYSTEM$CANCEL_QUERY` ends another's statement")
def cancel(local: Local) -> None:
    from snowflake.connector.constants import QueryStatus

    with local.connect() as connection, local.connect() as other:
        cursor = connection.cursor()
        cursor.execute_async(ENDLESS)
        query_id = cursor.sfqid
        assert connection.is_still_running(connection.get_query_status(query_id))
        one(other, f"SELECT SYSTEM$CANCEL_QUERY('{query_id}')")
        wait_until(lambda: not connection.is_still_running(connection.get_query_status(query_id)))
        assert connection.get_query_status(query_id) in (QueryStatus.ABORTED, QueryStatus.FAILED_WITH_ERROR)
        assert one(connection, "SELECT 1") == 1


@CLIENT.works("`STATEMENT_TIMEOUT_IN_SECONDS`")
def statement_timeout(local: Local) -> None:
    with local.connect() as connection:
        connection.cursor().execute("ALTER SESSION SET STATEMENT_TIMEOUT_IN_SECONDS = 1")
        expect_error(connection, ENDLESS, 630)


@CLIENT.works("threads sharing one connection")
def threads(local: Local) -> None:
    wrong: list[Any] = []
    with local.connect() as connection:

        def work(number: int) -> None:
            for step in range(15):
                value = one(connection, f"SELECT {number} * 1000 + {step}")
                if value != number * 1000 + step:
                    wrong.append((number, step, value))

        run_threads(work, 8)
    assert wrong == []


@CLIENT.works("50 connections at once")
def fifty_connections(local: Local) -> None:
    answers: list[int] = []

    def work(number: int) -> None:
        with local.connect() as connection:
            answers.append(one(connection, f"SELECT {number}"))

    run_threads(work, 50)
    assert sorted(answers) == list(range(50))


@CLIENT.works("several statements in one request (`num_statements`)")
def several_statements(local: Local) -> None:
    with local.connect() as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE T (A INT); INSERT INTO T VALUES (1); SELECT 'a;b' FROM T", num_statements=3)
        cursor.nextset()
        cursor.nextset()
        assert cursor.fetchall() == [("a;b",)]
        expect_error(connection, "SELECT 1; SELECT 2", 8)


@CLIENT.works("transactions: `autocommit`, `commit`, `rollback`")
def transactions(local: Local) -> None:
    with local.connect(autocommit=False) as connection, local.connect() as other:
        connection.cursor().execute("CREATE TABLE T (A INT)")
        connection.cursor().execute("INSERT INTO T VALUES (1)")
        connection.rollback()
        assert one(connection, "SELECT COUNT(*) FROM T") == 0
        connection.cursor().execute("INSERT INTO T VALUES (2)")
        assert one(other, "SELECT COUNT(*) FROM T") == 0
        connection.commit()
        assert one(other, "SELECT COUNT(*) FROM T") == 1


@CLIENT.works("errors with Snowflake's number, state and query id")
def errors(local: Local) -> None:
    from snowflake.connector.errors import ProgrammingError

    with local.connect() as connection:
        for sql, errno, sqlstate in [
            ("SELECT * FROM NO_SUCH_TABLE", 2003, "42S02"),
            ("SELEC 1", 1003, "42000"),
            ("SELECT NO_COLUMN FROM (SELECT 1 AS A)", 904, "42000"),
        ]:
            with raising(ProgrammingError) as caught:
                connection.cursor().execute(sql)
            assert (caught.error.errno, caught.error.sqlstate) == (errno, sqlstate), (sql, caught.error)
            uuid.UUID(caught.error.sfqid)


@CLIENT.works("a wrong password is refused")
def wrong_password(local: Local) -> None:
    from snowflake.connector.errors import DatabaseError

    with raising(DatabaseError) as caught, local.connect(password="wrong"):
        pass
    assert "Incorrect username or password" in str(caught.error)


@CLIENT.works("the secret as a programmatic access token")
def access_token(local: Local) -> None:
    options = {"authenticator": "PROGRAMMATIC_ACCESS_TOKEN", "token": local.options["password"], "password": None}
    with local.connect(**options) as connection:
        assert one(connection, "SELECT CURRENT_USER()") == "LOCAL"


@CLIENT.refused("key-pair authentication")
def key_pair(local: Local) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with local.connect(private_key=key, authenticator="SNOWFLAKE_JWT", password=None):
        pass


@CLIENT.works("session parameters, query tag, `USE`")
def session_state(local: Local) -> None:
    with local.connect(session_parameters={"QUERY_TAG": "tagged"}) as connection:
        rows = connection.cursor().execute("SHOW PARAMETERS LIKE 'QUERY_TAG' IN SESSION").fetchall()
        assert rows[0][1] == "tagged"
        connection.cursor().execute("USE SCHEMA PUBLIC")
        assert connection.schema == "PUBLIC"
        assert one(connection, "SELECT CURRENT_SCHEMA()") == "PUBLIC"


# Files


@CLIENT.works("`PUT` and `GET`")
def put_and_get(local: Local) -> None:
    content = bytes(range(256)) * 5000
    source = local.folder / "a b.bin"
    source.write_bytes(content)
    target = local.folder / "got"
    target.mkdir()
    with local.connect() as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE STAGE S")
        (row,) = cursor.execute(f"PUT 'file://{source}' @S/in AUTO_COMPRESS = FALSE").fetchall()
        assert (row[0], row[1], row[6]) == ("a b.bin", "a b.bin", "UPLOADED"), row
        (listed,) = cursor.execute("LIST @S").fetchall()
        assert listed[:2] == ("s/in/a b.bin", len(content)), listed
        (row,) = cursor.execute(f"GET @S/in file://{target}").fetchall()
        assert (row[0], row[2]) == ("a b.bin", "DOWNLOADED"), row
    assert (target / "a b.bin").read_bytes() == content


@CLIENT.works("`PUT` of many files, compressed; `OVERWRITE`")
def put_compressed(local: Local) -> None:
    import gzip

    for number in range(5):
        (local.folder / f"f{number}.csv").write_text(f"{number},x\n")
    target = local.folder / "got"
    target.mkdir()
    with local.connect() as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE STAGE S")
        put = f"PUT file://{local.folder}/f*.csv @S"
        assert {(row[1], row[6]) for row in cursor.execute(put).fetchall()} == {
            (f"f{number}.csv.gz", "UPLOADED") for number in range(5)
        }
        (local.folder / "f3.csv").write_text("changed\n")
        cursor.execute(put)
        get = f"GET @S file://{target} PATTERN = '.*f3.*'"
        cursor.execute(get)
        assert gzip.decompress((target / "f3.csv.gz").read_bytes()) == b"3,x\n"
        assert [path.name for path in target.iterdir()] == ["f3.csv.gz"]
        assert {row[6] for row in cursor.execute(f"{put} OVERWRITE = TRUE").fetchall()} == {"UPLOADED"}
        cursor.execute(get)
        assert gzip.decompress((target / "f3.csv.gz").read_bytes()) == b"changed\n"


@CLIENT.works("`write_pandas`")
def write_pandas(local: Local) -> None:
    import pandas as pd
    from snowflake.connector.pandas_tools import write_pandas as write

    frame = pd.DataFrame(
        {
            "ID": range(5000),
            "value": [number / 8 for number in range(5000)],
            "NAME": [None if number % 7 == 0 else f"n{number}" for number in range(5000)],
            "AT": pd.date_range("2024-01-01", periods=5000, freq="min"),
            "FLAG": [number % 2 == 0 for number in range(5000)],
        }
    )
    with local.connect() as connection:
        done, count, rows, _ = write(
            connection, frame, "T", auto_create_table=True, chunk_size=2000, use_logical_type=True
        )
        assert (done, count, rows) == (True, 3, 5000)
        read = connection.cursor().execute("SELECT * FROM T ORDER BY ID").fetch_pandas_all()
        pd.testing.assert_frame_equal(read, frame, check_dtype=False)


def expect_error(connection: Any, sql: str, errno: int) -> None:
    from snowflake.connector.errors import Error

    with raising(Error) as caught:
        connection.cursor().execute(sql)
    assert caught.error.errno == errno, caught.error


def wait_until(condition: Any, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.1)


def run_threads(work: Any, count: int) -> None:
    errors: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            errors.append(error)

    running = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    if errors:
        raise errors[0]
