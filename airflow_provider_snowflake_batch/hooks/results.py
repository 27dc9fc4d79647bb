"""What is left of a job that has ended: its files, its manifest, the end of its logs."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_snowflake_batch.contract.manifest import ResultManifest, parse_result_manifest
from airflow_provider_snowflake_batch.contract.output_layout import MANIFEST, SUCCESS, is_data_file
from airflow_provider_snowflake_batch.exceptions import JobCancelledError, JobFailedError, JobLostError
from airflow_provider_snowflake_batch.hooks.masking import masked
from airflow_provider_snowflake_batch.jobs.errors import is_transient
from airflow_provider_snowflake_batch.jobs.json_values import json_value
from airflow_provider_snowflake_batch.jobs.logs import PROGRESS_PREFIX
from airflow_provider_snowflake_batch.jobs.status import (
    ContainerInfo,
    JobInfo,
    JobStatus,
    by_blame,
    describe_containers,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
    from airflow_provider_snowflake_batch.hooks.stage_files import StageFile
    from airflow_provider_snowflake_batch.jobs.identifiers import StagePath

_LAST_LINES = 30
# A job writes through a stage volume, whose files others see only some time after they are closed
# (https://docs.snowflake.com/en/developer-guide/snowpark-container-services/snowflake-stage-volume).
VISIBLE_SECONDS = 30.0
"""How long after a job's end its last file may still be missing; snowflake-ml-python allows as much."""
_LOOK_AGAIN_SECONDS = 2.0


@dataclass(slots=True)
class JobResult:
    """The task's result. Small, plain JSON; never data.

    :param job_name: ``database.schema.name``.
    :param status: the job's status, for example ``DONE``.
    :param output_location: ``@database.schema.stage/…/<job>/``.
    :param rows: rows written, where the runtime left a manifest that says so; else None.
    :param files: Parquet files written; None if the job was not waited for.
    :param seconds: seconds from submission to the job's end; None if the job was not waited for.
    :param attempt: which try of the Airflow task this was, from 1.
    :param warnings: sentences worth reading.
    :param model: ``database.schema.model``.
    :param version: the version that has run; None if that is not known.
    :param rows_reused: input rows whose results were kept from earlier tries; None where the runtime does not tell.
    :param quarantined_rows: rows that failed and were put aside, which ``rows`` does not count; None likewise. For the
        job card: the task's result says so in its warnings.
    :param bytes: size of the files together; for the job card, as are the columns.
    :param columns: name and Arrow type of each column of the results, where the runtime left a manifest that says so.
    :param largest_file: the name of the largest file, for example rows; empty if there is none.
    """

    job_name: str
    status: str
    output_location: str
    rows: int | None = None
    files: int | None = None
    seconds: float | None = None
    attempt: int = 1
    warnings: list[str] = field(default_factory=list)
    model: str | None = None
    version: str | None = None
    rows_reused: int | None = None
    quarantined_rows: int | None = None
    bytes: int | None = None
    columns: Sequence[tuple[str, str]] | None = None
    largest_file: str = ""

    def to_dict(self) -> dict[str, Any]:
        values: dict[str, Any] = json_value(asdict(self))
        for name in ("quarantined_rows", "bytes", "columns", "largest_file"):
            del values[name]
        return values


def data_files(files: Iterable[StageFile], directory: StagePath) -> list[str]:
    """The names of the Parquet files that lie directly in the directory and are data."""
    names = (file.path.removeprefix(directory.directory().path) for file in files)
    return [name for name in names if "/" not in name and is_data_file(name)]


def collect_result(hook: SnowflakeBatchHook, result: JobResult, directory: StagePath) -> JobResult:
    """Fill in what a job that is DONE has left in its output directory.

    :raises JobFailedError: if the directory lacks ``_SUCCESS``, also after :data:`VISIBLE_SECONDS`: the results are
        not complete.
    """
    deadline = time.monotonic() + VISIBLE_SECONDS
    while True:
        files = hook.list_files(directory)
        names = {file.path.rpartition("/")[2] for file in files}
        if SUCCESS in names or time.monotonic() >= deadline:
            break
        time.sleep(_LOOK_AGAIN_SECONDS)
    if SUCCESS not in names:
        raise JobFailedError(
            f"Job {result.job_name} is {result.status}, but {directory} has no {SUCCESS}: its output is not "
            "complete and must not be read. Clear the task to score again."
        )
    data = set(data_files(files, directory))
    sizes = {name: file.size for file in files if (name := file.path.removeprefix(directory.directory().path)) in data}
    result.files, result.bytes = len(sizes), sum(sizes.values())
    if MANIFEST in names:
        _take_manifest(result, hook, directory, sizes)
    result.largest_file = max(sorted(sizes), key=sizes.__getitem__, default="")
    return result


