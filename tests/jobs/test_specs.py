"""The blocks that describe a job.

Also tests ``jobs/spec_fields.py``.
"""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from enum import Enum, Flag
from typing import Any

import numpy as np
import pytest

from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.spec_fields import plain_value
from airflow_provider_snowflake_batch.jobs.specs import (
    FileEncoding,
    InferenceEngine,
    InferenceEngineOptions,
    InputFormat,
    InputSpec,
    JobSpec,
    OutputSpec,
    SaveMode,
)

HANDLING = {"path": {"input_format": InputFormat.FULL_STAGE_PATH, "convert_to": FileEncoding.RAW_BYTES}}


def test_the_documented_job_spec() -> None:
    spec = JobSpec(
        job_name="my_inference_job", cpu_requests="2", memory_requests="8GiB", max_batch_rows=2048, replicas=2
    )
    assert spec.to_dict() == {
        "job_name": "my_inference_job",
        "cpu_requests": "2",
        "memory_requests": "8GiB",
        "max_batch_rows": 2048,
        "replicas": 2,
    }


def test_dict_and_object_are_the_same() -> None:
    assert InputSpec.of({"params": {"t": 0.9}, "column_handling": HANDLING}) == InputSpec({"t": 0.9}, HANDLING)
    assert OutputSpec.of({"stage_location": "@d.s.st/p/", "mode": "OVERWRITE"}).mode is SaveMode.OVERWRITE
    assert JobSpec.of(None) == JobSpec()
    spec = JobSpec(replicas=3)
    assert JobSpec.of(spec) is spec


@pytest.mark.parametrize(
    "spec",
    [
        InputSpec({"temperature": 0.9, "stop": ["a", "b"]}, HANDLING, "store_id"),
        OutputSpec("@d.s.st/p/", SaveMode.OVERWRITE),
        JobSpec(replicas=2, force_rebuild=True, gpu_requests=1),
        InferenceEngineOptions("vllm", ["--max-model-len=4096"]),
    ],
)
def test_to_dict_reads_back_and_specs_travel(spec) -> None:
    assert type(spec).of(spec.to_dict()) == spec
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert copy.deepcopy(spec) == spec
    assert hash(copy.deepcopy(spec)) == hash(spec)


def test_specs_are_immutable() -> None:
    spec = InputSpec({"a": 1})
    with pytest.raises(AttributeError):
        spec.params = {}
    with pytest.raises(TypeError):
        spec.params["a"] = 2


def test_members_of_another_librarys_enum_are_understood() -> None:
    batch = pytest.importorskip("snowflake.ml.model.batch_inference")
    handling = {
        "path": {
            "input_format": batch.InputFormat.FULL_STAGE_PATH,
            "convert_to": batch.FileEncoding.BASE64,
        }
    }
    assert InputSpec(column_handling=handling).column_handling["path"]["convert_to"] is FileEncoding.BASE64
    assert OutputSpec("@d.s.st/p/", batch.SaveMode.OVERWRITE).mode is SaveMode.OVERWRITE


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: JobSpec.of({"replica": 2}), r"job_spec: unknown field 'replica'; the fields are job_name"),
        (lambda: JobSpec.of("2 replicas"), r"job_spec: expected JobSpec\(…\) or a dict"),
        (lambda: JobSpec(replicas=0), r"job_spec.replicas: expected an integer of 1 or more, got 0"),
        (lambda: JobSpec(replicas=True), r"job_spec.replicas"),
        (lambda: JobSpec(max_batch_rows="many"), r"job_spec.max_batch_rows"),
        (lambda: JobSpec(cpu_requests="2 cores"), r"job_spec.cpu_requests: expected a number of virtual CPUs"),
        (lambda: JobSpec(cpu_requests="0"), r"job_spec.cpu_requests"),
        (lambda: JobSpec(memory_requests="lots"), r"job_spec.memory_requests"),
        (lambda: JobSpec(gpu_requests=0.5), r"job_spec.gpu_requests"),
        (lambda: JobSpec(job_name="a b"), r"job_spec.job_name"),
        (lambda: JobSpec(job_name='"a"'), r"job_spec.job_name: .*quoted names are not supported"),
        (lambda: JobSpec(job_name="a", job_name_prefix="b"), r"exclude each other"),
        (lambda: JobSpec(warehouse="w; DROP"), r"job_spec.warehouse"),
        (lambda: JobSpec(force_rebuild="maybe"), r"job_spec.force_rebuild"),
        (lambda: OutputSpec.of({}), r"output_spec: the field stage_location is missing"),
        (lambda: OutputSpec("s3://b/x"), r"output_spec.stage_location"),
        (lambda: OutputSpec("@s/x", "append"), r"output_spec.mode: 'append' is not one of ERROR, OVERWRITE"),
        (lambda: InputSpec(params=[1]), r"input_spec.params"),
        (lambda: InputSpec(params={"a": {None: 1}}), r"input_spec.params: the key None is no text"),
        (lambda: InputSpec(params={"a": object()}), r"input_spec.params: every value must be JSON"),
        (lambda: InputSpec(params={"a": float("nan")}), r"input_spec.params: every value must be JSON"),
        (lambda: InputSpec(column_handling={"p": {"convert_to": "base64"}}), r"needs exactly input_format and"),
        (
            lambda: InputSpec(column_handling={"p": {"input_format": "full_stage_path", "convert_to": "hex"}}),
            r"'hex' is not one of RAW_BYTES, BASE64, BASE64_DATA_URL",
        ),
        (lambda: InferenceEngineOptions("tensorrt"), r"inference_engine_options.engine: 'tensorrt' is not one of"),
        (lambda: InferenceEngineOptions("vllm", ["max-model-len=1"]), r"must begin with '--'"),
        (lambda: InferenceEngineOptions("vllm", "--a"), r"expected a list"),
    ],
)
def test_bad_input_is_one_clear_error(make, message: str) -> None:
    with pytest.raises(InvalidJobError, match=message):
        make()


