"""The same work by other engines, each in its own words: Daft, Ray Data, Spark, a pool of processes over pandas.

They live in an environment of their own (``make bench-peers`` makes it and runs this), because Daft does not go with
the newest pyarrow; Spark also needs a Java runtime. Every engine, the worker among them, scores the rows of
`worker_throughput` in one run, with as many model processes as there are cores. Counted is the time of a whole process
less that of one over hardly any rows, so that starting an engine and loading the model do not count.

    python -m benchmarks.peers --rows 4000000
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.peer_engines import ENGINES, MODULES
from benchmarks.report import median, save
from benchmarks.scratch import scratch
from benchmarks.tree_model import train
from benchmarks.worker_run import python_model, run_worker
from benchmarks.worker_throughput import measure_limit, write_input

FEATURES = [f"F{number}" for number in range(16)]
FEW_ROWS = 20_000
ROOT = Path(__file__).parent.parent
PYTHON = ROOT / ".venv-peers" / "bin" / "python"
WORKER = "this worker"
SECONDS = 900


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


def measure(engine: str, python: Path, source: Path, target: Path, model: Path, processes: int) -> float:
    """Wall seconds of one run in a process of its own."""
    if engine == WORKER:
        trees = python_model("tree_model:Trees", path=str(model), features=FEATURES)
        return run_worker(source, target, trees, inference={"num_workers": processes}, columns=["ID"])["wall"]
    command = [str(python), "-m", "benchmarks.peer_engines", engine, str(source), str(target), str(model)]
    begun = time.perf_counter()
    done = subprocess.run(
        [*command, str(processes), *FEATURES], capture_output=True, text=True, check=False, cwd=ROOT, timeout=SECONDS
    )
    if done.returncode:
        raise SystemExit(f"{engine}: {done.stdout[-1000:]}{done.stderr[-3000:]}")
    return time.perf_counter() - begun


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
    walls: dict[str, list[float]] = {engine: [] for engine in engines}
    with scratch("peers") as folder:
        for label, rows in (("few", FEW_ROWS), ("all", options.rows)):
            (folder / label).mkdir()
            write_input(folder / label, rows, FEATURES, 16, 4)
        model, library = train(folder, FEATURES, 100, 31)
        for _ in range(options.repeats):
            limit = measure_limit(model, folder / "all", FEATURES, options.processes)["seconds"]
            for engine in engines:
                target = folder / "out" / engine.replace(" ", "_")
                start = measure(engine, options.python, folder / "few", target, model, options.processes)
                shutil.rmtree(target)
                wall = measure(engine, options.python, folder / "all", target, model, options.processes)
                if written_rows(target) != options.rows:
                    raise SystemExit(f"{engine} wrote {written_rows(target)} rows of {options.rows}")
                shutil.rmtree(target)
                print(f"{engine}: {wall:.1f} s, {start:.1f} s of them to start", flush=True)
                shares[engine].append(limit / (wall - start))
                walls[engine].append(wall)
    labels = {engine: ENGINES.get(engine, engine) for engine in engines}
    save(
        "peers",
        f"{library}, 100 trees × 31 leaves, {options.rows:,} rows × 16 float32, {options.processes} processes, "
        "engines in one run",
        {
            **{f"{labels[engine]}, share of the limit": median(shares[engine]) for engine in engines},
            **{f"{labels[engine]}, wall seconds": median(walls[engine]) for engine in engines},
        },
        {},
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
