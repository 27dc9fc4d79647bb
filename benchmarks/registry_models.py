"""Models as the registry packs them, scored by the worker, against the bare model and against calls in a loop.

A model of XGBoost (300 trees of depth 6) and one of scikit-learn (histogram gradient boosting, 100 trees of 31 leaves)
are packed by the client's own packager, as ``Registry.log_model`` does. Each is run in three ways over the same rows,
one thread and one process each, in turn:

* ``limit``: the bare model on an array in memory, in pieces.
* ``worker``: Parquet files to Parquet files, the key passed through.
* ``loop``: what `ModelVersion.run` does with a local frame, read from the same files and written again: the client's
  check and conversion of the frame by the signature, the packed model, the names of the outputs.

Counted is processor time, that of the worker less that of a run over few rows, so that loading does not count.

    python -m benchmarks.registry_models --repeats 5
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.report import median, save
from benchmarks.scratch import scratch
from benchmarks.worker_run import run_worker
from benchmarks.worker_throughput import write_input

FEATURES = [f"F{number}" for number in range(16)]
FEW_ROWS = 2_000
BATCH_ROWS = 16_384
LIMIT_GOAL, LOOP_GOAL = 0.85, 1.5
LIMIT, WORKER, LOOP = "limit", "worker", "loop"


def xgboost_model(rows: Any, target: Any) -> Any:
    import xgboost

    return xgboost.XGBRegressor(n_estimators=300, max_depth=6, n_jobs=1, random_state=0).fit(rows, target)


def sklearn_model(rows: Any, target: Any) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(max_iter=100, early_stopping=False, random_state=0).fit(rows, target)


MODELS: dict[str, Callable[[Any, Any], Any]] = {"XGBoost": xgboost_model, "scikit-learn": sklearn_model}


def pack(folder: Path, make: Callable[[Any, Any], Any]) -> None:
    """Train a model and put it into the folder as ``log_model`` does."""
    import pandas as pd
    from snowflake.ml.model._packager.model_packager import ModelPackager
    from snowflake.ml.model.model_signature import infer_signature

    random = np.random.default_rng(0)
    rows = pd.DataFrame(random.standard_normal((20_000, len(FEATURES)), dtype=np.float32), columns=FEATURES)
    target = rows["F0"] * 2 + np.sin(rows["F1"] * 3) + rows["F2"] * rows["F3"]
    model = make(rows, target)
    outputs = pd.DataFrame({"PREDICTION": model.predict(rows[:10])})
    (folder / "model").mkdir(parents=True)
    ModelPackager(str(folder / "model")).save(
        name="m", model=model, options={}, ext_modules=[], signatures={"predict": infer_signature(rows[:10], outputs)}
    )


def load(folder: Path) -> Any:
    from snowflake.ml.model._packager.model_packager import ModelPackager

    packager = ModelPackager(str(folder / "model"))
    packager.load(as_custom_model=True)
    return packager


def measure_limit(folder: Path, source: Path) -> float:
    """Processor seconds of the model itself on an array that is in memory."""
    from snowflake.ml.model._packager.model_packager import ModelPackager

    packager = ModelPackager(str(folder / "model"))
    packager.load()
    table = pq.read_table(source, columns=FEATURES)
    rows = np.column_stack([table[name].to_numpy() for name in FEATURES])
    warnings.filterwarnings("ignore", message="X does not have valid feature names")
    packager.model.predict(rows[:100])
    begun = time.process_time()
    for start in range(0, len(rows), BATCH_ROWS):
        packager.model.predict(rows[start : start + BATCH_ROWS])
    return time.process_time() - begun


def measure_loop(folder: Path, source: Path, target: Path) -> float:
    """Processor seconds of a loop of calls as `ModelVersion.run` makes them for a local frame, over files."""
    import pandas as pd
    from snowflake.ml.model import model_signature

    packager = load(folder)
    signature = packager.meta.signatures["predict"]
    target.mkdir()
    begun = time.process_time()
    for path in sorted(source.iterdir()):
        for number, batch in enumerate(pq.ParquetFile(path).iter_batches(batch_size=BATCH_ROWS)):
            frame = batch.to_pandas()
            given = model_signature._convert_and_validate_local_data(frame[FEATURES], signature.inputs)
            returned = packager.model.predict(given)
            scored = pd.concat([frame[["ID"]], returned], axis=1)
            scored.to_parquet(target / f"{path.stem}-{number}.parquet", index=False)
    return time.process_time() - begun


def measure(way: str, folder: Path, label: str) -> float:
    """Processor seconds of one run over the rows of ``label``, in a process of its own."""
    target = folder / "out" / f"{label}-{way}"
    shutil.rmtree(target, ignore_errors=True)
    if way == WORKER:
        model = {"kind": "registry", "path": str(folder / "model"), "function": "predict"}
        limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        taken = run_worker(
            folder / label, target, model, inference={"num_workers": 1}, columns=["ID"], environment=limits
        )
        return taken["cpu"]
    command = [sys.executable, "-m", "benchmarks.registry_models", "--way", way, str(folder), str(folder / label)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    output = subprocess.run(
        [*command, str(target)], check=True, stdout=subprocess.PIPE, text=True, env=environment
    ).stdout
    return float(output.splitlines()[-1])


def check(folder: Path) -> None:
    """Worker and loop give the same.

    :raises SystemExit: they do not.
    """
    first, second = (
        pa.concat_tables(pq.read_table(path) for path in sorted((folder / "out" / f"all-{way}").glob("*.parquet")))
        .sort_by("ID")
        .to_pandas()
        for way in (WORKER, LOOP)
    )
    if list(first["ID"]) != list(second["ID"]) or not np.allclose(first["PREDICTION"], second["PREDICTION"]):
        raise SystemExit("the worker gives something else than the model called in a loop")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="fewer rows, once")
    parser.add_argument("--way", nargs=4, metavar=("WAY", "MODEL", "INPUT", "OUTPUT"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.way:
        way, model, source, target = options.way[0], *map(Path, options.way[1:])
        print(measure_limit(model, source) if way == LIMIT else measure_loop(model, source, target))
        return 0
    rows, repeats = (300_000, 1) if options.quick else (options.rows, options.repeats)
    figures, goals, runs = {}, {}, {}
    with scratch("registry_models") as folder:
        for name, make in MODELS.items():
            place = folder / name
            pack(place, make)
            for label, count in (("few", FEW_ROWS), ("all", rows)):
                (place / label).mkdir()
                write_input(place / label, count, FEATURES, 4, 2)
            seconds: dict[str, list[float]] = {LIMIT: [], WORKER: [], LOOP: []}
            # Loading takes longer than some thousand rows, and not always the same time.
            loading = median(measure(WORKER, place, "few") for _ in range(3))
            for _ in range(repeats):
                for way, taken in seconds.items():
                    taken.append(measure(way, place, "all") - (loading if way == WORKER else 0))
                print(name, *(f"{way} {taken[-1]:.2f} s" for way, taken in seconds.items()), flush=True)
            check(place)
            share = f"share of the bare model on arrays, processor time, {name}"
            times = f"loop of the client's calls / this worker, processor time, {name}"
            figures[share] = median(a / b for a, b in zip(seconds[LIMIT], seconds[WORKER], strict=True))
            figures[times] = median(a / b for a, b in zip(seconds[LOOP], seconds[WORKER], strict=True))
            goals |= {share: LIMIT_GOAL, times: LOOP_GOAL}
            runs[name] = {way: [round(one, 3) for one in taken] for way, taken in seconds.items()}
    what = f"registered models, {rows:,} rows × {len(FEATURES)} float32, keys written, one process"
    save("registry_models", what, figures, goals, runs=runs)
    return 0 if all(figures[name] >= goal for name, goal in goals.items()) else 1


if __name__ == "__main__":
    sys.exit(main())
