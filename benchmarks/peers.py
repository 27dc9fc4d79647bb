"""The same work by other engines, each in its own words: Daft, Ray Data, Spark, a pool of processes over pandas.

They live in an environment of their own (``make bench-peers`` makes it and runs this), because Daft does not go with
the newest pyarrow; Spark also needs a Java runtime. Every engine, the worker among them, scores the rows of
`worker_throughput` in one run, with as many model processes as there are cores. Counted is the time of a whole process
less that of one over hardly any rows, so that starting an engine and loading the model do not count. On a machine that
does other work too, the share by CPU time says more.

    python -m benchmarks.peers --rows 4000000
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pyarrow.parquet as pq

from benchmarks.peer_engines import ENGINES, MODULES
from benchmarks.report import median, save
from benchmarks.scratch import scratch
from benchmarks.tree_model import train
from benchmarks.worker_run import python_model, run_worker
from benchmarks.worker_throughput import UNDISTURBED, alone, measure_limit, write_input

FEATURES = [f"F{number}" for number in range(16)]
FEW_ROWS = 20_000
ROOT = Path(__file__).parent.parent
PYTHON = ROOT / ".venv-peers" / "bin" / "python"
WORKER = "this worker"
SECONDS = 900
BURY_SECONDS = 20
SAMPLE_SECONDS = 0.2
_PR_SET_CHILD_SUBREAPER = 36


def installed(python: Path) -> list[str]:
    """The engines that an environment has all modules of."""
    code = "import importlib.util as u, sys; print(*(n for n in sys.argv[1:] if u.find_spec(n)))"
    modules = {module for needed in MODULES.values() for module in needed}
    done = subprocess.run([python, "-c", code, *modules], capture_output=True, text=True, check=True)
    found = [name for name, needed in MODULES.items() if set(needed) <= set(done.stdout.split())]
    if "spark" in found and shutil.which("java") is None:
        print("Spark is left out: it needs a Java runtime, and there is no command java.")
        found.remove("spark")
    return found


class ProcessorTime:
    """Processor seconds of all processes that are started meanwhile, by looking at them again and again.

    What the system adds up for a parent does not do: some engines do not wait for their processes.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[int, float], float] = {}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look_on)

    @property
    def seconds(self) -> float:
        return sum(self._seen.values())

    def _look_on(self) -> None:
        while not self._done.wait(SAMPLE_SECONDS):
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    times = process.cpu_times()
                    self._seen[process.pid, process.create_time()] = times.user + times.system

    def __enter__(self) -> ProcessorTime:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


def measure(engine: str, python: Path, source: Path, target: Path, model: Path, processes: int) -> tuple[float, float]:
    """Wall seconds, and processor seconds of all processes, of one run in a process of its own."""
    begun = time.perf_counter()
    with ProcessorTime() as processor:
        if engine == WORKER:
            trees = python_model("tree_model:Trees", path=str(model), features=FEATURES)
            run_worker(source, target, trees, inference={"num_workers": processes}, columns=["ID"])
        else:
            _run(engine, python, source, target, model, processes)
        wall = time.perf_counter() - begun
    bury()
    return wall, processor.seconds


def _run(engine: str, python: Path, source: Path, target: Path, model: Path, processes: int) -> None:
    command = [str(python), "-m", "benchmarks.peer_engines", engine, str(source), str(target), str(model)]
    done = subprocess.run(
        [*command, str(processes), *FEATURES], capture_output=True, text=True, check=False, cwd=ROOT, timeout=SECONDS
    )
    if done.returncode:
        raise SystemExit(f"{engine}: {done.stdout[-1000:]}{done.stderr[-3000:]}")


def adopt() -> None:
    """Processes that an engine leaves alone come to us, so that they are seen, and gone before the next engine runs."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def bury() -> None:
    deadline = time.monotonic() + BURY_SECONDS
    while time.monotonic() < deadline:
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.1)
        except ChildProcessError:
            return


def written_rows(target: Path) -> int:
    return sum(pq.read_metadata(path).num_rows for path in target.rglob("*.parquet"))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--python", type=Path, default=PYTHON, help="of the engines' environment (%(default)s)")
    options = parser.parse_args(arguments)
    if not options.python.exists():
        print(f"Other engines are left out: there is no {options.python}; make bench-peers installs them.")
        return 0
    engines = [WORKER, *installed(options.python)]
    shares: dict[str, list[float]] = {engine: [] for engine in engines}
    by_cpu: dict[str, list[float]] = {engine: [] for engine in engines}
    walls: dict[str, list[float]] = {engine: [] for engine in engines}
    limits: list[dict[str, float]] = []
    adopt()
    with scratch("peers") as folder:
        for label, rows in (("few", FEW_ROWS), ("all", options.rows)):
            (folder / label).mkdir()
            write_input(folder / label, rows, FEATURES, 16, 4)
        model, library = train(folder, FEATURES, 100, 31)
        for _ in range(options.repeats):
            for engine in engines:
                with alone(limits) as limit:
                    limit.update(measure_limit(model, folder / "all", FEATURES, options.processes))
                target = folder / "out" / engine.replace(" ", "_")
                runs = []
                for label, rows in (("few", FEW_ROWS), ("all", options.rows)):
                    runs.append(measure(engine, options.python, folder / label, target, model, options.processes))
                    if written_rows(target) != rows:
                        raise SystemExit(f"{engine} wrote {written_rows(target)} rows of {rows}")
                    shutil.rmtree(target)
                (start, start_cpu), (wall, cpu) = runs
                shares[engine].append(limit["seconds"] / (wall - start))
                by_cpu[engine].append(limit["cpu"] / (cpu - start_cpu))
                walls[engine].append(wall)
                print(
                    f"{engine}: {wall:.1f} s, {start:.1f} s of them to start; {shares[engine][-1]:.2f} of the limit, "
                    f"{by_cpu[engine][-1]:.2f} by CPU time",
                    flush=True,
                )
    disturbed = max(limit["others"] for limit in limits) > UNDISTURBED
    figures = {}
    for engine in engines:
        label = ENGINES.get(engine, engine)
        figures[f"{label}, share of the limit by CPU time"] = median(by_cpu[engine])
        # Seconds that other work had its part in say nothing.
        if not disturbed:
            figures[f"{label}, share of the limit"] = median(shares[engine])
            figures[f"{label}, wall seconds"] = median(walls[engine])
    what = f"{library}, 100 trees × 31 leaves, {options.rows:,} rows × 16 float32, {options.processes} processes"
    save("peers", f"{what}, all engines in one run", figures, {}, disturbed=disturbed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
