"""Custom models for the registry: ``snowflake-ml-python`` reads their annotations, so these must not be strings."""

import numpy as np
import pandas as pd
from snowflake.ml.model import custom_model


class Scaler(custom_model.CustomModel):
    """Nested inputs, nested outputs and a parameter of each type."""

    @custom_model.inference_api
    def predict(
        self, frame: pd.DataFrame, *, gain: float = 2.0, times: int = 3, label: str = "x", flag: bool = False
    ) -> pd.DataFrame:
        rows = []
        for values, extra in zip(frame["values"], frame["extra"], strict=True):
            assert isinstance(values, list)
            assert extra is None or isinstance(extra, dict)
            chunks = [{"timestamp": [one, one * gain], "text": label * times} for one in values]
            rows.append({"text": f"{label}{flag}", "chunks": chunks})
        frame_out = pd.DataFrame({"outputs": rows})
        frame_out["image"] = [np.full((2, 3), len(values), dtype=np.uint8) for values in frame["values"]]
        return frame_out


class Client(custom_model.CustomModel):
    """Uses what only the package's own ``__init__`` defines."""

    @custom_model.inference_api
    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        from snowflake.ml.model import ModelVersion, Volatility
        from snowflake.ml.model import model_signature as signatures

        names = f"{ModelVersion.__name__} {Volatility.__name__} {signatures.DataType.INT8.name}"
        return pd.DataFrame({"names": [names] * len(frame)})


class Totals(custom_model.CustomModel):
    """A function of a whole partition, as a registry model declares it."""

    @custom_model.partitioned_api
    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"total": [float(frame["X"].sum())]})
