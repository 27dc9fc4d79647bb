"""What each parse of a Dag file costs: importing this provider's classes, and making many tasks of them.

Airflow parses every Dag file every few seconds, in a process that has loaded Airflow's own classes already. Each import
runs in fresh processes after those; counted are the modules that it adds, and the median of its seconds. Bytecode is
compiled beforehand and the files are in the page cache.

Then a Dag of many ``RunBatchOperator``, each with a query and an output directory of its own, is made in turns with one
of ``EmptyOperator``, in one process; counted is processor time, of making it, and of making and storing it as the Dag
processor does. Beside it stands an operator that takes the same arguments and keeps them unchecked, which is what
Airflow itself does for each argument and each template.

    python -m benchmarks.dag_parse
"""

from __future__ import annotations

import argparse
import gc
import inspect
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.report import save
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
GOAL = 1.3
KINDS = ("EmptyOperator", "RunBatchOperator", "unchecked arguments", "stock SnowparkContainerJobOperator")

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
    parser.add_argument("--times", type=int, default=5, help="processes for each import, and Dags of each kind")
    parser.add_argument("--operators", type=int, default=1000, help="tasks in each Dag")
    parser.add_argument("--before", type=float, metavar="TIMES", help="those of RunBatchOperator, before a change")
    parser.add_argument("--make", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.make:
        print(json.dumps(make_dags(arguments.operators, arguments.times)))
        return 0
    print(f"Import in a Dag file, above Airflow itself; median of {arguments.times} processes\n")
    print(f"{'import':<36}{'modules':>9}{'ms':>8}")
    figures: dict[str, float] = {}
    with scratch("dag_parse") as home:
        for name, statement in STATEMENTS.items():
            modules, seconds = measure(statement, arguments.times, home)
            print(f"{name:<36}{modules:>9}{seconds * 1000:>8.0f}")
            figures[f"modules, import of {name}"] = modules
        command = [sys.executable, "-m", "benchmarks.dag_parse", "--make", "--operators", str(arguments.operators)]
        output = subprocess.run(
            [*command, "--times", str(arguments.times)],
            env=os.environ | {"AIRFLOW_HOME": str(home)}, check=True, stdout=subprocess.PIPE, text=True,
        ).stdout  # fmt: skip
    figures = ratios(json.loads(output.splitlines()[-1]), arguments.operators) | figures
    goal = "goal / times EmptyOperator, made"
    ours = "times EmptyOperator, made, RunBatchOperator"
    figures = {goal: GOAL / figures[ours]} | figures
    if arguments.before is not None:
        figures[f"{ours}, before"] = arguments.before
    save("dag_parse", f"{arguments.operators:,} operators in one Dag file, processor time", figures, {goal: 1.0})
    return 0 if figures[goal] >= 1 else 1


def ratios(runs: list[dict[str, list[float]]], operators: int) -> dict[str, float]:
    """What making, and making and storing, a Dag of each kind costs beside the one of the same round."""
    figures = {}
    for stage, what in enumerate(("made", "made and stored")):
        for kind in KINDS[1:]:
            shares = [sum(run[kind][: stage + 1]) / sum(run[KINDS[0]][: stage + 1]) for run in runs]
            figures[f"times EmptyOperator, {what}, {kind}"] = statistics.median(shares)
    for kind in KINDS[:2]:
        figures[f"µs, made, {kind}"] = 1e6 / operators * statistics.median(run[kind][0] for run in runs)
    return figures


def make_dags(operators: int, times: int) -> list[dict[str, list[float]]]:
    """Of each round, and each kind of operator, the seconds of making the Dag and of storing it."""
    from airflow.sdk import DAG
    from airflow.serialization.serialized_objects import DagSerialization

    made = tasks()
    runs: list[dict[str, list[float]]] = []
    # The first one only warms up.
    for _ in range(times + 1):
        runs.append({})
        for kind in KINDS:
            gc.collect()
            begun = time.process_time()
            with DAG("many", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
                for number in range(operators):
                    made[kind](number)
            half = time.process_time()
            DagSerialization.to_dict(dag)
            runs[-1][kind] = [half - begun, time.process_time() - half]
    return runs[1:]


def tasks() -> Mapping[str, Any]:
    """By kind, what makes the task of a number."""
    from airflow.providers.snowflake.operators.snowpark_containers import SnowparkContainerJobOperator
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.sdk import BaseOperator

    from airflow_provider_snowflake_batch.operators.batch_inference import RunBatchOperator

    signature = inspect.signature(RunBatchOperator.__init__)
    names = [name for name, one in signature.parameters.items() if one.kind is one.KEYWORD_ONLY]

    class Unchecked(BaseOperator):
        template_fields = RunBatchOperator.template_fields

        def __init__(self, **given: Any) -> None:
            own = {name: given.pop(name, signature.parameters[name].default) for name in names}
            super().__init__(**given)
            for name, value in own.items():
                setattr(self, name, value)

        # Airflow looks for each argument by its name.
        __init__.__signature__ = signature  # type: ignore[attr-defined]

    def of_ours(operator: type[BaseOperator], number: int) -> BaseOperator:
        return operator(
            task_id=f"task_{number}",
            model_name="my_db.my_schema.churn",
            version_name="v1",
            X=f"SELECT * FROM my_db.my_schema.customers_{number} WHERE day = '{{{{ ds }}}}'",
            compute_pool="my_pool",
            output_spec={"stage_location": f"@my_db.my_schema.results/churn_{number}/"},
            job_spec={"replicas": 2, "max_batch_rows": 2048},
            deferrable=True,
        )

    def of_the_stock_provider(number: int) -> BaseOperator:
        return SnowparkContainerJobOperator(
            task_id=f"task_{number}",
            compute_pool="my_pool",
            container_name="main",
            spec_text=f"spec: {{containers: [{{name: main, image: /d/s/r/i:1, args: [{number}]}}]}}",
            name="job_{{ ds_nodash }}",
            deferrable=True,
        )

    return {
        "EmptyOperator": lambda number: EmptyOperator(task_id=f"task_{number}"),
        "RunBatchOperator": lambda number: of_ours(RunBatchOperator, number),
        "unchecked arguments": lambda number: of_ours(Unchecked, number),
        "stock SnowparkContainerJobOperator": of_the_stock_provider,
    }


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
