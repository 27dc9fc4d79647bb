"""What a user would write first: read a file, predict, write a file, and so on."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmarks.tree_model import Trees


def score_files(model: Trees, files: list[Path], target: Path, features: list[str], passed: list[str] | None) -> None:
    """Score each file as a whole.

    :param passed: the input columns that are written; None for all.
    """
    for path in files:
        frame = pd.read_parquet(path)
        frame["PREDICTION"] = model.score(frame[features].to_numpy())
        if passed is not None:
            frame = frame[[*passed, "PREDICTION"]]
        frame.to_parquet(target / path.name, index=False)
