"""A custom model of the registry, as small as can be. The client reads its annotations as types, not as texts."""

import pandas as pd
from snowflake.ml.model import custom_model


class Linear(custom_model.CustomModel):  # type: ignore[misc]
    """PREDICTION = 2 * A + 3 * B."""

    @custom_model.inference_api  # type: ignore[untyped-decorator]
    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"PREDICTION": 2 * rows["A"] + 3 * rows["B"]})
