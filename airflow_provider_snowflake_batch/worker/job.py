"""`JOB.json`: what it may contain, and what is refused.

The vocabulary is that of the inference job specification
(https://docs.snowflake.com/en/sql-reference/sql/execute-inference-job-service).
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from airflow_provider_snowflake_batch.contract.vocabulary import FileEncoding, OnError, SaveMode
from airflow_provider_snowflake_batch.worker.errors import Refused
from airflow_provider_snowflake_batch.worker.job_document import load_document
from airflow_provider_snowflake_batch.worker.listing import holds, overlap
from airflow_provider_snowflake_batch.worker.places import with_variable

JOB_VERSION = 1
DEFAULT_PATTERN = r".*\.parquet$"
MOST_QUARANTINED = 1000
# No number of rows or processes is larger; what counts them has 64 bits.
MOST = 2**53


@dataclass(frozen=True)
class InputFiles:
    """The rows: Parquet files below a directory, or a single one.

    :param pattern: regular expression for the whole path below ``path``, with ``/`` as separator.
    :param params: keyword arguments of the model's function.
    :param column_handling: columns of full stage paths, and the form in which the model wants the files' content.
    """

    path: Path
    pattern: str = DEFAULT_PATTERN
    params: Mapping[str, Any] = field(default_factory=dict)
    column_handling: Mapping[str, FileEncoding] = field(default_factory=dict)
    partition_column: str | None = None


@dataclass(frozen=True)
class OutputDirectory:
    """The job's own directory.

    :param columns: the input columns that are written beside the predictions; None for all.
    """

    path: Path
    mode: SaveMode
    columns: tuple[str, ...] | None = None


@dataclass(frozen=True)
class RegistryModel:
    """A directory as ``snowflake-ml-python`` packs it: the one that holds ``model.yaml``."""

    path: Path
    function: str


@dataclass(frozen=True)
class PythonModel:
    """A class ``module:Class``, made with ``init`` as keyword arguments.

    :param python_path: folders, zip files and wheels.
    """

    target: str
    function: str
    init: Mapping[str, Any] = field(default_factory=dict)
    python_path: tuple[Path, ...] = ()


@dataclass(frozen=True)
class ChatModel:
    """A packed model that the local chat engine stands in for.

    :param name: the model's name, for the answers.
    :param engine_arguments: what vLLM would be started with.
    """

    path: Path
    function: str
    name: str
    engine_arguments: tuple[str, ...] = ()


ModelSource = RegistryModel | PythonModel | ChatModel


@dataclass(frozen=True)
class Replica:
    """This process's share: the tasks whose number modulo ``count`` is ``index``."""

    index: int = 0
    count: int = 1


@dataclass(frozen=True)
class Job:
    """One batch.

    :param num_workers: model processes, or None to let the worker choose.
    :param max_batch_rows: rows in one call of the model, or None to let the worker choose.
    :param on_error: end with the first bad row, or set bad rows aside.
    :param max_quarantined: bad rows of the whole batch; one more ends it.
    :param stages: fully qualified stage name to the folder where that stage is mounted.
    """

    name: str
    input: InputFiles
    output: OutputDirectory
    model: ModelSource
    num_workers: int | None = None
    max_batch_rows: int | None = None
    on_error: OnError = OnError.FAIL
    max_quarantined: int = MOST_QUARANTINED
    stages: Mapping[str, Path] = field(default_factory=dict)


class _Fields:
    """One JSON object being read: every field must be known, and be of the type it is read as."""

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise Refused(f"JOB.json: {where or 'the document'} must be an object, not {_kind(value)}")
        self._value: dict[str, Any] = value
        self._where = where
        self._seen: set[str] = set()

    def at(self, name: str) -> str:
        return f"{self._where}.{name}" if self._where else name

    def get(self, name: str, kind: type[Any], default: Any = None, *, required: bool = False) -> Any:
        self._seen.add(name)
        value = self._value.get(name)
        if value is None:
            if required:
                raise Refused(f"JOB.json: {self.at(name)} is missing")
            return default
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise Refused(f"JOB.json: {self.at(name)} must be {_NAMES[kind]}, not {_kind(value)}")
        if kind is str and not value:
            raise Refused(f"JOB.json: {self.at(name)} is empty")
        if kind is str:
            _check_text(value, self.at(name))
        return value

    def texts(self, name: str, what: str) -> list[str]:
        value = self.get(name, list, [])
        if not all(isinstance(one, str) for one in value):
            raise Refused(f"JOB.json: {self.at(name)} must be a list of {what}")
        for one in value:
            _check_text(one, self.at(name))
        return list(value)

    def path(self, name: str, folder: Path) -> Path:
        return _path(self.get(name, str, required=True), folder, self.at(name))

    def count(self, name: str) -> int | None:
        value = self.get(name, int)
        if value is not None and value < 1:
            raise Refused(f"JOB.json: {self.at(name)} must be at least 1, not {str(value)[:40]}")
        if value is not None and value > MOST:
            raise Refused(f"JOB.json: {self.at(name)} must be at most {MOST}, not {str(value)[:40]}")
        return value  # type: ignore[no-any-return]

    def done(self) -> None:
        unknown = sorted(set(self._value) - self._seen)
        if unknown:
            known = ", ".join(sorted(self._seen))
            raise Refused(f"JOB.json: unknown field {self.at(unknown[0])!r}; known here: {known}")


