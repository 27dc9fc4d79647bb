"""What an import costs each parse of a Dag file: this provider's classes beside the stock provider's.

Airflow parses every Dag file every few seconds, in a process that has loaded Airflow's own classes already. Each import
runs in fresh processes after those; counted are the modules that it adds, and the median of its seconds. Bytecode is
compiled beforehand and the files are in the page cache.

    python -m benchmarks.dag_parse
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.scratch import scratch

OURS = "airflow_provider_snowflake_batch"
STOCK = "airflow.providers.snowflake"
STATEMENTS = {
    "RunBatchOperator": f"from {OURS}.operators.batch_inference import RunBatchOperator",
    "BatchSuccessSensor": f"from {OURS}.sensors.batch_inference import BatchSuccessSensor",
    "LoadBatchResultsOperator": f"from {OURS}.operators.load import LoadBatchResultsOperator",
    "stock SnowparkContainerJobOperator": (
        f"from {STOCK}.operators.snowpark_containers import SnowparkContainerJobOperator"
    ),
    "stock SnowflakeSqlApiOperator": f"from {STOCK}.operators.snowflake import SnowflakeSqlApiOperator",
}
# What every Dag file with an operator or a sensor has loaded anyway.
AIRFLOW_ITSELF = "from airflow.sdk import DAG, BaseOperator, BaseSensorOperator"

_MEASURE = """
import json, sys, time
{airflow}
before, start = set(sys.modules), time.perf_counter()
{statement}
seconds = time.perf_counter() - start
print(json.dumps([len(set(sys.modules) - before), seconds]))
"""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5, help="processes for each import")
    arguments = parser.parse_args(argv)
    print(f"Import in a Dag file, above Airflow itself; median of {arguments.times} processes\n")
    print(f"{'import':<36}{'modules':>9}{'ms':>8}")
    with scratch("dag_parse") as home:
        for name, statement in STATEMENTS.items():
            modules, seconds = measure(statement, arguments.times, home)
            print(f"{name:<36}{modules:>9}{seconds * 1000:>8.0f}")
    return 0


def measure(statement: str, times: int, home: Path) -> tuple[int, float]:
    """Modules that an import adds, and the median of its seconds."""
    code = _MEASURE.format(airflow=AIRFLOW_ITSELF, statement=statement)
    environment = os.environ | {"AIRFLOW_HOME": str(home)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    runs = []
    # The first one only warms up.
    for _ in range(times + 1):
        output = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        )
        runs.append(json.loads(output.stdout.splitlines()[-1]))
    return runs[-1][0], statistics.median(seconds for _, seconds in runs[1:])


if __name__ == "__main__":
    sys.exit(main())
