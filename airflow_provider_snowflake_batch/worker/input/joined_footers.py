"""Row groups of very many small footers, parsed as one footer.

A footer is a Thrift structure in the compact protocol: version, schema, number of rows, row groups, then metadata and
what wrote it. Files of one writer and one schema differ in their rows and row groups alone. To parse the rest takes
more than half of the time, so one footer is made of the row groups of all, and pyarrow parses that. Offsets in it are
those in the files that they are from: nothing can be read with it.

A footer that differs in anything else, or says something about itself that does not go together, is left to be parsed
alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_snowflake_batch.worker.input.parquet_input import open_reader

# Of the compact protocol: types of fields, of which a boolean one is its own value.
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_INTEGERS = (4, 5, 6)
# Fields of a footer, and the headers of these two where the one before them is there.
_ROWS, _ROW_GROUPS = 3, 4
_ROWS_HEADER, _ROW_GROUPS_HEADER = b"\x16", b"\x19"
# The length of a footer and four letters follow it.
TRAILER_BYTES = 8

# Rows and uncompressed bytes of each row group.
RowGroups = tuple[tuple[int, int], ...]


class Middle(NamedTuple):
    """What a footer has between schema and metadata.

    :param rows: of all row groups. :param groups: how many, stored in ``data``.
    """

    rows: int
    groups: int
    data: bytes


class Alike:
    """Footers that have all but their rows and row groups in common with a first one.

    :param footer: the first one, with what follows it.
    :raises ValueError: it has not got its fields in order, or is none at all.
    """

    def __init__(self, footer: bytes) -> None:
        try:
            ends = _ends_of_fields(footer[:-TRAILER_BYTES])
        except (IndexError, RecursionError):
            raise ValueError("a footer that ends too soon, or has no end") from None
        if list(ends)[:4] != [1, 2, _ROWS, _ROW_GROUPS]:
            raise ValueError("a footer with other fields")
        self._before = footer[: ends[2]]
        self._after = footer[ends[_ROW_GROUPS] : -TRAILER_BYTES]

    def includes(self, footer: bytes) -> bool:
        """Whether it is one of them."""
        return self.middle(footer) is not None

    def parse(self, footers: Sequence[bytes]) -> tuple[pq.ParquetReader | None, list[RowGroups | None]]:
        """Parse footers.

        :return: a reader that has the schema of those that are alike, None if none is; and for each footer its row
            groups, None where it is not one of them.
        :raises pa.ArrowException: one of them cannot be parsed.
        """
        middles = [self.middle(footer) for footer in footers]
        alike = [middle for middle in middles if middle is not None]
        if not alike:
            return None, [None] * len(footers)
        reader = open_reader(pa.BufferReader(self.joined(alike)))
        metadata = reader.metadata
        if metadata.num_row_groups != sum(middle.groups for middle in alike):
            return None, [None] * len(footers)
        found, first = list[RowGroups | None](), 0
        for middle in middles:
            if middle is None:
                found.append(None)
                continue
            groups = [metadata.row_group(number) for number in range(first, first + middle.groups)]
            sizes = tuple((group.num_rows, group.total_byte_size) for group in groups)
            found.append(sizes if sum(rows for rows, _ in sizes) == middle.rows else None)
            first += middle.groups
        return reader, found

    def middle(self, footer: bytes) -> Middle | None:
        """What it has of its own, None if it is not one of them."""
        start, end = len(self._before), len(footer) - TRAILER_BYTES - len(self._after)
        if end <= start or not footer.startswith(self._before) or not footer.endswith(self._after, 0, -TRAILER_BYTES):
            return None
        try:
            if footer[start : start + 1] != _ROWS_HEADER:
                return None
            rows, at = _varint(footer, start + 1)
            if footer[at : at + 1] != _ROW_GROUPS_HEADER:
                return None
            groups, kind, at = _list_header(footer, at + 1)
        except IndexError:
            return None
        # Numbers with a sign are stored as twice their size.
        return Middle(rows >> 1, groups, footer[at:end]) if kind == _STRUCT and at <= end and not rows & 1 else None

    def joined(self, middles: Sequence[Middle]) -> bytes:
        """One footer of all, with what follows it."""
        rows, groups = sum(middle.rows for middle in middles), sum(middle.groups for middle in middles)
        footer = b"".join(
            [
                self._before,
                _ROWS_HEADER + _to_varint(2 * rows),
                _ROW_GROUPS_HEADER + start_of_structures(groups),
                *(middle.data for middle in middles),
                self._after,
            ]
        )
        return footer + len(footer).to_bytes(4, "little") + b"PAR1"


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number, and where it ends. :raises IndexError: the data end before."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _to_varint(value: int) -> bytes:
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def start_of_structures(count: int) -> bytes:
    """What a list of so many structures begins with."""
    return bytes([count << 4 | _STRUCT]) if count < 0x0F else bytes([0xF0 | _STRUCT]) + _to_varint(count)


def _list_header(data: bytes, at: int) -> tuple[int, int, int]:
    """How many values a list has, of which type, and where they begin."""
    count, kind = data[at] >> 4, data[at] & 0x0F
    if count < 0x0F:
        return count, kind, at + 1
    count, at = _varint(data, at + 1)
    return count, kind, at


def _ends_of_fields(data: bytes, at: int = 0) -> dict[int, int]:
    """Where each field of a structure ends, and under 0, where the structure does.

    :raises IndexError: after the data. :raises ValueError: a type is not known.
    """
    ends, field = dict[int, int](), 0
    while header := data[at]:
        at += 1
        if header >> 4:
            field += header >> 4
        else:
            number, at = _varint(data, at)
            field = number >> 1
        at = _end(data, at, header & 0x0F)
        ends[field] = at
    ends[0] = at + 1
    return ends


def _end(data: bytes, at: int, kind: int, *, in_list: bool = False) -> int:
    """Where a value ends."""
    if kind in (_TRUE, _FALSE):
        return at + in_list
    if kind in _INTEGERS:
        return _varint(data, at)[1]
    if kind == _BINARY:
        length, at = _varint(data, at)
        return at + length
    if kind == _STRUCT:
        return _ends_of_fields(data, at)[0]
    if kind in (_LIST, _SET):
        count, inner, at = _list_header(data, at)
        for _ in range(count):
            if at >= len(data):
                # Values of a fixed size are passed over unread, and a damaged list may have any number of them.
                raise IndexError("a list that ends too soon")
            at = _end(data, at, inner, in_list=True)
        return at
    if kind in (_BYTE, _DOUBLE):
        return at + (1 if kind == _BYTE else 8)
    raise ValueError(f"a value of type {kind}")