def _take_manifest(result: JobResult, hook: SnowflakeBatchHook, directory: StagePath, sizes: dict[str, int]) -> None:
    """:param sizes: of the files that lie there; those that the manifest does not list are no results and go."""
    try:
        manifest = parse_result_manifest(hook.read_file(directory.child(MANIFEST)))
    except ValueError as error:
        # The job is DONE and its results are complete, so the task does not fail for a manifest that it cannot read.
        result.warnings.append(f"{MANIFEST} of the results cannot be read: {error}. It tells no number of rows.")
        return
    result.rows = manifest.rows
    result.rows_reused = _rows_reused(manifest, result.job_name)
    result.quarantined_rows = manifest.quarantined_rows
    if manifest.files is not None:
        result.files, result.bytes = len(manifest.files), manifest.bytes
        for name in sizes.keys() - set(manifest.files):
            del sizes[name]
    result.columns = manifest.columns
    result.warnings += manifest.warnings
    if manifest.quarantined_rows:
        result.warnings.append(f"{manifest.quarantined_rows} row(s) failed and were put aside.")


def _rows_reused(manifest: ResultManifest, job_name: str) -> int:
    # A job that finds all work done keeps the manifest of the job that did it.
    writer = manifest.job_name
    if writer is not None and writer.rpartition(".")[2] != job_name.rpartition(".")[2]:
        return manifest.rows + manifest.quarantined_rows
    return manifest.rows_reused


def done_and_dropped(
    hook: SnowflakeBatchHook, job_name: str, output_location: str, submitted_at: float
) -> JobInfo | None:
    """What is known of a job that is gone, but has left ``_SUCCESS``: only a job that is DONE writes that.

    :param submitted_at: seconds since the epoch.
    :returns: None if it has not.
    """
    written = hook.success_time(output_location)
    if written is None:
        return None
    submitted = datetime.fromtimestamp(submitted_at, UTC)
    return JobInfo(
        name=job_name,
        status=JobStatus.DONE,
        reported_status=JobStatus.DONE.value,
        created_on=submitted.isoformat(),
        # A stage tells the time in whole seconds, so _SUCCESS may seem to be older than the submission.
        updated_on=max(written, submitted).isoformat(),
    )


def read_containers_and_logs(hook: SnowflakeBatchHook, job_name: str) -> tuple[list[ContainerInfo], dict[str, str]]:
    """What the containers report, and what those that matter wrote: the failed ones, else those of the first replica.

    A job can end before it has containers, and logs go with the node: what cannot be read is left out. So is what
    Airflow masks.
    """
    try:
        containers = [replace(one, message=masked(one.message)) for one in hook.containers(job_name)]
    except Exception as error:
        if is_transient(error):
            raise
        hook.log.warning("The containers of job %s could not be listed: %s", job_name, error)
        return [], {}
    failed = by_blame(container for container in containers if container.status == "FAILED")
    logs: dict[str, str] = {}
    for container in failed or [container for container in containers if container.instance_id in (0, None)]:
        label = f"replica {container.instance_id or 0}, container {container.name}"
        try:
            text = hook.logs(job_name, instance_id=container.instance_id or 0, container=container.name)
        except Exception as error:
            hook.log.warning("The log of %s of job %s could not be read: %s", label, job_name, error)
        else:
            if text.strip():
                logs[label] = masked(text.rstrip())
    return containers, logs


def failure_of(info: JobInfo, containers: list[ContainerInfo], logs: dict[str, str]) -> Exception:
    """The exception for a job that ended otherwise than DONE. Its message begins with the model's own error."""
    if info.status is JobStatus.CANCELLED:
        return JobCancelledError(f"Job {info.name} was cancelled in Snowflake.")
    if info.status is JobStatus.DELETED:
        return JobLostError(f"Job {info.name} was dropped while it ran.")
    last = next((lines[-1].strip() for text in logs.values() if (lines := text.strip().splitlines())), "")
    if last.startswith(PROGRESS_PREFIX.strip()):
        # The process was killed while it worked. Its container tells of that, its log does not.
        last = ""
    parts = [_sentence(last)] if last else []
    parts.append(f"Job {info.name} ended as {info.reported_status}.")
    failed = [container for container in containers if container.status == "FAILED"]
    if failed:
        # A container's message may repeat the log's last line, which is in the message already.
        reported = describe_containers(failed)
        # Without a log, what the containers report is the reason.
        place = len(parts) if last else 0
        parts.insert(place, _sentence(f"Containers: {reported.replace(f': {last}', '') if last else reported}"))
    if logs:
        parts.append("The end of the container's log stands in this task's log.")
    else:
        parts.append(
            "There is no log to show: it goes when the node goes. See the event table, or "
            f"SHOW SERVICE CONTAINERS IN SERVICE {info.name}."
        )
    return JobFailedError(" ".join(parts))


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def tail(text: str, lines: int = _LAST_LINES) -> str:
    """The last lines of a log, progress records left out: those are for programs."""
    kept = [line for line in text.splitlines() if not line.startswith(PROGRESS_PREFIX)]
    return "\n".join(kept[-lines:])
