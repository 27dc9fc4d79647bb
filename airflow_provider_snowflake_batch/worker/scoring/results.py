"""What a model returned becomes Arrow columns: one array for each output, one value for each row.

Accepted: a pandas DataFrame or Series, a numpy array, anything with ``numpy()`` (a tensor), an Arrow table, a dict of
columns, a list of dicts (one a row), a tuple or list of arrays (one an output), a tuple of lists (one an output), a
list of values (one a row), and frames or Arrow batches one below the other, in a list or from a generator.
Outputs without a name are called as ``snowflake-ml-python`` calls them: ``output_feature_0`` and so on, one for each
index of the second dimension.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from airflow_provider_snowflake_batch.worker.errors import DataError
from airflow_provider_snowflake_batch.worker.models.signature import Feature, Signature
from airflow_provider_snowflake_batch.worker.scoring.storable_arrays import OutputMisfit, storable_column
from airflow_provider_snowflake_batch.worker.values import schemas
from airflow_provider_snowflake_batch.worker.values.nested import exact_list
from airflow_provider_snowflake_batch.worker.values.python_values import are_plain, is_missing, name_of
from airflow_provider_snowflake_batch.worker.values.tensors import as_arrow, as_numpy


@dataclass
class ListHabit:
    """What is known of a model from its batches: whether its lists of arrays hold one an output, or one a row.

    As many arrays as rows, each as long as there are rows, can be either; other batches of the same model tell.

    :param per_output: None as long as no batch has told.
    :param asks: whether a batch that does not tell is refused as `Unclear`, for a call with other rows that does.
    :param dimensions: of a row's value of the only output, where a signature tells.
    :param own_index: whether a frame had an index of the model's own, which says nothing of the given rows.
    """

    per_output: bool | None = None
    asks: bool = False
    dimensions: int | None = None
    own_index: bool = False


class Unclear(DataError):
    """Arrays are one a row or one an output, and nothing tells which.

    For half of the rows it is clear, and for a single row with that row twice.
    """


class OtherOrder(DataError):
    """The model returned the rows in another order. None of them is bad, and each alone would be scored."""


def to_table(returned: Any, rows: int | None, signature: Signature | None, habit: ListHabit | None = None) -> pa.Table:
    """The outputs as a table of as many rows as were given.

    :param rows: how many that is; None where the model may return any number.
    :param habit: what is known of the model from batches before; learns from this one.
    :raises DataError: the row count differs, the form is unknown, or values do not fit the signature.
    """
    habit = ListHabit() if habit is None else habit
    if signature is not None and habit.per_output is None:
        habit.per_output = len(signature.outputs) > 1
        if len(signature.outputs) == 1:
            habit.dimensions = len(signature.outputs[0].shape or ())
    if isinstance(returned, Iterator):
        returned = list(returned)
    if rows is not None:
        _check_order(returned, rows, habit)
    if isinstance(returned, (list, tuple)) and returned and (first := _as_frame(returned[0])) is not None:
        return _one_below_the_other([first, *map(_as_frame, returned[1:])], rows, signature, habit)
    columns = _columns(returned, rows, habit)
    if not columns:
        raise DataError("the model returned no column")
    for name, values in columns.items():
        if rows is not None and len(values) != rows:
            raise DataError(f"the model returned {len(values)} rows for {rows} rows given (output {name!r})")
        if rows is None and len(values) != len(next(iter(columns.values()))):
            raise DataError(f"the model returned columns of different lengths (output {name!r})")
    _check_labels(columns)
    features = _by_name(list(columns), signature)
    stored = [
        _storable(values, features.get(name), name, one_a_row=rows is not None) for name, values in columns.items()
    ]
    table = pa.table([array for _, array in stored], schema=pa.schema([field for field, _ in stored]))
    return table if signature is not None else schemas.marked(table)


def _check_order(returned: Any, rows: int, habit: ListHabit) -> None:
    """Hold that pandas' labels of rows do not contradict their places.

    A model is given rows with the labels 0, 1, 2 and so on. One that sorts them, or scores some before others, returns
    them with their labels: by position, each prediction would be another row's.

    :raises OtherOrder: they are the given labels in another order.
    """
    if isinstance(returned, (pd.DataFrame, pd.Series)):
        indexes = [returned.index]
    elif isinstance(returned, Mapping):
        indexes = [values.index for values in returned.values() if isinstance(values, pd.Series)]
    elif type(returned) in (list, tuple) and returned and isinstance(returned[0], (pd.DataFrame, pd.Series)):
        indexes = [item.index for item in returned if isinstance(item, (pd.DataFrame, pd.Series))]
        if len(indexes) > 1 and sum(map(len, indexes)) == rows:
            indexes = [indexes[0].append(indexes[1:])]
    else:
        return
    for index in indexes:
        # That of a frame that was made anew, or has been left as it was: by far the most usual one.
        usual = isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1
        if usual or habit.own_index or len(index) != rows:
            continue
        labels = _given_labels(index)
        if labels is None:
            habit.own_index = True
        elif not np.array_equal(labels, np.arange(rows)):
            keys = list(range(index.nlevels - 1))
            raise OtherOrder(
                "the model returned the rows in another order than it was given them, as their index says; end with "
                f"{f'.droplevel({keys})' if keys else ''}.sort_index(), or with .reset_index(drop=True) if each is at "
                "its row's place"
            )


def _check_labels(columns: Mapping[str, Any]) -> None:
    """Hold that outputs side by side do not have the same labels in different orders.

    By their places, values of other rows would be in one row; pandas would put them together by their labels.

    :raises OtherOrder: they have.
    """
    labelled = [(name, values.index) for name, values in columns.items() if isinstance(values, pd.Series)]
    for name, index in labelled[1:]:
        first = labelled[0][1]
        if index is first or index.equals(first):
            continue
        if not len(index.symmetric_difference(first, sort=False)):
            raise OtherOrder(
                f"the outputs {labelled[0][0]!r} and {name!r} have the same index in different orders, so that their "
                "values are not at the same rows' places; return them as one frame, or with .reset_index(drop=True) "
                "if each is at its row's place"
            )


def _given_labels(index: pd.Index) -> np.ndarray[Any, Any] | None:
    """The labels that the model was given, in the order in which they come back; None where there are none.

    pandas puts the keys of groups in front of them, and the groups below each other: ``groupby(...).rolling(...)`` and
    ``groupby(...).apply(...)`` return other places than those of the rows.
    """
    level = index.get_level_values(index.nlevels - 1)
    labels = _numbers(level) if level.name is None else None
    return labels if labels is not None and np.array_equal(np.sort(labels), np.arange(len(index))) else None


def _numbers(index: pd.Index) -> Any:
    """Labels that are whole numbers; None for others."""
    labels = index.to_numpy()
    if labels.dtype == object and {type(label) for label in labels} <= {int, np.int64}:
        # ``pd.concat`` leaves the labels of rows and of a frame without any as objects.
        return labels.astype(np.int64)
    return labels if labels.dtype.kind in "iu" else None


def _storable(values: Any, feature: Feature | None, name: str, *, one_a_row: bool) -> tuple[pa.Field, Any]:
    try:
        return storable_column(values, feature, name)
    except OutputMisfit as error:
        # Without one output row for each input row, it is not known which input row is meant.
        raise error if one_a_row else DataError(error.message) from None


def _as_frame(returned: Any) -> Any:
    """A frame of whatever library, whose rows may be some of a batch; None for anything else."""
    if not isinstance(returned, (pd.DataFrame, pa.Table, pa.RecordBatch)):
        if isinstance(returned, (pd.Series, pa.Array, pa.ChunkedArray)):
            return None
        returned = as_arrow(returned)
    return returned if isinstance(returned, (pd.DataFrame, pa.Table, pa.RecordBatch)) else None


def _one_below_the_other(
    frames: Sequence[Any], rows: int | None, signature: Signature | None, habit: ListHabit
) -> pa.Table:
    """The rows of a batch that a model returns in pieces, as Arrow's record batches come."""
    tables = []
    for frame in frames:
        if frame is None:
            raise DataError("the model returned a list of frames and other things; return one frame")
        tables.append(to_table(frame, None, signature, habit))
        if tables[-1].column_names != tables[0].column_names:
            raise DataError(
                f"the model returned frames of different columns: {', '.join(tables[0].column_names)} and "
                f"{', '.join(tables[-1].column_names)}"
            )
    schema = reduce(schemas.join, (table.schema for table in tables))
    whole = pa.concat_tables([schemas.fit(table, schema) for table in tables])
    if rows is not None and whole.num_rows != rows:
        raise DataError(
            f"the model returned {whole.num_rows} rows for {rows} rows given, in {len(frames)} frames one below the "
            "other; return outputs that belong side by side as columns of one"
        )
    return whole


