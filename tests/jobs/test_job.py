from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName
from airflow_provider_snowflake_batch.jobs.job import MAX_JOB_NAME_LENGTH, InferenceJob, generate_job_name

GIVEN = {
    "name": "job",
    "model_name": "model",
    "X": "features",
    "compute_pool": "pool",
    "output_spec": {"stage_location": "@results/daily"},
}


def test_every_partial_name_is_filled_in() -> None:
    job = InferenceJob.parse(**GIVEN).qualify("DB", "S")
    assert str(job.name) == "DB.S.JOB"
    assert str(job.model) == "DB.S.MODEL"
    assert str(job.source) == "DB.S.FEATURES"
    assert str(job.output_directory) == "@DB.S.RESULTS/daily/JOB/"


def test_without_a_namespace_the_partial_name_is_the_error() -> None:
    with pytest.raises(InvalidJobError, match=r"X: FEATURES has no database or schema"):
        InferenceJob.parse(**GIVEN).qualify(None, None)


def test_function_name_is_given_once() -> None:
    job = InferenceJob.parse(**GIVEN, function_name="predict", job_spec={"function_name": "predict"})
    assert job.settings.function_name == "predict"
    with pytest.raises(InvalidJobError, match="give it once"):
        InferenceJob.parse(**GIVEN, function_name="predict", job_spec={"function_name": "explain"})


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
        InferenceJob.parse(**{**GIVEN, "X": source, "output_spec": {"stage_location": output}})


def test_neighbours_do_not_overlap() -> None:
    InferenceJob.parse(**{**GIVEN, "X": "@st/out1/", "output_spec": {"stage_location": "@st/out/"}})


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
