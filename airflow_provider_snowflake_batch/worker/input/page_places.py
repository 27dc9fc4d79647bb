"""Where the pages of very many small Parquet files lie, found out for all of them at once.

Files of one writer and one schema have row groups with the same fields in the same order: they differ in numbers and in
what the statistics say. So the first one is walked, field by field, and the others are walked along with it, each at
its own place, by one call of NumPy for each step. A file that turns out to have another field is left out.

Nothing is searched for: each value is passed over by its own length, so no text in the statistics can be taken for
anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Numbers: TypeAlias = npt.NDArray[np.int64]

# Of Thrift's compact protocol: types of values, of which a boolean one in a structure is its own value.
_TRUE, _FALSE, _BYTE, _I64, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 6, 7, 8, 9, 10, 12
_I32 = 5
_INTEGERS = (4, _I32, 6)
# More bits than that no offset and no number of rows has.
_MOST_BITS = 49
# Columns differ in what the headers of their pages hold, and in the number of pages.
MOST_KINDS_OF_PAGES = 16
# Pages that hold values, as they are stored: of version 1 and 2.
_DATA_PAGES = {0: "values", 3 << 1: "values of version 2"}


class Leaf(NamedTuple):
    """A column of a row group, in each of the files that are alike.

    :param constant: physical type, encodings, path and codec as they are stored; all files have the same.
    :param data: where its first data page is.
    :param dictionary: where its dictionary page is, 0 for none; None where the field is missing.
    """

    constant: bytes
    values: Numbers
    uncompressed: Numbers
    compressed: Numbers
    data: Numbers
    dictionary: Numbers | None = None

    @property
    def first(self) -> Numbers:
        """Where its pages begin, as pyarrow tells it."""
        if self.dictionary is None:
            return self.data
        return np.where((self.dictionary > 0) & (self.dictionary < self.data), self.dictionary, self.data)


class Group(NamedTuple):
    """A row group, in each of the files that are alike. :param size: uncompressed bytes."""

    leaves: Sequence[Leaf]
    size: Numbers
    rows: Numbers

    def of(self, which: npt.NDArray[np.bool_]) -> Group:
        """The same of some of the files."""
        leaves = [
            leaf._replace(
                values=leaf.values[which],
                uncompressed=leaf.uncompressed[which],
                compressed=leaf.compressed[which],
                data=leaf.data[which],
                dictionary=None if leaf.dictionary is None else leaf.dictionary[which],
            )
            for leaf in self.leaves
        ]
        return Group(leaves, self.size[which], self.rows[which])


class Unlike(ValueError):
    """The first file is not what it should be, so that the others cannot be compared with it."""


def find_pages(row_groups: Sequence[bytes], count: int) -> tuple[list[Group], npt.NDArray[np.bool_]]:
    """Find out where the pages of files are.

    :param row_groups: of each file its row groups, as its footer holds them: one after another.
    :param count: row groups of each file.
    :return: the row groups, with a number for each file; and which of the files are like the first one. Numbers of the
        others mean nothing.
    :raises Unlike: the first one has other fields than pages are found with, or is damaged.
    """
    sizes = np.array([len(one) for one in row_groups], np.int64)
    ends: Numbers = np.cumsum(sizes)
    # The end of a structure follows the last one.
    walk = _RowGroups(b"".join([*row_groups, b"\0"]), ends - sizes, ends)
    groups = []
    try:
        for _ in range(count):
            groups.append(walk.row_group())
    except RecursionError:
        raise Unlike("structures in structures without end") from None
    return groups, walk.alike()


def with_rows_in_pages(
    data: bytes, begins: Numbers, groups: Sequence[Group], columns: Sequence[int] | None
) -> npt.NDArray[np.bool_]:
    """Which files have as many rows in their pages as their footers say.

    :param data: what holds the files. :param begins: where each of them begins in it.
    :param groups: the row groups of all. :param columns: numbers of those that are looked at; None for all.
    """
    leaves = [
        (group.leaves[number], group.rows)
        for group in groups
        for number in (range(len(group.leaves)) if columns is None else columns)
    ]
    # All columns of all files at once.
    first: Numbers = np.concatenate([leaf.first + begins for leaf, _ in leaves])
    last = first + np.concatenate([leaf.compressed for leaf, _ in leaves])
    rows: Numbers = np.concatenate([rows for _, rows in leaves])
    right = np.zeros(len(rows), np.bool_)
    left = np.arange(len(rows))
    for _ in range(MOST_KINDS_OF_PAGES):
        if not len(left):
            break
        pages = _Pages(data, first[left], last[left])
        try:
            equal, alike = pages.values() == rows[left], pages.alike()
        except (Unlike, RecursionError):
            left = left[1:]
            continue
        right[left[alike & equal]] = True
        left = left[~alike]
    good: npt.NDArray[np.bool_] = np.logical_and.reduce(right.reshape(-1, len(begins)))
    return good


class _Walk:
    """A place in each of the files, which moves on in all of them.

    A file that is not like the first one follows that from there on, so that its place is never outside of the data.

    :param stored: what holds all of them. :param at: the places. :param ends: where what is walked ends.
    """

    def __init__(self, stored: bytes, at: Numbers, ends: Numbers) -> None:
        self._data: npt.NDArray[np.uint8] = np.frombuffer(stored, np.uint8)
        self._stored, self._at, self._ends = stored, at.copy(), ends.copy()
        self._alike = np.ones(len(at), np.bool_)

    def alike(self) -> npt.NDArray[np.bool_]:
        """Which files are like the first one, up to their ends."""
        self._leave_out(self._at != self._ends)
        return self._alike

    def _structure(self, fields: Mapping[int, Callable[[int], None]] | None = None) -> None:
        """Pass over a structure. :param fields: what passes over the value of a field, given its type."""
        number = 0
        while header := self._byte():
            if not header >> 4:
                raise Unlike("a field whose number is far from the one before")
            number += header >> 4
            kind = header & 0x0F
            known = fields.get(number) if fields else None
            if known is None:
                self._value(kind)
            else:
                known(kind)

    def _value(self, kind: int, *, in_list: bool = False) -> None:
        """Pass over a value."""
        if kind in (_TRUE, _FALSE):
            self._at += in_list
        elif kind in _INTEGERS:
            self._varint()
        elif kind == _BINARY:
            self._pass_over(self._varint())
        elif kind == _STRUCT:
            self._structure()
        elif kind in (_LIST, _SET):
            count, inner = self._list_header()
            for _ in range(count):
                self._inside()
                self._value(inner, in_list=True)
        elif kind in (_BYTE, _DOUBLE):
            self._at += 1 if kind == _BYTE else 8
        else:
            raise Unlike(f"a value of type {kind}")

    def _constant(self, kind: int) -> None:
        """Pass over a value that all files have in common."""
        if kind in _INTEGERS:
            self._same_varint()
        elif kind == _BINARY:
            self._same_bytes(self._same_varint())
        elif kind == _LIST:
            count, inner = self._list_header()
            for _ in range(count):
                self._inside()
                self._constant(inner)
        else:
            raise Unlike(f"a value of type {kind}")

    def _list_header(self) -> tuple[int, int]:
        header = self._byte()
        count = header >> 4
        return (self._same_varint() if count == 0x0F else count), header & 0x0F

    def _number(self, kind: int, wanted: int = _I64) -> Numbers:
        """A number that is not negative, in each file."""
        if kind != wanted:
            raise Unlike("a number of another type")
        value = self._varint()
        # Numbers with a sign are stored as twice their size, negative ones as one less than that.
        self._leave_out((value & 1).astype(np.bool_))
        return value >> 1

    def _varint(self) -> Numbers:
        byte = self._bytes(self._at)
        self._at += 1
        value: Numbers = (byte & 0x7F).astype(np.int64)
        more, shift = byte > 0x7F, 0
        while np.count_nonzero(more):
            shift += 7
            if shift > _MOST_BITS:
                self._leave_out(more)
                break
            byte = self._bytes(self._at)
            value |= np.where(more, (byte & 0x7F).astype(np.int64) << shift, 0)
            self._at += more
            more &= byte > 0x7F
        return value

    def _same_varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
            if shift > _MOST_BITS:
                raise Unlike("a number that is too large")

    def _byte(self) -> int:
        """A byte that all files have in common."""
        bytes_ = self._bytes(self._at)
        first = bytes_[0]
        different = bytes_ != first
        if np.count_nonzero(different):
            self._leave_out(different)
        self._at += 1
        return int(first)

    def _same_bytes(self, count: int) -> None:
        if count > self._ends[0] - self._at[0]:
            raise Unlike("a text that ends too soon")
        texts = self._bytes(self._at[:, None] + np.arange(count))
        self._leave_out((texts != texts[0]).any(axis=1))
        self._at += count

    def _bytes(self, places: Numbers) -> npt.NDArray[np.uint8]:
        # A file that is found to be different a step later may have its place behind the end.
        found: npt.NDArray[np.uint8] = self._data.take(places, mode="clip")
        return found

    def _pass_over(self, lengths: Numbers) -> None:
        self._at += lengths
        self._leave_out(self._at > self._ends)

    def _inside(self) -> None:
        """A damaged list may have any number of values."""
        if self._at[0] >= self._ends[0]:
            raise Unlike("a list that ends too soon")

    def _leave_out(self, which: npt.NDArray[Any]) -> None:
        if not np.count_nonzero(which):
            return
        if which[0]:
            raise Unlike("a damaged footer")
        self._alike[which] = False
        self._at[which] = self._at[0]
        self._ends[which] = self._ends[0]


class _RowGroups(_Walk):
    """Row groups, as footers hold them."""

    def row_group(self) -> Group:
        leaves: list[Leaf] = []
        numbers: dict[str, Numbers] = {}
        self._structure(
            {
                1: lambda kind: leaves.extend(self._leaves(kind)),
                2: lambda kind: numbers.update(size=self._number(kind)),
                3: lambda kind: numbers.update(rows=self._number(kind)),
            }
        )
        if not leaves or len(numbers) < 2:
            raise Unlike("a row group without a field that it must have")
        return Group(leaves, **numbers)

    def _leaves(self, kind: int) -> list[Leaf]:
        count, inner = self._list_header()
        if kind != _LIST or inner != _STRUCT:
            raise Unlike("columns that are none")
        return [self._leaf() for _ in range(count)]

    def _leaf(self) -> Leaf:
        found: list[Leaf] = []

        def elsewhere(_: int) -> None:
            raise Unlike("a column that is encrypted, or in another file")

        described = {3: lambda kind: found.append(self._described(kind))}
        self._structure({1: elsewhere, 8: elsewhere, 9: elsewhere} | described)
        if not found:
            raise Unlike("a column without a field that it must have")
        return found[0]

    def _described(self, kind: int) -> Leaf:
        constant: dict[int, bytes] = {}
        numbers: dict[str, Numbers] = {}

        def same(number: int, kind: int) -> None:
            first = int(self._at[0])
            self._constant(kind)
            # One after the other, from the first field on.
            constant[number] = bytes([1 << 4 | kind]) + self._stored[first : int(self._at[0])]

        def take(name: str, kind: int) -> None:
            numbers[name] = self._number(kind)

        names = {5: "values", 6: "uncompressed", 7: "compressed", 9: "data", 11: "dictionary"}
        if kind != _STRUCT:
            raise Unlike("a column that is none")
        self._structure(
            {number: partial(same, number) for number in (1, 2, 3, 4)}
            | {number: partial(take, name) for number, name in names.items()}
        )
        if len(constant) < 4 or len(numbers.keys() - {"dictionary"}) < 4:
            raise Unlike("a column without a field that it must have")
        return Leaf(b"".join(constant.values()), **numbers)


class _Pages(_Walk):
    """The pages of a column in each file: their headers, each before as many bytes as it says."""

    def values(self) -> Numbers:
        """How many values all of them have together."""
        found: Numbers = np.zeros(len(self._at), np.int64)
        # A page is not empty, so that there is an end.
        while self._at[0] < self._ends[0]:
            found += self._page()
        return found

    def _page(self) -> Numbers | int:
        numbers: dict[str, Numbers] = {}
        kinds: list[int] = []

        def take(name: str, kind: int) -> None:
            numbers[name] = self._number(kind, _I32)

        def page_type(kind: int) -> None:
            if kind != _I32:
                raise Unlike("a page of no type")
            kinds.append(self._same_varint())

        def of_data(name: str, kind: int) -> None:
            if kind != _STRUCT:
                raise Unlike("a page that is none")
            self._structure({1: partial(take, name)})

        fields: dict[int, Callable[[int], None]] = {1: page_type, 3: partial(take, "bytes")}
        self._structure(fields | {5: partial(of_data, "values"), 8: partial(of_data, "values of version 2")})
        if len(kinds) != 1 or "bytes" not in numbers:
            raise Unlike("a page without a field that it must have")
        self._pass_over(numbers["bytes"])
        name = _DATA_PAGES.get(kinds[0])
        if name is None:
            return 0
        if name not in numbers:
            raise Unlike("a page without a field that it must have")
        return numbers[name]