_NAMES: dict[type[Any], str] = {str: "a string", int: "a whole number", dict: "an object", list: "a list"}


def _check_text(value: str, where: str) -> None:
    """Hold that a text can be a path or a name: no system has one with NUL or half a character in it."""
    if "\0" in value:
        raise Refused(f"JOB.json: {where} holds a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Refused(f"JOB.json: {where} holds half of a surrogate pair, which is no character") from None


def _path(value: str, folder: Path, where: str) -> Path:
    path = folder / with_variable(value, where)
    try:
        path.stat()
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL):
            raise Refused(f"JOB.json: {where} is no path: {error.strerror}") from None
    return path


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    return _NAMES.get(type(value), type(value).__name__)


def read_job(path: Path) -> Job:
    """Read and check a job file; relative paths in it are relative to its folder.

    A path may begin with ``${NAME}``, the value of an environment variable.

    :raises Refused: the file cannot be read, or any field is unknown, missing or malformed, or a path's variable is
        not set.
    """
    document = load_document(path)
    job = parse_job(document, path.resolve().parent)
    check_output(job.output.path, {"the job file": path})
    return job


def parse_job(document: Any, folder: Path) -> Job:
    """Check a parsed job document.

    :param folder: where relative paths start.
    :raises Refused: any field is unknown, missing or malformed.
    """
    top = _Fields(document, "")
    version = top.get("version", int, required=True)
    if version != JOB_VERSION:
        raise Refused(f"JOB.json: version {version} is not supported; this worker reads version {JOB_VERSION}")
    inference = _Fields(top.get("inference", dict, {}), "inference")
    stages = top.get("stages", dict, {})
    for name, mount in stages.items():
        _check_text(name, "the name of a stage")
        if not isinstance(mount, str) or not mount:
            raise Refused(f"JOB.json: stages.{name} must be the folder where the stage is mounted")
        _check_text(mount, f"stages.{name}")
    on_error, max_quarantined = _on_error(inference)
    job = Job(
        name=top.get("job_name", str, required=True),
        input=_input(_Fields(top.get("input", dict, required=True), "input"), folder),
        output=_output(_Fields(top.get("output", dict, required=True), "output"), folder),
        model=_model(_Fields(top.get("model", dict, required=True), "model"), folder),
        num_workers=inference.count("num_workers"),
        max_batch_rows=inference.count("max_batch_rows"),
        on_error=on_error,
        max_quarantined=max_quarantined,
        stages={name.lstrip("@"): _path(mount, folder, f"stages.{name}") for name, mount in stages.items()},
    )
    inference.done()
    top.done()
    if job.output.columns is not None and job.input.partition_column is not None:
        raise Refused("JOB.json: output.columns and input.partition_column do not go together")
    check_apart(job)
    return job


def _input(fields: _Fields, folder: Path) -> InputFiles:
    pattern = fields.get("pattern", str, DEFAULT_PATTERN)
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise Refused(f"JOB.json: input.pattern {pattern[:200]!r} is not a regular expression: {error}") from None
    result = InputFiles(
        path=fields.path("path", folder),
        pattern=pattern,
        params=fields.get("params", dict, {}),
        column_handling=_column_handling(fields.get("column_handling", dict, {})),
        partition_column=fields.get("partition_column", str),
    )
    fields.done()
    return result


def _column_handling(columns: dict[str, Any]) -> dict[str, FileEncoding]:
    handling: dict[str, FileEncoding] = {}
    for column, value in columns.items():
        _check_text(column, "a column's name in input.column_handling")
        fields = _Fields(value, f"input.column_handling.{column}")
        input_format = fields.get("input_format", str, "full_stage_path")
        if input_format.lower() != "full_stage_path":
            raise Refused(f"JOB.json: {fields.at('input_format')} {input_format!r} is not full_stage_path")
        convert_to = fields.get("convert_to", str, required=True)
        try:
            handling[column] = FileEncoding(convert_to.lower())
        except ValueError:
            known = ", ".join(encoding.value for encoding in FileEncoding)
            raise Refused(f"JOB.json: {fields.at('convert_to')} {convert_to!r} is not one of {known}") from None
        fields.done()
    return handling


