"""What the worker of an inference job is given: its folder with JOB.json, the input rows and the model's files."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from airflow_provider_snowflake_batch.contract.job_file import JOB_FILE, JobInput, JobOutput, to_json
from airflow_provider_snowflake_batch.contract.job_file import Job as JobFile
from airflow_provider_snowflake_batch.contract.model_sources import ChatStandIn, ModelSource, RegistryModel
from airflow_provider_snowflake_batch.contract.output_layout import CLIENT_FOLDERS
from airflow_provider_snowflake_batch.contract.vocabulary import FileEncoding, SaveMode
from airflow_provider_snowflake_batch.local.errors import SnowflakeError, invalid_specification
from airflow_provider_snowflake_batch.local.spcs.control_plane import SpcsControlPlane
from airflow_provider_snowflake_batch.local.spcs.inference_specification import InferenceSpecification
from airflow_provider_snowflake_batch.local.spcs.records import Job
from airflow_provider_snowflake_batch.local.spcs.submission import JobRooms
from airflow_provider_snowflake_batch.local.statements import Statement

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.local.registry.versions import ModelFunction, ModelVersion
    from airflow_provider_snowflake_batch.local.spcs.execute_inference_job import InferenceRequest

CHAT_COLUMN = "messages"


@dataclass(frozen=True, slots=True)
class WorkerJob:
    """:param command: what the container runs. :param scratch: a folder to remove when the job has ended, or None."""

    command: list[str]
    output_location: str
    scratch: str | None


def prepare(
    statement: Statement,
    rooms: JobRooms,
    job: Job,
    request: InferenceRequest,
    checked: InferenceSpecification,
    model: ModelVersion,
    function: ModelFunction,
) -> WorkerJob:
    """Check input against output and model, and write the job's folder.

    :raises SnowflakeError: 395018 for a specification that cannot work on this input, output and model; 2003 for a
        stage that does not exist. Nothing is left behind then.
    """
    session, stages, spcs = statement.session, rooms.stages, rooms.spcs
    folder = spcs.job_folder(job.id)
    _, base = stages.resolve(session, checked.output_location)
    output, output_location = base, f"{checked.output_location.rstrip('/')}/"
    if checked.directory_per_job:
        output, output_location = base / job.name, f"{output_location}{job.name}/"
    source, staged = folder / "input", None
    if request.stage is not None:
        _, source = stages.resolve(session, request.stage)
        staged = _staged_by_the_client(source, base)
    _check_mode(output, checked.mode, output_location)
    _check_params(checked, function)
    _check_partitions(checked, function)
    _check_engine(checked, function)
    try:
        folder.mkdir(parents=True)
        if request.query is not None:
            rooms.engine.copy_to_parquet(session, request.query, source)
        elif staged is not None and output in staged.parents:
            # The job will have its output directory for itself.
            source = Path(shutil.move(staged, folder / "input"))
            staged = None
        _check_columns(source, checked, function)
        # A copy, since dropping the model must not touch the job. No hard links: each one that is made or removed
        # changes the time of the file for the others, too, and they take that for a change of their model.
        shutil.copytree(model.path, folder / "model")
        model_source = _model(checked, folder / "model", function, model)
        path = folder / JOB_FILE
        path.write_text(to_json(_job_file(job, checked, source, output, model_source, stages.all())), "utf-8")
    except BaseException:
        discard(spcs, job)
        raise
    command = ["python", "-m", "airflow_provider_snowflake_batch.worker", str(path)]
    return WorkerJob(command, output_location, str(staged) if staged is not None else None)


def _job_file(
    job: Job,
    checked: InferenceSpecification,
    source: Path,
    output: Path,
    model: ModelSource,
    stages: Mapping[str, Path],
) -> JobFile:
    handling = {name: FileEncoding(column["convert_to"]) for name, column in checked.column_handling.items()}
    return JobFile(
        job.full_name,
        JobInput(
            source,
            params=checked.params,
            column_handling=handling,
            partition_column=checked.partition_column,
        ),
        JobOutput(output, SaveMode(checked.mode)),
        model,
        num_workers=checked.num_workers,
        max_batch_rows=checked.max_batch_rows,
        # Not one that the output directory holds, which the job may clear: such a job cannot read files of it.
        stages={name: path for name, path in stages.items() if output not in (path, *path.parents)},
    )


def _model(checked: InferenceSpecification, path: Path, function: ModelFunction, model: ModelVersion) -> ModelSource:
    if checked.engine is None:
        return RegistryModel(path, function.target)
    # There is no vLLM here; what stands in for it says so in the job's log and in every answer.
    return ChatStandIn(path, function.target, model.full_name, checked.engine_arguments)


def discard(spcs: SpcsControlPlane, job: Job) -> None:
    shutil.rmtree(spcs.job_folder(job.id), ignore_errors=True)


def _staged_by_the_client(source: Path, base: Path) -> Path | None:
    """The input's folder if a client staged the rows there for this job only; input inside the output is refused."""
    if base != source and base not in source.parents:
        return None
    if base != source and source.relative_to(base).parts[0] in CLIENT_FOLDERS:
        return source
    raise invalid_specification("the input location must not be inside 'output.stage_location'.")


