"""The jobs of registered models, and the names of jobs.

Also tests ``jobs/qualify.py``.
"""

from __future__ import annotations

import json
import re
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName
from airflow_provider_snowflake_batch.jobs.job import MAX_JOB_NAME_LENGTH, RegistryJob, generate_job_name
from airflow_provider_snowflake_batch.jobs.runtimes import WORKER_ONLY
from airflow_provider_snowflake_batch.jobs.sources import plain_source
from airflow_provider_snowflake_batch.jobs.specs import JobSpec

GIVEN = {
    "name": "job",
    "model_name": "model",
    "X": "features",
    "compute_pool": "pool",
    "output_spec": {"stage_location": "@results/daily"},
}
HANDLED = {"input_format": "full_stage_path", "convert_to": "raw_bytes"}


def test_every_partial_name_is_filled_in() -> None:
    job = RegistryJob.parse(**GIVEN).qualify("DB", "S")
    assert str(job.name) == "DB.S.JOB"
    assert str(job.model) == "DB.S.MODEL"
    assert str(job.source) == "DB.S.FEATURES"
    assert str(job.output_directory) == "@DB.S.RESULTS/daily/JOB/"


def test_without_a_namespace_the_partial_name_is_the_error() -> None:
    with pytest.raises(InvalidJobError, match=r"X: FEATURES has no database or schema"):
        RegistryJob.parse(**GIVEN).qualify(None, None)


def test_function_name_is_given_once() -> None:
    job = RegistryJob.parse(**GIVEN, function_name="predict", job_spec={"function_name": "predict"})
    assert job.settings.function_name == "predict"
    with pytest.raises(InvalidJobError, match="give it once"):
        RegistryJob.parse(**GIVEN, function_name="predict", job_spec={"function_name": "explain"})


@pytest.mark.parametrize(
    ("source", "output", "message"),
    [
        ("@st/out/in/", "@st/out/", "lies inside the output"),
        ("@st/out/", "@st/out/", "lies inside the output"),
        ("@st/", "@st/out/", "lies inside the input"),
    ],
)
def test_input_and_output_may_not_overlap(source: str, output: str, message: str) -> None:
    with pytest.raises(InvalidJobError, match=message):
        RegistryJob.parse(**{**GIVEN, "X": source, "output_spec": {"stage_location": output}})


@pytest.mark.parametrize(
    "X",
    [
        {"stage_location": "@in/x", "pattern": ".*", "file_format": "f"},
        {"paths": ["@other.s.st/2", "@in/x/1"]},
        {"list_stage_files": "@in/x"},
        {"output_location": "@in/x/"},
    ],
)
def test_every_stage_of_the_input_is_filled_in(X: dict[str, object]) -> None:
    plain = plain_source(RegistryJob.parse(**{**GIVEN, "X": X}).qualify("DB", "S").source)
    assert "@DB.S.IN/x" in json.dumps(plain)
    assert plain.get("file_format") in (None, "DB.S.F")
    with pytest.raises(InvalidJobError, match="has no database or schema"):
        RegistryJob.parse(**{**GIVEN, "X": X}).qualify(None, None)


@pytest.mark.parametrize(
    ("X", "column_handling", "column"),
    [
        (["@st/a"], {}, "FILE_PATH"),
        (["@st/a"], {"image": HANDLED}, "IMAGE"),
        ({"list_stage_files": "@st"}, {'"image"': HANDLED}, "image"),
        ({"paths": ["@st/a"], "column_name": "path"}, {"image": HANDLED}, "PATH"),
        (["@st/a"], {"image": HANDLED, "mask": HANDLED}, "FILE_PATH"),
    ],
)
def test_the_column_of_a_list_of_files(X: object, column_handling: dict[str, object], column: str) -> None:
    job = RegistryJob.parse(**{**GIVEN, "X": X}, input_spec={"column_handling": column_handling})
    assert job.source.column_name.value == column


def test_the_fingerprint_covers_every_option_of_the_input() -> None:
    sources = [
        {"stage_location": "@st/in"},
        {"stage_location": "@st/in", "pattern": ".*"},
        {"stage_location": "@st/in", "select": ["a"]},
        {"stage_location": "@st/in", "select": {"a": "b"}},
        {"stage_location": "@st/in", "filter": "a"},
        {"stage_location": "@st/in", "file_format": "f"},
        {"output_location": "@st/in"},
        {"list_stage_files": "@st/in/"},
        {"list_stage_files": "@st/in/", "pattern": ".*"},
        {"list_stage_files": "@st/in/", "column_name": "a"},
        ["@st/in/a"],
        ["@st/in/a", "@st/in/b"],
    ]
    prints = [RegistryJob.parse(**{**GIVEN, "X": X}).fingerprint() for X in sources]
    assert len(set(prints)) == len(sources)


