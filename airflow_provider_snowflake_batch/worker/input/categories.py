"""Categories of rows that are spread over buckets.

A bucket file has one dictionary for a column, but each input file may have its own. So a bucket holds plain values, and
the categories of the whole input lie beside the buckets. A group gets its columns as dictionaries of all categories, as
it would without groups, whichever rows it has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_snowflake_batch.worker.errors import DataError

CATEGORIES_FILE = "categories.arrow"
# By column, dictionaries in the order in which they came, and which file each is from.
CategoriesPart = Mapping[str, Sequence[tuple[pa.Array, str]]]
_ORDERED = b"ordered"


def bucket_schema(schema: pa.Schema) -> pa.Schema:
    """The input's schema with values in place of categories."""
    return pa.schema([one.with_type(_values(one.type)) for one in schema])


def grouped_schema(schema: pa.Schema) -> pa.Schema:
    """The schema of groups: the input's, with room for the categories of all files."""
    return pa.schema([one.with_type(_grouped(one.type)) for one in schema])


def _values(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _grouped(kind: pa.DataType) -> pa.DataType:
    return pa.dictionary(pa.int32(), kind.value_type, ordered=kind.ordered) if pa.types.is_dictionary(kind) else kind


class Categories:
    """Collects the categories of an input.

    :param schema: the input's.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._fields = [one for one in schema if pa.types.is_dictionary(one.type)]
        self._found: dict[str, pa.Array] = {one.name: pa.array([], one.type.value_type) for one in self._fields}
        self._last: dict[str, pa.Array] = {}
        # Of ordered ones, all that have come, each once, with the file it came from first.
        self._orders: dict[str, list[tuple[pa.Array, str]]] = {one.name: [] for one in self._fields}

    def add(self, table: pa.Table, path: str) -> None:
        """Take in the categories of some rows.

        :param path: the file that they are from.
        :raises DataError: the same ordered categories come in another order than before.
        """
        for field in self._fields:
            for chunk in table.column(field.name).chunks:
                last = self._last.get(field.name)
                if last is not None and last.equals(chunk.dictionary):
                    continue
                self._last[field.name] = chunk.dictionary
                self._take(field, chunk.dictionary, path)

    def _take(self, field: pa.Field, dictionary: pa.Array, path: str) -> None:
        found = self._found[field.name]
        if not field.type.ordered:
            self._found[field.name] = pc.unique(pa.concat_arrays([found, dictionary]))
            return
        orders = self._orders[field.name]
        # One that has come before is in the common order already.
        if not any(one.equals(dictionary) for one, _ in orders):
            self._found[field.name] = _merged(found, dictionary, field.name, path)
            orders.append((dictionary, path))

    def part(self) -> CategoriesPart:
        """What `join` needs of them."""
        return {
            field.name: self._orders[field.name] if field.type.ordered else [(self._found[field.name], "")]
            for field in self._fields
        }

    def join(self, part: CategoriesPart) -> None:
        """Take in the categories of the rows that follow, as if they had been added here.

        :raises DataError: as `add`.
        """
        for field in self._fields:
            for dictionary, path in part[field.name]:
                self._take(field, dictionary, path)

    def write(self, folder: Path) -> None:
        """Keep them beside the buckets."""
        fields, arrays = [], []
        for field in self._fields:
            values = self._found[field.name].drop_null()
            metadata = {_ORDERED: b"1"} if field.type.ordered else None
            fields.append(pa.field(field.name, pa.list_(field.type.value_type), metadata=metadata))
            arrays.append(pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values))
        table = pa.table(arrays, schema=pa.schema(fields))
        with pa.ipc.new_file(str(folder / CATEGORIES_FILE), table.schema) as writer:
            writer.write_table(table)


def _merged(first: pa.Array, second: pa.Array, column: str, path: str) -> pa.Array:
    """The longer of two orders, if it has the values of the other in the same order."""
    longer, shorter = (first, second) if len(first) >= len(second) else (second, first)
    places = pc.index_in(shorter, value_set=longer).to_pylist()
    if None in places or places != sorted(places):
        raise DataError(
            f"input column {column!r} has ordered categories {second.to_pylist()} in file {path} and "
            f"{first.to_pylist()} before: their common order is not known; write the same categories to all files"
        )
    return longer


def read_categories(folder: Path) -> Mapping[str, tuple[pa.Array, bool]]:
    """The categories beside the buckets, and whether they have an order."""
    with pa.memory_map(str(folder / CATEGORIES_FILE)) as source:
        table = pa.ipc.open_file(source).read_all()
    return {
        field.name: (table.column(field.name).combine_chunks().flatten(), _ORDERED in (field.metadata or {}))
        for field in table.schema
    }


def in_categories(rows: pa.Table, categories: Mapping[str, tuple[pa.Array, bool]]) -> pa.Table:
    """Rows of a bucket with their categories as dictionaries."""
    for name, (values, ordered) in categories.items():
        column = rows.column(name)
        places = pc.index_in(column, value_set=values).combine_chunks()
        places = places if isinstance(places, pa.Array) else pa.concat_arrays(places.chunks)
        encoded = pa.DictionaryArray.from_arrays(places, values, ordered=ordered)
        rows = rows.set_column(rows.column_names.index(name), name, encoded)
    return rows