def _check_mode(output: Path, mode: str, location: str) -> None:
    if mode == "error" and any(_holds_files(item) for item in _entries(output) if item.name not in CLIENT_FOLDERS):
        raise invalid_specification(
            f"the output location {location} is not empty and 'output.mode' is 'error'. "
            "Empty it, choose another, or set the mode to 'overwrite'."
        )


def _entries(folder: Path) -> Iterable[Path]:
    return folder.iterdir() if folder.is_dir() else ()


def _holds_files(path: Path) -> bool:
    """A stage has no folders: what is left of them on the disk does not count."""
    return path.is_file() or any(item.is_file() for item in path.rglob("*"))


def _check_params(checked: InferenceSpecification, function: ModelFunction) -> None:
    known = [param["name"] for param in function.params]
    for name in checked.params:
        if name.upper() not in (each.upper() for each in known):
            accepted = f"it accepts {', '.join(known)}" if known else "it accepts none"
            raise invalid_specification(f"unknown parameter '{name}' for method '{function.target}'; {accepted}.")


def _check_partitions(checked: InferenceSpecification, function: ModelFunction) -> None:
    """https://docs.snowflake.com/en/developer-guide/snowflake-ml/inference/batch-inference-jobs"""
    column = checked.partition_column
    if column is None:
        return
    if function.type == "FUNCTION":
        raise invalid_specification(
            f"'input.partition_column' needs a method of type TABLE_FUNCTION, '{function.target}' is a FUNCTION."
        )
    if column.strip('"').upper() in (name.upper() for name in function.output_names):
        raise invalid_specification(f"the output of '{function.target}' has the partition column '{column}' itself.")


def _check_engine(checked: InferenceSpecification, function: ModelFunction) -> None:
    if checked.engine is not None and CHAT_COLUMN not in (name.lower() for name in function.input_names):
        raise invalid_specification(
            f"the inference engine {checked.engine} serves chats: method '{function.target}' of the model has no input "
            f"'{CHAT_COLUMN}'."
        )


def _check_columns(source: Path, checked: InferenceSpecification, function: ModelFunction) -> None:
    """Every column that the model, column_handling and partition_column name must be in the input.

    Names are compared without case: a model logged from pandas has ``f1`` where Snowflake has ``F1``.
    """
    columns = _columns(source)
    if columns is None:
        return
    present = {name.upper() for name in columns}
    # An engine fills in what a chat leaves out, and has to see the messages only.
    needed = function.input_names if checked.engine is None else [CHAT_COLUMN]
    missing = [name for name in needed if name.upper() not in present]
    if missing:
        raise SnowflakeError(
            f"Missing input column(s) for method '{function.target}' of the model: {', '.join(missing)}. "
            f"The input has {', '.join(columns)}.",
            errno=395018,
            sqlstate="22023",
        )
    for name in [*checked.column_handling, *filter(None, [checked.partition_column])]:
        if name.strip('"').upper() not in present:
            raise invalid_specification(f"column '{name}' is not in the input, which has {', '.join(columns)}.")


def _columns(source: Path) -> list[str] | None:
    """The columns of the first Parquet file, or None where there is none to look at."""
    for file in _input_files(source):
        try:
            return list(pq.read_schema(file).names)
        except (OSError, ValueError):
            if file.suffix == ".parquet":
                # Not Parquet after all: the worker says so, with the file's name.
                return None
    return None


def _input_files(source: Path) -> Iterable[Path]:
    """What the worker may take for input, whatever it is called; it decides by the content."""
    if not source.is_dir():
        return [source]
    found = (file for file in source.rglob("*") if file.is_file() and file.stat().st_size)
    return sorted(f for f in found if not any(part.startswith(("_", ".")) for part in f.relative_to(source).parts))
