"""The models that the stack's Dags score with.

No ``from __future__ import annotations`` here: ``inference_api`` reads the annotations as types.
"""

import time

import pandas as pd
from snowflake.ml.model import custom_model


class Patience(custom_model.CustomModel):  # type: ignore[misc]
    """Waits for each batch as long as its most patient row says; a job of any length, or of none."""

    @custom_model.inference_api  # type: ignore[untyped-decorator]
    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        seconds = float(rows["SECONDS"].max())
        if seconds < 0:
            raise ValueError(f"cannot wait {seconds:g} seconds")
        time.sleep(seconds)
        return pd.DataFrame({"WAITED": rows["SECONDS"]})


class Counter(custom_model.CustomModel):  # type: ignore[misc]
    """Writes as many numbered lines as the largest row says, ten a second."""

    @custom_model.inference_api  # type: ignore[untyped-decorator]
    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        for number in range(int(rows["LINES"].max())):
            print(f"counted {number}", flush=True)
            time.sleep(0.1)
        return pd.DataFrame({"COUNTED": rows["LINES"]})
