"""A custom model as snowflake-ml-python packs it: its signature, and the method of its manifest."""

from __future__ import annotations

from typing import Any

SIGNATURE: dict[str, Any] = {
    "inputs": [{"name": "X", "type": "DOUBLE", "nullable": True}],
    "outputs": [{"name": "Y", "type": "DOUBLE", "nullable": True}],
    "params": [{"name": "factor", "dtype": "DOUBLE", "default_value": 2.0}],
}
METHOD: dict[str, Any] = {
    "name": "PREDICT",
    "type": "FUNCTION",
    "handler": "functions.predict.infer",
    "runtime": "python_runtime",
    "inputs": [{"name": "X", "type": "FLOAT"}],
    "params": [{"name": "FACTOR", "type": "FLOAT", "default": 2.0}],
    "outputs": [{"type": "OBJECT"}],
}