def test_templates_pass_until_they_are_rendered() -> None:
    assert OutputSpec("{{ params.where }}").stage_location == "{{ params.where }}"
    assert JobSpec(replicas="{{ params.n }}").replicas == "{{ params.n }}"
    assert JobSpec.of({"replicas": "4"}).replicas == 4
    assert JobSpec.of({"force_rebuild": "False"}).force_rebuild is False


def test_engine_by_any_spelling() -> None:
    for spelling in ("vllm", "VLLM", InferenceEngine.VLLM):
        assert InferenceEngineOptions(spelling).engine is InferenceEngine.VLLM


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ({SaveMode.ERROR}, {"error"}),
        (frozenset({SaveMode.ERROR, "x"}), {"error", "x"}),
        ([({"mode": SaveMode.OVERWRITE},)], [({"mode": "overwrite"},)]),
        ({SaveMode.ERROR: {SaveMode.ERROR}}, {"error": {"error"}}),
    ],
    ids=["set", "frozenset", "in tuples", "keys"],
)
def test_members_of_enums_are_plain_in_every_container(given: Any, plain: Any) -> None:
    found = plain_value(given)

    assert found == plain
    assert "SaveMode" not in repr(found)


# Members whose values are no texts.
Kept = Enum("Kept", {"LIST": ["a", ["b"]], "DICT": {"a": [SaveMode.ERROR]}, "NAME": "name"})


class Rights(Flag):
    READ = 1
    WRITE = 2


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        (Kept.LIST, ["a", ["b"]]),
        ([Kept.DICT, (Kept.LIST,)], [{"a": ["error"]}, [["a", ["b"]]]]),
        ({Kept.NAME: Kept.DICT}, {"name": {"a": ["error"]}}),
        (Rights.READ | Rights.WRITE, 3),
    ],
    ids=["list", "in a tuple", "in a dict", "flags"],
)
def test_members_whose_values_are_lists_dicts_and_flags_are_these_values(given: Any, plain: Any) -> None:
    spec = InputSpec(params={"p": given})

    assert repr(spec.to_dict()) == repr({"params": {"p": plain}})
    # Whoever changes what the block is written as changes no enum.
    spec.to_dict()["params"]["p"] = None
    if plain == ["a", ["b"]]:
        spec.to_dict()["params"]["p"][1].append("c")
    assert repr(spec.to_dict()) == repr({"params": {"p": plain}})


def _holds_itself() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("make_given", "message"),
    [
        (lambda: {Kept.LIST}, r"a list, which cannot be a member of a set"),
        (lambda: [{Kept.DICT: 1}], r"<Kept.DICT: .*> is .*, a dict, which cannot be a key"),
        (lambda: {Kept.NAME: 1, "name": 2}, r"two keys of a dict would be 'name'"),
        (_holds_itself, r"a value holds itself"),
    ],
    ids=["set", "key", "keys that become one", "a circle"],
)
def test_what_cannot_become_plain_is_refused_with_the_field(make_given: Callable[[], Any], message: str) -> None:
    given = make_given()
    for make in (lambda: plain_value(given, "input_spec"), lambda: InputSpec.of({"params": {"p": given}})):
        with pytest.raises(InvalidJobError, match=rf"^input_spec: .*{message}"):
            make()
    with pytest.raises(InvalidJobError, match=rf"^input_spec.params: .*{message}"):
        InputSpec(params={"p": given})


@pytest.mark.parametrize("given", [{"x"}, frozenset({"x"}), ("x",), ["x"], {"x": {"y"}}], ids=repr)
def test_what_holds_no_enum_stays_the_same_object(given: Any) -> None:
    assert plain_value(given) is given


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        (np.int64(2**53 + 1), 2**53 + 1),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.float32(0.5), 0.5),
        (np.float64(0.1), 0.1),
        (np.bool_(True), True),
        (np.str_("x"), "x"),
        (np.array(7), 7),
        ([{"a": (np.int8(1),)}], [{"a": (1,)}]),
    ],
    ids=repr,
)
def test_numbers_of_numpy_are_plain_wherever_they_stand(given: Any, plain: Any) -> None:
    """What a task has computed with pandas is often one."""
    found = plain_value({"value": given})

    assert repr(found) == repr({"value": plain})
    assert repr(InputSpec(params={"p": given}).to_dict()) == repr({"params": {"p": json.loads(json.dumps(plain))}})


@pytest.mark.parametrize("unit", ["D", "s", "us", "ns"])
def test_times_of_numpy_are_refused_in_every_unit(unit: str) -> None:
    for value in (np.datetime64("2026-01-01", unit), np.timedelta64(5, unit)):
        with pytest.raises(
            InvalidJobError, match=r"input_spec.params: every value must be JSON: .* (datetime|timedelta)64"
        ):
            InputSpec(params={"since": value})


def test_a_size_may_be_a_number_of_numpys() -> None:
    assert JobSpec.of({"replicas": np.int64(3)}).replicas == 3
    for wrong in (np.bool_(True), np.float64(1.5), np.int64(0)):
        with pytest.raises(InvalidJobError, match="replicas: expected an integer of 1 or more"):
            JobSpec.of({"replicas": wrong})


@pytest.mark.parametrize("given", [np.array([1]), np.datetime64("2026-01-01"), np.complex64(1)], ids=repr)
def test_what_json_has_not_of_numpy_is_refused(given: Any) -> None:
    with pytest.raises(InvalidJobError, match="input_spec.params: every value must be JSON"):
        InputSpec(params={"p": given})
