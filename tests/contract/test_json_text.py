from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_snowflake_batch.contract.json_text import DEEPEST, is_count, load, load_strictly


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


def test_what_json_says() -> None:
    document = {"a": [1, 2.5, True, None, "x"], "b": {}}
    assert load_strictly('{"a": [1, 2.5, true, null, "x"], "b": {}}') == document
    assert load(b'{"a": [1, 2.5, true, null, "x"], "b": {}}') == document
    assert load_strictly(nested(DEEPEST)) is not None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON: .*line 1 column 2"),
        ('{"a": NaN}', "is not JSON: NaN is no number"),
        ("[-Infinity]", "is not JSON: -Infinity is no number"),
        ("[1e999]", "is not JSON: 1e999 is larger than any floating-point number"),
        ('{"a": 1, "b": 2, "a": 3}', "is not JSON: an object has the key 'a' twice"),
        (nested(DEEPEST + 1), "is nested too deeply"),
        (nested(100_000), "is nested too deeply"),
    ],
)
def test_what_no_reader_of_json_has_to_take_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        load_strictly(text)


def test_a_text_that_would_end_the_reader_is_none() -> None:
    with pytest.raises(ValueError, match="^it is nested too deeply$"):
        load(nested(100_000))


@pytest.mark.parametrize(
    ("value", "counts"), [(0, True), (2**63 - 1, True), (2**63, False), (-1, False), (True, False), (1.0, False)]
)
def test_counts(value: Any, counts: bool) -> None:
    assert is_count(value) is counts
