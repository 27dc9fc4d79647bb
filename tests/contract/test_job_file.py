"""A job file comes back as it was written, whatever is in it, and a newer writer's says no more than it must.

Also tests ``contract/file_sources.py``, ``contract/job_fields.py``, ``contract/model_sources.py``,
``contract/transformer_sources.py``, ``contract/vocabulary.py``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_snowflake_batch.contract.file_sources import (
    LightGBMModel,
    MLflowModel,
    OnnxModel,
    SklearnModel,
    XGBoostModel,
)
from airflow_provider_snowflake_batch.contract.job_fields import JobFileError
from airflow_provider_snowflake_batch.contract.job_file import (
    MOST_QUARANTINED,
    Job,
    JobInput,
    JobOutput,
    parse,
    to_document,
    to_json,
)
from airflow_provider_snowflake_batch.contract.json_text import load_strictly
from airflow_provider_snowflake_batch.contract.model_sources import ChatStandIn, PythonModel, RegistryModel
from airflow_provider_snowflake_batch.contract.vocabulary import FileEncoding, OnError, SaveMode, Sharing

FOLDER = Path("/jobs")

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8)
paths = texts.map(lambda text: FOLDER / text)
counts = st.none() | st.integers(1, 2**53)
values = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
named = st.lists(texts, min_size=1, max_size=2).map(tuple)
models = (
    st.builds(RegistryModel, paths, texts, st.lists(paths, max_size=2).map(tuple))
    | st.builds(ChatStandIn, paths, texts, texts, st.lists(texts, max_size=2).map(tuple))
    | st.builds(
        PythonModel,
        st.just("package.module:Class"),
        texts,
        st.dictionaries(texts, values, max_size=2),
        st.lists(paths, max_size=2).map(tuple),
    )
    | st.builds(
        lambda kind, *fields: kind(*fields),
        st.sampled_from([XGBoostModel, LightGBMModel, MLflowModel]),
        paths,
        texts,
        st.lists(paths, max_size=2).map(tuple),
        st.lists(texts, max_size=2).map(tuple),
    )
    | st.builds(
        OnnxModel,
        paths,
        texts,
        inputs=st.dictionaries(texts, named, max_size=2),
        outputs=st.dictionaries(texts, texts | named, max_size=2),
    )
    | st.builds(SklearnModel, paths, texts, trusted=st.lists(texts, max_size=2).map(tuple))
)


SHARINGS: list[dict[str, Any]] = [{}, {"executor": Sharing.STATIC}, {"executor": Sharing.RAY, "min_replicas": 3}]


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    partition, columns = draw(
        st.tuples(st.none() | texts, st.none()) | st.tuples(st.none(), st.lists(texts, max_size=2).map(tuple))
    )
    on_error, most = draw(
        st.just((OnError.FAIL, MOST_QUARANTINED)) | st.tuples(st.just(OnError.QUARANTINE), st.integers(1, 2**53))
    )
    return Job(
        name=draw(texts),
        input=JobInput(
            draw(paths),
            draw(st.sampled_from([r".*\.parquet$", "a|b"])),
            draw(st.dictionaries(texts, values, max_size=2)),
            draw(st.dictionaries(texts, st.sampled_from(FileEncoding), max_size=2)),
            partition,
            draw(st.dictionaries(texts, texts, max_size=2)),
        ),
        output=JobOutput(draw(paths), draw(st.sampled_from(SaveMode)), columns),
        model=draw(models),
        num_workers=draw(counts),
        max_batch_rows=draw(counts),
        max_task_rows=draw(counts),
        on_error=on_error,
        max_quarantined=most,
        stages=draw(st.dictionaries(texts.map(lambda text: f"D.{text}"), paths, max_size=2)),
        **draw(st.sampled_from(SHARINGS)),
    )


@given(job=jobs())
def test_what_is_written_is_read(job: Job) -> None:
    assert parse(load_strictly(to_json(job)), Path("/elsewhere")) == job


def test_what_is_at_its_default_is_left_out() -> None:
    job = Job("J", JobInput(Path("in")), JobOutput(Path("out"), SaveMode.ERROR), RegistryModel(Path("m"), "f"))

    assert to_document(job) == {
        "version": 1,
        "job_name": "J",
        "input": {"path": "in"},
        "output": {"path": "out", "mode": "error"},
        "model": {"kind": "registry", "function": "f", "path": "m"},
    }


def test_relative_paths_begin_at_the_files_folder() -> None:
    job = Job("J", JobInput(Path("in")), JobOutput(Path("/out"), SaveMode.ERROR), PythonModel("a:B", "f"))

    read = parse(to_document(job), FOLDER)

    assert (read.input.path, read.output.path) == (FOLDER / "in", Path("/out"))


def test_every_field_that_version_0_1_wrote_is_read() -> None:
    folder = Path(__file__).parents[1] / "stored/0.1/killed"

    job = parse(json.loads((folder / "JOB.json").read_text()), folder)

    assert job.output.path == folder / "results"
    assert isinstance(job.model, PythonModel)


@pytest.mark.parametrize("types", [{"A": 1}, {"A": ""}, ["A"]])
def test_types_that_are_none_are_refused(types: Any) -> None:
    with pytest.raises(JobFileError, match=r"input\.types must be an object"):
        parse({"version": 1, "job_name": "J", "input": {"path": "in", "types": types}}, FOLDER)


@pytest.mark.parametrize("version", [0, 2])
def test_another_version_is_refused(version: int) -> None:
    with pytest.raises(JobFileError, match=rf"^JOB\.json: version {version} is not supported; this worker reads"):
        parse({"version": version}, FOLDER)


def test_a_kind_of_model_can_be_brought_along() -> None:
    class Named(PythonModel):
        KIND = "named"

    document: dict[str, Any] = {
        "version": 1,
        "job_name": "J",
        "input": {"path": "in"},
        "output": {"path": "out"},
        "model": {"kind": "named", "target": "a:B"},
    }

    assert parse(document, FOLDER, {"named": Named}.__getitem__).model == Named("a:B", "predict")
    with pytest.raises(JobFileError, match="'named' is not supported; supported: registry, python, chat"):
        parse(document, FOLDER)
