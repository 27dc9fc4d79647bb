"""Marks for columns with NaN: only other batches tell whether NaN is a number or a missing value.

pandas writes NaN for a missing text, flag, object or decimal. So a batch with nothing else looks like numbers, and a
batch of whole numbers and NaN, which are floating-point numbers, may really be decimals and NULL. And where there are
no values at all, as in arrays without items, the type means nothing: NumPy's default is floating-point numbers. The
marks are in the metadata of the Arrow field, also of fields inside of lists and objects, and in no file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_snowflake_batch.worker.values.common_types import NoCommonType, common_type, is_list

_KEY = b"snowflake_batch"
_NOTHING = {_KEY: b"nothing"}
_ONLY_NAN = {_KEY: b"only NaN"}
# NaN and whole numbers, as Python's values: floating-point numbers, unless there are decimals as well.
_BESIDE_WHOLE = {b"NaN and int64": pa.int64(), b"NaN and uint64": pa.uint64()}
# Decimals, and NULL in place of NaN.
_MISSING = {_KEY: b"NaN is missing"}


def marked(field: pa.Field, chunks: Sequence[pa.Array]) -> pa.Field:
    """The field with marks wherever in its values there is nothing, or nothing but NaN and NULL.

    :param chunks: the values.
    """
    kind = field.type
    if not _goes_inside(kind):
        if _mark(field) or pa.types.is_null(kind):
            return field
        if not any(map(len, chunks)):
            return field.with_metadata(_NOTHING)
        return field.with_metadata(_ONLY_NAN) if pa.types.is_floating(kind) and _holds_only_nan(chunks) else field
    if is_list(kind):
        inner = [marked(kind.value_field, [chunk.flatten() for chunk in chunks])]
    else:
        children = zip(*(chunk.flatten() for chunk in chunks), strict=True)
        inner = [marked(one, child) for one, child in zip(kind, children, strict=False)]
    return _with_inner(field, inner)


def marked_beside(field: pa.Field, others: pa.DataType, nan: pa.DataType) -> pa.Field:
    """The field of Python's values with marks where NaN is among whole numbers or decimals.

    :param others: the type that the values without NaN have. :param nan: that of NaN alone.
    """
    if _goes_inside(field.type):
        twins = [(dict(_by_name(one)) if _goes_inside(one) else {}) for one in (others, nan)]
        inner = [
            marked_beside(one, *(twin[name].type if name in twin else pa.null() for twin in twins))
            for name, one in _by_name(field.type)
        ]
        return _with_inner(field, inner)
    if not pa.types.is_floating(nan):
        return field
    if pa.types.is_decimal(field.type):
        return field.with_metadata(_MISSING)
    if pa.types.is_floating(field.type) and pa.types.is_integer(others):
        return _beside_whole(field, others)
    return field


def unmarked(field: pa.Field) -> pa.Field:
    """The field without marks, as files have it."""
    more = {key: value for key, value in (field.metadata or {}).items() if key != _KEY}
    plain = field.with_metadata(more or None)
    return _with_inner(plain, [unmarked(one) for one in _inner(field.type)]) if _goes_inside(field.type) else plain


def without_nan(field: pa.Field) -> pa.Field:
    """The field as it would be without NaN, as far as marks tell."""
    if _goes_inside(field.type):
        return _with_inner(field, [without_nan(one) for one in _inner(field.type)])
    mark = _mark(field)
    if mark in (_ONLY_NAN[_KEY], _NOTHING[_KEY]):
        return pa.field(field.name, pa.null())
    return pa.field(field.name, _BESIDE_WHOLE.get(mark, field.type))


def joined(field: pa.Field, first: pa.Field | None, second: pa.Field | None) -> pa.Field:
    """A field for the values of two others.

    :param field: for those that they would have without NaN.
    :raises NoCommonType: NaN has become NULL in one of them, and is a number beside those of the other.
    """
    known = [one for one in (first, second) if one is not None and not pa.types.is_null(one.type)]
    if _goes_inside(field.type):
        halves = [dict(_by_name(one.type)) if _goes_inside(one.type) else {} for one in known]
        inner = [
            joined(one, *([half.get(name) for half in halves] + [None, None])[:2]) for name, one in _by_name(field.type)
        ]
        return _with_inner(field, inner)
    types, kind = pa.types, field.type
    values = [one for one in known if _mark(one) != _NOTHING[_KEY]]
    if known and not values:
        return _of_nothing(field, known)
    marks = [mark for one in values if (mark := _mark(one))]
    if not marks:
        return field
    if types.is_decimal(kind):
        return field.with_metadata(_MISSING)
    if types.is_floating(kind) and _MISSING[_KEY] in marks:
        raise NoCommonType("NaN is missing among decimals, and a number among others; return None for what is missing")
    if not (types.is_floating(kind) or types.is_integer(kind) or types.is_null(kind)):
        return field
    number = field.with_type(common_type(values[0].type, values[-1].type))
    if types.is_integer(kind):
        return _beside_whole(number, kind)
    return number.with_metadata(_ONLY_NAN) if types.is_null(kind) else number


def _of_nothing(field: pa.Field, known: Sequence[pa.Field]) -> pa.Field:
    """A field for two others without any value."""
    try:
        return field.with_type(common_type(known[0].type, known[-1].type)).with_metadata(_NOTHING)
    except NoCommonType:
        # The first by name, so that the order of the two does not matter.
        return min(known, key=lambda one: str(one.type)).with_name(field.name)


def _holds_only_nan(chunks: Sequence[pa.Array]) -> bool:
    found = False
    for chunk in chunks:
        if chunk.null_count == len(chunk):
            continue
        first = chunk[0].as_py()
        # The first value is enough for most columns.
        if not (first is None or first != first) or not pc.all(pc.is_nan(chunk)).as_py():
            return False
        found = True
    return found


def _beside_whole(field: pa.Field, kind: pa.DataType) -> pa.Field:
    whole = pa.int64() if pa.types.is_signed_integer(kind) else pa.uint64()
    return field.with_metadata({_KEY: f"NaN and {whole}".encode()})


def _mark(field: pa.Field) -> bytes:
    return bytes((field.metadata or {}).get(_KEY, b""))


def _goes_inside(kind: pa.DataType) -> bool:
    """Whether there may be marks inside: lists and objects, but those of an extension type."""
    return not isinstance(kind, pa.BaseExtensionType) and (is_list(kind) or pa.types.is_struct(kind))


def _inner(kind: pa.DataType) -> list[pa.Field]:
    return [kind.value_field] if is_list(kind) else list(kind)


def _by_name(kind: pa.DataType) -> list[tuple[str, pa.Field]]:
    """What is inside. What the items of a list are called means nothing."""
    return [("", kind.value_field)] if is_list(kind) else [(one.name, one) for one in kind]


def _with_inner(field: pa.Field, inner: Sequence[pa.Field]) -> pa.Field:
    kind: Any = field.type
    types = pa.types
    if all(one.equals(twin, check_metadata=True) for one, twin in zip(inner, _inner(kind), strict=True)):
        return field
    if types.is_struct(kind):
        return field.with_type(pa.struct(inner))
    if types.is_fixed_size_list(kind):
        return field.with_type(pa.list_(inner[0], kind.list_size))
    large = types.is_large_list(kind) or types.is_large_list_view(kind)
    return field.with_type(pa.large_list(inner[0]) if large else pa.list_(inner[0]))
