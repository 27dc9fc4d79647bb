"""What the columns of Parquet files are under a file format.

Snowflake's defaults are not what a file's writer meant: without ``USE_LOGICAL_TYPE`` many timestamps and times of day
are the whole numbers that the file holds, or change their zone, and with ``BINARY_AS_TEXT`` bytes are text. A load that
leaves the options out must show that here as well. Source, a table of the time types among it:
https://docs.snowflake.com/en/sql-reference/sql/create-file-format#type-parquet
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from airflow_provider_snowflake_batch.local.errors import SnowflakeError, not_supported
from airflow_provider_snowflake_batch.local.parsing import quoted
from airflow_provider_snowflake_batch.local.sql.macros import TOO_FINE, WHOLE_MICROSECONDS
from airflow_provider_snowflake_batch.local.stages.formats import FileFormat


@dataclass(frozen=True, slots=True)
class ParquetReading:
    """The options of a file format that change what a column is.

    :param logical: logical types are honoured: USE_LOGICAL_TYPE, FALSE unless given.
    :param binary_as_text: bytes without a logical type are UTF-8 text: BINARY_AS_TEXT, TRUE unless given.
    :param vectorized: USE_VECTORIZED_SCANNER, FALSE unless given, which settles the other two: TRUE and FALSE.
    :param replaces: invalid UTF-8 becomes U+FFFD instead of an error: REPLACE_INVALID_CHARACTERS, FALSE unless given.
    :param trims: white space around text is left out: TRIM_SPACE, FALSE unless given.
    :param nulls: what is NULL, whatever its type: NULL_IF, ``\\N`` unless given. This and ``trims`` apply only to
        columns that are matched by name.
    """

    logical: bool
    binary_as_text: bool
    vectorized: bool
    replaces: bool
    trims: bool
    nulls: tuple[str, ...]

    @classmethod
    def of(cls, found: FileFormat, *, matched: bool = False) -> ParquetReading:
        """The options of a format.

        :param matched: whether the columns are matched by name.
        """
        vectorized = found.flag("USE_VECTORIZED_SCANNER")
        nulls = found.options.get("NULL_IF", ["\\N"])
        return cls(
            logical=vectorized or found.flag("USE_LOGICAL_TYPE"),
            binary_as_text=not vectorized and found.flag("BINARY_AS_TEXT", True),
            vectorized=vectorized,
            replaces=found.flag("REPLACE_INVALID_CHARACTERS"),
            trims=matched and found.flag("TRIM_SPACE"),
            # NULL_IF = () comes as an empty dict: a list without names.
            nulls=tuple(str(one) for one in (nulls if isinstance(nulls, (list, dict)) else [nulls])) if matched else (),
        )


@dataclass(frozen=True, slots=True)
class ParquetColumn:
    """A column of a file.

    :param type: what it is under the file format.
    :param sql: its values in the engine's SQL, in terms of the column as the engine reads it.
    """

    name: str
    type: pa.DataType
    nullable: bool
    sql: str


def columns(path: Path, reading: ParquetReading) -> list[ParquetColumn]:
    """The columns of a file in its order.

    :raises SnowflakeError: 100186 when it is no Parquet file.
    """
    try:
        with pq.ParquetFile(path) as file:
            schema, fields = file.schema, file.schema_arrow
            listed = [schema.column(number) for number in range(len(schema))]
            plain = schema.to_arrow_schema()
    except (OSError, ValueError) as error:
        raise SnowflakeError(
            f"Error parsing the parquet file: {path.name}: {error}", errno=100186, sqlstate="22000"
        ) from None
    found, leaves = [], iter(listed)
    has_int96 = any(leaf.physical_type == "INT96" for leaf in listed)
    fine = _fine_times(path, path.stat().st_mtime_ns) if has_int96 else {}
    for field, declared in zip(plain, fields, strict=True):
        kind, sql = _read(field.type, quoted(field.name), leaves, reading)
        sql = _matched(kind, sql, reading)
        if field.name in fine:
            words = f"The time {fine[field.name]} (in column {field.name} of {path.name}) {TOO_FINE}"
            sql = f"CASE WHEN {quoted(field.name)} IS NOT NULL THEN error({_text(words)}) ELSE {sql} END"
        found.append(ParquetColumn(field.name, kind, declared.nullable, sql))
    return found


def _read(
    kind: pa.DataType, sql: str, leaves: Iterator[pq.ColumnSchema], reading: ParquetReading, depth: int = 0
) -> tuple[pa.DataType, str]:
    """The type and the values of a column or of what is nested in it; takes its leaves from the file's, in order."""
    if pa.types.is_struct(kind):
        fields, packed = [], []
        for field in kind:
            inner, value = _read(field.type, f"({sql}).{quoted(field.name)}", leaves, reading, depth + 1)
            fields.append(field.with_type(inner))
            packed.append(f"{quoted(field.name)} := {value}")
        if pa.struct(fields) == kind:
            return kind, sql
        return pa.struct(fields), f"CASE WHEN {sql} IS NULL THEN NULL ELSE struct_pack({', '.join(packed)}) END"
    if pa.types.is_map(kind):
        within = ("", "") if reading.vectorized else (".key", ".value")
        key, keys = _read(kind.key_type, f"_x{depth}{within[0]}", leaves, reading, depth + 1)
        value, values = _read(kind.item_type, f"_x{depth}{within[1]}", leaves, reading, depth + 1)
        if not reading.vectorized:
            # The other scanner knows no maps.
            pair = f"struct_pack(key := {keys}, value := {values})"
            entries = f"list_transform(map_entries({sql}), lambda _x{depth}: {pair})"
            packed = pa.struct([("key_value", pa.list_(pa.struct([("key", key), ("value", value)])))])
            return packed, f"CASE WHEN {sql} IS NULL THEN NULL ELSE struct_pack(key_value := {entries}) END"
        if (key, value) == (kind.key_type, kind.item_type):
            return kind, sql
        both = (
            f"list_transform({part}({sql}), lambda _x{depth}: {inner})"
            for part, inner in (("map_keys", keys), ("map_values", values))
        )
        return pa.map_(key, value), f"CASE WHEN {sql} IS NULL THEN NULL ELSE map({', '.join(both)}) END"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        inner, value = _read(kind.value_type, f"_x{depth}", leaves, reading, depth + 1)
        if inner == kind.value_type:
            return kind, sql
        return pa.list_(inner), f"list_transform({sql}, lambda _x{depth}: {value})"
    return _leaf(kind, sql, next(leaves), reading, nested=depth > 0)


