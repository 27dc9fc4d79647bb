"""Parameters of a model's function against what snowflake-ml-python itself takes and refuses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_snowflake_batch.contract.model_params import (
    ParamError,
    parse_params,
    refuse_more_labels,
    resolve_params,
)

ENTRIES: list[dict[str, Any]] = [
    {"name": "gain", "dtype": "DOUBLE", "default_value": 2.0},
    {"name": "ratio", "dtype": "FLOAT", "default_value": 0.5},
    {"name": "times", "dtype": "INT8", "default_value": 3},
    {"name": "label", "dtype": "STRING", "default_value": "x"},
    {"name": "flag", "dtype": "BOOL", "default_value": False},
    {"name": "pair", "dtype": "INT64", "default_value": [1, 2], "shape": [2]},
    {"name": "words", "dtype": "STRING", "default_value": None, "shape": [-1]},
    {"name": "since", "dtype": "TIMESTAMP_NTZ", "default_value": None},
    {"name": "extra", "dtype": "OBJECT", "default_value": None},
    {
        "name": "sampling",
        "specs": [
            {"name": "top_k", "dtype": "INT64", "default_value": 5},
            {"name": "deep", "specs": [{"name": "on", "dtype": "BOOL", "default_value": True}]},
        ],
    },
    {"name": "stops", "shape": [-1], "specs": [{"name": "at", "dtype": "STRING", "default_value": "."}]},
]
PARAMS = parse_params(ENTRIES)
DEFAULTS = {
    "gain": 2.0,
    "ratio": 0.5,
    "times": 3,
    "label": "x",
    "flag": False,
    "pair": [1, 2],
    "words": None,
    "since": None,
    "extra": None,
    "sampling": {"top_k": 5, "deep": {"on": True}},
    "stops": [],
}


def test_the_signatures_defaults_fill_in_what_is_not_given() -> None:
    assert resolve_params(PARAMS, {}) == DEFAULTS
    assert resolve_params(PARAMS, {"gain": None, "label": None}) == DEFAULTS
    assert resolve_params((), {}) == {}


@pytest.mark.parametrize(
    ("name", "value", "resolved"),
    [
        ("gain", 3, 3.0),
        ("GAIN", 0.25, 0.25),
        ("times", -128, -128),
        ("label", "é", "é"),
        ("flag", True, True),
        ("pair", [3, 4], [3, 4]),
        ("pair", (3, 4), [3, 4]),
        ("words", ["a"], ["a"]),
        *(("since", text, text) for text in ("2026", "2026-01-31 12", "2026-01-31T12:30:00.123456789+00:00")),
        ("gain", 2**53, 2.0**53),
        ("extra", {"a": [1]}, {"a": [1]}),
        ("sampling", {"TOP_K": 7}, {"top_k": 7, "deep": {"on": True}}),
        ("sampling", {"deep": {"on": False}}, {"top_k": 5, "deep": {"on": False}}),
        ("sampling", {"top_k": None}, DEFAULTS["sampling"]),
        ("stops", [{"at": ";"}, {}], [{"at": ";"}, {"at": "."}]),
    ],
)
def test_what_is_given_comes_first(name: str, value: Any, resolved: Any) -> None:
    assert resolve_params(PARAMS, {name: value}) == DEFAULTS | {name.lower(): resolved}


@pytest.mark.parametrize(
    ("given_params", "message"),
    [
        ({"depth": 1}, "the model's function has no parameter 'depth'; it takes extra, flag, gain"),
        ({"gain": 1, "GAIN": 2}, "parameter gain is given twice"),
        ({"gain": "0.5"}, "parameter gain must be DOUBLE, not '0.5'"),
        ({"gain": True}, "parameter gain must be DOUBLE, not True"),
        ({"gain": 10**400}, "parameter gain: the number does not fit DOUBLE"),
        ({"gain": 2**53 + 1}, "parameter gain: 9007199254740993 would become 9007199254740992 as DOUBLE"),
        ({"since": "yesterday"}, "parameter since must be TIMESTAMP_NTZ, such as '2026-01-31T12:00:00', not 'yest"),
        ({"since": "2026-02-30"}, "parameter since must be TIMESTAMP_NTZ"),
        ({"since": "2026-01-31\n"}, "parameter since must be TIMESTAMP_NTZ"),
        ({"since": 20260131}, "parameter since must be TIMESTAMP_NTZ, not 20260131"),
        ({"ratio": 1e300}, "parameter ratio: the number does not fit FLOAT"),
        ({"times": 128}, "parameter times: 128 does not fit INT8"),
        ({"times": 1.0}, "parameter times must be INT8, not 1.0"),
        ({"label": 5}, "parameter label must be STRING, not 5"),
        ({"label": True}, "parameter label must be STRING, not True"),
        ({"flag": 1}, "parameter flag must be BOOL, not 1"),
        ({"pair": [1]}, r"parameter pair must be a list of 2, not \[1\]"),
        ({"pair": [1, 2.5]}, r"parameter pair\[1\] must be INT64, not 2.5"),
        ({"words": "a"}, "parameter words must be a list, not 'a'"),
        ({"extra": [1]}, r"parameter extra must be OBJECT, not \[1\]"),
        ({"sampling": 3}, "parameter sampling must be a dict, not 3"),
        ({"sampling": {"top": 3}}, "parameter sampling: it has no parameter 'top'; it takes deep, top_k"),
        ({"sampling": {"deep": {"on": 1}}}, "parameter sampling.deep.on must be BOOL, not 1"),
        ({"stops": [{"at": 1}]}, r"parameter stops\[0\].at must be STRING, not 1"),
    ],
)
def test_what_does_not_fit_is_named(given_params: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamError, match=f"^{message}"):
        resolve_params(PARAMS, given_params)


def test_a_function_without_parameters_says_so() -> None:
    with pytest.raises(ParamError, match="has no parameter 'a'; it takes none"):
        resolve_params((), {"a": 1})


def test_texts_of_hugging_face_may_be_flags() -> None:
    assert resolve_params(PARAMS, {"label": True, "words": [False]}, texts_or_flags=True)["label"] is True
    with pytest.raises(ParamError, match="parameter label must be STRING, not 5"):
        resolve_params(PARAMS, {"label": 5}, texts_or_flags=True)


def test_a_label_for_each_row_leaves_no_room_for_more() -> None:
    refuse_more_labels(["label", "score"], {"top_k": 1})
    refuse_more_labels(["labels"], {"top_k": 3})
    with pytest.raises(ParamError, match="parameter top_k must be 1, not 3"):
        refuse_more_labels(["label", "score"], {"TOP_K": 3})


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["top_k", "DEEP", "on", "at"]), inner),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def client() -> tuple[Any, Any]:
    core = pytest.importorskip("snowflake.ml.model._signatures.core")
    return core, pytest.importorskip("snowflake.ml.model._client.ops.param_ops")


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*(entry["name"] for entry in ENTRIES), "GAIN", "depth"]), values, max_size=3))
def test_whatever_is_taken_is_taken_by_the_client(client: tuple[Any, Any], given_params: dict[str, Any]) -> None:
    """The client is laxer with texts and flags; what it refuses, we refuse."""
    core, param_ops = client
    theirs = [
        (core.ParamGroupSpec if "specs" in entry else core.ParamSpec).from_dict(
            entry | ({"shape": tuple(entry["shape"])} if "shape" in entry else {})
        )
        for entry in ENTRIES
        if entry["name"] != "extra"
    ]
    given_params.pop("extra", None)
    try:
        ours = resolve_params(PARAMS, given_params)
    except ParamError:
        return
    param_ops.validate_params(given_params, theirs)
    resolved = param_ops.resolve_params({k: v for k, v in given_params.items() if v is not None}, theirs)
    for name in ("gain", "times", "label", "flag", "pair"):
        assert resolved[name] == ours[name]
