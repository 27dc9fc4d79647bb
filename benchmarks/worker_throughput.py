"""How close the worker comes to the model alone.

Three ways to score the same rows with the same model and the same number of processes, taken in turn so that whatever
else the machine does hits all of them alike:

* ``limit``: the rows are in memory as one matrix already; only the model works.
* ``worker``: Parquet files to Parquet files, through ``python -m airflow_provider_snowflake_batch.worker``.
* ``loop``: the same by a loop that a user might write (`naive_loop`): read, predict, write, next.

Throughput counts from the moment the model is loaded until the last result is on disk; start-up and loading are shown
beside it (``wall``). Processor time (``CPU s``) is counted over the same span: on a machine that does other work too,
its ratio says more than that of the seconds. Run as ``python -m benchmarks.worker_throughput --help``.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import shutil
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.naive_loop import score_files
from benchmarks.report import RESULTS, machine
from benchmarks.scratch import scratch
from benchmarks.tree_model import Trees, train
from benchmarks.worker_run import python_model, run_worker

# The matrix in memory is scored in pieces too: a single call would fall out of the processor's cache.
BATCH_ROWS = 16_384
# The share of the cores that other work may have during any of the runs.
UNDISTURBED = 0.05
GOAL = 0.88


def write_input(folder: Path, rows: int, features: list[str], files: int, row_groups: int) -> None:
    """Random rows with an ID, float32 features, in files of equal size."""
    random = np.random.default_rng(1)
    edges = np.linspace(0, rows, files + 1, dtype=np.int64)
    for number in range(files):
        first, last = int(edges[number]), int(edges[number + 1])
        columns: dict[str, Any] = {"ID": np.arange(first, last)}
        for name in features:
            columns[name] = random.standard_normal(last - first, dtype=np.float32)
        size = -(-(last - first) // row_groups)
        pq.write_table(pa.table(columns), folder / f"part_{number:03d}.parquet", row_group_size=size)


def measure_limit(model: Path, source: Path, features: list[str], processes: int) -> dict[str, float]:
    """Processes that hold their share in memory and do nothing but predict."""
    return _timed(_limit, [(model, share, features) for share in _shares(source, processes)])


def _limit(model: Path, files: list[Path], features: list[str], barrier: Barrier, cpu: Any) -> None:
    trees = Trees(str(model), features)
    table = pa.concat_tables(pq.read_table(path, columns=features) for path in files)
    rows = np.column_stack([table[name].to_numpy() for name in features])
    trees.score(rows[:100])
    with _measured(barrier, cpu):
        for start in range(0, len(rows), BATCH_ROWS):
            trees.score(rows[start : start + BATCH_ROWS])


def measure_loop(
    model: Path, source: Path, target: Path, features: list[str], processes: int, passed: list[str] | None
) -> dict[str, float]:
    """Processes that each work through their share of the files with the naive loop."""
    target.mkdir()
    return _timed(_loop, [(model, share, target, features, passed) for share in _shares(source, processes)])


def _loop(
    model: Path,
    files: list[Path],
    target: Path,
    features: list[str],
    passed: list[str] | None,
    barrier: Barrier,
    cpu: Any,
) -> None:
    trees = Trees(str(model), features)
    trees.score(np.zeros((100, len(features)), dtype=np.float32))
    with _measured(barrier, cpu):
        score_files(trees, files, target, features, passed)


def _shares(source: Path, processes: int) -> list[list[Path]]:
    files = sorted(source.iterdir())
    return [files[number::processes] for number in range(processes)]


@contextmanager
def _measured(barrier: Barrier, cpu: Any) -> Iterator[None]:
    barrier.wait()
    begun = time.process_time()
    yield
    cpu.put(time.process_time() - begun)
    barrier.wait()


def _timed(work: Any, arguments: list[tuple[Any, ...]]) -> dict[str, float]:
    context = multiprocessing.get_context("spawn")
    barrier, cpu = context.Barrier(len(arguments) + 1), context.SimpleQueue()
    # Daemons end with this process, if that is interrupted.
    workers = [context.Process(target=work, args=(*one, barrier, cpu), daemon=True) for one in arguments]
    begun = time.perf_counter()
    for worker in workers:
        worker.start()
    barrier.wait()
    loaded = time.perf_counter()
    barrier.wait()
    ended = time.perf_counter()
    for worker in workers:
        worker.join()
    seconds = sum(cpu.get() for _ in workers)
    return {"seconds": ended - loaded, "wall": time.perf_counter() - begun, "cpu": seconds}


class WorkerRuns:
    """The worker as a process; its own progress lines say when the model was loaded.

    Its processor time includes starting and loading, so that of a run over hardly any rows is taken off.
    """

    def __init__(
        self,
        model: Path,
        features: list[str],
        processes: int,
        batch_rows: int | None,
        columns: list[str] | None,
        folder: Path,
    ) -> None:
        self._model, self._features, self._columns = model, features, columns
        self._processes, self._batch_rows = processes, batch_rows
        self._folder = folder / "start"
        source = self._folder / "input"
        source.mkdir(parents=True)
        # As many tasks as processes, so that as many are started.
        write_input(source, 70_000 * processes, features, processes, 1)
        rows = pq.read_table(source, columns=features)
        trees = Trees(str(model), features)
        matrix = np.column_stack([rows[name].to_numpy() for name in features])
        begun = time.process_time()
        for start in range(0, len(matrix), BATCH_ROWS):
            trees.score(matrix[start : start + BATCH_ROWS])
        scoring = time.process_time() - begun
        self.starting = min(self._run(source, self._folder / f"{n}" / "out")["cpu"] for n in range(2)) - scoring

    def measure(self, source: Path, target: Path) -> dict[str, float]:
        """Score all of ``source``."""
        measured = self._run(source, target)
        return {**measured, "cpu": measured["cpu"] - self.starting}

    def _run(self, source: Path, target: Path) -> dict[str, float]:
        model = python_model("tree_model:Trees", path=str(self._model), features=self._features)
        inference = {"num_workers": self._processes, "max_batch_rows": self._batch_rows}
        return run_worker(source, target, model, inference=inference, columns=self._columns)


@contextmanager
def alone(runs: list[dict[str, float]]) -> Iterator[dict[str, float]]:
    """A run, with the share of the machine's cores that processes other than ours had meanwhile (``others``)."""
    run: dict[str, float] = {}
    begun, busy, own = time.perf_counter(), _busy_seconds(), _own_seconds()
    yield run
    others = _busy_seconds() - busy - (_own_seconds() - own)
    run["others"] = max(others, 0.0) / (time.perf_counter() - begun) / (os.cpu_count() or 1)
    runs.append(run)