def _leaf(
    kind: pa.DataType, sql: str, leaf: pq.ColumnSchema, reading: ParquetReading, *, nested: bool
) -> tuple[pa.DataType, str]:
    if leaf.physical_type == "INT96":
        # One scanner reads a time without a zone, the other (the vectorized one) a moment.
        if reading.vectorized:
            return pa.timestamp("ns", "UTC"), f"timezone('UTC', {sql})"
        return pa.timestamp("ns"), sql
    if not reading.logical and (pa.types.is_timestamp(kind) or pa.types.is_time(kind)):
        return _moment(kind, sql, has_converted_type=leaf.converted_type != "NONE")
    if not reading.logical and leaf.logical_type.type == "UUID":
        kind, sql = pa.binary(16), f"from_hex(replace({sql}::VARCHAR, '-', ''))"
    is_bytes = pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)
    if is_bytes and reading.binary_as_text and leaf.logical_type.type in ("NONE", "UUID"):
        return pa.string(), f"decode({sql})"
    if is_bytes and nested:
        # A VARIANT shows bytes in hexadecimal digits.
        return pa.string(), f"hex({sql})"
    if (pa.types.is_timestamp(kind) or pa.types.is_time(kind)) and kind.unit == "ns" and not nested:
        # Tables here have microseconds, to which the engine would round.
        return kind, f"{WHOLE_MICROSECONDS}({sql})"
    return kind, sql


@lru_cache(maxsize=256)
def _fine_times(path: Path, changed: int) -> dict[str, str]:
    """The columns with nanoseconds in INT96, which the engine would cut without a word, each with one such time.

    :param changed: when the file was written, which tells it from a later one of its name.
    """
    found: dict[str, str] = {}
    with (
        pq.ParquetFile(path, coerce_int96_timestamp_unit="us") as file,
        pq.ParquetFile(path, coerce_int96_timestamp_unit="ns") as again,
    ):
        for coarse, fine in zip(file.iter_batches(), again.iter_batches(), strict=True):
            for name, cut, whole in zip(coarse.schema.names, coarse.columns, fine.columns, strict=True):
                if name not in found and (time := _first_cut(cut, whole)) is not None:
                    found[name] = time
    return found


def _first_cut(cut: pa.Array, whole: pa.Array) -> str | None:
    """The first time of which microseconds lack digits that the same one in nanoseconds has.

    Nanoseconds of years that 64 bits do not hold have come round, so only the difference tells.
    """
    if cut.type == whole.type:
        return None
    if pa.types.is_timestamp(cut.type):
        # In 64 bits as well, so that what has come round once comes round again.
        microseconds, nanoseconds = (one.cast(pa.int64()).fill_null(0).to_numpy() for one in (cut, whole))
        digits = nanoseconds - microseconds * 1000
        if not digits.any():
            return None
        place = int(digits.argmax())
        return f"{cut[place].cast(pa.string())}{digits[place]:03d}"
    if pa.types.is_struct(cut.type):
        parts = zip(cut.flatten(), whole.flatten(), strict=True)
    elif pa.types.is_map(cut.type):
        parts = zip((cut.keys, cut.items), (whole.keys, whole.items), strict=True)
    else:
        parts = zip((cut.flatten(),), (whole.flatten(),), strict=True)
    return next((time for one in parts if (time := _first_cut(*one)) is not None), None)