def _by_name(names: Sequence[str], signature: Signature | None) -> dict[str, Feature]:
    if signature is None:
        return {}
    outputs = signature.outputs
    exact = {one.name: one for one in outputs}
    found: dict[str, Feature] = {name: exact[name] for name in names if name in exact}
    for one in outputs:
        if one.name not in found:
            same = [name for name in names if name.upper() == one.name.upper() and name not in found]
            if same:
                found[same[0]] = one
    missing = [one.name for one in outputs if one not in found.values()]
    if missing:
        unnamed = [name for name in names if name not in found]
        if len(missing) == len(outputs) == len(names) and all(name.startswith("output_feature_") for name in unnamed):
            return dict(zip(names, outputs, strict=True))
        raise DataError(
            f"the model did not return the output {missing[0]!r} of its signature; it returned {', '.join(names)}"
        )
    return found


def _columns(returned: Any, rows: int | None, habit: ListHabit) -> dict[str, Any]:
    returned = as_arrow(returned)
    if isinstance(returned, pd.DataFrame):
        if isinstance(returned.columns, pd.RangeIndex):
            return {f"output_feature_{index}": returned.iloc[:, index] for index in range(returned.shape[1])}
        return _named((name, returned.iloc[:, index]) for index, name in enumerate(returned.columns))
    if isinstance(returned, (pd.Index, pd.api.extensions.ExtensionArray)):
        returned = pd.Series(returned.to_flat_index() if isinstance(returned, pd.MultiIndex) else returned)
    if isinstance(returned, pd.Series):
        return {"output_feature_0" if returned.name is None else str(returned.name): returned}
    if isinstance(returned, (pa.Table, pa.RecordBatch)):
        return _named(zip(returned.schema.names, returned.columns, strict=True))
    if isinstance(returned, (pa.Array, pa.ChunkedArray)):
        return {"output_feature_0": returned}
    returned = as_numpy(returned)
    if isinstance(returned, np.ndarray):
        return _from_numpy(returned)
    if isinstance(returned, Mapping):
        return _named((name, _as_column(values)) for name, values in returned.items())
    if isinstance(returned, (list, tuple)):
        return _from_sequence(returned, rows, habit)
    if isinstance(returned, (set, frozenset)):
        raise DataError("the model returned a set, which keeps no order: which value is which row's is not known")
    if isinstance(returned, Iterable) and not isinstance(returned, (str, bytes)):
        return _from_sequence(list(returned), rows, habit)
    raise DataError(f"the model returned {type(returned).__name__}, which holds no rows")


