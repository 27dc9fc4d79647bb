"""Models in the local Snowflake's registry, logged by the real ``snowflake-ml-python`` client."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from airflow_provider_snowflake_batch.local.server_process import LocalServer, server_python


def log_linear_model(server: LocalServer, name: str = "LINEAR", version: str = "V1") -> None:
    """A scikit-learn model with the inputs A and B and the output PREDICTION = 2 * A + 3 * B."""
    if sys.executable != server_python():
        subprocess.run([server_python(), "-m", "tests.models", server.state_dir, name, version], check=True)
        return
    import pandas as pd
    from sklearn.linear_model import LinearRegression

    inputs = pd.DataFrame({"A": [0.0, 1.0, 0.0, 1.0], "B": [0.0, 0.0, 1.0, 1.0]})
    outputs = 2 * inputs["A"] + 3 * inputs["B"]
    log_model(server, LinearRegression().fit(inputs, outputs), name, version, inputs, outputs.to_frame("PREDICTION"))


def log_model(server: LocalServer, model: Any, name: str, version: str, inputs: Any, outputs: Any) -> None:
    from snowflake.ml.model.model_signature import infer_signature
    from snowflake.ml.registry import Registry
    from snowflake.snowpark import Session

    with Session.builder.configs(server.connection_kwargs).create() as session:
        Registry(session).log_model(
            model,
            model_name=name,
            version_name=version,
            signatures={"predict": infer_signature(inputs, outputs)},
            target_platforms=["SNOWPARK_CONTAINER_SERVICES"],
        )


def predict_digits_directly() -> tuple[list[int], list[int]]:
    """What the example's model says about the example's scans, without Snowflake; and the truth."""
    from sklearn.datasets import load_digits
    from sklearn.ensemble import RandomForestClassifier

    pixels, digits = load_digits(return_X_y=True)
    model = RandomForestClassifier(n_estimators=100, random_state=0).fit(pixels[:897], digits[:897])
    return model.predict(pixels[897:]).tolist(), digits[897:].tolist()


if __name__ == "__main__":
    log_linear_model(LocalServer(Path(sys.argv[1])), *sys.argv[2:])
