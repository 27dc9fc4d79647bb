"""Makes calls of XGBoost and LightGBM get rows in their model's form, wherever in a model's code the call is.

A model of the kind ``python`` may keep a tree model anywhere and call it in any way, and so does the registry's code
for its models. All these calls end in two or three methods of each library, so these are wrapped when the library is
imported.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import sys
import weakref
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.worker.models.tree_columns import TreeColumns

_DONE = "_called_with_rows_in_the_models_form"


def install() -> None:
    """Wrap the libraries that are imported already, and those that will be."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    for name, wrap in _LIBRARIES.items():
        if name in sys.modules:
            _once(sys.modules[name], wrap)


def _once(module: ModuleType, wrap: Callable[[Any], None]) -> None:
    if not getattr(module, _DONE, False) and hasattr(module, "Booster"):
        wrap(module)
        setattr(module, _DONE, True)


def _wrap_xgboost(module: Any) -> None:
    from airflow_provider_snowflake_batch.worker.models import tree_columns

    booster, matrix = module.Booster, module.DMatrix
    columns_of = _Remembered(tree_columns.of_xgboost)
    inplace_predict, predict = booster.inplace_predict, booster.predict
    load_model, make, unpickle = booster.load_model, booster.__init__, booster.__setstate__
    make_matrix, part = matrix.__init__, booster.__getitem__
    boosters: weakref.WeakSet[Any] = weakref.WeakSet()

    @functools.wraps(make)
    def make_known(self: Any, *args: Any, **options: Any) -> None:
        make(self, *args, **options)
        boosters.add(self)

    @functools.wraps(unpickle)
    def unpickle_known(self: Any, state: Any) -> None:
        unpickle(self, state)
        boosters.add(self)

    @functools.wraps(load_model)
    def load_model_anew(self: Any, *args: Any, **options: Any) -> Any:
        columns_of.forget(self)
        return load_model(self, *args, **options)

    @functools.wraps(part)
    def part_of_known(self: Any, rounds: Any) -> Any:
        # A part of the trees does not tell the categories that the whole model was trained with.
        return columns_of.same(part(self, rounds), self)

    @functools.wraps(make_matrix)
    def make_matrix_in_form(self: Any, data: Any, label: Any = None, *args: Any, **options: Any) -> None:
        # A matrix does not say which model it is for. If only one model has these columns, it is for that one.
        if label is None and options.get("feature_names") is None:
            whose = [columns for columns in map(columns_of, list(boosters)) if columns.are_in(data)]
            if len(whose) == 1:
                data = tree_columns.xgboost_form(whose[0], whose[0].fit(data))
        make_matrix(self, data, label, *args, **options)

    @functools.wraps(inplace_predict)
    def inplace_predict_in_form(self: Any, data: Any, *args: Any, **options: Any) -> Any:
        # A caller who switches the check off states that the columns are right.
        if options.get("validate_features", True):
            columns = columns_of(self)
            data = tree_columns.xgboost_form(columns, columns.fit(data))
        return inplace_predict(self, data, *args, **options)

    @functools.wraps(predict)
    def predict_checked(self: Any, data: Any, *args: Any, **options: Any) -> Any:
        columns = columns_of(self)
        columns.check_numbers(getattr(data, "feature_names", None), getattr(data, "feature_types", None))
        if columns.categories:
            columns.check_categories(tree_columns.xgboost_categories(data))
        return predict(self, data, *args, **options)

    booster.inplace_predict, booster.predict = inplace_predict_in_form, predict_checked
    booster.load_model, booster.__init__, booster.__setstate__ = load_model_anew, make_known, unpickle_known
    matrix.__init__, booster.__getitem__ = make_matrix_in_form, part_of_known


def _wrap_lightgbm(module: Any) -> None:
    from airflow_provider_snowflake_batch.worker.models import tree_columns

    booster = module.Booster
    columns_of = _Remembered(tree_columns.of_lightgbm)
    predict = booster.predict

    @functools.wraps(predict)
    def predict_in_form(self: Any, data: Any, *args: Any, **options: Any) -> Any:
        columns = columns_of(self)
        return predict(self, tree_columns.lightgbm_form(columns, columns.fit(data)), *args, **options)

    booster.predict = predict_in_form


class _Remembered:
    """What models were trained with, looked up once for each.

    :param columns_of: looks it up.
    """

    def __init__(self, columns_of: Callable[[Any], TreeColumns]) -> None:
        self._columns_of = columns_of
        self._known: weakref.WeakKeyDictionary[Any, TreeColumns] = weakref.WeakKeyDictionary()

    def __call__(self, booster: Any) -> TreeColumns:
        found = self._known.get(booster)
        if found is None:
            found = self._columns_of(booster)
            if found.names:
                # A model without columns may not be loaded yet, so nothing is remembered of it.
                self._known[booster] = found
        return found

    def same(self, booster: Any, other: Any) -> Any:
        """The model, which was trained with what the other was."""
        self._known[booster] = self(other)
        return booster

    def forget(self, booster: Any) -> None:
        """The model is about to become another one."""
        self._known.pop(booster, None)


_LIBRARIES: dict[str, Callable[[Any], None]] = {"xgboost": _wrap_xgboost, "lightgbm": _wrap_lightgbm}


class _Finder(importlib.abc.MetaPathFinder):
    """Finds what the others find, and wraps the library when it has been loaded."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        wrap = _LIBRARIES.get(fullname)
        if wrap is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_wrap(module: ModuleType) -> None:
                load(module)
                _once(module, wrap)

            spec.loader.exec_module = load_and_wrap  # type: ignore[method-assign]
        return spec
