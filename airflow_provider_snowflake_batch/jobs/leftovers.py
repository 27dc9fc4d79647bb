"""Which files of the worker's jobs, below an output location, no job needs any more: the rule, without I/O.

A job that succeeds leaves only its results, and the files that it shares with other jobs: the worker, code and models,
each named after its content. A job that failed also leaves its rows and its job file, for the next try. Nothing tells
that there will be no next try, so age decides. A shared file is sent again once it is half as old as a leftover has to
be. So a file that a job has found stays for the other half of that time, whoever removes leftovers meanwhile.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from airflow_provider_snowflake_batch.contract.output_layout import STAGED_INPUT
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import StagePath
from airflow_provider_snowflake_batch.jobs.job import staged_input
from airflow_provider_snowflake_batch.jobs.worker_job import WORKER_FOLDER, job_files

LEAST_DAYS = 30.0
"""No leftover is younger."""

_DAY = 86400.0


def needs_renewal(last_modified: str) -> bool:
    """Whether a shared file has to be sent again before a job may count on it.

    :param last_modified: as ``LIST`` writes it.
    """
    return _age(last_modified) > LEAST_DAYS / 2


def worker_input(output_directory: StagePath) -> tuple[StagePath, StagePath]:
    """Two places: those of the unloaded rows and of the job files of the jobs that write into a directory."""
    return staged_input(output_directory), job_files(output_directory)


@dataclass(frozen=True, slots=True)
class Found:
    """A file below the output location.

    :param path: relative to it. :param days: its age.
    """

    path: str
    days: float

    @classmethod
    def of(cls, path: str, last_modified: str) -> Found:
        """:param last_modified: as ``LIST`` writes it."""
        return cls(path, _age(last_modified))

    @property
    def directory(self) -> str | None:
        """The output directory whose jobs it was made for; None for what jobs share, and for what is none of ours."""
        folder, _, rest = self.path.partition("/")
        directory, _, name = rest.partition("/")
        ours = folder == WORKER_FOLDER or (folder == STAGED_INPUT and _is_unloaded(name))
        return directory if ours and name else None

    @property
    def is_shared(self) -> bool:
        """Whether it may belong to several jobs."""
        folder, _, name = self.path.partition("/")
        return folder == WORKER_FOLDER and "/" not in name and name.startswith(("batch-worker-", "code-", "model-"))

    @property
    def is_job_file(self) -> bool:
        folder, _, rest = self.path.partition("/")
        return folder == WORKER_FOLDER and rest.count("/") in (1, 2) and rest.endswith(".json") and "/JOB-" in rest


def _is_unloaded(name: str) -> bool:
    """Whether a file of a job's staged input was put there by an unload: each lies in a folder of its attempt."""
    attempt, _, file = name.partition("/")
    return len(attempt) == 8 and set(attempt) <= set("0123456789abcdef") and bool(file) and "/" not in file


def old_directories(files: Sequence[Found], days: float) -> set[str]:
    """The output directories whose jobs were given nothing for so many days.

    :raises InvalidJobError: if that is less than :data:`LEAST_DAYS`.
    """
    if days < LEAST_DAYS:
        raise InvalidJobError(
            "days", f"files may be in use for {LEAST_DAYS:g} days, so no younger ones are removed; got {days:g}."
        )
    youngest: dict[str, float] = {}
    for file in files:
        if file.directory is not None:
            youngest[file.directory] = min(youngest.get(file.directory, file.days), file.days)
    return {directory for directory, age in youngest.items() if age >= days}


def job_of(content: bytes) -> str | None:
    """The job that a job file is of; None if it does not tell."""
    try:
        name = json.loads(content).get("job_name")
    except (ValueError, AttributeError):
        return None
    return name if isinstance(name, str) else None


def leftovers(files: Sequence[Found], days: float, kept: set[str], job_files: Mapping[str, bytes]) -> list[Found]:
    """What may be removed.

    :param files: all below the output location.
    :param days: how old it has to be.
    :param kept: directories whose jobs may still need what they were given; young ones are kept anyway.
    :param job_files: the content of the job files that stay, by their paths.
    """
    old = old_directories(files, days) - kept
    mentioned = b"\n".join(job_files.values()).decode(errors="replace")

    def may_go(file: Found) -> bool:
        if file.directory is not None:
            return file.directory in old
        if not file.is_shared or file.days < days:
            return False
        name = file.path.rpartition("/")[2]
        # Only the container's command names the worker, and no file keeps that: it stays while any job file does.
        return not job_files if name.startswith("batch-worker-") else name not in mentioned

    return [file for file in files if may_go(file)]


def _age(last_modified: str) -> float:
    return (time.time() - parsedate_to_datetime(last_modified).timestamp()) / _DAY
