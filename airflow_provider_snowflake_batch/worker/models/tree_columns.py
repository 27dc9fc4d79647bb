"""Rows in the form that a tree model was trained with: its columns by name and in its order, its categories whole.

XGBoost takes the columns of an Arrow table by position, and LightGBM also those of a DataFrame. XGBoost takes a
category that it was not trained with for the next one in its order (version 3.2), fails for a batch in which all values
are missing, and scores categories in a column of numbers by their indexes. Only the model knows its columns and
categories, so the rows are brought into its form where it is called. What was looked up is kept.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_snowflake_batch.worker.errors import Refused
from airflow_provider_snowflake_batch.worker.models.columns import match_columns


@dataclass(frozen=True)
class TreeColumns:
    """What a model was trained with.

    :param library: its name, for errors.
    :param names: its columns in order; empty if it does not know them.
    :param categories: those of its categorical columns, as far as it knows them.
    :param unknown_is_missing: the library scores a category that the model does not know as a missing one.
    :param spelled: how the library spells a column's name.
    :param numbers: the columns in which the library would score the indexes of categories instead of their values.
    """

    library: str
    names: Sequence[str]
    categories: Mapping[str, pa.Array] = field(default_factory=dict)
    unknown_is_missing: bool = False
    spelled: Callable[[str], str] = str
    numbers: frozenset[str] = frozenset()

    def fit(self, rows: Any) -> Any:
        """The rows in this form; what has no names of columns as it is.

        :raises ValueError: a column is missing, or a category is unknown to the model; it names column and value.
        """
        if isinstance(rows, pa.RecordBatch):
            rows = pa.Table.from_batches([rows])
        if not self.names or not isinstance(rows, (pa.Table, pd.DataFrame)):
            return rows
        given = rows.column_names if isinstance(rows, pa.Table) else rows.columns.tolist()
        if given != list(self.names):
            rows = self._select(rows, given)
        return self._table(rows) if isinstance(rows, pa.Table) else self._frame(rows)

    def are_in(self, rows: Any) -> bool:
        """Whether rows have all of these columns."""
        if not self.names or not isinstance(rows, (pa.Table, pa.RecordBatch, pd.DataFrame)):
            return False
        given = rows.columns.tolist() if isinstance(rows, pd.DataFrame) else rows.schema.names
        return {name.upper() for name in self.names} <= {self.spelled(str(name)).upper() for name in given}

    def _select(self, rows: Any, given: Sequence[Any]) -> Any:
        texts = [self.spelled(str(name)) for name in given]
        try:
            found = match_columns(self.names, texts, "column")
        except Refused as error:
            raise ValueError(
                f"the {self.library} model was trained with the columns {', '.join(self.names)}: {error}"
            ) from None
        places = [texts.index(name) for name in found]
        if isinstance(rows, pa.Table):
            return rows.select(places).rename_columns(list(self.names))
        return rows.iloc[:, places].set_axis(list(self.names), axis=1)

    def _table(self, table: pa.Table) -> pa.Table:
        for place, (name, column) in enumerate(zip(self.names, table.columns, strict=True)):
            if name in self.categories:
                table = table.set_column(place, name, self._dictionary(name, column))
            elif name in self.numbers and pa.types.is_dictionary(column.type):
                table = table.set_column(place, name, self._plain_numbers(name, column))
            elif pa.types.is_null(column.type):
                table = table.set_column(place, name, column.cast(pa.float32()))
        return table

    def _dictionary(self, name: str, column: pa.ChunkedArray) -> pa.Array:
        categories = self.categories[name]
        plain = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        array = plain.combine_chunks()
        array = array if isinstance(array, pa.Array) else pa.concat_arrays(array.chunks)
        places = pc.index_in(self._cast(name, array, categories.type), value_set=categories)
        self._check(name, array.filter(pc.and_(pc.is_null(places), pc.is_valid(array))))
        return pa.DictionaryArray.from_arrays(places, categories)

    def _frame(self, frame: pd.DataFrame) -> pd.DataFrame:
        changed = {}
        for name, kind in zip(frame.columns, frame.dtypes, strict=True):
            if isinstance(kind, pd.CategoricalDtype) and name in self.numbers:
                numbers = self._plain_numbers(name, pa.array(frame[name], from_pandas=True))
                changed[name] = pd.Series(numbers.to_numpy(zero_copy_only=False), index=frame.index)
        for name, categories in self.categories.items():
            column = frame[name]
            wanted = categories.to_pandas()
            if isinstance(column.dtype, pd.CategoricalDtype) and column.cat.categories.equals(pd.Index(wanted)):
                continue
            plain = pa.array(column, from_pandas=True)
            if pa.types.is_dictionary(plain.type):
                plain = plain.cast(plain.type.value_type)
            places = pc.index_in(self._cast(name, plain, categories.type), value_set=categories)
            self._check(name, plain.filter(pc.and_(pc.is_null(places), pc.is_valid(plain))))
            codes = places.fill_null(-1).to_numpy(zero_copy_only=False)
            changed[name] = pd.Series(pd.Categorical.from_codes(codes, categories=wanted), index=frame.index)
        return frame.assign(**changed) if changed else frame

    def _plain_numbers(self, name: str, values: Any) -> Any:
        """Numbers that came as categories."""
        kind = values.type.value_type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
            raise self._no_numbers(name, f"categories of {kind}")
        return values.cast(kind)

    def _no_numbers(self, name: str, given: str) -> ValueError:
        return ValueError(f"column {name!r} holds {given}, the {self.library} model was trained with numbers")

    def check_numbers(self, names: Sequence[str] | None, kinds: Sequence[str] | None) -> None:
        """Refuse rows that are in the library's own form already.

        :param names: their columns. :param kinds: the type of each, as XGBoost names it.
        :raises ValueError: one holds categories where the model knows numbers.
        """
        for name, kind in zip(names or (), kinds or (), strict=False):
            if kind == "c" and name in self.numbers:
                raise self._no_numbers(name, "categories")

    def _cast(self, name: str, values: pa.Array, kind: pa.DataType) -> pa.Array:
        """Values in the type of the categories. A text is never taken for a number, nor a number for a text."""
        if pa.types.is_null(values.type) or values.null_count == len(values):
            return pa.nulls(len(values), kind)
        # Arrow's cast of a number to a flag changes its value.
        alike = _is_text(values.type) == _is_text(kind)
        if alike and pa.types.is_boolean(values.type) == pa.types.is_boolean(kind):
            try:
                return values.cast(kind)
            except pa.ArrowException:
                pass
        raise ValueError(
            f"column {name!r} holds {values.type}, the {self.library} model was trained with categories of {kind}"
        )

    def _check(self, name: str, unknown: pa.Array) -> None:
        if not len(unknown):
            return
        if self.unknown_is_missing:
            warnings.warn(
                f"column {name!r} holds {unknown[0].as_py()!r}, a category that the {self.library} model was not "
                "trained with; the library scores it as a missing one",
                stacklevel=2,
            )
        else:
            raise ValueError(
                f"column {name!r} holds {unknown[0].as_py()!r}, a category that the {self.library} model was not "
                "trained with"
            )

    def check_categories(self, given: Mapping[str, pa.Array]) -> None:
        """Refuse rows that are in the library's own form already.

        :param given: the categories that the columns of the rows may hold.
        :raises ValueError: one of them is unknown to the model.
        """
        for name in self.categories.keys() & given.keys():
            values = given[name]
            known = pc.is_in(self._cast(name, values, self.categories[name].type), value_set=self.categories[name])
            self._check(name, values.filter(pc.invert(known)))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def of_xgboost(booster: Any) -> TreeColumns:
    """What an XGBoost model was trained with. Before 3.1 it does not know its categories."""
    names, types = booster.feature_names or (), booster.feature_types or ()
    categories = xgboost_categories(booster) if "c" in types else {}
    # A model without types has numbers only.
    numbers = frozenset(name for name, kind in zip(names, types or [""] * len(names), strict=True) if kind != "c")
    return TreeColumns("XGBoost", tuple(names), categories, numbers=numbers)


def xgboost_categories(holder: Any) -> dict[str, pa.Array]:
    """The categories that a model or a matrix of XGBoost holds."""
    if not hasattr(holder, "get_categories"):
        return {}
    try:
        found = holder.get_categories(export_to_arrow=True)
        pairs = found.to_arrow() if found is not None else ()
    except Exception:
        # The categories are not known. The model is called nevertheless.
        return {}
    return {name: values for name, values in pairs or () if values is not None}


def of_lightgbm(booster: Any) -> TreeColumns:
    """What a LightGBM model was trained with. Trained without names it calls its columns ``Column_0`` and so on."""
    names = booster.feature_name()
    if names == [f"Column_{number}" for number in range(len(names))]:
        return TreeColumns("LightGBM", ())
    categories: dict[str, pa.Array] = {}
    whole = booster.pandas_categorical or []
    if whole:
        # The model states values for categorical columns, a range for others, nothing for those that it does not use.
        text = booster.model_to_string(num_iteration=1)
        infos = text.partition("feature_infos=")[2].partition("\n")[0].split()
        of_values = [name for name, info in zip(names, infos, strict=False) if info[:1] not in ("[", "n")]
        unused = [name for name, info in zip(names, infos, strict=False) if info == "none"]
        if len(of_values) == len(whole) and not unused:
            categories = {name: pa.array(values) for name, values in zip(of_values, whole, strict=True)}
    return TreeColumns("LightGBM", tuple(names), categories, True, lambda name: name.replace(" ", "_"))


def xgboost_form(columns: TreeColumns, rows: Any) -> Any:
    """Rows as XGBoost takes them: in an Arrow table it knows categories of text only (version 3.2)."""
    if isinstance(rows, pa.Table) and not all(_is_text(values.type) for values in columns.categories.values()):
        return _as_frame(rows)
    return rows


def lightgbm_form(columns: TreeColumns, rows: Any) -> Any:
    """Rows as LightGBM takes them: Arrow tables of numbers, other columns in a DataFrame."""
    if isinstance(rows, pa.Table) and columns.categories:
        return _as_frame(rows)
    return rows


def _as_frame(table: pa.Table) -> pd.DataFrame:
    for place, column in enumerate(table.columns):
        if pa.types.is_boolean(column.type) and column.null_count:
            # pandas would make objects of them, which no tree library takes.
            table = table.set_column(place, table.column_names[place], column.cast(pa.int8()))
    frame: pd.DataFrame = table.to_pandas()
    return frame
