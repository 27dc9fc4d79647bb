"""The type that holds the values of two types, and columns converted to it: exactly, or not at all.

The type does not depend on the order in which types are seen, so every task, replica and attempt finds the same one.
The common type of whole numbers and fractions is 64-bit floating point; a value that it cannot hold is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_snowflake_batch.worker.values.decimals import floats
from airflow_provider_snowflake_batch.worker.values.pandas_types import described, is_of_pandas

# Digits of the largest 64-bit whole number, and of the largest NUMBER that Snowflake has.
INTEGER_DIGITS = 20
MOST_DIGITS = 38
_UNITS = ("s", "ms", "us", "ns")
_SIGNED = {8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}
_UNSIGNED = {8: pa.uint8(), 16: pa.uint16(), 32: pa.uint32(), 64: pa.uint64()}
_FLOATS = {16: pa.float16(), 32: pa.float32(), 64: pa.float64()}


class NoCommonType(ValueError):
    """Two types do not go together."""


def common_schema(first: pa.Schema, second: pa.Schema) -> pa.Schema:
    """The columns of both, those of the first in front, in types that hold the values of both.

    :raises NoCommonType: a column has types that do not go together; the message names it.
    """
    fields = []
    for field in first:
        place = second.get_field_index(field.name)
        if place < 0 or second.field(place).type == field.type:
            fields.append(pa.field(field.name, field.type))
            continue
        try:
            fields.append(pa.field(field.name, common_type(field.type, second.field(place).type)))
        except NoCommonType as error:
            raise NoCommonType(f"column {field.name!r}: {error}") from None
    names = set(first.names)
    return pa.schema([*fields, *(pa.field(one.name, one.type) for one in second if one.name not in names)])


def common_type(first: pa.DataType, second: pa.DataType) -> pa.DataType:
    """The narrowest type that holds the values of both.

    :raises NoCommonType: there is none.
    """
    if first == second:
        return first
    types = pa.types
    if types.is_null(first):
        return second
    if types.is_null(second):
        return first
    if is_of_pandas(first) or is_of_pandas(second):
        raise NoCommonType(f"{described(first)} and {described(second)} have no common type")
    if isinstance(first, pa.BaseExtensionType) or isinstance(second, pa.BaseExtensionType):
        one, other = (_text_or_storage(*pair) for pair in ((first, second), (second, first)))
        return common_type(one, other)
    if types.is_dictionary(first) and types.is_dictionary(second):
        index = first.index_type if first.index_type == second.index_type else _wide_index(first, second)
        values = common_type(first.value_type, second.value_type)
        return pa.dictionary(index, values, ordered=first.ordered and second.ordered)
    if types.is_dictionary(first) or types.is_dictionary(second):
        return common_type(_values(first), _values(second))
    found = _common_number(first, second) or _common_time(first, second) or _common_text(first, second)
    found = found or _common_nested(first, second)
    if found is None:
        raise NoCommonType(f"{first} and {second} have no common type")
    return found


def _text_or_storage(kind: pa.DataType, other: pa.DataType) -> pa.DataType:
    """What an extension type becomes beside another: a UUID is text beside text, and bytes beside bytes."""
    if isinstance(kind, pa.UuidType) and _is_text(_values(other)):
        return pa.string()
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def check_order(kind: pa.DataType) -> None:
    """Hold that a tensor's values are stored in the order of its shape: a list of them does not say another one.

    :raises ValueError: they are not.
    """
    if isinstance(kind, pa.FixedShapeTensorType) and list(kind.permutation or []) != sorted(kind.permutation or []):
        raise ValueError(
            f"its tensors are stored in another order of dimensions ({kind.permutation}) than that of their shape; "
            "store them in that one"
        )


def _values(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _wide_index(first: pa.DataType, second: pa.DataType) -> pa.DataType:
    return pa.int64() if max(first.index_type.bit_width, second.index_type.bit_width) == 64 else pa.int32()


def _common_number(first: pa.DataType, second: pa.DataType) -> pa.DataType | None:
    types = pa.types
    for kind in (first, second):
        if not (types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)):
            return None
    if types.is_floating(first) or types.is_floating(second):
        if types.is_floating(first) and types.is_floating(second):
            return _FLOATS[max(first.bit_width, second.bit_width)]
        return pa.float64()
    if types.is_decimal(first) or types.is_decimal(second):
        return _common_decimal(first, second)
    signed = types.is_signed_integer(first), types.is_signed_integer(second)
    if all(signed) or not any(signed):
        return (_SIGNED if signed[0] else _UNSIGNED)[max(first.bit_width, second.bit_width)]
    negative, positive = (first, second) if signed[0] else (second, first)
    width = max(negative.bit_width, 2 * positive.bit_width)
    return _SIGNED[width] if width <= 64 else pa.decimal128(INTEGER_DIGITS, 0)


def _common_decimal(first: pa.DataType, second: pa.DataType) -> pa.DataType:
    whole = scale = 0
    most = MOST_DIGITS
    for kind in (first, second):
        if pa.types.is_decimal(kind):
            whole, scale = max(whole, kind.precision - kind.scale), max(scale, kind.scale)
            most = max(most, kind.precision)
        else:
            whole = max(whole, INTEGER_DIGITS)
    digits = min(whole + scale, 76 if most > MOST_DIGITS else MOST_DIGITS)
    return pa.decimal256(digits, scale) if digits > MOST_DIGITS else pa.decimal128(digits, scale)


def _finer(first: str, second: str) -> str:
    return max(first, second, key=_UNITS.index)


def _common_time(first: pa.DataType, second: pa.DataType) -> pa.DataType | None:
    types = pa.types
    if types.is_timestamp(first) and types.is_timestamp(second):
        if (first.tz is None) != (second.tz is None):
            return None
        # A moment is the same in every zone.
        zone = first.tz if first.tz == second.tz else "UTC"
        return pa.timestamp(_finer(first.unit, second.unit), zone)
    if types.is_duration(first) and types.is_duration(second):
        return pa.duration(_finer(first.unit, second.unit))
    if types.is_time(first) and types.is_time(second):
        unit = _finer(first.unit, second.unit)
        return pa.time64(unit) if unit in ("us", "ns") else pa.time32(unit)
    if types.is_date(first) and types.is_date(second):
        return pa.date64()
    if types.is_date(second):
        first, second = second, first
    if types.is_date(first) and types.is_timestamp(second) and second.tz is None:
        return pa.timestamp(second.unit if types.is_date32(first) else _finer("ms", second.unit))
    return None


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_binary_view(kind)
        or types.is_fixed_size_binary(kind)
    )


def _common_text(first: pa.DataType, second: pa.DataType) -> pa.DataType | None:
    if not all(_is_text(kind) or _is_bytes(kind) for kind in (first, second)):
        return None
    types = pa.types
    large = any(types.is_large_string(kind) or types.is_large_binary(kind) for kind in (first, second))
    if _is_text(first) and _is_text(second):
        return pa.large_string() if large else pa.string()
    # Some writers of Parquet files do not mark bytes as text.
    return pa.large_binary() if large else pa.binary()


def is_list(kind: pa.DataType) -> bool:
    """Whether values are lists, in whatever layout."""
    types = pa.types
    return bool(
        types.is_list(kind)
        or types.is_large_list(kind)
        or types.is_fixed_size_list(kind)
        or types.is_list_view(kind)
        or types.is_large_list_view(kind)
    )


def _common_nested(first: pa.DataType, second: pa.DataType) -> pa.DataType | None:
    types = pa.types
    if is_list(first) and is_list(second):
        items = common_type(first.value_type, second.value_type)
        large = any(types.is_large_list(kind) or types.is_large_list_view(kind) for kind in (first, second))
        return pa.large_list(items) if large else pa.list_(items)
    if types.is_map(first) and types.is_map(second):
        return pa.map_(common_type(first.key_type, second.key_type), common_type(first.item_type, second.item_type))
    if types.is_struct(first) and types.is_struct(second):
        return pa.struct(list(common_schema(pa.schema(list(first)), pa.schema(list(second)))))
    return None


def plain_layout(kind: pa.DataType, *, inside: bool = False) -> pa.DataType:
    """The type without layouts that not everything can work with: views, and dictionaries inside of others.

    Categories are numbered with 32 bits. A row group or file may number its own with 8, and all together be too many.


    :param inside: it is inside of another.
    """
    types = pa.types
    if isinstance(kind, pa.BaseExtensionType) or not _has_layout(kind, inside=inside):
        return kind
    if types.is_dictionary(kind):
        values = plain_layout(kind.value_type)
        return values if inside else pa.dictionary(pa.int32(), values, ordered=kind.ordered)
    if types.is_string_view(kind):
        return pa.string()
    if types.is_binary_view(kind):
        return pa.binary()
    if types.is_struct(kind):
        return pa.struct([one.with_type(plain_layout(one.type, inside=True)) for one in kind])
    if types.is_map(kind):
        return pa.map_(plain_layout(kind.key_type, inside=True), plain_layout(kind.item_type, inside=True))
    if is_list(kind):
        items = plain_layout(kind.value_type, inside=True)
        large = types.is_large_list(kind) or types.is_large_list_view(kind)
        return pa.large_list(items) if large else pa.list_(items)
    return kind


def _has_layout(kind: pa.DataType, *, inside: bool) -> bool:
    types = pa.types
    if types.is_dictionary(kind):
        return inside or kind.index_type != pa.int32() or _has_layout(kind.value_type, inside=False)
    if types.is_list_view(kind) or types.is_large_list_view(kind):
        return True
    if types.is_nested(kind):
        return any(_has_layout(kind.field(index).type, inside=True) for index in range(kind.num_fields))
    return bool(types.is_string_view(kind) or types.is_binary_view(kind))


def converted(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """A column in a type that `common_type` found for its own and others.

    :raises pa.ArrowException: a value cannot be had in that type exactly.
    """
    if column.type == kind:
        return column
    return pa.chunked_array([_converted(chunk, kind) for chunk in column.chunks], kind)


def _converted(array: pa.Array, kind: pa.DataType) -> pa.Array:
    types = pa.types
    if array.type == kind:
        return array
    if types.is_null(array.type) or types.is_null(kind) or not len(array):
        # Parquet has no objects without keys.
        return pa.nulls(len(array), kind)
    if types.is_run_end_encoded(array.type):
        return _converted(pc.run_end_decode(array), kind)
    if isinstance(array.type, pa.BaseExtensionType):
        check_order(array.type)
        return _converted(_uuid_texts(array) if _is_uuid_as_text(array.type, kind) else array.storage, kind)
    if types.is_dictionary(array.type):
        if types.is_dictionary(kind):
            values = _converted(array.dictionary, kind.value_type)
            return pa.DictionaryArray.from_arrays(array.indices.cast(kind.index_type), values, ordered=kind.ordered)
        return _converted(decoded(array), kind)
    if types.is_decimal(array.type) and types.is_floating(kind):
        return floats(array, exactly=True).cast(kind)
    if types.is_floating(array.type) and not (types.is_floating(kind) or types.is_integer(kind)):
        return _without_nan(array, kind)
    if types.is_integer(array.type) and types.is_decimal(kind):
        # By way of a wider type, since Arrow's cast requires room for every value of the type.
        return array.cast(pa.decimal256(INTEGER_DIGITS + kind.scale, kind.scale)).cast(kind)
    if types.is_date(array.type) and types.is_timestamp(kind):
        # In two steps: casting days to nanoseconds at once, Arrow does not notice an overflow.
        return array.cast(pa.timestamp("ms")).cast(kind)
    if types.is_nested(array.type):
        return bring_nested(array, kind, _converted)
    return array.cast(kind)


def _without_nan(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """Values that were taken for numbers because of NaN, in the type that they have without it. NaN becomes NULL.

    :raises ValueError: there are other numbers, and not whole ones that became floating-point numbers beside NaN.
    """
    if pc.all(pc.is_nan(array), min_count=0).as_py():
        return pa.nulls(len(array), kind)
    if not pa.types.is_decimal(kind):
        raise ValueError(f"there are numbers beside {kind}")
    numbers = pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)
    signed = pc.min(numbers).as_py() < 0
    return _converted(numbers.cast(pa.int64() if signed else pa.uint64()), kind)


def _is_uuid_as_text(source: pa.DataType, kind: pa.DataType) -> bool:
    return isinstance(source, pa.UuidType) and _is_text(_values(kind))


def _uuid_texts(array: pa.Array) -> pa.Array:
    digits = (None if value is None else value.hex() for value in array.storage.to_pylist())
    return pa.array(
        [one and "-".join((one[:8], one[8:12], one[12:16], one[16:20], one[20:])) for one in digits], pa.string()
    )


def decoded(array: pa.DictionaryArray) -> pa.Array:
    """The values of categories. Arrow does not look up texts and bytes that are views, as Polars has them."""
    values = array.dictionary
    if pa.types.is_string_view(values.type) or pa.types.is_binary_view(values.type):
        array = pa.DictionaryArray.from_arrays(array.indices, values.cast(plain_layout(values.type)))
    return array.dictionary_decode()


def without_layout(array: pa.Array) -> pa.Array:
    """The plain values of an array whose type says more: of categories, run lengths and extension types."""
    if isinstance(array.type, pa.UuidType):
        return _uuid_texts(array)
    if is_of_pandas(array.type):
        raise ValueError(f"{described(array.type)} is no such value")
    if isinstance(array.type, pa.BaseExtensionType):
        return without_layout(array.storage)
    if pa.types.is_dictionary(array.type):
        return without_layout(decoded(array))
    if pa.types.is_run_end_encoded(array.type):
        return without_layout(pc.run_end_decode(array))
    return array


def bring_nested(array: pa.Array, kind: pa.DataType, convert: Callable[[pa.Array, pa.DataType], pa.Array]) -> pa.Array:
    """Lists, objects or maps in another type of lists, objects or maps.

    Each level is converted by itself: Arrow's cast loses the length of lists of nulls, and lacks some pairs of types.

    :param convert: brings what is inside to its type.
    :raises ValueError: objects have fields of the same name, so that it is not known which is which.
    """
    types = pa.types
    missing = array.is_null() if array.null_count else None
    if types.is_struct(array.type):
        fields, children = list(array.type), array.flatten()
        if len({field.name for field in fields}) < len(fields):
            raise ValueError("an object has fields of the same name")
        at_hand = {field.name: child for field, child in zip(fields, children, strict=True)}
        arrays = [
            convert(at_hand[one.name], one.type) if one.name in at_hand else pa.nulls(len(array), one.type)
            for one in kind
        ]
        return pa.StructArray.from_arrays(arrays, fields=list(kind), mask=missing)
    listed = entries(array) if types.is_map(array.type) else array
    lengths = pc.fill_null(pc.list_value_length(listed), 0).cast(pa.int64())
    offsets = pa.concat_arrays([pa.array([0], pa.int64()), pc.cumulative_sum(lengths)])
    items = listed.flatten()
    if types.is_large_list(kind):
        return pa.LargeListArray.from_arrays(offsets, convert(items, kind.value_type), type=kind, mask=missing)
    offsets = offsets.cast(pa.int32())
    if types.is_list(kind):
        return pa.ListArray.from_arrays(offsets, convert(items, kind.value_type), type=kind, mask=missing)
    pairs = bring_nested(items, pa.struct([kind.key_field, kind.item_field]), convert)
    valid = None if missing is None else pc.invert(missing).buffers()[1]
    return pa.Array.from_buffers(kind, len(array), [valid, offsets.buffers()[1]], children=[pairs])


def entries(maps: pa.Array) -> pa.Array:
    """Maps as lists of objects of a key and a value, in the same memory."""
    pairs = pa.StructArray.from_arrays([maps.keys, maps.items], fields=[maps.type.key_field, maps.type.item_field])
    buffers = maps.buffers()[:2]
    return pa.ListArray.from_buffers(pa.list_(pairs.type), len(maps), buffers, offset=maps.offset, children=[pairs])


def misfit(column: pa.ChunkedArray, convert: Callable[[pa.ChunkedArray], Any]) -> tuple[int, str] | None:
    """The first value that cannot be converted, and why; None if all can.

    :param convert: `converted` or the like.
    """
    first = 0
    reason = _reason(column, convert)
    if reason is None:
        return None
    while len(column) > 1:
        half = len(column) // 2
        lower = _reason(column[:half], convert)
        if lower is None:
            first, column = first + half, column[half:]
            reason = _reason(column, convert) or reason
        else:
            column, reason = column[:half], lower
    return first, reason


def _reason(column: pa.ChunkedArray, convert: Callable[[pa.ChunkedArray], Any]) -> str | None:
    try:
        convert(column)
    except (pa.ArrowException, ValueError) as error:
        return str(error)
    return None


def common_of(kinds: Iterable[pa.DataType]) -> pa.DataType:
    """The narrowest type for all of some.

    :raises NoCommonType: there is none.
    """
    return reduce(common_type, kinds, pa.null())
