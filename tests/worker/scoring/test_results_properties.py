"""Whatever models return, in whatever form and order of batches: one schema, and every value as it was.

Also tests ``worker/output/part_writer.py``.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_snowflake_batch.worker.output.part_writer import PartWriter
from airflow_provider_snowflake_batch.worker.scoring.results import to_table
from airflow_provider_snowflake_batch.worker.values import schemas

KEYS = ("a", "b")
# A kind says what belongs together: a name of SCALARS, a list of a kind, or an object with a kind for each key.
SCALARS = {
    "number": st.one_of(st.integers(-(2**40), 2**40), st.floats(allow_nan=False, width=32)),
    "text": st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    "bytes": st.binary(max_size=5),
    "flag": st.booleans(),
}
KINDS = st.recursive(
    st.sampled_from(sorted(SCALARS)),
    lambda inner: st.one_of(
        st.tuples(st.just("list"), inner),
        st.tuples(st.just("object"), st.fixed_dictionaries(dict.fromkeys(KEYS, inner))),
    ),
    max_leaves=4,
)


# How Python and pandas say that there is no value; for numbers the second one is a value.
MISSING = st.sampled_from([None, float("nan")])


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a kind: any may be missing, and so may the keys of an object."""
    if isinstance(kind, str):
        return MISSING | SCALARS[kind]
    name, inner = kind
    if name == "list":
        return MISSING | st.lists(values(inner), max_size=3)
    present = st.dictionaries(st.sampled_from(KEYS), st.just(None), max_size=2)
    return MISSING | present.flatmap(lambda keys: st.fixed_dictionaries({key: values(inner[key]) for key in keys}))


@st.composite
def batches(draw: st.DrawFn) -> tuple[Any, list[list[Any]]]:
    kind = draw(KINDS)
    return kind, draw(st.lists(st.lists(values(kind), min_size=1, max_size=4), min_size=1, max_size=4))


def returned(form: str, column: list[Any]) -> Any:
    """The column in one of the forms that models return."""
    if form == "frame":
        return pd.DataFrame({"out": pd.Series(column, dtype=object)})
    if form == "records":
        return [{"out": value} for value in column]
    if form == "array":
        array = np.empty(len(column), dtype=object)
        array[:] = column
        return {"out": array}
    return {"out": column}


def complete(kind: Any, value: Any) -> Any:
    """The value as a column of one type holds it: all keys there, whole numbers as the type of the column has them."""
    if value is None or _is_nan(value) or isinstance(kind, str):
        return value
    name, inner = kind
    if name == "list":
        return [complete(inner, item) for item in value]
    return {key: complete(inner[key], value.get(key)) for key in KEYS}


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value


def _nothing(value: Any) -> bool:
    return (
        value is None
        or _is_nan(value)
        or (isinstance(value, dict) and all(_nothing(inner) for inner in value.values()))
    )


def same(kind: Any, found: Any, wanted: Any) -> bool:
    if _is_nan(wanted):
        # Where nothing but NaN is there for the whole column, it is one of numbers.
        return _is_nan(found) or (kind != "number" and found is None)
    if isinstance(kind, str) or wanted is None:
        return bool(found == wanted)
    if found is None:
        # An object that no batch has a key for is NULL, because Parquet knows no such type.
        return kind[0] == "object" and all(_nothing(inner) for inner in wanted.values())
    name, inner = kind
    if name == "list":
        return len(found) == len(wanted) and all(same(inner, *pair) for pair in zip(found, wanted, strict=True))
    # A key that no value of the whole column has is no part of its type.
    return all(same(inner[key], found.get(key), wanted[key]) for key in KEYS)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=200)
@given(case=batches(), forms=st.lists(st.sampled_from(["frame", "records", "array", "dict"]), min_size=4, max_size=4))
def test_every_value_comes_back_from_one_schema(case: tuple[Any, list[list[Any]]], forms: list[str]) -> None:
    kind, columns = case
    tables = [to_table(returned(form, column), len(column), None) for form, column in zip(forms, columns, strict=False)]
    schema = tables[0].schema
    for table in tables[1:]:
        schema = schemas.join(schema, table.schema)

    with tempfile.TemporaryDirectory() as folder:
        for number, table in enumerate(tables):
            writer = PartWriter(Path(folder) / f"{number}.parquet", schema)
            writer.write(schemas.fit(table, schema))
            writer.close()
        read = [pq.read_table(Path(folder) / f"{number}.parquet") for number in range(len(tables))]

    assert len({table.schema.remove_metadata() for table in read}) == 1
    for table, column in zip(read, columns, strict=True):
        wanted = [complete(kind, value) for value in column]
        assert all(same(kind, *pair) for pair in zip(table["out"].to_pylist(), wanted, strict=True))


@settings(deadline=None)
@given(shape=st.lists(st.integers(0, 3), min_size=1, max_size=3), rows=st.integers(1, 3), wide=st.booleans())
def test_images_as_arrays_come_back(shape: list[int], rows: int, wide: bool) -> None:
    kind = np.uint8 if not wide else np.float32
    images = [np.arange(np.prod(shape), dtype=kind).reshape(shape) + row for row in range(rows)]
    for form in ({"out": np.stack(images)}, {"out": images}, pd.DataFrame({"out": images})):
        table = to_table(form, rows, None)
        assert table["out"].to_pylist() == [image.tolist() for image in images]
        assert pa.types.is_list(table.schema.field("out").type)
