"""Categories of rows that are spread over buckets.

A bucket file has one dictionary for a column, but each input file may have its own. So a bucket holds plain values, and
the categories of the whole input lie beside the buckets. A group gets its columns as dictionaries of all categories, as
it would without groups, whichever rows it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_snowflake_batch.worker.errors import DataError

CATEGORIES_FILE = "categories.arrow"
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
                found = self._found[field.name]
                if field.type.ordered:
                    self._found[field.name] = _merged(found, chunk.dictionary, field.name, path)
                else:
                    self._found[field.name] = pc.unique(pa.concat_arrays([found, chunk.dictionary]))

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
