"""Results on the wire: the ``rowtype`` and the rows as Arrow or as JSON.

Source: what the Python connector decodes (``snowflake/connector/converter.py`` for JSON,
``nanoarrow_cpp/ArrowIterator`` for Arrow).
"""

from __future__ import annotations

import datetime
import decimal
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from airflow_provider_snowflake_batch.local.semi_structured import on_several_lines
from airflow_provider_snowflake_batch.local.statements import Column, Result

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_EPOCH_DATE = datetime.date(1970, 1, 1)
_WHOLE = ((pa.int8(), 7), (pa.int16(), 15), (pa.int32(), 31), (pa.int64(), 63))
_UTC_OFFSET = 1440
"""TIMESTAMP_TZ carries its offset as minutes plus 1440."""


def rowtype(columns: Sequence[Column]) -> list[dict[str, Any]]:
    return [
        {
            "name": column.name,
            "database": "",
            "schema": "",
            "table": "",
            "nullable": column.nullable,
            "type": column.type.lower(),
            "byteLength": _byte_length(column),
            "length": column.length if column.length is not None else (16777216 if column.type == "TEXT" else None),
            "scale": column.scale,
            "precision": column.precision,
            "collation": None,
        }
        for column in columns
    ]


def statistics(result: Result) -> dict[str, int]:
    """How many rows DML has inserted, updated and deleted, as the drivers' ``cursor.stats`` reads them."""
    found = {"numRowsInserted": 0, "numRowsUpdated": 0, "numRowsDeleted": 0, "numDmlDuplicates": 0}
    for column, value in zip(result.columns, result.rows[0] if result.rows else (), strict=False):
        key = f"numRows{column.name.rpartition(' ')[2].capitalize()}"
        if key in found and "multi-joined" not in column.name:
            found[key] = int(value)
    return found


def _byte_length(column: Column) -> int | None:
    if column.type == "TEXT":
        return min(16777216, 4 * (column.length or 16777216))
    return column.length if column.type == "BINARY" else None


def arrow_rowset(result: Result, rows: int | None = None) -> str:
    """The rows, or the first of them, as one base64 Arrow stream; empty text for no rows, as Snowflake sends it."""
    assert result.table is not None
    return b64encode(arrow_stream(result, 0, rows)).decode("ascii") if result.table.num_rows else ""


def arrow_stream(result: Result, start: int = 0, rows: int | None = None) -> bytes:
    """Rows as an Arrow stream in Snowflake's types.

    :param start: the first row.
    :param rows: how many; all from there on if it is not given.
    """
    assert result.table is not None
    table = result.table.slice(start, rows)
    if result.integers is None:
        # Once for all parts of a result.
        result.integers = [_narrowest(*both) for both in zip(result.table.columns, result.columns, strict=True)]
    arrays = [
        _narrow(_wire_array(table.column(index), column), result.integers[index])
        for index, column in enumerate(result.columns)
    ]
    fields = [
        pa.field(
            column.name,
            array.type,
            metadata={
                "logicalType": column.type,
                "precision": str(column.precision if column.precision is not None else 38),
                "scale": str(column.scale or 0),
                "charLength": str(column.length or 0),
                "finalType": "T",
            },
        )
        for column, array in zip(result.columns, arrays, strict=True)
    ]
    wire = pa.Table.from_arrays(arrays, schema=pa.schema(fields))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, wire.schema) as writer:
        writer.write_table(wire, max_chunksize=65536)
    stream: bytes = sink.getvalue().to_pybytes()
    return stream


def with_plain_integers(result: Result) -> pa.Table:
    """The table with whole numbers as int64 in each column where all of them fit."""
    table = result.table
    assert table is not None
    for index, column in enumerate(result.columns):
        if column.type == "FIXED" and not column.scale:
            table = table.set_column(index, table.schema.field(index).name, _fixed(table.column(index), column))
    return table


def _wire_array(array: pa.ChunkedArray, column: Column) -> pa.Array | pa.ChunkedArray:
    kind = array.type
    if column.type == "FIXED":
        return _fixed(array, column)
    if pa.types.is_timestamp(kind):
        return _timestamp(array.combine_chunks(), column)
    if pa.types.is_time(kind):
        return array.cast(pa.time64("ns")).cast(pa.int64())
    if column.type == "REAL":
        return array.cast(pa.float64())
    if column.type == "BINARY":
        return array.cast(pa.binary())
    if column.type == "TEXT":
        return array.cast(pa.string())
    if column.type in ("VARIANT", "OBJECT", "ARRAY"):
        texts = array.cast(pa.string()).to_pylist()
        return pa.array([None if text is None else on_several_lines(text) for text in texts], pa.string())
    return array


def _fixed(array: pa.ChunkedArray, column: Column) -> pa.Array | pa.ChunkedArray:
    if pa.types.is_decimal(array.type):
        if column.scale:
            return _unscaled(array) if array.type.precision <= 18 else array
        try:
            return array.cast(pa.int64())
        except pa.ArrowInvalid:
            return array
    if pa.types.is_uint64(array.type):
        try:
            return array.cast(pa.int64())
        except pa.ArrowInvalid:
            return array.cast(pa.decimal128(38, 0))
    return array.cast(pa.int64())


