"""Files that jobs of the worker leave below their output location, beside the results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_snowflake_batch.contract.output_layout import STAGED_INPUT
from airflow_provider_snowflake_batch.hooks.inputs import discard_input, may_still_read, remove_input
from airflow_provider_snowflake_batch.jobs import leftovers
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName, StagePath
from airflow_provider_snowflake_batch.jobs.leftovers import Found
from airflow_provider_snowflake_batch.jobs.worker_job import WORKER_FOLDER

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook


def discard_worker_input(hook: SnowflakeBatchHook, name: QualifiedName, output_directory: StagePath) -> None:
    """Remove what a job was given, unless it has not ended and may still read it. A failure is logged."""
    discard_input(hook, name, leftovers.worker_input(output_directory))


def remove_worker_input(hook: SnowflakeBatchHook, output_directory: StagePath) -> None:
    """Remove what the jobs that write into a directory were given: unloaded rows, job files. A failure is logged."""
    remove_input(hook, leftovers.worker_input(output_directory))


def clean_up(hook: SnowflakeBatchHook, location: StagePath, days: float, *, dry_run: bool) -> list[StagePath]:
    """Remove what jobs have left below an output location, beside their results.

    :param location: the jobs' ``stage_location``, qualified.
    :param days: how old it has to be.
    :param dry_run: only tell.
    :returns: the files.
    :raises InvalidJobError: if ``days`` is less than a file may be in use.
    """
    root = location.directory()
    files = _found(hook, root)
    old = leftovers.old_directories(files, days)
    contents = {file.path: _read(hook, root.child(file.path)) for file in files if file.is_job_file}
    kept = {directory for directory in old if _has_live_job(hook, directory, contents)}
    staying = {path: content for path, content in contents.items() if path.split("/")[1] not in old - kept}
    going = [file.path for file in leftovers.leftovers(files, days, kept, staying)]
    if going and not dry_run:
        # Asking about jobs may take long. A job that found one of these files old may have sent it again meanwhile.
        still_old = {file.path for file in _found(hook, root) if file.days >= days}
        going = [path for path in going if path in still_old]
        for path in going:
            hook.remove_files(root.child(path))
    return [root.child(path) for path in going]


def _found(hook: SnowflakeBatchHook, root: StagePath) -> list[Found]:
    return [
        Found.of(file.path.removeprefix(root.path), file.last_modified)
        for folder in (WORKER_FOLDER, STAGED_INPUT)
        for file in hook.list_files(root.child(folder).directory())
    ]


def _read(hook: SnowflakeBatchHook, path: StagePath) -> bytes:
    try:
        return hook.read_file(path)
    except FileNotFoundError:
        # Its job has succeeded meanwhile, and has removed it.
        return b""


def _has_live_job(hook: SnowflakeBatchHook, directory: str, contents: dict[str, bytes]) -> bool:
    """Whether one of the jobs of a directory may not have ended: those that its job files name, or else the one of the
    directory's name in the session's schema.
    """
    folder = f"{WORKER_FOLDER}/{directory}/"
    told = {leftovers.job_of(content) for path, content in contents.items() if path.startswith(folder)}
    names = {name for name in told if name is not None} or {directory}
    try:
        return any(may_still_read(hook, hook.qualify_name(name)) for name in names)
    except InvalidJobError:
        # No job of this package has such a name, so nothing is known about it: its files stay.
        return True
