"""Decimals as the numbers that models compute with: exactly, or the nearest one.

Arrow's cast multiplies by an inexact power of ten, so it may give a neighbour of the nearest floating-point number.
"""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# A decimal of up to so many digits can be recovered from the nearest 64-bit floating-point number, and so many powers
# of ten are exact in 64-bit floating point (IEEE 754).
SURE_DIGITS = 15
EXACT_POWERS = 22
_POWERS = 10.0 ** np.arange(EXACT_POWERS + 1)
_MOST = 10**SURE_DIGITS


def whole_numbers(array: pa.Array) -> pa.Array:
    """Decimals without a scale as 64-bit whole numbers.

    :raises pa.ArrowInvalid: one does not fit.
    """
    try:
        return pc.cast(array, pa.int64())
    except pa.ArrowInvalid:
        beyond = next((one for one in array.to_pylist() if one is not None and not -(2**63) <= one < 2**63), None)
        if beyond is None:
            raise
        raise pa.ArrowInvalid(
            f"{beyond} is beyond 64-bit whole numbers; give the column as text, or without such values"
        ) from None


def floats(array: pa.Array, *, exactly: bool) -> pa.Array:
    """Decimals as the nearest 64-bit floating-point numbers.

    :param exactly: refuse a value that cannot be recovered from the number.
    :raises pa.ArrowInvalid: a value has too many digits for that.
    """
    unscaled, scale, small = _unscaled(array)
    numbers = np.zeros(len(array))
    np.divide(unscaled, _POWERS[np.minimum(scale, EXACT_POWERS)], out=numbers, where=small)
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    for place in np.flatnonzero(valid & ~small):
        numbers[place] = _one(array[int(place)].as_py(), exactly)
    return pa.array(numbers, mask=None if valid.all() else ~valid)


def _unscaled(array: pa.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whole numbers and how many digits of each come after the point; where they are too many, the last is False."""
    kind = array.type
    rows = len(array)
    if not pa.types.is_decimal128(kind):
        if kind.precision > 38:
            return np.zeros(rows, np.int64), np.zeros(rows, np.int64), np.zeros(rows, bool)
        array = pc.cast(array, pa.decimal128(kind.precision, kind.scale))
    words = np.frombuffer(array.buffers()[1] or b"", np.int64).reshape(-1, 2)[array.offset : array.offset + rows]
    low, high = words[:, 0].copy(), words[:, 1]
    scale = np.full(rows, kind.scale)
    fits = high == low >> 63
    small = fits & _sure(low) & (scale <= EXACT_POWERS)
    # A value with too many digits may end in zeros, as quotients and sums of a wide type do.
    while True:
        long = np.flatnonzero(fits & ~small & (scale > 0))
        long = long[low[long] % 10 == 0]
        if not len(long):
            return low, scale, small & (scale >= 0)
        low[long] //= 10
        scale[long] -= 1
        small[long] = _sure(low[long]) & (scale[long] <= EXACT_POWERS)


def _sure(unscaled: np.ndarray) -> np.ndarray:
    # Not by absolute values, since the least 64-bit number has none.
    sure: np.ndarray = (unscaled > -_MOST) & (unscaled < _MOST)
    return sure


def _one(value: Decimal, exactly: bool) -> float:
    number = float(value)
    with localcontext() as context:
        context.prec = 100
        if exactly and round(Decimal(repr(number)), max(-value.as_tuple().exponent, 0)) != value:  # type: ignore[operator]
            raise pa.ArrowInvalid(f"{value} has more digits than a 64-bit floating-point number holds")
    return number
