"""What the local Snowflake costs: start, statements a second, many connections, large results, memory.

The same is asked of fakesnow's own server, the SQL engine without this package, in turns. The client is the real driver
in this process, so its own work is part of the seconds that pass; what the ratios are of is processor time of the
server's process, which does not depend on what else the machine does, but for the start, where processes do little
but start.

    python -m benchmarks.local_snowflake --statements 10000 --rows 1000000
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from benchmarks.report import median, save
from benchmarks.scratch import scratch

STATEMENTS = 500
CONNECTIONS = 50
TIMES_GOAL = 2.0
FLAT_GOAL = 0.98
OURS, FAKESNOW = "local Snowflake", "fakesnow -s"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--statements", type=int, default=10_000, help="after which memory is read")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the large result")
    parser.add_argument("--rounds", type=int, default=3, help="of each measurement, the servers in turns")
    arguments = parser.parse_args(argv)
    import pandas  # noqa: F401  the first fetch is not to pay for it
    import snowflake.connector  # noqa: F401

    servers = {OURS: ours, FAKESNOW: fakesnow}
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in servers}
    with scratch("local_snowflake") as folder:
        for number in range(-1, arguments.rounds):
            for name, server in servers.items():
                measured = measure(partial(server, folder), arguments.rows)
                if number >= 0:
                    # The first start compiles bytecode and makes the state directory.
                    rounds[name].append(measured)
                    print(name, *(f"{what} {figure:.3g}," for what, figure in measured.items()), flush=True)
        memory = {name: memory_of(partial(server, folder), arguments) for name, server in servers.items()}
    figures: dict[str, float] = {}
    goals: dict[str, float] = {}
    for what in rounds[OURS][0]:
        ratio = f"times the rate of fakesnow's server, {what}"
        pairs = zip(*(rounds[name] for name in servers), strict=True)
        figures[ratio] = median(stock[what] / one[what] for one, stock in pairs)
        goals[ratio] = TIMES_GOAL
    flat = f"memory after the first {arguments.statements:,} statements / after as many more"
    figures[flat] = memory[OURS]["statements"] / memory[OURS]["more statements"]
    goals[flat] = FLAT_GOAL
    for name in servers:
        figures |= {f"{what}, {name}": median(one[what] for one in rounds[name]) for what in rounds[name][0]}
        figures |= {f"memory after {what}, MB, {name}": megabytes for what, megabytes in memory[name].items()}
    what = f"{arguments.statements:,} statements, {CONNECTIONS} clients at once, {arguments.rows:,} rows fetched"
    save("local_snowflake", what, figures, goals)
    return 0 if all(figures[name] >= goal for name, goal in goals.items()) else 1


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


def measure(server: Callable[[], Any], rows: int) -> dict[str, float]:
    """What one server takes, each the less the better."""
    figures: dict[str, float] = {}
    began = time.perf_counter()
    with server() as (process, options), connected(options) as connection:
        select_one(connection)
        figures["start to the first answer, s"] = time.perf_counter() - began
        with spent(process) as seconds:
            for _ in range(STATEMENTS):
                select_one(connection)
        figures["a statement of one client, ms of the server"] = 1000 * seconds() / STATEMENTS
        with spent(process) as seconds:
            count, errors = many(options)
        if errors:
            raise SystemExit(f"{len(errors)} of {CONNECTIONS} clients failed, the first with: {errors[0]}")
        figures[f"a statement of {CONNECTIONS} clients, ms of the server"] = 1000 * seconds() / count
        with spent(process) as seconds:
            fetch(connection, rows)
        figures["the rows to pandas, s of the server"] = seconds()
        stopped = time.perf_counter()
    figures["stop, s"] = time.perf_counter() - stopped
    return figures


def memory_of(server: Callable[[], Any], arguments: argparse.Namespace) -> dict[str, float]:
    """The server's memory in MB, by after what."""
    found: dict[str, float] = {}
    with server() as (process, options), connected(options) as connection:
        select_one(connection)
        found["the first statement"] = megabytes(process)
        for what in ("statements", "more statements"):
            for _ in range(arguments.statements):
                select_one(connection)
            found[what] = megabytes(process)
        for _ in range(3):
            fetch(connection, arguments.rows)
        found["fetching the rows 3 times"] = megabytes(process)
        for _ in range(7):
            fetch(connection, arguments.rows)
        found["fetching them 10 times"] = megabytes(process)
    return found


@contextlib.contextmanager
def spent(process: psutil.Process) -> Iterator[Callable[[], float]]:
    """Processor seconds of the server from here to the end of the block."""

    def now() -> float:
        times = process.cpu_times()
        return float(times.user + times.system)

    began, end = now(), [0.0]
    yield lambda: max(end[0] - began, 0.001)
    end[0] = now()


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


def many(options: dict[str, Any]) -> tuple[int, list[Exception]]:
    """Statements of many clients together, their logins among them, and what went wrong."""
    errors: list[Exception] = []
    each = 20
    ready = threading.Barrier(CONNECTIONS)

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
    for thread in threads:
        thread.join()
    return CONNECTIONS * each, errors


def fetch(connection: Any, rows: int) -> None:
    """Rows as a frame."""
    # fakesnow knows no GENERATOR, the local Snowflake both.
    sql = f"SELECT RANGE AS N, RANGE / 2 AS HALF, 'row ' || RANGE AS NAME FROM RANGE({rows})"
    frame = connection.cursor().execute(sql).fetch_pandas_all()
    assert len(frame) == rows
    assert int(frame["N"].sum()) == sum(range(rows))


def megabytes(process: psutil.Process) -> float:
    """The server's memory once it has had a moment to give back what it does not need."""
    time.sleep(3)
    return float(process.memory_info().rss) / 1e6


if __name__ == "__main__":
    sys.exit(main())
