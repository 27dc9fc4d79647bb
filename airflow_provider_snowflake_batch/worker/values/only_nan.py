"""Marks for NaN that is alone in its batch: whether it is a number, or says that there is none, other batches tell.

pandas says with NaN that there is no text, flag or object. So a batch with nothing else looks like one of numbers.
The mark is in the metadata of the Arrow field, also of fields inside of lists and objects, and in no file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_snowflake_batch.worker.values.common_types import is_list

_KEY = b"snowflake_batch"
_ONLY_NAN = {_KEY: b"only NaN"}


def marked(field: pa.Field, chunks: Sequence[pa.Array]) -> pa.Field:
    """The field with marks wherever in its values there is nothing but NaN and NULL.

    :param chunks: the values.
    """
    kind = field.type
    if pa.types.is_floating(kind):
        return field.with_metadata(_ONLY_NAN) if _holds_only_nan(chunks) else field
    if not _goes_inside(kind):
        return field
    if is_list(kind):
        inner = [marked(kind.value_field, [chunk.flatten() for chunk in chunks])]
    else:
        children = zip(*(chunk.flatten() for chunk in chunks), strict=True)
        inner = [marked(one, child) for one, child in zip(kind, children, strict=False)]
    return _with_inner(field, inner)


def unmarked(field: pa.Field) -> pa.Field:
    """The field without marks, as files have it."""
    more = {key: value for key, value in (field.metadata or {}).items() if key != _KEY}
    plain = field.with_metadata(more or None)
    return _with_inner(plain, [unmarked(one) for one in _inner(field.type)]) if _goes_inside(field.type) else plain


def beside(field: pa.Field, other: pa.Field) -> pa.Field:
    """The field with nothing in place of NaN where the other has what is no number, or decimals, which have no NaN."""
    kind = other.type
    if _is_marked(field):
        number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)
        return field if number else pa.field(field.name, pa.null())
    pairs = _pairs(field.type, kind)
    return _with_inner(field, [one if twin is None else beside(one, twin) for one, twin in pairs]) if pairs else field


def joined(field: pa.Field, first: pa.Field | None, second: pa.Field | None) -> pa.Field:
    """A field for the values of two others, marked where both that have values at all are.

    :param field: without marks.
    """
    known = [one for one in (first, second) if one is not None and not pa.types.is_null(one.type)]
    if pa.types.is_floating(field.type):
        return field.with_metadata(_ONLY_NAN) if known and all(map(_is_marked, known)) else field
    if not _goes_inside(field.type):
        return field
    halves = [dict(_by_name(one.type)) if _goes_inside(one.type) else {} for one in known]
    inner = [
        joined(one, *([half.get(name) for half in halves] + [None, None])[:2]) for name, one in _by_name(field.type)
    ]
    return _with_inner(field, inner)


def _holds_only_nan(chunks: Sequence[pa.Array]) -> bool:
    found = False
    for chunk in chunks:
        if chunk.null_count == len(chunk):
            continue
        first = chunk[0].as_py()
        # Most columns are told by their first value.
        if not (first is None or first != first) or not pc.all(pc.is_nan(chunk)).as_py():
            return False
        found = True
    return found


def _is_marked(field: pa.Field) -> bool:
    return bool((field.metadata or {}).items() >= _ONLY_NAN.items())


def _goes_inside(kind: pa.DataType) -> bool:
    """Whether there may be marks inside: lists and objects, but those of an extension type."""
    return not isinstance(kind, pa.BaseExtensionType) and (is_list(kind) or pa.types.is_struct(kind))


def _inner(kind: pa.DataType) -> list[pa.Field]:
    return [kind.value_field] if is_list(kind) else list(kind)


def _by_name(kind: pa.DataType) -> list[tuple[str, pa.Field]]:
    """What is inside. What the items of a list are called means nothing."""
    return [("", kind.value_field)] if is_list(kind) else [(one.name, one) for one in kind]


def _pairs(kind: pa.DataType, other: pa.DataType) -> list[tuple[pa.Field, pa.Field | None]]:
    """What is inside of a type, each with what the other has in its place; empty if they are not alike."""
    if not (_goes_inside(kind) and _goes_inside(other)) or is_list(kind) != is_list(other):
        return []
    twins = dict(_by_name(other))
    return [(one, twins.get(name)) for name, one in _by_name(kind)]


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
