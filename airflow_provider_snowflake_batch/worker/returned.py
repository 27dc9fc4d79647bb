"""What a model returned, made safe to be stored while the model is called again.

Models that write each batch into the same memory (a preallocated array, an I/O binding, a CUDA graph) would otherwise
change rows that wait to be written; and a generator would run the model's code in the thread that writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd

_SAMPLE = 16
# About what a small Python object takes.
_OBJECT_BYTES = 64


def owned(returned: Any) -> Any:
    """The same values in memory that the model has no hand in; iterators as lists."""
    if isinstance(returned, (np.ndarray, pd.DataFrame, pd.Series)):
        return returned.copy()
    if callable(getattr(returned, "detach", None)) and callable(getattr(returned, "clone", None)):
        return returned.detach().clone()
    if isinstance(returned, Mapping):
        return {name: owned(values) for name, values in returned.items()}
    if isinstance(returned, Iterator):
        returned = list(returned)
    if type(returned) in (list, tuple):
        # Rows of plain values, the usual case, are not gone through one by one.
        first = next((item for item in returned if item is not None), None)
        return type(returned)(owned(item) for item in returned) if _holds_arrays(first) else type(returned)(returned)
    return returned


def _holds_arrays(item: Any) -> bool:
    if isinstance(item, Mapping):
        return any(_holds_arrays(value) for value in item.values())
    if isinstance(item, (list, tuple)):
        return any(_holds_arrays(value) for value in islice(item, _SAMPLE))
    return isinstance(item, (np.ndarray, pd.Series)) or callable(getattr(item, "clone", None))


def size_of(returned: Any) -> int:
    """About how many bytes are held; lists and objects are judged by some of them."""
    if isinstance(returned, pd.DataFrame):
        return sum(size_of(returned.iloc[:, index]) for index in range(returned.shape[1]))
    if isinstance(returned, (pd.Series, np.ndarray)) and returned.dtype == object:
        return _of_items(returned.reshape(-1) if isinstance(returned, np.ndarray) else returned.array)
    size = getattr(returned, "nbytes", None)
    if isinstance(size, int):
        return size
    if isinstance(returned, (str, bytes, bytearray)):
        return len(returned) + _OBJECT_BYTES
    if isinstance(returned, Mapping):
        return sum(size_of(value) for value in returned.values()) + _OBJECT_BYTES
    if isinstance(returned, (list, tuple)):
        return _of_items(returned)
    return _OBJECT_BYTES


def _of_items(items: Sequence[Any] | Any) -> int:
    count = len(items)
    places = range(0, count, max(1, count // _SAMPLE))
    return sum(size_of(items[place]) for place in places) * count // max(len(places), 1) + _OBJECT_BYTES
