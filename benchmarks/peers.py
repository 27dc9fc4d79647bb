"""The same work by other engines, each in its own words: Daft and Ray Data, where they are installed.

They want an environment of their own, because Daft does not go with the newest pyarrow:
``pip install 'daft>=0.7,<0.8' 'ray[data]' lightgbm matplotlib pandas pyarrow``. Each engine scores the rows of
`worker_throughput` with as many model processes as there are cores. Counted is the time of a run less that of a run
over hardly any rows, so that starting the engine and loading the model do not count, as for the worker.

    python -m benchmarks.peers --rows 4000000
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from benchmarks.report import save
from benchmarks.tree_model import Trees, train
from benchmarks.worker_throughput import measure_limit, write_input

FEATURES = [f"F{number}" for number in range(16)]
ENGINES = {"daft": "Daft", "ray": "Ray Data"}
FEW_ROWS = 20_000


def daft(source: Path, target: Path, model: str, processes: int) -> None:
    import daft

    @daft.udf(return_dtype=daft.DataType.float64(), concurrency=processes, batch_size=16_384)
    class Score:
        def __init__(self) -> None:
            self._model = Trees(model, FEATURES)

        def __call__(self, *columns: Any) -> np.ndarray:
            return self._model.score(np.column_stack([column.to_arrow().to_numpy() for column in columns]))

    rows = daft.read_parquet(f"{source}/*.parquet")
    scored = rows.with_column("PREDICTION", Score(*(daft.col(name) for name in FEATURES)))
    scored.select("ID", "PREDICTION").write_parquet(str(target))


class _RayScore:
    def __init__(self, model: str) -> None:
        self._model = Trees(model, FEATURES)

    def __call__(self, frame: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"ID": frame["ID"], "PREDICTION": self._model.score(frame[FEATURES].to_numpy())})


def ray(source: Path, target: Path, model: str, processes: int) -> None:
    import ray

    ray.init(num_cpus=processes, include_dashboard=False, logging_level="ERROR")
    rows = ray.data.read_parquet(str(source))
    scored = rows.map_batches(
        _RayScore,
        fn_constructor_args=(model,),
        batch_format="pandas",
        batch_size=16_384,
        # An actor that takes a whole core leaves none for reading and writing.
        num_cpus=0.5,
        concurrency=processes,
    )
    scored.write_parquet(str(target))


def measure(engine: str, source: Path, target: Path, model: Path, processes: int) -> float:
    """Wall seconds of one run in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.peers", "--engine", engine, str(source), str(target), str(model)]
    begun = time.perf_counter()
    done = subprocess.run([*command, "--processes", str(processes)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{engine}: {done.stderr[-3000:]}")
    return time.perf_counter() - begun


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--engine", nargs=4, metavar=("NAME", "SOURCE", "TARGET", "MODEL"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.engine:
        name, source, target, model = options.engine
        {"daft": daft, "ray": ray}[name](Path(source), Path(target), model, options.processes)
        return 0
    found = [name for name in ENGINES if importlib.util.find_spec(name) is not None]
    if not found:
        print("Neither Daft nor Ray Data is installed here; benchmarks/peers.py says how.")
        return 0
    figures = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for label, rows in (("few", FEW_ROWS), ("all", options.rows)):
            (folder / label).mkdir()
            write_input(folder / label, rows, FEATURES, 16, 4)
        model, library = train(folder, FEATURES, 100, 31)
        limit = measure_limit(model, folder / "all", FEATURES, options.processes)["seconds"]
        for engine in found:
            start = measure(engine, folder / "few", folder / f"{engine}_few", model, options.processes)
            wall = measure(engine, folder / "all", folder / engine, model, options.processes)
            written = sum(pq.read_metadata(path).num_rows for path in (folder / engine).rglob("*.parquet"))
            if written != options.rows:
                raise SystemExit(f"{engine} wrote {written} rows of {options.rows}")
            figures[f"{ENGINES[engine]}, share of the limit"] = limit / (wall - start)
            figures[f"{ENGINES[engine]}, wall seconds"] = wall
    save(
        "peers", f"{library}, 100 trees × 31 leaves, {options.rows:,} rows × 16 float32, by other engines", figures, {}
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
