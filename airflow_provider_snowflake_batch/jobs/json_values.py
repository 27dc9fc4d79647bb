"""JSON values that come out of Airflow's database, and out of its events, as they went in.

XComs, trigger events and events of assets become JSON, each through another serialiser. With Airflow 3.3, NaN and
infinity fail the task that returns them, after its work, or become NULL. A time with a fixed offset can be stored but
not be read. Decimals, sets and whole numbers beyond 64 bits become something else, or fail. PostgreSQL takes no JSON
whose texts hold the character NUL, and no database takes half of a surrogate pair.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

# Of a whole number that is written out.
_MOST_DIGITS = 400


def json_value(value: Any) -> Any:
    """A value as JSON that every serialiser keeps.

    - NaN, infinity and what is missing for NumPy or pandas become None.
    - Times become ISO 8601 text, in UTC if they have a time zone.
    - Decimals become whole numbers if they are whole, else floats if a float is exact, else text.
    - In texts, NUL and halves of surrogate pairs become the replacement character.
    - Keys become text, sets become sorted lists, and everything else becomes text.
    """
    match value:
        case None | bool():
            return value
        case Enum():
            return json_value(value.value)
        case str():
            return _text(value)
        case int():
            # Python writes whole numbers of up to 4300 digits as text.
            return int(value) if -(2**63) <= value < 2**63 else str(Decimal(value))
        case float():
            return float(value) if math.isfinite(value) else None
        case Decimal():
            return _decimal(value)
        case datetime():
            return _moment(value)
        case date():
            return value.isoformat()
        case Mapping():
            return {_text(str(json_value(key))): json_value(item) for key, item in value.items()}
        case list() | tuple():
            return [json_value(item) for item in value]
        case set() | frozenset():
            return sorted((json_value(item) for item in value), key=str)
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        return _of_numpy(value)
    return None if type(value).__name__ == "NAType" else _text(str(value))


def _of_numpy(value: Any) -> Any:
    """A single value of NumPy's, as Python's own. Times in nanoseconds would be whole numbers there."""
    if value.dtype.kind in "mM":
        return None if value != value else str(value)
    plain = value.item()
    if type(plain) is not type(value):
        return json_value(plain)
    # Python has no number of so many bits.
    return json_value(Decimal(str(value))) if value.dtype.kind == "f" else str(value)


def _text(value: str) -> str:
    return "".join("\ufffd" if one == "\0" or "\ud800" <= one <= "\udfff" else one for one in value)


def _moment(value: datetime) -> str | None:
    # One that differs from itself is pandas' NaT.
    if value.tzinfo is None:
        return value.isoformat() if value == value else None
    try:
        return value.astimezone(UTC).isoformat()
    except OverflowError:
        # Its year in UTC is 0 or 10000, which Python does not have.
        return value.isoformat()


def number(value: Any) -> float | int | None:
    """The number if it is a finite one, else None."""
    found = json_value(value)
    return found if type(found) in (int, float) else None


def _decimal(value: Decimal) -> Any:
    if not value.is_finite():
        return None
    if value.adjusted() < _MOST_DIGITS and value == value.to_integral_value():
        return json_value(int(value))
    return float(value) if Decimal(repr(float(value))) == value else str(value)
