"""What waiting costs a triggerer: many deferred jobs on one event loop, this provider's trigger beside the stock one.

Jobs wait in a suspended compute pool, so nothing but the waiting is measured. For each trigger class jobs are awaited
for the same time in a fresh process, fewer by the stock one, which asks about each by itself; counted are logins,
statements and processor time. At last some hundred jobs are cancelled, and this provider's trigger has to see each end.

How long the event loop is held is counted in processor time of its thread between two of its turns, from the first
trigger's start, so that what else the machine does is no part of it; triggers start one in a turn, as in Airflow's
triggerer. When Python looks for garbage among all objects of the process, every thread is held, whichever it begins in:
its longest look is counted with jobs, and the one without any. Memory is the process's own, from before the triggers
are made until all have looked several times.

    python -m benchmarks.trigger_polling --jobs 10000 --stock-jobs 1000 --seconds 60
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

from benchmarks.local_jobs import put_waiting
from benchmarks.report import rounded, save
from benchmarks.scratch import scratch

POLL_INTERVAL = 10
GOALS = {"logins": 1, "statements_per_minute": 10, "cpu_percent": 15, "kb_per_job": 15, "held_ms": 100}
# The jobs end under the last one, which shows that it sees every end.
TRIGGERS = ("stock", "ours")
ENDS = 200


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--stock-jobs", type=int, help="of them, those that the stock trigger awaits; default: all")
    parser.add_argument("--seconds", type=float, default=60, help="how long to wait with each class")
    parser.add_argument("--wait", nargs=2, metavar=("CLASS", "NAMES"), help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.wait:
        kind, names = arguments.wait
        print(json.dumps(measure(kind, json.loads(Path(names).read_text()), arguments.seconds)))
        return 0
    with scratch("trigger_polling") as folder:
        rows = compare(folder, arguments.jobs, arguments.stock_jobs or arguments.jobs, arguments.seconds)
    print(f"{arguments.jobs} deferred jobs, poll interval {POLL_INTERVAL} s, {arguments.seconds:g} s after warm-up\n")
    head = (
        f"{'trigger':<10}{'logins':>8}{'statements/min':>16}{'looks/min':>12}{'CPU, % of a core':>18}"
        f"{'KB a job':>10}{'loop held, ms':>15}{'ends seen':>12}"
    )
    print(head)
    for kind, row in rows.items():
        print(
            f"{kind:<10}{row['logins']:>8}{row['statements_per_minute']:>16.0f}{row['looks_per_minute']:>12.0f}"
            f"{row['cpu_percent']:>18.1f}{row['kb_per_job']:>10.1f}{row['held_ms']:>15.0f}{row['ends_seen'] or '':>12}"
        )
    ours, stock = rows["ours"], rows["stock"]
    figures = {f"goal / {what}": goal / max(ours[what], 1e-9) for what, goal in GOALS.items()}
    goals = dict.fromkeys(figures, 1.0)
    shown = (*GOALS, "garbage_ms", "garbage_ms_without_jobs")
    figures |= {what: ours[what] for what in shown} | {f"{what}, stock trigger": stock[what] for what in GOALS}
    what = f"{arguments.jobs:,} deferred jobs in one triggerer, looked at every {POLL_INTERVAL} s"
    if arguments.stock_jobs:
        what += f"; the stock trigger with {arguments.stock_jobs:,}"
    save("trigger_polling", what, figures, goals, runs={kind: rounded(_numbers(row)) for kind, row in rows.items()})
    return 0 if all(figures[name] >= goal for name, goal in goals.items()) else 1


def _numbers(row: dict[str, Any]) -> dict[str, float]:
    return {what: value for what, value in row.items() if value is not None}


def compare(folder: Path, jobs: int, stock_jobs: int, seconds: float) -> dict[str, dict[str, Any]]:
    from airflow_provider_snowflake_batch.local.server_process import LocalServer

    names = put_waiting(folder / "state", jobs)
    with LocalServer(folder / "state") as server:
        environment = os.environ | {
            "AIRFLOW_CONN_SNOWFLAKE_DEFAULT": server.airflow_connection_json,
            "AIRFLOW_HOME": str(folder / "airflow"),
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        }
        os.environ.update(environment)
        rows: dict[str, dict[str, Any]] = {}
        for kind in TRIGGERS:
            awaited = names[:stock_jobs] if kind == "stock" else names
            path = folder / f"{kind}.json"
            path.write_text(json.dumps(awaited))
            command = [sys.executable, "-m", "benchmarks.trigger_polling", "--wait", kind, str(path)]
            output = subprocess.run(
                [*command, "--seconds", str(seconds)], env=environment, check=True, stdout=subprocess.PIPE, text=True
            ).stdout
            rows[kind] = json.loads(output.splitlines()[-1])
            if rows[kind]["ends_seen"] not in (None, min(jobs, ENDS)):
                raise RuntimeError(f"only {rows[kind]['ends_seen']} of {min(jobs, ENDS)} ends were seen")
    return rows


def measure(kind: str, names: list[str], seconds: float) -> dict[str, Any]:
    """Wait for all jobs with one trigger class and count what that takes."""
    import snowflake.connector
    from snowflake.connector.cursor import SnowflakeCursor

    logging.disable(logging.CRITICAL)
    counts: Counter[str] = Counter()
    lock = threading.Lock()

    def counted(name: str, original: Any) -> Any:
        def call(*given: Any, **options: Any) -> Any:
            with lock:
                counts[name] += 1
            return original(*given, **options)

        return call

    snowflake.connector.connect = counted("logins", snowflake.connector.connect)
    SnowflakeCursor.execute = counted("statements", SnowflakeCursor.execute)

    held = [0.0]

    async def watch_loop() -> None:
        while True:
            begun = time.thread_time()
            await asyncio.sleep(0.001)
            held[0] = max(held[0], time.thread_time() - begun)

    garbage: list[float] = []

    def watch_garbage(phase: str, info: dict[str, int]) -> None:
        if info["generation"] == 2:
            garbage.append(time.thread_time() if phase == "start" else time.thread_time() - garbage.pop())

    async def wait() -> tuple[Counter[str], int, float, float, int | None, float]:
        # What is loaded for the first job is nothing that jobs cost.
        tasks = [asyncio.create_task(drain(trigger)) for trigger in triggers(kind, names[:1])]
        await asyncio.sleep(POLL_INTERVAL / 2)
        gc.callbacks.append(watch_garbage)
        gc.collect()
        memory = psutil.Process().memory_info().rss
        watcher = asyncio.create_task(watch_loop())
        for trigger in triggers(kind, names[1:]):
            tasks.append(asyncio.create_task(drain(trigger)))
            await asyncio.sleep(0)
        # The first round brings imports, logins and the quick looks that follow a submission.
        await asyncio.sleep(POLL_INTERVAL)
        before, cpu, begun = Counter(counts), time.process_time(), time.monotonic()
        await asyncio.sleep(seconds)
        spent, elapsed = time.process_time() - cpu, time.monotonic() - begun
        during, logins = Counter(counts) - before, counts["logins"]
        grown = psutil.Process().memory_info().rss - memory
        watcher.cancel()
        ends = None
        gc.collect()
        if kind == TRIGGERS[-1]:
            await asyncio.to_thread(cancel_all, names[:ENDS])
            done, _ = await asyncio.wait(tasks[:ENDS], timeout=6 * POLL_INTERVAL)
            ends = sum(task.result() == "CANCELLED" for task in done)
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait(tasks, timeout=30)
        return during, logins, spent, elapsed, ends, grown

    during, logins, spent, elapsed, ends, grown = asyncio.run(wait())
    return {
        "logins": logins,
        "ends_seen": ends,
        "statements_per_minute": 60 * during["statements"] / elapsed,
        "looks_per_minute": 60 * len(names) / POLL_INTERVAL,
        "cpu_percent": 100 * spent / elapsed,
        "kb_per_job": grown / 1000 / max(len(names) - 1, 1),
        "held_ms": 1000 * held[0],
        "garbage_ms": 1000 * max(garbage[1:]),
        "garbage_ms_without_jobs": 1000 * garbage[0],
    }


def triggers(kind: str, names: list[str]) -> list[Any]:
    if kind == "ours":
        from airflow_provider_snowflake_batch.triggers.batch_inference import BatchJobTrigger

        return [
            BatchJobTrigger(
                job_name=name,
                query_id=None,
                output_location="@S/out/",
                submitted_at=0,
                poll_interval=POLL_INTERVAL,
                snowflake_conn_id="snowflake_default",
            )
            for name in names
        ]
    from airflow.providers.snowflake.triggers import snowpark_containers

    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook

    # The stock hook cannot be told to speak plain HTTP, which the local Snowflake does; nothing else changes.
    snowpark_containers.SnowflakeHook = SnowflakeBatchHook
    return [
        snowpark_containers.SnowparkContainerJobTrigger(
            job_name=name,
            snowflake_conn_id="snowflake_default",
            poll_interval=POLL_INTERVAL,
            end_time=time.time() + 86400,
        )
        for name in names
    ]


async def drain(trigger: Any) -> str:
    """The status with which the trigger fires."""
    return next(iter([event.payload["status"] async for event in trigger.run()]))


def cancel_all(names: list[str]) -> None:
    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook

    with SnowflakeBatchHook() as hook:
        for name in names:
            hook.cancel(name)


if __name__ == "__main__":
    sys.exit(main())
