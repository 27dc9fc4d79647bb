"""The job of this process: its file is read, its paths are looked at, its place among the replicas is found."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from airflow_provider_snowflake_batch.contract import job_file
from airflow_provider_snowflake_batch.contract.job_fields import JobFileError
from airflow_provider_snowflake_batch.contract.job_file import Job
from airflow_provider_snowflake_batch.contract.json_text import load_strictly
from airflow_provider_snowflake_batch.worker.errors import Refused
from airflow_provider_snowflake_batch.worker.input.listing import holds, overlap
from airflow_provider_snowflake_batch.worker.model_kinds import find_source


@dataclass(frozen=True)
class Replica:
    """This process's place among those that do the batch together."""

    index: int = 0
    count: int = 1


def read_job(path: Path) -> Job:
    """Read and check a job file; relative paths in it are relative to its folder.

    A path may begin with ``${NAME}``, the value of an environment variable.

    :raises Refused: the file cannot be read, or any field is unknown, missing or malformed, or a path's variable is
        not set.
    """
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise Refused(f"cannot read the job file {path}: {error.strerror or error}") from None
    except ValueError as error:
        raise Refused(f"the job file {str(path)!r} is not UTF-8: {error}") from None
    try:
        document = load_strictly(text)
    except ValueError as error:
        raise Refused(f"{path} {error}") from None
    job = parse_job(document, path.resolve().parent)
    check_output(job.output.path, {"the job file": path})
    return job


def parse_job(document: Any, folder: Path) -> Job:
    """Check a parsed job document.

    :param folder: where relative paths start.
    :raises Refused: any field is unknown, missing or malformed, or its paths cannot be or do not go together.
    """
    try:
        job = job_file.parse(document, folder, find_source, os.environ)
        _check_paths(job)
    except JobFileError as error:
        raise Refused(str(error)) from None
    check_apart(job)
    return job


def _check_paths(job: Job) -> None:
    """Hold that the file system takes every path of the job for one; whether something is there is looked at later.

    :raises JobFileError: one is too long, leads in a circle, or is none.
    """
    places: dict[str, tuple[Path, ...]] = {"input.path": (job.input.path,), "output.path": (job.output.path,)}
    places |= {f"model.{name}": paths for name, paths in job.model.places().items()}
    places |= {f"stages.{name}": (path,) for name, path in job.stages.items()}
    for where, paths in places.items():
        for path in paths:
            try:
                path.stat()
            except OSError as error:
                if error.errno in (errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL):
                    raise JobFileError(f"{where} is no path: {error.strerror}") from None


def check_apart(job: Job) -> None:
    """Hold that nothing which the job reads lies where it writes, also behind links.

    Stages and the folders of the model's code may hold the output, since it lies on a stage, and ``python_path`` may be
    the folder of a whole project. Files in the output are then no files of the model.

    :raises Refused: something does.
    """
    if overlap(job.input.path, job.output.path):
        source, target = os.path.realpath(job.input.path), os.path.realpath(job.output.path)
        raise Refused(f"the input {source} and the output {target} must not lie inside each other")
    for paths in job.model.places().values():
        for place in paths:
            check_output(job.output.path, {"the model's files": place})
    own = {"Python": Path(sys.prefix), "the worker": Path(__file__).parent, "temporary files": Path(gettempdir())}
    check_output(job.output.path, {**{f"stage {name}": path for name, path in job.stages.items()}, **own})


def check_output(output: Path, places: Mapping[str, Path]) -> None:
    """Hold that an output directory holds none of some places, since it may be cleared.

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
