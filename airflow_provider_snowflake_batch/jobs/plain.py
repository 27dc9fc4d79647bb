"""Values that come out of Airflow's database as they went in, and out of its events.

XComs, trigger events and events of assets are JSON on their way, each by a serialiser of its own. With Airflow 3.3, a
number that is none (NaN, infinity) fails the task that returns it, after its work, or becomes NULL; a time with a fixed
offset can be stored and not be read; decimals, sets and whole numbers beyond 64 bits become something else, or fail.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any


def plain(value: Any) -> Any:
    """The same as JSON values that every serialiser keeps.

    Numbers that are none become None, times ISO 8601 text in UTC (as they are without a zone), decimals whole numbers
    where they are whole, else floating-point ones where that is exact, else text; keys become text, sets sorted lists;
    anything else text.
    """
    match value:
        case None | bool():
            return value
        case Enum():
            return plain(value.value)
        case str():
            return str(value)
        case int():
            return int(value) if -(2**63) <= value < 2**63 else str(value)
        case float():
            return float(value) if math.isfinite(value) else None
        case Decimal():
            return _decimal(value)
        case datetime():
            return (value.astimezone(UTC) if value.tzinfo is not None else value).isoformat()
        case date():
            return value.isoformat()
        case Mapping():
            return {str(plain(key)): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case set() | frozenset():
            return sorted((plain(item) for item in value), key=str)
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        # A NumPy scalar.
        return plain(value.item())
    return str(value)


def number(value: Any) -> float | int | None:
    """A number that is one, or None."""
    found = plain(value)
    return found if type(found) in (int, float) else None


def _decimal(value: Decimal) -> Any:
    if not value.is_finite():
        return None
    if value == value.to_integral_value():
        return plain(int(value))
    return float(value) if Decimal(repr(float(value))) == value else str(value)