SIZES = {
    "compute_pool": "other",
    "replicas": 2,
    "cpu_requests": "2",
    "memory_requests": "8GiB",
    "gpu_requests": "1",
    "num_workers": 2,
    "max_batch_rows": 10,
    "image_repo": "db.s.repo",
    "force_rebuild": True,
}
OF_THE_TASK = {"warehouse": "wh", "job_name_prefix": "NIGHTLY"}
OF_THE_WORK = {"job_name": "fixed", "function_name": "explain"}


def job_with(name: str, value: object) -> RegistryJob:
    given = {name: value} if name == "compute_pool" else {"job_spec": {name: value}}
    return RegistryJob.parse(**{**GIVEN, **given})


def test_it_is_known_of_every_setting_whether_it_makes_another_job() -> None:
    known = {*SIZES, *OF_THE_TASK, *OF_THE_WORK, *WORKER_ONLY["job_spec"]}
    assert {"compute_pool", *(item.name for item in fields(JobSpec))} == known


@pytest.mark.parametrize("name", [*SIZES, *OF_THE_TASK, *OF_THE_WORK])
def test_the_fingerprint_is_of_the_work_and_the_sizing_of_the_size(name: str) -> None:
    job = RegistryJob.parse(**GIVEN)
    other = job_with(name, {**SIZES, **OF_THE_TASK, **OF_THE_WORK}[name])
    assert (other.fingerprint() == job.fingerprint()) is (name not in OF_THE_WORK)
    assert (other.sizing == job.sizing) is (name not in SIZES)
    assert json.loads(json.dumps(other.sizing)) == other.sizing


@pytest.mark.parametrize(
    "other",
    [
        {"model_name": "other"},
        {"version_name": "V2"},
        {"output_spec": {"stage_location": "@results/other"}},
        {"output_spec": {**GIVEN["output_spec"], "mode": "overwrite"}},
        {"input_spec": {"params": {"threshold": 1}}},
        {"inference_engine_options": {"engine": "vllm"}},
    ],
    ids=str,
)
def test_what_changes_the_rows_changes_the_fingerprint(other: dict[str, object]) -> None:
    assert RegistryJob.parse(**{**GIVEN, **other}).fingerprint() != RegistryJob.parse(**GIVEN).fingerprint()


def test_one_replica_is_the_size_of_a_job_that_names_none() -> None:
    assert job_with("replicas", 1).sizing == RegistryJob.parse(**GIVEN).sizing


def test_the_name_is_no_part_of_the_fingerprint() -> None:
    job = RegistryJob.parse(**GIVEN)
    assert job.under_name(QualifiedName("OTHER")).fingerprint() == job.fingerprint()


def test_a_job_as_submitted_has_the_version_and_function_that_were_found() -> None:
    job = RegistryJob.parse(**GIVEN)
    assert job.as_submitted(None, None) == job
    found = job.as_submitted("V3", "predict").model_function
    assert (str(found.model), str(found.version), found.function) == ("MODEL", "V3", "predict")


def test_a_job_does_not_read_its_own_output() -> None:
    with pytest.raises(InvalidJobError, match="is this job's own output"):
        RegistryJob.parse(**{**GIVEN, "X": {"output_location": "@results/daily/JOB"}})


def test_neighbours_do_not_overlap() -> None:
    RegistryJob.parse(**{**GIVEN, "X": "@st/out1/", "output_spec": {"stage_location": "@st/out/"}})


@given(st.text(max_size=300), st.text(max_size=300), st.text(max_size=20))
def test_generated_names_are_legal_and_unique(dag: str, task: str, prefix: str) -> None:
    names = {generate_job_name(dag, task, prefix=prefix) for _ in range(5)}
    assert len(names) == 5
    for name in names:
        assert re.fullmatch(r"[A-Z][A-Z0-9_]*_[0-9A-F]{8}", name)
        assert len(name) <= MAX_JOB_NAME_LENGTH
        assert QualifiedName.parse(name, field="x", allow_quoted=False).name == name


def test_generated_name_tells_where_it_comes_from() -> None:
    assert re.fullmatch(r"BATCH_DAILY_SCORES_SCORE_[0-9A-F]{8}", generate_job_name("daily-scores", "score"))


@pytest.mark.parametrize(
    "changes",
    [
        {"X": "SELECT '\ud800' AS A"},
        {"X": '"\ud800"'},
        {"X": ["@s/\ud800.png"]},
        {"X": {"stage_location": "@s/a", "filter": "A = '\ud800'"}},
        {"X": {"stage_location": "@s/a", "select": ["\ud800"]}},
        {"model_name": '"\ud800"'},
        {"compute_pool": '"\ud800"'},
        {"output_spec": {"stage_location": '@"\ud800"/o'}},
    ],
    ids=lambda changes: ascii(changes)[:40],
)
def test_half_of_a_character_is_refused_wherever_it_stands(changes: dict[str, object]) -> None:
    usual = {"name": "JOB", "model_name": "M", "X": "t", "compute_pool": "P", "output_spec": {"stage_location": "@s/o"}}
    with pytest.raises(InvalidJobError):
        RegistryJob.parse(**(usual | changes))