def _busy_seconds() -> float:
    """Processor time that the machine has spent on anything; 0 where the system does not tell."""
    try:
        user, nice, system, _, _, irq, softirq, steal = Path("/proc/stat").read_text().split()[1:9]
    except OSError:
        return 0.0
    return sum(map(int, (user, nice, system, irq, softirq, steal))) / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in usage)


def check(source: Path, targets: list[Path], model: Path, features: list[str]) -> None:
    """All ways give the model's own predictions for every row."""
    given = pq.read_table(source)
    rows = np.column_stack([given[name].to_numpy() for name in features])[:10_000]
    expected = Trees(str(model), features).score(rows)
    for target in targets:
        found = pq.read_table(target, columns=["ID", "PREDICTION"]).sort_by("ID")
        if not found["ID"].equals(given["ID"]):
            raise SystemExit(f"{target.name}: rows are lost or doubled")
        np.testing.assert_array_equal(found["PREDICTION"].to_numpy()[: len(expected)], expected)


def plot(summary: dict[str, Any], path: Path) -> None:
    """Bars of rows per second, a dot for each repeat; by processor time if other work disturbed the measurement."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    disturbed = summary["disturbed"]
    share = summary["processes"]
    figure, axes = pyplot.subplots(figsize=(7, 3.2))
    for position, (name, way) in enumerate(reversed(summary["ways"].items())):
        rates = [summary["rows"] / (run["cpu"] / share if disturbed else run["seconds"]) / 1e6 for run in way["runs"]]
        ratio = way["cpu_ratio"] if disturbed else way["ratio"]
        axes.barh(position, statistics.median(rates), color="#29b5e8" if name == "worker" else "#c3ccd6")
        axes.plot(rates, [position] * len(rates), "o", color="#11567f", markersize=4)
        axes.text(0.01, position, f"{name}  {ratio:.2f}", va="center", fontweight="bold")
    axes.set_yticks([])
    clock = f"per second of processor time, × {share}" if disturbed else "per second"
    axes.set_xlabel(f"million rows {clock} (bar: median; number: ratio to the model alone)")
    axes.set_title(f"{summary['model']}; {summary['rows']:,} rows; {summary['processes']} processes")
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print a table, write JSON and a plot into ``benchmarks/results``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--features", type=int, default=16)
    parser.add_argument("--files", type=int, default=16)
    parser.add_argument("--row-groups", type=int, default=4, help="in each file")
    parser.add_argument("--trees", type=int, default=100)
    parser.add_argument("--leaves", type=int, default=31)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--max-batch-rows", type=int, default=None, help="for the worker; it chooses if left out")
    parser.add_argument("--passed", choices=["ids", "all"], default="ids", help="input columns that are written")
    parser.add_argument("--name", default="worker_throughput", help="of the files in benchmarks/results")
    options = parser.parse_args(arguments)

    features = [f"F{number}" for number in range(options.features)]
    with scratch("worker_throughput") as folder:
        source = folder / "input"
        source.mkdir()
        write_input(source, options.rows, features, options.files, options.row_groups)
        model, library = train(folder, features, options.trees, options.leaves)
        passed = None if options.passed == "all" else ["ID"]
        worker = WorkerRuns(model, features, options.processes, options.max_batch_rows, passed, folder)
        runs: dict[str, list[dict[str, float]]] = {"limit": [], "worker": [], "loop": []}
        for repeat in range(options.repeats):
            target = folder / f"run_{repeat}"
            target.mkdir()
            with alone(runs["limit"]) as run:
                run.update(measure_limit(model, source, features, options.processes))
            with alone(runs["worker"]) as run:
                run.update(worker.measure(source, target / "worker"))
            with alone(runs["loop"]) as run:
                run.update(measure_loop(model, source, target / "loop", features, options.processes, passed))
            if repeat == 0:
                check(source, [target / "worker", target / "loop"], model, features)
            shutil.rmtree(target)

    summary = summarize(options, library, runs)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{options.name}.json").write_text(json.dumps(summary, indent=1) + "\n")
    plot(summary, RESULTS / f"{options.name}.png")
    print(table(summary))
    return 0


def summarize(options: argparse.Namespace, library: str, runs: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Medians over the repeats; each ratio is taken within one repeat."""
    ways = {}
    for name, measured in runs.items():
        ratios = _ratios(runs["limit"], measured, "seconds")
        seconds = statistics.median(one["seconds"] for one in measured)
        ways[name] = {
            "seconds": round(seconds, 3),
            "wall": round(statistics.median(one["wall"] for one in measured), 3),
            "rows_per_second": round(options.rows / seconds),
            "ratio": round(statistics.median(ratios), 3),
            "cpu": round(statistics.median(one["cpu"] for one in measured), 3),
            "cpu_ratio": round(statistics.median(_ratios(runs["limit"], measured, "cpu")), 3),
            "ratios": [round(one, 3) for one in ratios],
            "runs": [{key: round(value, 3) for key, value in one.items()} for one in measured],
        }
    others = max(run["others"] for measured in runs.values() for run in measured)
    disturbed = others > UNDISTURBED
    figures = {
        "share of the limit by CPU time": ways["worker"]["cpu_ratio"],
        "plain loop by CPU time": ways["loop"]["cpu_ratio"],
    }
    if not disturbed:
        # Seconds that other work had its part in say nothing.
        figures = {"share of the limit": ways["worker"]["ratio"], "plain loop": ways["loop"]["ratio"], **figures}
    return {
        "model": f"{library}, {options.trees} trees × {options.leaves} leaves",
        "rows": options.rows,
        "features": options.features,
        "files": options.files,
        "row_groups_per_file": options.row_groups,
        "processes": options.processes,
        "max_batch_rows": options.max_batch_rows,
        "passed": options.passed,
        "what": f"{library}, {options.trees} trees × {options.leaves} leaves, {options.rows:,} rows × "
        f"{options.features} float32, {'keys' if options.passed == 'ids' else 'all columns'} written",
        "figures": figures,
        "goals": {"share of the limit": GOAL, "share of the limit by CPU time": GOAL},
        "machine": machine(),
        "disturbed": disturbed,
        "ways": ways,
    }


def _ratios(limit: list[dict[str, float]], measured: list[dict[str, float]], key: str) -> list[float]:
    return [one[key] / other[key] for one, other in zip(limit, measured, strict=True)]


def table(summary: dict[str, Any]) -> str:
    """The summary as text."""
    what = f"{summary['rows']:,} rows × {summary['features']} float32"
    files = f"{summary['files']} files of {summary['row_groups_per_file']} row groups"
    lines = [
        (
            f"{summary['model']}; {what}, {files}, {summary['passed']} written; "
            f"{summary['processes']} processes on {summary['machine']['cores']} cores"
        ),
        f"{'':8}{'rows/s':>12}{'ratio':>8}{'seconds':>10}{'wall':>8}{'CPU s':>8}{'CPU ratio':>11}",
    ]
    for name, way in summary["ways"].items():
        lines.append(
            f"{name:8}{way['rows_per_second']:>12,}{way['ratio']:>8.2f}{way['seconds']:>10.2f}{way['wall']:>8.2f}"
            f"{way['cpu']:>8.2f}{way['cpu_ratio']:>11.2f}"
        )
    if summary["disturbed"]:
        lines.append(
            "Other work had the cores for a part of the time: only the ratio of processor time means something."
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
