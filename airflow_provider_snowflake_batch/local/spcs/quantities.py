"""CPU, memory and GPU quantities of specifications.

Units differ between the two statements: https://docs.snowflake.com/en/developer-guide/snowpark-container-services/specification-reference
(M, Mi, G, Gi) and …/sql-reference/sql/execute-inference-job-service (GiB, MiB).
"""

from __future__ import annotations

import re
from typing import Any

from airflow_provider_snowflake_batch.local.errors import invalid_specification

_UNITS = {"M": 10**6, "G": 10**9, "Mi": 2**20, "Gi": 2**30, "MiB": 2**20, "GiB": 2**30, "MB": 10**6, "GB": 10**9}


def cpu(value: Any, place: str) -> float:
    """vCPUs from ``1.5``, ``"2"`` or ``"500m"``."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(m?)", str(value)) if not isinstance(value, bool) else None
    if match is None:
        raise invalid_specification(f"invalid value '{value}' for '{place}', expected a number of vCPUs.")
    return float(match[1]) / (1000 if match[2] else 1)


def memory(value: Any, place: str) -> float:
    """Bytes from a number with the unit M, Mi, G or Gi."""
    return _bytes(value, place, ("M", "Mi", "G", "Gi"))


def inference_memory(value: Any, place: str) -> float:
    """Bytes from a number with a unit as the inference specification allows them, for example ``8GiB``."""
    return _bytes(value, place, tuple(_UNITS))


def _bytes(value: Any, place: str, units: tuple[str, ...]) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)", str(value))
    if match is None or match[2] not in units:
        expected = f"a number with a unit ({', '.join(units)})"
        raise invalid_specification(f"invalid value '{value}' for '{place}', expected {expected}.")
    return float(match[1]) * _UNITS[match[2]]


def gpu(value: Any, place: str) -> float:
    if isinstance(value, bool) or not re.fullmatch(r"\d+", str(value)):
        raise invalid_specification(f"invalid value '{value}' for '{place}', expected a number of GPUs.")
    return float(value)
