"""Other ways to score the flights of `mixed_table`, each with one process for the model.

python -m benchmarks.mixed_engines ENGINE SOURCE TARGET MODEL [PASSED…]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.mixed_model import Delays

BATCH_ROWS = 65_536


def loop(source: Path, target: Path, model: str, passed: list[str]) -> None:
    """What a user would write first: all columns of a file, predict, write, next."""
    target.mkdir(parents=True)
    delays = Delays(model)
    for path in sorted(source.iterdir()):
        frame = pd.read_parquet(path)
        frame["PREDICTION"] = delays.score(frame)
        if passed:
            frame = frame[[*passed, "PREDICTION"]]
        frame.to_parquet(target / path.name, index=False)


def daft(source: Path, target: Path, model: str, passed: list[str]) -> None:
    import daft

    @daft.cls(max_concurrency=1, use_process=True)
    class Score:
        def __init__(self) -> None:
            self._model = Delays(model)

        @daft.method.batch(return_dtype=daft.DataType.float64(), batch_size=BATCH_ROWS)
        def score(self, *columns: Any) -> Any:
            named = zip(Delays.input_columns, columns, strict=True)
            return self._model.score(pd.DataFrame({name: column.to_arrow().to_pandas() for name, column in named}))

    rows = daft.read_parquet(f"{source}/*.parquet")
    scored = rows.with_column("PREDICTION", Score().score(*(daft.col(name) for name in Delays.input_columns)))
    if passed:
        scored = scored.select(*passed, "PREDICTION")
    scored.write_parquet(str(target))


class _RayScore:
    def __init__(self, model: str, passed: list[str]) -> None:
        self._model, self._passed = Delays(model), passed

    def __call__(self, frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.assign(PREDICTION=self._model.score(frame))
        return frame[[*self._passed, "PREDICTION"]] if self._passed else frame


def ray(source: Path, target: Path, model: str, passed: list[str]) -> None:
    import ray

    # A second core for reading and writing: what is compared is processor time.
    ray.init(address="local", num_cpus=2, include_dashboard=False, logging_level="ERROR")
    scored = ray.data.read_parquet(str(source)).map_batches(
        _RayScore,
        fn_constructor_args=(model, passed),
        batch_format="pandas",
        batch_size=BATCH_ROWS,
        num_cpus=0.5,
        concurrency=1,
    )
    scored.write_parquet(str(target))


def main(arguments: list[str]) -> int:
    engine, source, target, model, *passed = arguments
    run = {"loop": loop, "daft": daft, "ray": ray}[engine]
    run(Path(source), Path(target), model, passed)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
