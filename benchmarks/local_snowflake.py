"""What the local Snowflake costs: start, statements a second, many connections, large results, memory.

The same is asked of fakesnow's own server, the SQL engine without this package, where it can do it. The client is the
real driver in this process, so its own work is part of every figure but the memory.

    python -m benchmarks.local_snowflake --statements 10000 --rows 1000000
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from benchmarks.scratch import scratch

ROUNDS = 3
CONNECTIONS = 50
OURS, FAKESNOW = "local Snowflake", "fakesnow -s"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--statements", type=int, default=10_000, help="after which memory is read")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the large result")
    arguments = parser.parse_args(argv)
    import pandas  # noqa: F401  the first fetch is not to pay for it
    import snowflake.connector  # noqa: F401

    columns = {}
    with scratch("local_snowflake") as folder:
        for name, server in ((OURS, ours), (FAKESNOW, fakesnow)):
            columns[name] = measure(lambda server=server: server(folder), arguments.statements, arguments.rows)
    print(f"{'':<58}{OURS:>18}{FAKESNOW:>18}")
    for row in columns[OURS]:
        print(f"{row:<58}" + "".join(f"{column.get(row, '-'):>18}" for column in columns.values()))
    return 0


@contextlib.contextmanager
def ours(folder: Path) -> Iterator[tuple[psutil.Process, dict[str, Any]]]:
    from airflow_provider_snowflake_batch.local.server_process import LocalServer

    with LocalServer(folder / "state") as server:
        assert server.process is not None
        yield psutil.Process(server.process.pid), server.connection_kwargs


@contextlib.contextmanager
def fakesnow(folder: Path) -> Iterator[tuple[psutil.Process, dict[str, Any]]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).parent / "fakesnow"), "-s", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.02)
        yield psutil.Process(process.pid), {
            "user": "u", "password": "p", "account": "a", "host": "127.0.0.1", "port": port, "protocol": "http",
            "database": "D", "schema": "S", "platform_detection_timeout_seconds": 0,
            "session_parameters": {"FAKESNOW_DB_PATH": ":isolated:"},
        }  # fmt: skip
    finally:
        process.terminate()
        process.wait()


def measure(server: Callable[[], Any], statements: int, rows: int) -> dict[str, str]:
    """The figures of one server, as text by what they are."""
    with server():
        pass  # the first start compiles bytecode and makes the state directory
    starts = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        with server() as (_, options), connected(options) as connection:
            select_one(connection)
            starts.append(time.perf_counter() - began)
    figures = {"start to first query, s (warm)": f"{statistics.median(starts):.2f}"}
    with server() as (process, options), connected(options) as connection:
        select_one(connection)
        rates = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            for _ in range(500):
                select_one(connection)
            rates.append(500 / (time.perf_counter() - began))
        figures["SELECT 1 on one connection, statements/s"] = f"{statistics.median(rates):.0f}"
        figures[f"{CONNECTIONS} connections at once: statements/s"], errors = many(options)
        figures[f"{CONNECTIONS} connections at once: errors"] = str(errors)
    with server() as (process, options), connected(options) as connection:
        figures["memory (RSS) after the first query, MB"] = megabytes(process)
        for _ in range(statements):
            select_one(connection)
        figures[f"memory after {statements:,} statements, MB"] = megabytes(process)
        times = [fetch(connection, rows) for _ in range(ROUNDS)]
        figures[f"{rows:,} rows x 3 columns to pandas, s"] = f"{statistics.median(times):.2f}"
        figures["memory after fetching that 3 times, MB"] = megabytes(process)
        for _ in range(7):
            fetch(connection, rows)
        figures["memory after fetching that 10 times, MB"] = megabytes(process)
        for _ in range(statements):
            select_one(connection)
        figures[f"memory after {statements:,} more statements, MB"] = megabytes(process)
    return figures


@contextlib.contextmanager
def connected(options: dict[str, Any]) -> Iterator[Any]:
    import snowflake.connector

    connection = snowflake.connector.connect(**options)
    try:
        yield connection
    finally:
        connection.close()


def select_one(connection: Any) -> None:
    assert connection.cursor().execute("SELECT 1").fetchone() == (1,)


def many(options: dict[str, Any]) -> tuple[str, int]:
    """Statements a second of many connections together, and how many of them failed."""
    errors: list[Exception] = []
    each = 20
    ready = threading.Barrier(CONNECTIONS + 1)

    def work() -> None:
        try:
            with connected(options) as connection:
                ready.wait(120)
                for _ in range(each):
                    select_one(connection)
        except Exception as error:
            errors.append(error)
            ready.abort()

    threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    with contextlib.suppress(threading.BrokenBarrierError):
        ready.wait(120)
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return f"{CONNECTIONS * each / (time.perf_counter() - began):.0f}", len(errors)


def fetch(connection: Any, rows: int) -> float:
    """Seconds from the statement to the frame."""
    began = time.perf_counter()
    # fakesnow knows no GENERATOR, the local Snowflake both.
    sql = f"SELECT RANGE AS N, RANGE / 2 AS HALF, 'row ' || RANGE AS NAME FROM RANGE({rows})"
    frame = connection.cursor().execute(sql).fetch_pandas_all()
    seconds = time.perf_counter() - began
    assert len(frame) == rows
    assert int(frame["N"].sum()) == sum(range(rows))
    return seconds


def megabytes(process: psutil.Process) -> str:
    """The server's memory once it has had a moment to give back what it does not need."""
    time.sleep(3)
    return f"{process.memory_info().rss / 1e6:.0f}"


if __name__ == "__main__":
    sys.exit(main())