def _narrowest(array: pa.ChunkedArray, column: Column) -> pa.DataType | None:
    """The type that holds whole numbers in as few bytes as they need, as on an account: pandas shows it.

    :return: None where the column is no such one, or has numbers beyond 64 bits.
    """
    if column.type != "FIXED" or column.scale:
        return None
    ends = [int(end) for end in pc.min_max(array).as_py().values() if end is not None]
    bits = max((max(end, ~end).bit_length() for end in ends), default=0)
    return next((kind for kind, most in _WHOLE if bits <= most), None)


def _narrow(array: pa.Array, kind: pa.DataType | None) -> pa.Array:
    return array if kind is None or array.type != pa.int64() else array.cast(kind)


def _unscaled(array: pa.ChunkedArray) -> pa.Array:
    """Decimals of at most 18 digits as the integers that Snowflake sends for them.

    The low half of the 128 bits is the whole value then.
    """
    whole = array.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = pa.concat_arrays(whole.chunks) if whole.num_chunks else pa.array([], array.type)
    halves = np.frombuffer(whole.buffers()[1], dtype="<i8")
    values = halves[0::2][whole.offset : whole.offset + len(whole)]
    return pa.array(values, mask=np.asarray(whole.is_null()))


def _timestamp(array: pa.Array, column: Column) -> pa.Array:
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks)
    per_second = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}[array.type.unit]
    ticks = array.cast(pa.int64())
    valid = np.asarray(ticks.is_valid())
    raw = np.asarray(ticks.fill_null(0))
    epoch = np.floor_divide(raw, per_second)
    fraction = (raw - epoch * per_second) * (1_000_000_000 // per_second)
    arrays = [pa.array(epoch, pa.int64()), pa.array(fraction.astype(np.int32), pa.int32())]
    names = ["epoch", "fraction"]
    if column.type == "TIMESTAMP_TZ":
        arrays.append(pa.array(_offsets(epoch, column.zone), pa.int32()))
        names.append("timezone")
    return pa.StructArray.from_arrays(arrays, names, mask=pa.array(~valid))


def _offsets(seconds: NDArray[np.int64], zone: str | None) -> NDArray[np.int64]:
    """The offsets at these seconds since 1970, as the wire has them."""
    if zone is None or zone.lstrip("-").isdigit():
        return np.full(len(seconds), _UTC_OFFSET + int(zone or 0))
    clocks = pc.local_timestamp(pa.array(seconds).cast(pa.timestamp("s", tz=zone)))
    return _UTC_OFFSET + (np.asarray(clocks.cast(pa.int64())) - seconds) // 60


def _with_offset(text: str, zone: str | None) -> str:
    seconds = np.array([int(float(text))])
    return f"{text} {_offsets(seconds, zone)[0]}"


def json_rowset(result: Result) -> list[list[str | None]]:
    """The rows as text, column by column in the encodings of Snowflake's JSON result format."""
    encoders = [_encoder(column) for column in result.columns]
    return [
        [None if value is None else encode(value) for encode, value in zip(encoders, row, strict=True)]
        for row in _rows(result)
    ]


def _rows(result: Result) -> Sequence[Sequence[Any]]:
    """The rows, with days and microseconds since 1970 for dates and timestamps: Python's end with the year 9999."""
    if result.table is None:
        return result.rows
    return list(zip(*(_plain(column).to_pylist() for column in result.table.columns), strict=True))


def _plain(array: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_date32(array.type):
        return array.cast(pa.int32())
    if pa.types.is_timestamp(array.type):
        return array.cast(pa.timestamp("us", tz=array.type.tz), safe=False).cast(pa.int64())
    return array


def _encoder(column: Column) -> Callable[[Any], str]:
    if column.type == "BOOLEAN":
        return lambda value: "1" if value else "0"
    if column.type == "DATE":
        return lambda value: str((value - _EPOCH_DATE).days) if isinstance(value, datetime.date) else str(value)
    # The driver reads the fraction by the column's scale.
    scale = 9 if column.scale is None else column.scale
    if column.type == "TIME":
        return lambda value: _encode_time(value, scale)
    if column.type.startswith("TIMESTAMP"):
        if column.type == "TIMESTAMP_TZ":
            return lambda value: _with_offset(_encode_timestamp(value, scale), column.zone)
        return lambda value: _encode_timestamp(value, scale)
    if column.type == "BINARY":
        return lambda value: bytes(value).hex().upper()
    if column.type == "FIXED":
        return _encode_fixed
    if column.type == "REAL":
        return repr
    if column.type in ("VARIANT", "OBJECT", "ARRAY"):
        return lambda value: on_several_lines(str(value))
    return str


def _encode_fixed(value: Any) -> str:
    return f"{value:f}" if isinstance(value, decimal.Decimal) else str(int(value))


def _encode_time(value: datetime.time, scale: int) -> str:
    return _seconds((value.hour * 3600 + value.minute * 60 + value.second) * 1_000_000 + value.microsecond, scale)


def _encode_timestamp(value: datetime.datetime | int, scale: int) -> str:
    if isinstance(value, int):
        return _seconds(value, scale)
    aware = value if value.tzinfo else value.replace(tzinfo=datetime.UTC)
    return _seconds((aware - _EPOCH) // datetime.timedelta(microseconds=1), scale)


def _seconds(microseconds: int, scale: int) -> str:
    """Seconds as signed decimal text with ``scale`` digits of fraction."""
    sign = "-" if microseconds < 0 else ""
    whole, fraction = divmod(abs(microseconds), 1_000_000)
    return f"{sign}{whole}.{f'{fraction * 1000:09d}'[:scale]}" if scale else f"{sign}{whole}"
