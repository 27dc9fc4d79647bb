"""Arrow columns of any type, for tests that hold whatever the values are."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from airflow_provider_snowflake_batch.worker.values.common_types import plain_layout

OLD_PYARROW = int(pa.__version__.partition(".")[0]) < 20
DAYS = st.dates()
MOMENTS = st.datetimes()


def whole_milliseconds(moment: datetime.datetime) -> datetime.datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def thousandths(number: int) -> Decimal:
    # Unlike ``scaleb``, this keeps all digits.
    return Decimal((int(number < 0), tuple(map(int, str(abs(number)))), -3))


SCALARS: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.bool_(): st.booleans(),
    pa.int8(): st.integers(-(2**7), 2**7 - 1),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.float32(): st.floats(width=32),
    pa.float64(): st.floats(),
    pa.decimal128(38, 0): st.integers(-(10**38) + 1, 10**38 - 1).map(Decimal),
    pa.decimal128(15, 4): st.integers(-(10**15) + 1, 10**15 - 1).map(lambda digits: Decimal(digits).scaleb(-4)),
    pa.string(): st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
    pa.large_string(): st.text("ab", max_size=4),
    pa.binary(): st.binary(max_size=4),
    pa.binary(2): st.binary(min_size=2, max_size=2),
    pa.date32(): DAYS,
    pa.timestamp("ms"): MOMENTS.map(whole_milliseconds),
    pa.timestamp("us"): MOMENTS,
    pa.timestamp("ns"): st.integers(-(2**63) + 1, 2**63 - 1),
    pa.timestamp("us", "UTC"): MOMENTS.map(lambda moment: moment.replace(tzinfo=datetime.timezone.utc)),
    pa.time64("us"): st.times(),
    pa.time64("ns"): st.integers(0, 86_400 * 10**9 - 1),
    pa.duration("us"): st.timedeltas(datetime.timedelta(-9999), datetime.timedelta(9999)),
    pa.duration("ns"): st.integers(-(2**62), 2**62),
    pa.dictionary(pa.int32(), pa.string()): st.sampled_from(["a", "b", ""]),
    pa.uuid(): st.uuids().map(lambda value: value.bytes),
}
#: Types that some writer stores as another.
STORED_AS_OTHERS: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.null(): st.none(),
    pa.int16(): st.integers(-(2**15), 2**15 - 1),
    pa.int32(): st.integers(-(2**31), 2**31 - 1),
    pa.uint8(): st.integers(0, 2**8 - 1),
    pa.uint16(): st.integers(0, 2**16 - 1),
    pa.uint32(): st.integers(0, 2**32 - 1),
    pa.float16(): st.floats(width=16).map(np.float16),
    pa.decimal128(5, 2): st.integers(-(10**5) + 1, 10**5 - 1).map(lambda digits: Decimal(digits).scaleb(-2)),
    pa.decimal256(60, 3): st.integers(-(10**60) + 1, 10**60 - 1).map(thousandths),
    pa.date64(): DAYS,
    pa.time32("s"): st.integers(0, 86_399),
    pa.time32("ms"): st.integers(0, 86_399_999),
    pa.timestamp("s"): MOMENTS.map(lambda moment: moment.replace(microsecond=0)),
    pa.timestamp("ns", "Europe/Berlin"): st.integers(-(2**62), 2**62),
    pa.duration("s"): st.integers(-(2**33), 2**33),
    pa.string_view(): st.text("ab", max_size=4),
    pa.dictionary(pa.int8(), pa.int64()): st.integers(-9, 9),
    pa.dictionary(pa.int16(), pa.string(), ordered=True): st.sampled_from(["a", "b"]),
    **({} if OLD_PYARROW else {pa.json_(): st.sampled_from(["{}", "[1]", "null"])}),
}  # fmt: skip
ALL = SCALARS | STORED_AS_OTHERS


def kinds_of(scalars: dict[pa.DataType, st.SearchStrategy[Any]]) -> st.SearchStrategy[pa.DataType]:
    """These types, and lists, objects and maps of them."""
    return st.recursive(
        st.sampled_from(list(scalars)),
        lambda inner: st.one_of(
            inner.map(pa.list_),
            inner.map(pa.large_list),
            inner.map(lambda kind: pa.list_(kind, 2)),
            inner.map(lambda kind: pa.struct([("a", kind), ("b", pa.int64())])),
            inner.map(lambda kind: pa.map_(pa.string(), kind)),
        ),
        max_leaves=2,
    )


KINDS = kinds_of(SCALARS).map(plain_layout)


def values(kind: pa.DataType) -> st.SearchStrategy[Any]:
    """Values of a type, or None."""
    if kind in ALL:
        return st.none() | ALL[kind]
    if pa.types.is_struct(kind):
        return st.none() | st.fixed_dictionaries({one.name: values(one.type) for one in kind})
    if pa.types.is_map(kind):
        return st.none() | st.lists(st.tuples(st.text("ab", max_size=2), values(kind.item_type)), max_size=2)
    sizes = (2, 2) if pa.types.is_fixed_size_list(kind) else (0, 3)
    return st.none() | st.lists(values(kind.value_type), min_size=sizes[0], max_size=sizes[1])


def array(items: list[Any], kind: pa.DataType) -> pa.Array:
    """Values as a column of a type."""
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, pa.array(items, kind.storage_type))
    return pa.array(items, kind)