def _named(columns: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
    """Columns by their names as text.

    :raises DataError: two have the same.
    """
    named: dict[str, Any] = {}
    twice: dict[str, None] = {}
    for name, values in columns:
        text = name_of(name)
        if text in named:
            twice[text] = None
        named[text] = values
    if twice:
        raise DataError(f"the model returned columns of the same name: {', '.join(sorted(twice))}")
    return named


def _check_case(names: Iterable[Any], rows: Iterable[Any]) -> None:
    """Hold that rows do not have an output in one spelling or in another.

    :raises DataError: they have; each spelling would be a column with gaps.
    """
    alike: dict[str, list[Any]] = {}
    for name in names:
        alike.setdefault(name_of(name).upper(), []).append(name)
    for spellings in alike.values():
        if len(spellings) > 1 and not any(item and all(name in item for name in spellings) for item in rows):
            named = " and others ".join(map(repr, map(name_of, spellings)))
            raise DataError(f"some rows have an output {named}: name it alike in all")


def _as_column(values: Any) -> Any:
    values = as_numpy(values)
    if not isinstance(values, (np.ndarray, pd.Series, pa.Array, pa.ChunkedArray)):
        values = as_arrow(values)
    if isinstance(values, (np.ndarray, pd.Series, pa.Array, pa.ChunkedArray, list)):
        if isinstance(values, np.ndarray) and values.ndim == 0:
            raise DataError("the model returned a single value where a column was expected")
        return values
    if isinstance(values, (pd.Index, pd.api.extensions.ExtensionArray)):
        return pd.Series(values)
    if isinstance(values, Iterable) and not isinstance(values, (str, bytes, Mapping, set, frozenset)):
        return list(values)
    raise DataError(f"the model returned {type(values).__name__} where a column was expected")


def _from_numpy(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    if array.dtype.names:
        return {name: array[name] for name in array.dtype.names}
    if array.ndim == 0:
        raise DataError("the model returned a single value, which holds no rows")
    if array.ndim == 1:
        return {"output_feature_0": array}
    return {f"output_feature_{index}": array[:, index] for index in range(array.shape[1])}


def _from_sequence(values: Sequence[Any], rows: int | None, habit: ListHabit) -> dict[str, Any]:
    if are_plain(values):
        return {"output_feature_0": list(values)}
    if any(issubclass(kind, pa.Scalar) for kind in set(map(type, values))):
        values = [_from_scalar(item) for item in values]
    # None among dicts is a row without results, and so are pandas' own missing values.
    if all(item is None or isinstance(item, Mapping) or is_missing(item) for item in values):
        if not set(map(type, values)) <= {dict, type(None)}:
            values = [item if isinstance(item, Mapping) else None for item in values]
        names = dict.fromkeys(name for item in values if item for name in item)
        if names:
            _check_case(names, values)
            return _named((name, [item.get(name) if item else None for item in values]) for name in names)
    columns = [_as_array(item) for item in values]
    if _labels_and_objects(columns, rows):
        return {f"output_feature_{index}": _as_column(item) for index, item in enumerate(columns)}
    if _are_outputs(values, columns, rows, habit):
        return {f"output_feature_{index}": item for index, item in enumerate(columns)}
    return {"output_feature_0": [_as_row(item) for item in values]}


def _from_scalar(item: Any) -> Any:
    """Arrow's single values: its maps are lists of pairs, and its NULL has neither keys nor a length."""
    if not isinstance(item, pa.Scalar):
        return item
    if not item.is_valid:
        return None
    if not isinstance(item, pa.MapScalar):
        return item
    # Not by pa.array, which fails if a map among the items is NULL (pyarrow 26).
    keys, values = item.values.flatten()
    try:
        return list(zip(exact_list(keys), exact_list(values), strict=True))
    except pa.ArrowException as error:
        raise DataError(f"the model's output 'output_feature_0' cannot be stored: {error}") from None


def _as_array(item: Any) -> Any:
    item = as_numpy(as_arrow(item))
    return pd.Series(item) if isinstance(item, (pd.Index, pd.api.extensions.ExtensionArray)) else item


def _is_array(item: Any) -> bool:
    if isinstance(item, np.ndarray):
        return item.ndim > 0
    return isinstance(item, (pd.Series, pa.Array, pa.ChunkedArray))


def _as_row(item: Any) -> Any:
    return exact_list(item) if isinstance(item, (pa.Array, pa.ChunkedArray)) else item


def _are_outputs(values: Sequence[Any], columns: Sequence[Any], rows: int | None, habit: ListHabit) -> bool:
    """Whether these are the outputs, and not the rows."""
    if columns and all(map(_is_array, columns)):
        return _per_output(values, [len(item) for item in columns], rows, habit)
    if not columns or not isinstance(values, tuple) or rows is None:
        return False
    if not all(_is_array(item) or isinstance(item, list) for item in columns):
        return False
    # Columns as lists, ``return labels, scores``. Rows that are lists have this length only by chance.
    per_output = habit.per_output is not False and all(len(item) == rows for item in columns)
    if len(values) == rows and not per_output:
        habit.per_output = False
    return per_output


def _labels_and_objects(values: Sequence[Any], rows: int | None) -> bool:
    """Whether these are outputs of which one at least is a list of dicts, as ONNX classifiers return probabilities.

    A row that is an array beside one that is a list of dicts would not be of one type.
    """
    arrays = [_is_array(item) for item in values]
    objects = [isinstance(item, list) and {isinstance(one, Mapping) for one in item} == {True} for item in values]
    if not any(arrays) or not any(objects) or not all(map(operator.or_, arrays, objects)):
        return False
    lengths = {len(item) for item in values}
    return len(lengths) == 1 and (rows is None or rows in lengths)


def _per_output(values: Sequence[Any], lengths: Sequence[int], rows: int | None, habit: ListHabit) -> bool:
    """Whether arrays are one an output, as multi-output estimators return them, and not one a row."""
    alike = len(set(lengths)) == 1
    if isinstance(values, tuple) or rows is None:
        return alike and (isinstance(values, tuple) or len(values) != rows)
    if len(values) == rows and alike and lengths[0] == rows:
        if rows == 1 and habit.dimensions is not None:
            return getattr(values[0], "ndim", 1) > habit.dimensions
        if habit.per_output is None and habit.asks:
            form = "a list of one array of one value for one row, which may be the row or an output"
            if rows > 1:
                form = f"{rows} arrays of {rows} values for {rows} rows"
            raise Unclear(f"the model returned {form}; return a dict of outputs")
        return bool(habit.per_output)
    habit.per_output = alike and len(values) != rows
    return habit.per_output
