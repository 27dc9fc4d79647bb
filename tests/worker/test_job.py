"""What JOB.json may contain."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_snowflake_batch.contract.model_sources import PythonModel, RegistryModel
from airflow_provider_snowflake_batch.contract.vocabulary import FileEncoding, SaveMode
from airflow_provider_snowflake_batch.worker.errors import Refused
from airflow_provider_snowflake_batch.worker.job import parse_job, read_job, replica_from_environment

FULL: dict[str, Any] = {
    "version": 1,
    "job_name": "DB.SCHEMA.NAME",
    "input": {
        "path": "in",
        "pattern": r".*\.parquet$",
        "params": {"temperature": 0.5},
        "column_handling": {"IMAGE": {"input_format": "FULL_STAGE_PATH", "convert_to": "BASE64_DATA_URL"}},
        "partition_column": None,
    },
    "output": {"path": "/out/NAME", "mode": "overwrite"},
    "model": {"kind": "registry", "path": "model", "function": "predict_proba"},
    "inference": {"num_workers": 3, "max_batch_rows": None},
    "stages": {"@DB.SCHEMA.STAGE": "stage"},
}


def changed(path: str, value: Any) -> dict[str, Any]:
    document = copy.deepcopy(FULL)
    target: Any = document
    *parents, last = path.split(".")
    for name in parents:
        target = target[name]
    if value is KeyError:
        del target[last]
    else:
        target[last] = value
    return document


def test_a_full_document() -> None:
    job = parse_job(FULL, Path("/jobs"))

    assert job.input.path == Path("/jobs/in")
    assert job.input.column_handling == {"IMAGE": FileEncoding.BASE64_DATA_URL}
    assert (job.output.path, job.output.mode) == (Path("/out/NAME"), SaveMode.OVERWRITE)
    assert job.model == RegistryModel(Path("/jobs/model"), "predict_proba")
    assert (job.num_workers, job.max_batch_rows) == (3, None)
    assert job.stages == {"DB.SCHEMA.STAGE": Path("/jobs/stage")}


def test_what_is_left_out_has_a_default() -> None:
    minimal = {
        "version": 1,
        "job_name": "J",
        "input": {"path": "in"},
        "output": {"path": "out"},
        "model": {"kind": "python", "target": "a.b:C"},
    }

    job = parse_job(minimal, Path("/jobs"))

    assert job.output.mode is SaveMode.ERROR
    assert job.model == PythonModel("a.b:C", "predict")
    assert job.num_workers is None


def test_a_path_may_begin_with_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCH_OUTPUT", "/mnt/out")
    monkeypatch.setenv("HERE", "beside")
    document = changed("output.path", "${BATCH_OUTPUT}/NAME")
    document["input"]["path"] = "${HERE}"
    document["model"] = {"kind": "python", "target": "a:B", "python_path": ["${BATCH_OUTPUT}/code.zip", "code"]}
    document["stages"] = {"A.B.C": "${BATCH_OUTPUT}", "A.B.D": "x${HERE}", "A.B.E": "${HERE}x", "A.B.F": "$HERE/x"}

    job = parse_job(document, Path("/jobs"))

    assert (job.output.path, job.input.path) == (Path("/mnt/out/NAME"), Path("/jobs/beside"))
    assert isinstance(job.model, PythonModel)
    assert job.model.python_path == (Path("/mnt/out/code.zip"), Path("/jobs/code"))
    # Only a whole name at the beginning stands for something.
    others = ["/mnt/out", "/jobs/x${HERE}", "/jobs/${HERE}x", "/jobs/$HERE/x"]
    assert list(job.stages.values()) == [Path(other) for other in others]


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        ("input.path", "${NOT_SET}/x", "input.path"),
        ("output.path", "${NOT_SET}", "output.path"),
        ("model.path", "${NOT_SET}/m", "model.path"),
        ("model", {"kind": "python", "target": "a:B", "python_path": ["x", "${NOT_SET}/c"]}, "model.python_path"),
        ("stages", {"A.B.C": "${NOT_SET}"}, "stages.A.B.C"),
    ],
)
def test_a_variable_that_is_not_set_is_named(path: str, value: Any, where: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_job(changed(path, value), Path("/jobs"))
    assert f"JOB.json: {where} begins with ${{NOT_SET}}" in str(caught.value)
    assert "the environment variable NOT_SET is not set" in str(caught.value)


def test_an_empty_variable_is_not_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCH_OUTPUT", "")
    with pytest.raises(Refused, match="the environment variable BATCH_OUTPUT is empty"):
        parse_job(changed("output.path", "${BATCH_OUTPUT}/NAME"), Path("/jobs"))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("version", 2, "version 2 is not supported"),
        ("version", True, "version must be a whole number, not a boolean"),
        ("job_name", KeyError, "job_name is missing"),
        ("extra", 1, "unknown field 'extra'"),
        ("input.extra", 1, r"unknown field 'input\.extra'; known here: column_handling, params"),
        ("input.path", 5, r"input\.path must be a string, not a whole number"),
        ("input.path", "", r"input\.path is empty"),
        ("input.pattern", "(", r"input\.pattern .* is not a regular expression"),
        ("input.params", [], r"input\.params must be an object, not a list"),
        ("input.column_handling.IMAGE", "raw_bytes", "must be an object"),
        ("input.column_handling.IMAGE.convert_to", "hex", "'hex' is not one of raw_bytes, base64, base64_data_url"),
        ("input.column_handling.IMAGE.input_format", "url", "is not full_stage_path"),
        ("output.mode", "append", "'append' is not one of error, overwrite"),
        ("output.columns", "ID", r"output\.columns must be a list, not a string"),
        ("output.columns", [1], r"output\.columns must be a list of input columns"),
        ("output.path", "in/out", "must not lie inside each other"),
        ("model.kind", "keras", "'keras' is not supported; supported: registry, python"),
        ("model", {"kind": "python", "target": "no_colon"}, "not of the form package.module:Class"),
        ("model", {"kind": "python", "target": "a:B", "python_path": [1]}, "list of directories, zip files and wheels"),
        ("inference.num_workers", 0, r"inference\.num_workers must be at least 1, not 0"),
        ("inference.max_batch_rows", 1.5, r"inference\.max_batch_rows must be a whole number, not float"),
        ("inference.batch", 1, r"unknown field 'inference\.batch'"),
        ("stages", {"A.B.C": 1}, r"stages\.A\.B\.C must be the folder"),
    ],
)
def test_what_is_wrong_is_named(path: str, value: Any, message: str) -> None:
    with pytest.raises(Refused, match=message):
        parse_job(changed(path, value), Path("/jobs"))


@pytest.mark.parametrize(
    ("text", "message"), [("{", "is not JSON"), ("[]", "must be an object"), (None, "cannot read")]
)
def test_files_that_are_no_job(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "JOB.json"
    if text is not None:
        path.write_text(text)

    with pytest.raises(Refused, match=message):
        read_job(path)


def test_the_replica_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert replica_from_environment().count == 1
    monkeypatch.setenv("SNOWFLAKE_JOB_INDEX", "2")
    monkeypatch.setenv("SNOWFLAKE_JOBS_COUNT", "3")
    assert (replica_from_environment().index, replica_from_environment().count) == (2, 3)
    monkeypatch.setenv("SNOWFLAKE_JOBS_COUNT", "2")
    with pytest.raises(Refused, match="not a replica's place"):
        replica_from_environment()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"[" * 1_000_000, "nested too deeply"),
        (b'{"a":' * 300 + b"1" + b"}" * 300, "nested too deeply"),
        (b'{"version":\xff}', "is not UTF-8"),
        (b'{"version": NaN}', "NaN is no number"),
        (b'{"version": 1e999}', "larger than any floating-point number"),
        (b'{"version": ' + b"9" * 5000 + b"}", "is not JSON"),
        (b'{"version": 1, "version": 1}', "has the key 'version' twice"),
    ],
    ids=["deep", "deep object", "not UTF-8", "NaN", "infinite", "long number", "twice"],
)
def test_a_file_that_is_no_json_is_told_in_words(tmp_path: Path, text: bytes, message: str) -> None:
    (tmp_path / "JOB.json").write_bytes(text)
    with pytest.raises(Refused, match=message):
        read_job(tmp_path / "JOB.json")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("input.path", "a\0", r"input\.path holds a NUL"),
        ("output.path", "a\ud800", r"output\.path holds half of a surrogate pair"),
        ("output.path", "a" * 5000, r"output\.path is no path: File name too long"),
        ("inference.num_workers", 10**30, "must be at most"),
        ("input.pattern", "(" * 100_000, "is not a regular expression"),
        ("output.path", "model", "holds the model's files"),
        ("output.path", "stage", r"holds stage @?DB\.SCHEMA\.STAGE"),
        ("output.path", "/", "must not lie inside each other"),
    ],
)
def test_what_no_system_can_use_or_what_would_be_cleared_is_refused(
    tmp_path: Path, path: str, value: Any, message: str
) -> None:
    with pytest.raises(Refused, match=message):
        parse_job(changed(path, value), tmp_path)


def test_an_output_is_told_from_what_is_read_behind_links_too(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "link").symlink_to("model")
    with pytest.raises(Refused, match="the model's files"):
        parse_job(changed("output.path", "link"), tmp_path)
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "out").symlink_to("in/sub")
    with pytest.raises(Refused, match="the input"):
        parse_job(changed("output.path", "out"), tmp_path)
