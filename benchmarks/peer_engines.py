"""How other engines are told to score Parquet files; each runs in a process of the engines' own environment.

python -m benchmarks.peer_engines ENGINE SOURCE TARGET MODEL PROCESSES FEATURE…
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.tree_model import Trees

ENGINES = {"daft": "Daft", "ray": "Ray Data", "spark": "Spark mapInPandas", "pandas": "a process pool over pandas"}
MODULES = {"daft": ["daft"], "ray": ["ray", "pandas"], "spark": ["pyspark", "pandas"], "pandas": ["pandas"]}
BATCH_ROWS = 16_384


def daft(source: Path, target: Path, model: str, processes: int, features: list[str]) -> None:
    import daft

    @daft.cls(max_concurrency=processes, use_process=True)
    class Score:
        def __init__(self) -> None:
            self._model = Trees(model, features)

        @daft.method.batch(return_dtype=daft.DataType.float64(), batch_size=BATCH_ROWS)
        def score(self, *columns: Any) -> np.ndarray:
            return self._model.score(np.column_stack([column.to_arrow().to_numpy() for column in columns]))

    rows = daft.read_parquet(f"{source}/*.parquet")
    scored = rows.with_column("PREDICTION", Score().score(*(daft.col(name) for name in features)))
    scored.select("ID", "PREDICTION").write_parquet(str(target))


class _RayScore:
    def __init__(self, model: str, features: list[str]) -> None:
        self._model, self._features = Trees(model, features), features

    def __call__(self, frame: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"ID": frame["ID"], "PREDICTION": self._model.score(frame[self._features].to_numpy())})


def ray(source: Path, target: Path, model: str, processes: int, features: list[str]) -> None:
    import ray

    ray.init(num_cpus=processes, include_dashboard=False, logging_level="ERROR")
    rows = ray.data.read_parquet(str(source))
    scored = rows.map_batches(
        _RayScore,
        fn_constructor_args=(model, features),
        batch_format="pandas",
        batch_size=BATCH_ROWS,
        # An actor that takes a whole core leaves none for reading and writing.
        num_cpus=0.5,
        concurrency=processes,
    )
    scored.write_parquet(str(target))


def spark(source: Path, target: Path, model: str, processes: int, features: list[str]) -> None:
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = (
        SparkSession.builder.master(f"local[{processes}]")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", str(BATCH_ROWS))
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )

    def score(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        trees = Trees(model, features)
        for frame in frames:
            yield pd.DataFrame({"ID": frame["ID"], "PREDICTION": trees.score(frame[features].to_numpy())})

    rows = session.read.parquet(str(source)).select("ID", *features)
    rows.mapInPandas(score, "ID long, PREDICTION double").write.parquet(str(target))
    session.stop()


_trees: Trees


def _load(model: str, features: list[str]) -> None:
    global _trees
    _trees = Trees(model, features)


def _score(frame: pd.DataFrame) -> np.ndarray:
    return _trees.score(frame.to_numpy())


def pandas(source: Path, target: Path, model: str, processes: int, features: list[str]) -> None:
    """The parent reads and writes; the pool gets pieces of its DataFrames."""
    target.mkdir(parents=True)
    with multiprocessing.get_context("spawn").Pool(processes, _load, (model, features)) as pool:
        for path in sorted(source.iterdir()):
            frame = pd.read_parquet(path)
            pieces = [frame[features].iloc[start : start + BATCH_ROWS] for start in range(0, len(frame), BATCH_ROWS)]
            scored = pd.DataFrame({"ID": frame["ID"], "PREDICTION": np.concatenate(pool.map(_score, pieces))})
            scored.to_parquet(target / path.name, index=False)


def main(arguments: list[str]) -> int:
    engine, source, target, model, processes, *features = arguments
    run = {"daft": daft, "ray": ray, "spark": spark, "pandas": pandas}[engine]
    run(Path(source), Path(target), model, int(processes), features)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
