"""What a row holds that is a chat, and how answers are asked for."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_snowflake_batch.worker.errors import Refused
from airflow_provider_snowflake_batch.worker.models.chats import ChatAnswer, Sampling, completion


def test_params_have_openais_names() -> None:
    params = {"n": 2, "temperature": 0, "max_completion_tokens": 5, "stop": "end", "seed": None, "top_p": 0.5}
    assert Sampling.of(params) == Sampling(n=2, temperature=0, max_tokens=5, stop=("end",), top_p=0.5)
    assert Sampling.of({"stop": ["a", "b"]}).stop == ("a", "b")
    assert Sampling.of({}) == Sampling()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"max_new_tokens": 5}, "chats have no parameter 'max_new_tokens'; they take n, temperature"),
        ({"n": 0}, "the parameter n is a whole number from 1 to 128, not 0"),
        ({"n": 1.5}, "the parameter n is a whole number"),
        ({"temperature": "hot"}, "the parameter temperature is a number from 0 to 2, not 'hot'"),
        ({"top_p": 0}, "the parameter top_p is a number from 1e-06 to 1, not 0"),
        ({"temperature": True}, "the parameter temperature is a number"),
        ({"temperature": float("nan")}, "the parameter temperature is a number"),
        ({"stop": [1]}, "the parameter stop is a text or a list of texts"),
        ({"stop": [""]}, "the parameter stop is a text or a list of texts"),
    ],
)
def test_other_params_are_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(Refused, match=message):
        Sampling.of(params)


def test_a_completion_counts_the_tokens_of_all_answers() -> None:
    found = completion("[]", "m", [ChatAnswer("a b", "stop", 2), ChatAnswer("c", "length", 1)], 7, created=1.0)
    assert found["usage"] == {"completion_tokens": 3, "prompt_tokens": 7, "total_tokens": 10}
    assert [choice["finish_reason"] for choice in found["choices"]] == ["stop", "length"]
    assert [choice["index"] for choice in found["choices"]] == [0, 1]
    assert found["id"] == completion("[]", "other", [], 0, created=2.0)["id"]
