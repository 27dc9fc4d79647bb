"""How soon a deferred task hears that its job is done: from the job's end in Snowflake to the trigger's event.

Jobs of 1 to 30 s on the local Snowflake, all waited for at once by this provider's trigger at its default settings,
logs included. What Airflow itself needs from the event to the task's next line is not counted.

    python -m benchmarks.trigger_latency --jobs 20
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import statistics
import sys
import time
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.scratch import scratch

SHORTEST, LONGEST = 1, 30


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=20)
    arguments = parser.parse_args(argv)
    with scratch("trigger_latency") as folder:
        delays = measure(folder, arguments.jobs)
    late = sorted(delay for _, delay in delays)
    settled = sorted(delay for seconds, delay in delays if seconds >= 9)
    print(f"{len(late)} jobs of {SHORTEST} to {LONGEST} s, from DONE to the trigger's event:\n")
    print(f"{'':<24}{'median':>8}{'worst':>8}")
    print(f"{'all':<24}{statistics.median(late):>6.2f} s{late[-1]:>6.2f} s")
    if settled:
        print(f"{'those of 9 s and more':<24}{statistics.median(settled):>6.2f} s{settled[-1]:>6.2f} s")
    return 0


def measure(folder: Path, count: int) -> list[tuple[float, float]]:
    """For each job how long it took, and how many seconds after its end the event came."""
    from airflow_provider_snowflake_batch.local.server_process import LocalServer

    with LocalServer(folder / "state") as server:
        os.environ["AIRFLOW_CONN_SNOWFLAKE_DEFAULT"] = server.airflow_connection_json
        os.environ["AIRFLOW_HOME"] = str(folder / "airflow")
        os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"
        from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
        from airflow_provider_snowflake_batch.jobs.identifiers import Identifier
        from airflow_provider_snowflake_batch.triggers import batch_inference

        logging.disable(logging.CRITICAL)
        with SnowflakeBatchHook() as hook:
            pool = Identifier("BENCHMARK")
            hook.rows(f"CREATE COMPUTE POOL {pool} MIN_NODES = 1 MAX_NODES = 50 INSTANCE_FAMILY = CPU_X64_S")
            lengths = [SHORTEST + (LONGEST - SHORTEST) * number / max(count - 1, 1) for number in range(count)]
            batch_inference.TaskXComs = NoXComs
            return asyncio.run(wait_for_all(hook, pool, lengths))


class NoXComs:
    """In the place of XComs, which need a triggerer around the trigger."""

    def __init__(self, instance: Any) -> None:
        pass

    async def load(self) -> None:
        return None

    async def save(self, positions: Any) -> None:
        pass

    async def get(self, key: str) -> None:
        return None

    async def set(self, key: str, value: Any) -> None:
        pass


async def wait_for_all(hook: Any, pool: Any, lengths: list[float]) -> list[tuple[float, float]]:
    return await asyncio.gather(*(wait_for_one(hook, pool, seconds) for seconds in lengths))


async def wait_for_one(hook: Any, pool: Any, seconds: float) -> tuple[float, float]:
    from airflow_provider_snowflake_batch.jobs.job import ContainerJob, generate_job_name
    from airflow_provider_snowflake_batch.triggers.batch_inference import BatchJobTrigger

    container = {
        "name": "main",
        "image": "/db/schema/repo/image:1",
        "command": ["python", "-c", f"import time; print('begun', flush=True); time.sleep({seconds}); print('done')"],
        "resources": {"requests": {"cpu": 0.1}, "limits": {"cpu": 0.1}},
    }
    name = hook.qualify_name(generate_job_name("benchmark"))
    job = ContainerJob(name=name, compute_pool=pool, specification={"spec": {"containers": [container]}})
    submitted_at = time.time()
    trigger = BatchJobTrigger(
        job_name=str(name),
        query_id=await asyncio.to_thread(hook.submit, job),
        output_location="@S/out/",
        submitted_at=submitted_at,
        # The operator's default.
        poll_interval=10,
        snowflake_conn_id="snowflake_default",
    )
    # As in a triggerer, the trigger lets Airflow settle for its first seconds.
    trigger.task_instance = SimpleNamespace(dag_id="benchmark", task_id="score", run_id="run", map_index=-1)
    async for event in trigger.run():
        fired = time.time()
        assert event.payload["status"] == "DONE", event.payload
    info = await asyncio.to_thread(hook.status, name)
    return info.seconds or 0.0, fired - datetime.fromisoformat(info.updated_on).timestamp()


if __name__ == "__main__":
    sys.exit(main())
