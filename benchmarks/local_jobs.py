"""What a job costs the local Snowflake among many that wait: a submission, a look at all of them, the server's stop.

The jobs wait in a compute pool of one node. They are put into the control database of a server that is not running,
then it is started; what is measured are processor seconds of its process, since they do not depend on what else the
machine does, and the time that it takes to stop.

    python -m benchmarks.local_jobs --jobs 10000
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from benchmarks.report import median, save
from benchmarks.scratch import scratch

FEW = 10
SUBMISSIONS = 40
GOALS = {"submission": 0.010, "stop": 5.0, "ratio": 1.3}
CONTAINER = {
    "name": "main",
    "image": "/db/schema/repo/image:1",
    "command": ["python", "-c", "import time; time.sleep(86400)"],
    "resources": {"requests": {"cpu": 1}, "limits": {"cpu": 1}},
}


def submit(cursor: Any, name: str) -> None:
    specification = json.dumps({"spec": {"containers": [CONTAINER]}})
    cursor.execute(
        f"EXECUTE JOB SERVICE IN COMPUTE POOL FULL NAME = {name} ASYNC = TRUE FROM SPECIFICATION $${specification}$$"
    )


def multiply(state: Path, count: int) -> None:
    """Copies of the one job that a stopped server knows, so that as many wait."""
    from airflow_provider_snowflake_batch.local.spcs.store import Store
    from airflow_provider_snowflake_batch.local.state import StateDirectory

    directory = StateDirectory(state)
    store = Store(directory.connect)
    (job,) = store.active_jobs()
    containers = store.containers(job.id)
    for number in range(1, count):
        identity = uuid.uuid4().hex
        copy = replace(job, id=identity, name=f"{job.name}_{number}", number=job.number + number)
        store.add_job(copy, [replace(container, job_id=identity) for container in containers])
    directory.close()


def put_waiting(state: Path, count: int) -> list[str]:
    """Jobs that wait in the suspended pool FULL, for the server that is started next; their names."""
    import snowflake.connector

    from airflow_provider_snowflake_batch.local.server_process import LocalServer

    with LocalServer(state) as server, snowflake.connector.connect(**server.connection_kwargs) as connection:
        cursor = connection.cursor()
        cursor.execute(
            "CREATE COMPUTE POOL FULL MIN_NODES = 1 MAX_NODES = 1 INSTANCE_FAMILY = CPU_X64_XS "
            "INITIALLY_SUSPENDED = TRUE AUTO_RESUME = FALSE"
        )
        submit(cursor, "WAITING")
        first = f"{connection.database}.{connection.schema}.WAITING"
    multiply(state, count)
    return [first, *(f"{first}_{number}" for number in range(1, count))]


def measure(folder: Path, count: int) -> dict[str, float]:
    """Processor seconds of the server for a submission and for a look, and how long it takes to stop."""
    import snowflake.connector

    from airflow_provider_snowflake_batch.local.server_process import LocalServer

    put_waiting(folder / "state", count)
    with LocalServer(folder / "state") as server:
        assert server.process is not None
        process = psutil.Process(server.process.pid)
        with snowflake.connector.connect(**server.connection_kwargs) as connection:
            cursor = connection.cursor()
            cursor.execute("ALTER COMPUTE POOL FULL RESUME")
            # One of them takes the node.
            _settled(process)
            before = _seconds(process)
            for number in range(SUBMISSIONS):
                submit(cursor, f"MORE_{number}")
            submission = (_settled(process) - before) / SUBMISSIONS
            before = _seconds(process)
            for _ in range(3):
                cursor.execute("SHOW JOB SERVICES LIKE 'MORE%'")
            look = (_settled(process) - before) / 3
        times, ended = process.cpu_times(), resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.monotonic()
        server.stop(600)
        stop = time.monotonic() - began
        now = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor = now.ru_utime + now.ru_stime - ended.ru_utime - ended.ru_stime - sum(times[:4])
        return {"submission": submission, "look": look, "stop": stop, "processor for stop": processor}


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _settled(process: psutil.Process) -> float:
    """The process's processor seconds once it does no more than look around."""
    last = _seconds(process)
    while True:
        time.sleep(1)
        now = _seconds(process)
        if now - last < 0.05:
            return now
        last = now


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument(
        "--before", type=float, nargs=2, metavar="SECONDS", help="a submission among many and the stop, before a change"
    )
    options = parser.parse_args(arguments)
    runs: dict[int, list[dict[str, float]]] = {FEW: [], options.jobs: []}
    with scratch("local_jobs") as folder:
        for number in range(options.repeats):
            for count, taken in runs.items():
                taken.append(measure(folder / f"{count}-{number}", count))
                print(f"{count} jobs:", *(f"{what} {one:.4f} s" for what, one in taken[-1].items()), flush=True)
    few, many = ({what: median(run[what] for run in taken) for what in taken[0]} for taken in runs.values())
    figures = {
        "goal / processor seconds of a submission": GOALS["submission"] / many["submission"],
        "goal / seconds until it has stopped": GOALS["stop"] / many["stop"],
        f"a submission at {FEW}, ms": 1000 * few["submission"],
        f"a submission at {options.jobs}, ms": 1000 * many["submission"],
        f"a look at {options.jobs}, ms": 1000 * many["look"],
        f"stop at {options.jobs}, s": many["stop"],
        f"stop at {options.jobs}, processor s": many["processor for stop"],
    }
    figures |= dict(zip(("a submission, ms, before", "stop, s, before"), options.before or (), strict=False))
    goals = {name: 1.0 for name in figures if name.startswith("goal /")}
    save("local_jobs", f"{options.jobs:,} jobs that wait in the local Snowflake, against {FEW}", figures, goals)
    met = many["stop"] <= GOALS["stop"] and many["submission"] <= GOALS["submission"]
    return 0 if met and many["submission"] <= GOALS["ratio"] * few["submission"] else 1


if __name__ == "__main__":
    sys.exit(main())
