from __future__ import annotations

import pytest
import yaml

from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier
from airflow_provider_snowflake_batch.jobs.model_versions import ListedVersion, Specification, choose_version

SIGNATURE = {
    "inputs": [{"name": "text", "type": "STRING"}],
    "outputs": [{"name": "label", "type": "STRING"}],
    "params": [{"name": "top_k", "dtype": "INT64", "default_value": 1}],
}
PACKED = {
    "version": "2023-12-01",
    "model_type": "huggingface_pipeline",
    "env": {"cuda_version": "12.4"},
    "signatures": {"__call__": SIGNATURE},
}
EXTENSION = {
    "version": "2.0",
    "model": {"framework": "HUGGINGFACE_PIPELINE", "details": {"models": {}}, "target_platforms": ["WAREHOUSE"]},
    "serving": {"env": {"gpu": {"cuda_version": "12.4"}}, "functions": {"__call__": {"signature": SIGNATURE}}},
}

ROWS = [
    {"name": "V1", "aliases": '["FIRST"]', "is_default_version": "false"},
    {"name": "V2", "aliases": '["DEFAULT","CHAMPION"]', "is_default_version": "true"},
    {"name": "my version", "aliases": [], "is_default_version": False},
]
LISTED = [ListedVersion.from_row(row) for row in ROWS]


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        (None, "V2"),
        ("DEFAULT", "V2"),
        ("V1", "V1"),
        ("CHAMPION", "V2"),
        ("FIRST", "V1"),
        ("my version", "my version"),
        # Snowflake knows which this is, the rows do not tell.
        ("LAST", "LAST"),
    ],
)
def test_the_version_that_is_meant(wanted: str | None, chosen: str) -> None:
    assert choose_version(LISTED, Identifier(wanted) if wanted else None) == Identifier(chosen)


def test_a_version_that_there_is_not() -> None:
    with pytest.raises(LookupError):
        choose_version(LISTED, Identifier("V9"))


def test_a_default_that_is_not_told_stays_open() -> None:
    assert choose_version([ListedVersion.from_row({"name": "V1"})], None) is None


@pytest.mark.parametrize("document", [PACKED, EXTENSION])
def test_both_forms_of_a_specification_say_the_same(document: dict) -> None:
    found = Specification.parse(yaml.safe_dump(document))
    assert found is not None
    assert found.is_hugging_face
    assert found.supports_gpu
    (method,) = found.methods
    assert (method.name, method.outputs) == ("__call__", ("label",))
    assert [(param.name, param.default) for param in method.params] == [("top_k", 1)]
    assert found.method(None) is method
    assert found.method("__CALL__") is method


@pytest.mark.parametrize(
    ("document", "supported"),
    [
        (PACKED | {"env": {}}, False),
        (PACKED | {"env": {"cuda_version": None}, "runtimes": {"cpu": {}, "gpu": {}}}, True),
        (EXTENSION | {"serving": {"functions": {}}}, False),
        (EXTENSION | {"model": EXTENSION["model"] | {"target_platforms": ["SNOWPARK_CONTAINER_SERVICES"]}}, True),
    ],
)
def test_a_runtime_for_gpus(document: dict, supported: bool) -> None:
    found = Specification.parse(yaml.safe_dump(document))
    assert found is not None
    assert found.supports_gpu is supported


@pytest.mark.parametrize(
    "text", ["", "[]", "a: [", "version: 3", "version: '2.0'", "signatures: {f: {}}\nmodel_type: x\nenv: 1"]
)
def test_a_form_that_is_not_known_is_not_judged(text: str) -> None:
    assert Specification.parse(text) is None


def test_methods_are_found_by_either_spelling() -> None:
    several = PACKED | {"signatures": {"predict": SIGNATURE, "Predict": SIGNATURE, "explain": SIGNATURE}}
    found = Specification.parse(yaml.safe_dump(several, sort_keys=False))
    assert found is not None
    assert found.method("EXPLAIN") is found.methods[2]
    assert found.method('"predict"') is found.methods[0]
    for wanted, message in {
        None: "function_name: is needed: the model has the functions 'predict', 'Predict', 'explain'",
        "PREDICT": "function_name: 'PREDICT' may be 'predict' or 'Predict'",
        "score": "function_name: the model has no function 'score'; it has 'predict', 'Predict', 'explain'",
    }.items():
        with pytest.raises(InvalidJobError, match=f"^{message}"):
            found.method(wanted)
    without = Specification.parse(yaml.safe_dump(PACKED | {"signatures": {}}))
    assert without is not None
    assert without.method("anything") is None
