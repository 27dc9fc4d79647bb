from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_snowflake_batch.jobs.json_values import json_value, number
from airflow_provider_snowflake_batch.jobs.specs import SaveMode


class Colour(Enum):
    RED = Decimal("NaN")


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (math.nan, None),
        (-math.inf, None),
        (Decimal("Infinity"), None),
        (Colour.RED, None),
        (Decimal("3"), 3),
        (Decimal("1E+3"), 1000),
        (Decimal("0.1"), 0.1),
        (Decimal("0.12345678901234567890"), "0.12345678901234567890"),
        (2**63, str(2**63)),
        (-(2**63), -(2**63)),
        (True, True),
        (SaveMode.OVERWRITE, SaveMode.OVERWRITE.value),
        (datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=9))), "2026-01-01T18:00:00+00:00"),
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=9))), "0001-01-01T00:00:00+09:00"),
        (datetime(2026, 1, 2, 3, tzinfo=UTC), "2026-01-02T03:00:00+00:00"),
        (datetime(2026, 1, 2, 3), "2026-01-02T03:00:00"),
        (date(2026, 1, 2), "2026-01-02"),
        (np.float32("nan"), None),
        (np.int64(3), 3),
        ({1: {"b", "a"}, "t": (1, np.float64(0.5))}, {"1": ["a", "b"], "t": [1, 0.5]}),
        (b"x", "b'x'"),
        (np.datetime64("2026-01-01T00:00:00.000000001"), "2026-01-01T00:00:00.000000001"),
        (np.datetime64("2026-01-02"), "2026-01-02"),
        (np.timedelta64(5, "ns"), "5 nanoseconds"),
        (np.datetime64("NaT"), None),
        (pd.NaT, None),
        (pd.NA, None),
        (pd.Timestamp("2026-01-02 03:00", tz="Asia/Tokyo"), "2026-01-01T18:00:00+00:00"),
        (np.longdouble("1.5"), 1.5),
        (np.longdouble("inf"), None),
        (Decimal("1E+999999"), "1E+999999"),
        ("a\0b\ud800\U0001f600", "a\ufffdb\ufffd\U0001f600"),
        ({"a\0": 1}, {"a\ufffd": 1}),
    ],
)
def test_what_becomes_of_a_value(value: Any, kept: Any) -> None:
    assert json_value(value) == kept
    assert type(json_value(value)) is type(kept)


def test_a_number_of_more_digits_than_python_writes() -> None:
    assert json_value([10**5000, Decimal(1).scaleb(5000)]) == ["1" + "0" * 5000, "1E+5000"]


texts = st.text(st.characters(exclude_categories=[]))
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.decimals() | texts | st.datetimes() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(texts | st.integers(), inner) | st.tuples(inner),
    max_leaves=8,
)


@given(anything)
def test_json_gives_back_what_is_plain(value: Any) -> None:
    kept = json_value(value)
    text = json.dumps(kept, allow_nan=False)
    assert json.loads(text) == kept == json_value(kept)
    # PostgreSQL takes neither.
    assert r"\u0000" not in text.replace(r"\\", "")
    json.dumps(kept, ensure_ascii=False).encode()


def test_a_number_is_one() -> None:
    assert [number(value) for value in (1, 0.5, math.nan, "1", True, None, [])] == [1, 0.5] + [None] * 5
