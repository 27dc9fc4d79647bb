"""How long the rows of a table take to reach a stage for a job with a model of one's own, on the local Snowflake.

What is measured is what the task does with a table as `X` before the job is submitted: the unload with ``COPY INTO``,
the check of its files and their list. The table has a key, five numbers, a text, a moment and a list; the last two go
as text. Beside the time that has passed, it tells how long processors were at work, here and in the server.

    python -m benchmarks.unload
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Sequence
from typing import Any

import psutil

from benchmarks.scratch import scratch

TABLE = """
CREATE TABLE ROWS_TO_SCORE AS
SELECT SEQ4() AS ID, ID * 0.5 AS A, ID * 0.25 AS B, ID * 0.125 AS C, ID % 100 AS D, ID % 7 AS E,
    'customer ' || ID AS NAME, DATEADD(second, ID, '2026-01-01'::TIMESTAMP_NTZ) AS AT, ARRAY_CONSTRUCT(ID, 1) AS LIST
FROM TABLE(GENERATOR(ROWCOUNT => {}))
"""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=3)
    arguments = parser.parse_args(argv)

    from airflow_provider_snowflake_batch.local.server_process import LocalServer

    with scratch("unload") as folder:
        os.environ["AIRFLOW_HOME"] = str(folder / "airflow")
        from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook

        with LocalServer(folder / "state") as server:
            os.environ["AIRFLOW_CONN_UNLOAD"] = server.airflow_connection_json
            processes = [psutil.Process(), psutil.Process(server.process.pid)]
            with SnowflakeBatchHook("unload") as hook:
                hook.rows("CREATE STAGE S ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')")
                hook.rows(TABLE.format(arguments.rows))
                measured = [one_unload(hook, number, processes) for number in range(arguments.times)]
    print(f"{arguments.rows} rows, {measured[0][2] / 2**20:.0f} MiB in files")
    for what, column in (("s", 0), ("s of processors", 1)):
        found = [one[column] for one in measured]
        print(f"  {what}: {', '.join(f'{one:.1f}' for one in found)}; median {statistics.median(found):.1f}")
    return 0


def one_unload(hook: Any, number: int, processes: Sequence[psutil.Process]) -> tuple[float, float, int]:
    """Seconds that have passed, seconds of processors, and bytes of the files."""
    from airflow_provider_snowflake_batch.hooks.unload import put_rows
    from airflow_provider_snowflake_batch.jobs.worker_job import WorkerJob

    job = WorkerJob.parse(
        name=f"J{number}",
        model={"target": "m:M"},
        X="ROWS_TO_SCORE",
        compute_pool="P",
        output_spec={"stage_location": "@S/out/"},
    ).qualify(*hook.namespace)
    worked, begun = at_work(processes), time.perf_counter()
    put_rows(hook, job, lambda: None)
    seconds, worked = time.perf_counter() - begun, at_work(processes) - worked
    return seconds, worked, sum(file.size for file in hook.list_files(job.staged_input))


def at_work(processes: Sequence[psutil.Process]) -> float:
    times = [process.cpu_times() for process in processes]
    return float(sum(one.user + one.system for one in times))


if __name__ == "__main__":
    raise SystemExit(main())
