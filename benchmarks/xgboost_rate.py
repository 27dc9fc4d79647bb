"""Rows per second and core with XGBoost, 100 trees of depth 6, 13 features, Parquet to Parquet.

Snowflake states 167,000 rows/s for each vCPU in its own account of scoring 10 billion rows.

    python -m benchmarks.xgboost_rate --rows 6000000
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import numpy as np

from benchmarks.report import median, rounded, save
from benchmarks.scratch import scratch
from benchmarks.worker_run import python_model, run_worker
from benchmarks.worker_throughput import write_input

PUBLISHED = 167_000
FEATURES = [f"F{number}" for number in range(13)]


def train(path: Path) -> None:
    import xgboost

    random = np.random.default_rng(0)
    rows = random.standard_normal((50_000, len(FEATURES)), dtype=np.float32)
    target = rows[:, 0] * 2 + np.sin(rows[:, 1] * 3) + rows[:, 2] * rows[:, 3]
    options = {"max_depth": 6, "tree_method": "hist", "seed": 0}
    xgboost.train(options, xgboost.DMatrix(rows, target), num_boost_round=100).save_model(path)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=6_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    cores = len(os.sched_getaffinity(0))
    with scratch("xgboost_rate") as folder:
        (folder / "input").mkdir()
        write_input(folder / "input", options.rows, FEATURES, 16, 4)
        train(folder / "model.ubj")
        model = python_model("xgboost_model:XGBoost", path=str(folder / "model.ubj"), features=FEATURES)
        runs = [
            run_worker(folder / "input", folder / "out", model, inference={"num_workers": cores}, columns=["ID"])
            for _ in range(options.repeats)
        ]
    by_time = median(options.rows / run["seconds"] / cores for run in runs)
    by_cpu = median(options.rows / run["cpu"] for run in runs)
    save(
        "xgboost_rate",
        f"XGBoost, 100 trees of depth 6, 13 features, {options.rows:,} rows, {cores} processes",
        {"rows/s per core": by_time, "rows per CPU second, start included": by_cpu},
        {"rows/s per core": 3 * PUBLISHED},
        runs=[rounded(run) for run in runs],
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