def _on_error(fields: _Fields) -> tuple[OnError, int]:
    value = fields.get("on_error", str, OnError.FAIL.value)
    try:
        on_error = OnError(value.lower())
    except ValueError:
        raise Refused(f"JOB.json: {fields.at('on_error')} {value!r} is not one of fail, quarantine") from None
    most = fields.count("max_quarantined")
    if most is not None and on_error is OnError.FAIL:
        raise Refused(f"JOB.json: {fields.at('max_quarantined')} needs {fields.at('on_error')} to be quarantine")
    return on_error, most or MOST_QUARANTINED


def _output(fields: _Fields, folder: Path) -> OutputDirectory:
    mode = fields.get("mode", str, SaveMode.ERROR.value)
    try:
        save_mode = SaveMode(mode.lower())
    except ValueError:
        raise Refused(f"JOB.json: output.mode {mode!r} is not one of error, overwrite") from None
    columns = fields.get("columns", list)
    if columns is not None and not all(isinstance(name, str) and name for name in columns):
        raise Refused("JOB.json: output.columns must be a list of input columns")
    for name in columns or ():
        _check_text(name, "output.columns")
    result = OutputDirectory(
        path=fields.path("path", folder),
        mode=save_mode,
        columns=None if columns is None else tuple(columns),
    )
    fields.done()
    return result


def _model(fields: _Fields, folder: Path) -> ModelSource:
    kind = fields.get("kind", str, required=True)
    function = fields.get("function", str, "predict")
    model: ModelSource
    if kind == "registry":
        model = RegistryModel(path=fields.path("path", folder), function=function)
    elif kind == "python":
        target = fields.get("target", str, required=True)
        if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", target):
            raise Refused(f"JOB.json: model.target {target!r} is not of the form package.module:Class")
        paths = fields.texts("python_path", "directories, zip files and wheels")
        model = PythonModel(
            target=target,
            function=function,
            init=fields.get("init", dict, {}),
            python_path=tuple(_path(entry, folder, "model.python_path") for entry in paths),
        )
    elif kind == "chat":
        arguments = fields.texts("engine_arguments", "strings")
        path = fields.path("path", folder)
        model = ChatModel(path, function, fields.get("name", str, path.name), tuple(arguments))
    else:
        raise Refused(f"JOB.json: model.kind {kind!r} is not supported; supported: registry, python, chat")
    fields.done()
    return model


def check_apart(job: Job) -> None:
    """Hold that nothing which the job reads lies where it writes, also behind links.

    Stages and the folders of the model's code may hold the output: it lies on a stage, and ``python_path`` may be the
    folder of a whole project. What lies there is then no file of the model.

    :raises Refused: something does.
    """
    model = job.model.python_path if isinstance(job.model, PythonModel) else (job.model.path,)
    if overlap(job.input.path, job.output.path):
        source, target = os.path.realpath(job.input.path), os.path.realpath(job.output.path)
        raise Refused(f"the input {source} and the output {target} must not lie inside each other")
    for place in model:
        check_output(job.output.path, {"the model's files": place})
    own = {"Python": Path(sys.prefix), "the worker": Path(__file__).parent, "temporary files": Path(gettempdir())}
    check_output(job.output.path, {**{f"stage {name}": path for name, path in job.stages.items()}, **own})


def check_output(output: Path, places: Mapping[str, Path]) -> None:
    """Hold that an output directory, which may be cleared, holds none of some places.

    :raises Refused: it holds one.
    """
    for what, place in places.items():
        if holds(output, place):
            target = os.path.realpath(output)
            raise Refused(f"the output directory {target} holds {what} ({place}); give the job a directory of its own")


def replica_from_environment() -> Replica:
    """This replica's place, from the variables that Snowpark Container Services sets for jobs with replicas.

    :raises Refused: the variables do not name a place.
    """
    index = os.environ.get("SNOWFLAKE_JOB_INDEX") or "0"
    count = os.environ.get("SNOWFLAKE_JOBS_COUNT") or "1"
    if not (index.isdecimal() and count.isdecimal() and int(index) < int(count)):
        raise Refused(f"SNOWFLAKE_JOB_INDEX={index} of SNOWFLAKE_JOBS_COUNT={count} is not a replica's place")
    return Replica(int(index), int(count))
