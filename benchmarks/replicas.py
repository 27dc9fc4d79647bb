"""What several replicas bring: nodes of one model process each, on loopback addresses of this machine.

python -m benchmarks.replicas --quick

A model that waits 20 ms a batch stands for a device, so that nodes do not fight for this machine's cores. Figures are
ratios within one run, from the moment when all nodes have the model; how long that takes is shown apart. It needs a
Python that has Ray: that of the container runtime (`make .venv-container-runtime/.installed`), or another one.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.report import save
from benchmarks.scratch import scratch

SECONDS = 0.02
BATCH_ROWS = 4096
TASK_ROWS = 65_536
NODES = 4
SLOW_FACTOR = 4.0
MOST_SECONDS = 900.0
HERE = Path(__file__).parent
RUNTIME = HERE.parent / ".venv-container-runtime/bin/python"


class Timed(NamedTuple):
    """:param seconds: from the first call of the model, when all nodes have it, to the last one.
    :param start: seconds until then. :param end: seconds from the last call until all replicas have ended.
    """

    seconds: float
    start: float
    end: float


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a third of the rows")
    parser.add_argument("--python", type=Path, default=_python(), help="a Python that has Ray; default: %(default)s")
    options = parser.parse_args(arguments)
    tasks = 96 if options.quick else 288
    with scratch("replicas") as folder:
        even, skewed = folder / "even", folder / "skewed"
        write(even, [tasks * TASK_ROWS // 4] * 4)
        write(skewed, [tasks * TASK_ROWS * 6 // 10, *[tasks * TASK_ROWS * 4 // 90] * 9])
        runner = Runner(options.python, folder)
        one = runner.run(even, 1)
        four = runner.run(even, NODES)
        large = runner.run(skewed, NODES)
        slow = runner.run(even, NODES, slow=NODES - 1)
        static = runner.run(even, NODES, slow=NODES - 1, executor="static")
    # Work shared in proportion to speed.
    ideal = one.seconds / (NODES - 1 + 1 / SLOW_FACTOR)
    figures = {
        f"{NODES} nodes, times the rows/s of one": one.seconds / four.seconds,
        "even split / 60 % in one file, wall": four.seconds / large.seconds,
        "one node 4 × slower, share of the ideal": ideal / slow.seconds,
        "the same with a fixed share": ideal / static.seconds,
        f"seconds until {NODES} nodes have the model": four.start,
        "seconds from the last row until all have ended": max(run.end for run in (four, large, slow)),
    }
    goals = dict(zip(figures, (3.7, 1 / 1.15, 1 / 1.2), strict=False))
    save(
        "replicas",
        f"a device that takes {SECONDS * 1000:.0f} ms a batch, {tasks} tasks of {TASK_ROWS:,} rows, Ray on one machine",
        figures,
        goals,
        quick=options.quick,
    )
    missed = [name for name, goal in goals.items() if figures[name] < goal]
    limits = dict(zip(list(figures)[4:], (20.0, 10.0), strict=True))
    missed += [name for name, most in limits.items() if figures[name] > most]
    for name in missed:
        print(f"missed: {name}")
    return 1 if missed else 0


def _python() -> Path:
    stated = os.environ.get("LOCAL_SNOWFLAKE_RUNTIME_PYTHON")
    return Path(stated) if stated else RUNTIME if RUNTIME.exists() else Path(sys.executable)


def write(folder: Path, files: Sequence[int]) -> None:
    """Input files of so many rows each."""
    folder.mkdir()
    for number, rows in enumerate(files):
        table = pa.table({"ID": np.arange(rows), "X": np.zeros(rows)})
        pq.write_table(table, folder / f"{number}.parquet", row_group_size=TASK_ROWS)


class Runner:
    """:param python: has Ray. :param folder: for outputs."""

    def __init__(self, python: Path, folder: Path) -> None:
        self._python, self._folder = python, folder
        self._runs = 0

    def run(self, source: Path, nodes: int, *, slow: int | None = None, executor: str = "ray") -> Timed:
        """Score some files on some nodes."""
        self._runs += 1
        here = self._folder / f"run-{self._runs}"
        calls = here / "calls"
        calls.mkdir(parents=True)
        init = {"seconds": SECONDS, "folder": str(calls), "replicas": nodes, "slow": slow, "factor": SLOW_FACTOR}
        document = job(source, here / "out", init, executor)
        (here / "JOB.json").write_text(json.dumps(document))
        begun = time.monotonic()
        processes = [self._start(here, number, nodes) for number in range(nodes)]
        try:
            while any(process.poll() is None for process in processes):
                if time.monotonic() - begun > MOST_SECONDS:
                    raise SystemExit(f"{nodes} nodes have not ended within {MOST_SECONDS:.0f} s")
                time.sleep(0.02)
            ended = time.monotonic()
        finally:
            for process in processes:
                if process.poll() is None:
                    process.kill()
                process.wait()
        for number, process in enumerate(processes):
            if process.returncode:
                raise SystemExit(f"replica {number}: {(here / f'{number}.err').read_text()}")
        times = [tuple(map(float, line.split())) for path in calls.iterdir() for line in path.read_text().splitlines()]
        first, last = min(one[0] for one in times), max(one[1] for one in times)
        rows = sum(pq.read_metadata(path).num_rows for path in source.iterdir())
        assert json.loads((here / "out/_manifest.json").read_text())["rows"] == rows
        shutil.rmtree(here / "out")
        return Timed(last - first, first - begun, ended - last)

    def _start(self, here: Path, replica: int, nodes: int) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "PYTHONPATH": str(HERE.parent),
            "SNOWFLAKE_JOB_INDEX": str(replica),
            "SNOWFLAKE_JOBS_COUNT": str(nodes),
            "WORKER_ADDRESS": f"127.0.0.{replica + 2}",
        }
        command = [str(self._python), "-m", "airflow_provider_snowflake_batch.worker", str(here / "JOB.json")]
        with (here / f"{replica}.log").open("wb") as log, (here / f"{replica}.err").open("wb") as errors:
            return subprocess.Popen(command, stdout=log, stderr=errors, env=environment)


def job(source: Path, target: Path, init: Mapping[str, Any], executor: str) -> dict[str, Any]:
    """The job file."""
    code = target.parent / "code"
    code.mkdir()
    shutil.copy(HERE / "replica_device.py", code)
    model = {"kind": "python", "target": "replica_device:Device", "python_path": [str(code)], "init": dict(init)}
    return {
        "version": 1,
        "job_name": "BENCHMARK.PUBLIC.JOB",
        "input": {"path": str(source)},
        "output": {"path": str(target), "mode": "overwrite", "columns": ["ID"]},
        "model": model,
        "inference": {"num_workers": 1, "max_batch_rows": BATCH_ROWS, "executor": executor},
    }


if __name__ == "__main__":
    sys.exit(main())
