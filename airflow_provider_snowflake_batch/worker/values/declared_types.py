"""Values brought to the type that a model's signature states: exactly, as the type itself says, or not at all.

A signature says of which kind a value is: a number, a flag, a text, bytes, a moment. Arrow's cast mixes kinds: true
becomes the number 1, the number 1 a nanosecond after 1970, and ``"0x1F"`` 31. It makes infinity of a number that is too
large for 32 bits.

``FLOAT`` and ``DOUBLE`` mean the nearest such number. What the model *returns* as a whole number must be one of these
exactly; what it is *given* may be rounded, as models that compute in 32 bits expect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_snowflake_batch.worker.values import decimals
from airflow_provider_snowflake_batch.worker.values.common_types import bring_nested, is_list, without_layout

_NUMBER, _FLAG, _TEXT, _BYTES, _MOMENT, _ZONED = "a number", "a flag", "text", "bytes", "a time", "a time with a zone"
_DECIMAL_TEXT = r"^(?:[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|[+-]?inf|[+-]?infinity|nan)$"


@dataclass(frozen=True)
class Reading:
    """Which kinds of values are taken for others.

    :param taken: what else than its own kind a kind takes.
    :param nearest: whether a whole number may be rounded to a floating-point number.
    :param more_keys: whether an object may have keys that the signature does not state; they are left out.
    """

    taken: Mapping[str, frozenset[str]]
    nearest: bool
    more_keys: bool


_BOTH = {_FLAG: frozenset({_NUMBER}), _TEXT: frozenset({_BYTES}), _BYTES: frozenset({_TEXT})}
#: What a model returns.
RETURNED = Reading(_BOTH, nearest=False, more_keys=False)
#: What a model is given, as Snowflake converts it: flags are 1 and 0, and tables hold numbers and times as text.
#: Moments are in UTC.
GIVEN = Reading(
    {
        **_BOTH,
        _NUMBER: frozenset({_TEXT, _FLAG}),
        _FLAG: frozenset({_NUMBER, _TEXT}),
        _TEXT: frozenset({_BYTES, _NUMBER, _FLAG, _MOMENT, _ZONED}),
        _MOMENT: frozenset({_TEXT, _ZONED}),
    },
    nearest=True,
    more_keys=True,
)


def declared(column: pa.ChunkedArray, kind: pa.DataType, reading: Reading) -> pa.ChunkedArray:
    """A column in the type that a signature states.

    :raises pa.ArrowException, ValueError: a value cannot be had in that type.
    """
    if column.type == kind:
        return column
    return pa.chunked_array([_declared(chunk, kind, reading) for chunk in column.chunks], kind)


def _declared(array: pa.Array, kind: pa.DataType, reading: Reading) -> pa.Array:
    # A UUID counts as text, except where the signature has bytes.
    array = array.storage if isinstance(array.type, pa.UuidType) and _kind(kind) == _BYTES else without_layout(array)
    if array.type == kind:
        return array
    if array.null_count == len(array):
        return pa.nulls(len(array), kind)
    if pa.types.is_nested(kind) or pa.types.is_nested(array.type):
        return _declared_nested(array, kind, reading)
    source, target = _kind(array.type), _kind(kind)
    if source != target and source not in reading.taken.get(target, ()):
        hint = "; files have no zone for it: return it in UTC, without a zone" if source == _ZONED else ""
        raise ValueError(f"{source} ({array.type}) is not taken for {target}{hint}")
    if pa.types.is_floating(kind):
        return _floats(array, kind, reading)
    if pa.types.is_floating(array.type) and target in (_NUMBER, _FLAG):
        # pandas writes NaN for a missing value, also in columns whose type has no NaN.
        array = pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)
    if target == _FLAG and source == _NUMBER:
        # Arrow takes any other number for true.
        others = array.filter(pc.invert(pc.or_(pc.equal(array, 0), pc.equal(array, 1))))
        if len(others):
            raise ValueError(f"{others[0].as_py()} is neither 0 nor 1")
    if source == _TEXT and target == _NUMBER:
        _check_numbers(array)
    if pa.types.is_date(array.type) and target == _MOMENT:
        # In two steps: casting days to nanoseconds at once, Arrow does not notice an overflow.
        array = array.cast(pa.timestamp("ms"))
    return array.cast(kind)


def _declared_nested(array: pa.Array, kind: pa.DataType, reading: Reading) -> pa.Array:
    objects = pa.types.is_struct(kind) and pa.types.is_struct(array.type)
    if not objects and not (is_list(kind) and is_list(array.type)):
        raise ValueError(f"{array.type} is not taken for {kind}")
    if objects and not reading.more_keys:
        more = sorted({field.name for field in array.type} - {field.name for field in kind})
        if more:
            raise ValueError(f"an object has the key {more[0]!r}, which the signature does not state")
    return bring_nested(array, kind, lambda items, inner: _declared(items, inner, reading))


def _floats(array: pa.Array, kind: pa.DataType, reading: Reading) -> pa.Array:
    types = pa.types
    if types.is_decimal(array.type):
        array = decimals.floats(array, exactly=False)
    if _kind(array.type) == _TEXT:
        _check_numbers(array)
    found = pc.cast(array, kind, safe=False)
    if types.is_integer(array.type) or types.is_boolean(array.type):
        if not reading.nearest:
            _check_digits(array, found)
        return found
    if types.is_floating(array.type) and array.type.bit_width <= kind.bit_width:
        return found
    infinite = pc.is_inf(found)
    if pc.any(infinite).as_py():
        finite = pc.is_finite(array) if types.is_floating(array.type) else pc.invert(_says_infinity(array))
        large = array.filter(pc.and_(infinite, finite))
        if len(large):
            raise ValueError(f"{large[0].as_py()} is too large for {kind}")
    return found


def _check_digits(numbers: pa.Array, found: pa.Array) -> None:
    """:raises pa.ArrowInvalid, ValueError: a whole number is another one as a floating-point number."""
    others = numbers.filter(pc.not_equal(pc.cast(found, numbers.type), numbers))
    if len(others):
        raise ValueError(f"{others[0].as_py()} has more digits than {found.type} holds")


def _says_infinity(texts: pa.Array) -> pa.Array:
    return pc.match_substring(texts, "inf", ignore_case=True)


def _check_numbers(texts: pa.Array) -> None:
    """:raises ValueError: a text is no decimal number; to Arrow hexadecimal ones are numbers as well."""
    others = texts.filter(pc.invert(pc.match_substring_regex(texts, _DECIMAL_TEXT, ignore_case=True)))
    if len(others):
        raise ValueError(f"{others[0].as_py()!r} is not a number")


def _kind(kind: pa.DataType) -> str:
    types = pa.types
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return _NUMBER
    if types.is_boolean(kind):
        return _FLAG
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return _TEXT
    if types.is_timestamp(kind):
        return _MOMENT if kind.tz is None else _ZONED
    if types.is_date(kind):
        return _MOMENT
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return _BYTES
    return str(kind)