def _moment(kind: pa.DataType, sql: str, *, has_converted_type: bool) -> tuple[pa.DataType, str]:
    """A timestamp or time of day without its logical type."""
    is_coarse = kind.unit != "ns"
    if is_coarse and pa.types.is_time(kind) and has_converted_type:
        return kind, sql
    if is_coarse and pa.types.is_timestamp(kind) and kind.tz:
        # The moment loses its zone: that is what USE_LOGICAL_TYPE is for.
        return pa.timestamp(kind.unit), f"timezone('UTC', {sql})"
    if is_coarse and pa.types.is_timestamp(kind) and has_converted_type:
        return pa.timestamp(kind.unit, "UTC"), f"timezone('UTC', {sql})"
    return pa.int64(), f"(epoch_us({sql}) // 1000)" if kind.unit == "ms" else f"epoch_{kind.unit}({sql})"


def _matched(kind: pa.DataType, sql: str, reading: ParquetReading) -> str:
    """TRIM_SPACE and NULL_IF of a column."""
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if is_text and reading.trims:
        sql = f"trim({sql})"
    if reading.nulls and (is_text or (reading.nulls != ("\\N",) and not pa.types.is_nested(kind))):
        listed = ", ".join(_text(one) for one in reading.nulls)
        sql = f"CASE WHEN CAST({sql} AS VARCHAR) IN ({listed}) THEN NULL ELSE {sql} END"
    return sql


def readable(path: Path, reading: ParquetReading, content: str, scratch: Path) -> Path:
    """The file, or a copy of it whose text is valid UTF-8 where the file format asks for that and the file's is not.

    :param content: a checksum of the file, by which a copy is found again.
    :param scratch: a folder for the copy, emptied at each start.
    :raises SnowflakeError: "not supported" for invalid text inside of nested values.
    """
    if not reading.replaces:
        return path
    copy = scratch / f"valid-{content}-{reading.binary_as_text:d}.parquet"
    if copy.exists():
        return copy
    with pq.ParquetFile(path) as file:
        table = file.read()
        leaves = [file.schema.column(number) for number in range(len(file.schema))]
    changed = False
    for number, name in enumerate(table.column_names):
        column = table.column(number)
        leaf = next((one for one in leaves if one.path == name), None)
        as_text = (
            leaf is not None and leaf.logical_type.type == "NONE" and leaf.physical_type.endswith("BYTE_ARRAY")
        ) and reading.binary_as_text
        if _is_valid(column.cast(pa.large_string(), safe=False) if as_text else column):
            continue
        if not (as_text or pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            raise not_supported(f"REPLACE_INVALID_CHARACTERS inside of the nested column {name}")
        changed = True
        table = table.set_column(number, table.schema.field(number).with_type(pa.string()), _replaced(column))
    if not changed:
        return path
    if any(leaf.physical_type == "INT96" for leaf in leaves):
        raise not_supported("REPLACE_INVALID_CHARACTERS of a file with INT96 timestamps")
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        pq.write_table(table, f"{folder}/copy")
        os.replace(f"{folder}/copy", copy)
    return copy


def _is_valid(column: pa.ChunkedArray) -> bool:
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _replaced(column: pa.ChunkedArray) -> pa.Array:
    values = column.cast(pa.large_binary(), safe=False).to_pylist()
    return pa.array([None if value is None else value.decode(errors="replace") for value in values], pa.string())


def first_with_empty_text(path: Path, names: Sequence[str], reading: ParquetReading) -> str | None:
    """The first of these columns with a text of no character that does not become NULL, None if none has one."""
    if "" in reading.nulls:
        return None
    with pq.ParquetFile(path) as file:
        for name in names:
            for batch in file.iter_batches(columns=[name]):
                column = batch.column(0)
                if pa.types.is_dictionary(column.type):
                    column = column.dictionary_decode()
                is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
                if not is_text and not (reading.binary_as_text and pa.types.is_binary(column.type)):
                    break
                if pc.any(pc.equal(pc.binary_length(column), 0)).as_py():
                    return name
    return None


def bytes_as_text(path: Path, reading: ParquetReading) -> list[str]:
    """The columns of a file that are bytes, and text only by BINARY_AS_TEXT."""
    if not reading.binary_as_text:
        return []
    as_bytes = columns(path, replace(reading, binary_as_text=False))
    both = zip(columns(path, reading), as_bytes, strict=True)
    return [one.name for one, other in both if pa.types.is_string(one.type) and one.type != other.type]


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
