"""Models of files.

No ``from __future__ import annotations`` here: ``inference_api`` reads the annotations as types.
"""

import pandas as pd
from snowflake.ml.model import custom_model


class Measure(custom_model.CustomModel):  # type: ignore[misc]
    """Tells how many bytes each file has, whatever its column is called."""

    @custom_model.inference_api  # type: ignore[untyped-decorator]
    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"BYTES": [len(content) for content in frame.iloc[:, 0]]})
