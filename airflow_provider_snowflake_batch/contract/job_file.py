"""``JOB.json``, what a worker is started with: its typed form, its reader and its writer.

The vocabulary is that of the inference job specification
(https://docs.snowflake.com/en/sql-reference/sql/execute-inference-job-service). The reader knows no disk: whether the
paths exist, and whether they go together, the worker looks at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_provider_snowflake_batch.contract import VERSION
from airflow_provider_snowflake_batch.contract.job_fields import Fields, JobFileError, Places, check_text
from airflow_provider_snowflake_batch.contract.model_sources import ModelSource, built_in_source
from airflow_provider_snowflake_batch.contract.vocabulary import FileEncoding, OnError, SaveMode, Sharing

JOB_FILE = "JOB.json"
DEFAULT_PATTERN = r".*\.parquet$"
DEFAULT_FUNCTION = "predict"
MOST_QUARANTINED = 1000
# The only form of a column that stands for files.
INPUT_FORMAT = "full_stage_path"


@dataclass(frozen=True)
class JobInput:
    """The rows: Parquet files below a directory, or a single one.

    :param pattern: regular expression for the whole path below ``path``, with ``/`` as separator.
    :param params: keyword arguments of the model's function.
    :param column_handling: columns of full stage paths, and the form in which the model wants the files' content.
    :param types: columns and the SQL types that they had before they became these files, for the manifest.
    """

    path: Path
    pattern: str = DEFAULT_PATTERN
    params: Mapping[str, Any] = field(default_factory=dict)
    column_handling: Mapping[str, FileEncoding] = field(default_factory=dict)
    partition_column: str | None = None
    types: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class JobOutput:
    """The job's own directory.

    :param columns: the input columns that are written beside the predictions; None for all.
    """

    path: Path
    mode: SaveMode
    columns: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Job:
    """One batch.

    :param num_workers: model processes, or None to let the worker choose.
    :param max_batch_rows: rows in one call of the model, or None to let the worker choose.
    :param max_task_rows: rows of one task, the piece of the input that a replica takes, loses or finishes; None for as
        many as the worker puts together.
    :param on_error: end with the first bad row, or set bad rows aside.
    :param max_quarantined: bad rows of the whole batch; one more ends it.
    :param stages: fully qualified stage name to the folder where that stage is mounted.
    :param executor: how several replicas share the work; None for Ray where that is installed, else a fixed share each.
    :param min_replicas: replicas that have to take part, or None for however many come. With Ray only.
    """

    name: str
    input: JobInput
    output: JobOutput
    model: ModelSource
    num_workers: int | None = None
    max_batch_rows: int | None = None
    on_error: OnError = OnError.FAIL
    max_quarantined: int = MOST_QUARANTINED
    stages: Mapping[str, Path] = field(default_factory=dict)
    executor: Sharing | None = None
    min_replicas: int | None = None
    max_task_rows: int | None = None


def to_json(job: Job) -> str:
    """The text of the job file."""
    return json.dumps(to_document(job), indent=2)


def to_document(job: Job) -> dict[str, Any]:
    """The job as its file holds it. What is at its default is left out, so that older workers need not know of it."""
    source, output = job.input, job.output
    quarantine = job.on_error is OnError.QUARANTINE
    return {
        "version": VERSION,
        "job_name": job.name,
        "input": _stated(
            path=str(source.path),
            pattern=source.pattern if source.pattern != DEFAULT_PATTERN else None,
            params=dict(source.params),
            column_handling={
                column: {"input_format": INPUT_FORMAT, "convert_to": encoding.value}
                for column, encoding in source.column_handling.items()
            },
            partition_column=source.partition_column,
            types=dict(source.types),
        ),
        "output": {"path": str(output.path), "mode": output.mode.value}
        | ({} if output.columns is None else {"columns": list(output.columns)}),
        "model": {"kind": job.model.KIND, "function": job.model.function} | job.model.fields(),
        **_stated(
            inference=_stated(
                num_workers=job.num_workers,
                max_batch_rows=job.max_batch_rows,
                on_error=job.on_error.value if quarantine else None,
                max_quarantined=job.max_quarantined if quarantine else None,
                executor=job.executor.value if job.executor is not None else None,
                min_replicas=job.min_replicas,
                max_task_rows=job.max_task_rows,
            ),
            stages={name: str(mount) for name, mount in job.stages.items()},
        ),
    }


def _stated(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in (None, {})}


def parse(
    document: Any,
    folder: Path,
    find_source: Callable[[str], type[ModelSource]] = built_in_source,
    environment: Mapping[str, str] | None = None,
) -> Job:
    """Read a job document.

    :param folder: where relative paths start.
    :param find_source: what reads the part of a kind of model, by the word in ``model.kind``.
    :param environment: the variables that paths may begin with.
    :raises JobFileError: any field is unknown, missing or malformed, or a path's variable is not set.
    """
    top = Fields(document, "", Places(folder, environment or {}))
    version = top.get("version", int, required=True)
    if version != VERSION:
        raise JobFileError(f"version {version} is not supported; this worker reads version {VERSION}")
    inference = top.fields("inference")
    stages = top.mounts("stages")
    on_error, max_quarantined = _on_error(inference)
    job = Job(
        name=top.get("job_name", str, required=True),
        input=_input(top.fields("input", required=True)),
        output=_output(top.fields("output", required=True)),
        model=_model(top.fields("model", required=True), find_source),
        num_workers=inference.count("num_workers"),
        max_batch_rows=inference.count("max_batch_rows"),
        on_error=on_error,
        max_quarantined=max_quarantined,
        stages=stages,
        executor=_executor(inference),
        min_replicas=inference.count("min_replicas"),
        max_task_rows=inference.count("max_task_rows"),
    )
    inference.done()
    top.done()
    if job.output.columns is not None and job.input.partition_column is not None:
        raise JobFileError("output.columns and input.partition_column do not go together")
    if job.min_replicas is not None and job.executor is Sharing.STATIC:
        raise JobFileError("inference.min_replicas and inference.executor 'static' do not go together: leave one out")
    return job


def _input(fields: Fields) -> JobInput:
    pattern = fields.get("pattern", str, DEFAULT_PATTERN)
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise JobFileError(f"input.pattern {pattern[:200]!r} is not a regular expression: {error}") from None
    result = JobInput(
        path=fields.path("path"),
        pattern=pattern,
        params=fields.get("params", dict, {}),
        column_handling=_column_handling(fields.fields("column_handling")),
        partition_column=fields.get("partition_column", str),
        types=_types(fields.get("types", dict, {})),
    )
    fields.done()
    return result


def _types(types: dict[str, Any]) -> dict[str, str]:
    if not all(isinstance(kind, str) and kind for kind in types.values()):
        raise JobFileError("input.types must be an object of columns and their types")
    return types


def _column_handling(columns: Fields) -> dict[str, FileEncoding]:
    handling: dict[str, FileEncoding] = {}
    for column, fields in columns.items():
        input_format = fields.get("input_format", str, INPUT_FORMAT)
        if input_format.lower() != INPUT_FORMAT:
            raise JobFileError(f"{fields.at('input_format')} {input_format!r} is not {INPUT_FORMAT}")
        convert_to = fields.get("convert_to", str, required=True)
        try:
            handling[column] = FileEncoding(convert_to.lower())
        except ValueError:
            known = ", ".join(encoding.value for encoding in FileEncoding)
            raise JobFileError(f"{fields.at('convert_to')} {convert_to!r} is not one of {known}") from None
        fields.done()
    return handling


def _on_error(fields: Fields) -> tuple[OnError, int]:
    value = fields.get("on_error", str, OnError.FAIL.value)
    try:
        on_error = OnError(value.lower())
    except ValueError:
        raise JobFileError(f"{fields.at('on_error')} {value!r} is not one of fail, quarantine") from None
    most = fields.count("max_quarantined")
    if most is not None and on_error is OnError.FAIL:
        raise JobFileError(f"{fields.at('max_quarantined')} needs {fields.at('on_error')} to be quarantine")
    return on_error, most or MOST_QUARANTINED


def _executor(fields: Fields) -> Sharing | None:
    value = fields.get("executor", str)
    if value is None:
        return None
    try:
        return Sharing(value.lower())
    except ValueError:
        raise JobFileError(f"{fields.at('executor')} {value!r} is not one of ray, static") from None


def _output(fields: Fields) -> JobOutput:
    mode = fields.get("mode", str, SaveMode.ERROR.value)
    try:
        save_mode = SaveMode(mode.lower())
    except ValueError:
        raise JobFileError(f"output.mode {mode!r} is not one of error, overwrite") from None
    columns = fields.get("columns", list)
    if columns is not None and not all(isinstance(name, str) and name for name in columns):
        raise JobFileError("output.columns must be a list of input columns")
    for name in columns or ():
        check_text(name, "output.columns")
    result = JobOutput(path=fields.path("path"), mode=save_mode, columns=None if columns is None else tuple(columns))
    fields.done()
    return result


def _model(fields: Fields, find_source: Callable[[str], type[ModelSource]]) -> ModelSource:
    kind = fields.get("kind", str, required=True)
    function = fields.get("function", str, DEFAULT_FUNCTION)
    model = find_source(kind).read(fields, function)
    fields.done()
    return model
