"""What several replicas bring: nodes of one model process each, on loopback addresses of this machine.

python -m benchmarks.replicas --quick
python -m benchmarks.replicas --only kills --kills 100

A model that waits 20 ms a batch stands for a device, so that nodes do not fight for this machine's cores. Figures are
ratios within one run, from the moment when all nodes have the model; how long that takes is shown apart. Each is
printed as soon as it is there, and saved with its row of the table. It needs a Python that has Ray: that of the
container runtime (``make .venv-container-runtime/.installed``), or another one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

from airflow_provider_snowflake_batch.worker.processes.descendants import kill_marked
from benchmarks.replica_kills import kill_replicas
from benchmarks.replica_runs import (
    BATCH_ROWS,
    HERE,
    SECONDS,
    SLOW_FACTOR,
    TASK_ROWS,
    Replicas,
    Timed,
    calls_of,
    python_with_ray,
    rows_of,
    write,
)
from benchmarks.report import add
from benchmarks.scratch import scratch
from benchmarks.slow_open import slow_openings

NODES, MANY = 4, 16
# Seconds for opening a file.
OPEN_SECONDS = 0.5
# Of the head's memory, for 100 times the rows.
FEW_ROWS, MANY_ROWS = 100_000, 10_000_000
RAY_DATA_SECONDS = 1200
# As in the table of the documentation. A figure counts as missed below its goal, or above its limit.
GOALS = {
    "4 nodes, times the rows/s of one": 3.7,
    "even split / 60 % in one file, wall": 1 / 1.15,
    "one node 4 × slower, share of the ideal": 1 / 1.2,
    "groups, 4 nodes, times the rows/s read by one": 2.0,
    "times the rows/s of Ray Data": 1.3,
    "memory of the head, 10⁵ rows / 10⁷ rows": 1 / 1.25,
}
LIMITS = {
    "seconds until 4 nodes have the model": 20.0,
    "seconds from the last row until all have ended": 10.0,
    "16 nodes: seconds from the last row until the end": 10.0,
    "16 nodes: ms of scheduling a task": 5.0,
    "rows lost, doubled or done again after kills": 0.0,
}


WHAT = f"Nodes on one machine over Ray, with a device that takes {SECONDS * 1000:.0f} ms a batch"


class Measurement:
    """:param python: has Ray. :param folder: for inputs and outputs. :param quick: a quarter of the rows."""

    def __init__(self, python: Path, folder: Path, quick: bool) -> None:
        self._python, self._folder = python, folder
        self.tasks = 72 if quick else 288
        # So many for each node that its work is longer than what begins and ends with it.
        self.many_tasks = MANY * (10 if quick else 40)
        self.figures: dict[str, float] = {}
        self._runs = 0
        self._one: Timed | None = None
        self._four: Timed | None = None

    def _is(self, name: str, value: float) -> None:
        self.figures[name] = value
        print(f"  {name:50}{value:>12,.2f}", flush=True)

    def run(self, source: Path, nodes: int, *, watch: bool = False, **options: object) -> Timed:
        """Score some files on some nodes."""
        self._runs += 1
        here = self._folder / f"run-{self._runs}"
        found = Replicas(self._python, here, source, nodes, **options).run(watch=watch)  # type: ignore[arg-type]
        if nodes == NODES and options.get("executor") != "static":
            name = "seconds from the last row until all have ended"
            self.figures[name] = max(found.end, self.figures.get(name, 0))
        return found

    @property
    def even(self) -> Path:
        folder = self._folder / "even"
        if not folder.exists():
            write(folder, [self.tasks * TASK_ROWS // 4] * 4)
        return folder

    @property
    def one(self) -> Timed:
        self._one = self._one or self.run(self.even, 1)
        return self._one

    @property
    def four(self) -> Timed:
        if self._four is None:
            self._four = self.run(self.even, NODES)
            self._is("seconds until 4 nodes have the model", self._four.start)
        return self._four

    def scaling(self) -> None:
        """One and four nodes."""
        self._is("4 nodes, times the rows/s of one", self.one.seconds / self.four.seconds)

    def skew(self) -> None:
        """One file has 60 % of the rows."""
        skewed = self._folder / "skewed"
        write(skewed, [self.tasks * TASK_ROWS * 6 // 10, *[self.tasks * TASK_ROWS * 4 // 90] * 9])
        large = self.run(skewed, NODES)
        share = rows_of(skewed) / rows_of(self.even)
        self._is("even split / 60 % in one file, wall", self.four.seconds * share / large.seconds)

    def slow(self) -> None:
        """One of four nodes is slower. The ideal is work in proportion to speed."""
        ideal = self.one.seconds / (NODES - 1 + 1 / SLOW_FACTOR)
        found = self.run(self.even, NODES, slow=NODES - 1)
        self._is("one node 4 × slower, share of the ideal", ideal / found.seconds)
        static = self.run(self.even, NODES, slow=NODES - 1, executor="static")
        self._is("the same with a fixed share", ideal / static.seconds)

    def many(self) -> None:
        """Sixteen nodes. Scheduling is what the coordinator and the processes of Ray on the head's node compute, from
        the first row to the last one: what starting and ending take is shown apart.
        """
        source = self._folder / "many"
        write(source, [self.many_tasks * TASK_ROWS // 4] * 4)
        found = self.run(source, MANY, watch=True)
        coordinator, of_all = found.processor_seconds
        self._is("16 nodes: seconds until all have the model", found.start)
        self._is("16 nodes: seconds from the last row until the end", found.end)
        self._is("16 nodes: tasks", found.tasks)
        self._is("16 nodes: ms of scheduling a task", 1000 * of_all / found.tasks)
        self._is("16 nodes: of these, ms of the coordinator", 1000 * coordinator / found.tasks)

    def groups(self) -> None:
        """Rows are read, and brought together by groups: by one node, by four, and by four that each read all.

        Files that open slowly stand for a stage, as the model that waits does for a device.
        """
        source = self._folder / "slowly-opened"
        write(source, [TASK_ROWS] * (self.tasks * 2 // 3), group_rows=BATCH_ROWS)
        environment, _ = slow_openings(source, OPEN_SECONDS, self._folder)
        found = {}
        for name, nodes, executor in (("1 node", 1, "ray"), ("4 nodes", 4, "ray"), ("fixed share", 4, "static")):
            found[name] = self.run(source, nodes, executor=executor, groups=True, environment=environment)
            self._is(f"groups, {name}: rows/s read", rows_of(source) / found[name].reading)
            self._is(f"groups, {name}: rows/s scored", rows_of(source) / found[name].seconds)
        self._is("groups, 4 nodes: MB/s that a node gets", found["4 nodes"].delivered / 1e6)
        self._is("groups, 4 nodes, times the rows/s read by one", found["1 node"].reading / found["4 nodes"].reading)

    def memory(self) -> None:
        """What the head takes for few and for many rows."""
        taken = []
        for rows in (FEW_ROWS, MANY_ROWS):
            source = self._folder / f"rows-{rows}"
            write(source, [rows // 4] * 4, task_rows=rows // 4 if rows == FEW_ROWS else TASK_ROWS)
            # Few rows are few tasks, which the first replica has before there are others; so they take long.
            device = {"seconds": 2.0, "replicas": 1} if rows == FEW_ROWS else {}
            taken.append(self.run(source, NODES, watch=True, **device).head.bytes)
            self._is(f"memory of the head for {rows:,} rows, MB", taken[-1] / 1e6)
        self._is("memory of the head, 10⁵ rows / 10⁷ rows", taken[0] / taken[1])

    def ray_data(self) -> None:
        """The same work by Ray Data."""
        here = self._folder / "ray-data"
        calls, target = here / "calls", here / "out"
        calls.mkdir(parents=True)
        command = [
            str(self._python),
            str(HERE / "ray_data_run.py"),
            str(self.even),
            str(target),
            str(calls),
            str(NODES),
        ]
        mark = uuid.uuid4().hex
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=RAY_DATA_SECONDS,
                check=False,
                env={**os.environ, "BENCHMARK_RAY_DATA": mark},
            )
        finally:
            # The nodes go on without the program that has started them.
            kill_marked("BENCHMARK_RAY_DATA", mark)
        if done.returncode:
            raise SystemExit(f"Ray Data: {done.stderr[-3000:]}")
        made = calls_of(calls)
        assert sum(one.rows for one in made) == rows_of(self.even)
        seconds = max(one.ended for one in made) - min(one.begun for one in made)
        print(f"  Ray Data {json.loads(done.stdout.splitlines()[-1])}, {len(made)} calls", flush=True)
        self._is("times the rows/s of Ray Data", seconds / self.four.seconds)

    def kills(self, number: int, seed: int, seconds: float) -> None:
        """Replicas are killed."""
        found = kill_replicas(self._python, self._folder, number, seed, seconds)
        self._is("kills of replicas", found.kills)
        self._is("of these, of the first one", found.heads)
        self._is("rows lost, doubled or done again after kills", found.lost + found.doubled + found.again)


def main(arguments: list[str] | None = None) -> int:
    rows = ("scaling", "skew", "slow", "groups", "ray-data", "memory", "many", "kills")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a quarter of the rows, 5 kills")
    parser.add_argument(
        "--only", action="append", choices=rows, help="this row of the table; may be given several times"
    )
    parser.add_argument("--kills", type=int, help="how many; default: 100")
    parser.add_argument("--seconds", type=float, default=7200.0, help="for kills, at most; default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="of the moments of kills; default: %(default)s")
    parser.add_argument("--python", type=Path, default=python_with_ray(), help="one that has Ray; default: %(default)s")
    options = parser.parse_args(arguments)
    kills = options.kills or (5 if options.quick else 100)
    with scratch("replicas") as folder:
        measured = Measurement(options.python, folder, options.quick)
        measure: dict[str, Callable[[], None]] = {
            "scaling": measured.scaling,
            "skew": measured.skew,
            "slow": measured.slow,
            "groups": measured.groups,
            "ray-data": measured.ray_data,
            "memory": measured.memory,
            "many": measured.many,
            "kills": lambda: measured.kills(kills, options.seed, options.seconds),
        }
        for row in options.only or rows:
            print(row, flush=True)
            before = dict(measured.figures)
            try:
                measure[row]()
            finally:
                # What is measured stays, whatever becomes of the rest.
                new = {name: value for name, value in measured.figures.items() if before.get(name) != value}
                if new:
                    add("replicas", WHAT, new, GOALS, LIMITS, quick=options.quick)
    goals = {name: goal for name, goal in GOALS.items() if name in measured.figures}
    figures = measured.figures
    missed = [name for name, goal in goals.items() if figures[name] < goal]
    missed += [name for name, most in LIMITS.items() if figures.get(name, 0) > most]
    for name in missed:
        print(f"missed: {name}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
