"""What stands in for the page's own models: small, deterministic, logged through the real client."""

# No postponed annotations: the client compares the annotations of a model's methods with the types themselves.
import hashlib

import numpy as np
import pandas as pd
from snowflake.ml.model import custom_model


class Threshold(custom_model.CustomModel):
    """For structured rows. Its parameters are those that the page passes."""

    @custom_model.inference_api
    def predict(self, rows: pd.DataFrame, *, temperature: float = 0.5, max_tokens: int = 8) -> pd.DataFrame:
        return pd.DataFrame({"score": rows["FEATURE_1"] * temperature + rows["FEATURE_2"], "tokens": max_tokens})


class Digest(custom_model.CustomModel):
    """For files as bytes."""

    @custom_model.inference_api
    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"digest": [hashlib.sha256(content).hexdigest() for content in rows["PATH"]]})


class Speech(custom_model.CustomModel):
    """Stands in for speech recognition: the text says how much sound there was."""

    def __call__(self, sound: bytes) -> dict[str, object]:
        return {
            "text": f"{len(sound)} bytes",
            "chunks": [{"timestamp": [float(np.round(at / 2, 2)), 0.5], "text": str(sound[at])} for at in range(2)],
        }

    @custom_model.inference_api
    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"text": [str(self(sound)["text"]) for sound in rows["SOUND"]]})


class Chat(custom_model.CustomModel):
    """A chat model's place in the registry; the engine answers in its stead."""

    @custom_model.inference_api
    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        raise AssertionError("the engine was to answer")
