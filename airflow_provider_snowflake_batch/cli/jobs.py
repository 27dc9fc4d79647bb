"""``airflow snowflake-batch list``, ``describe``, ``logs``, ``cancel`` and ``delete``."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.utils.cli import suppress_logs_and_warning
from airflow.utils.providers_configuration_loader import providers_configuration_loaded

from airflow_provider_snowflake_batch.cli.connection import console, hook_of
from airflow_provider_snowflake_batch.exceptions import JobNotFoundError
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError, does_not_exist
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName
from airflow_provider_snowflake_batch.jobs.status import JobStatus

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
    from airflow_provider_snowflake_batch.jobs.status import ContainerInfo, JobInfo


@suppress_logs_and_warning
@providers_configuration_loaded
def list_jobs(args: Namespace) -> None:
    """Print a line for each job of a schema, the newest first.

    :raises SystemExit: with a sentence if they cannot be listed.
    """
    with hook_of("list", args.conn_id) as hook:
        found = jobs_of(hook, args.schema, args.like)
        wanted = {status.upper() for status in args.status or ()}
        refuse_unknown(wanted, found)
    rows = [job_row(job) for job in found if not wanted or job.reported_status.upper() in wanted]
    rows.sort(key=lambda row: (row["created"] or "", row["job"]), reverse=True)
    show(rows[: args.limit] if args.limit else rows, args.output)


@suppress_logs_and_warning
@providers_configuration_loaded
def describe(args: Namespace) -> None:
    """Print a job, and what each container of its replicas reports.

    :raises SystemExit: with a sentence if there is no such job.
    """
    with hook_of("describe", args.conn_id) as hook:
        job, containers = hook.status(args.job), hook.containers(args.job)
    row, rows = job_row(job), [container_row(one) for one in containers]
    if args.output in ("json", "yaml"):
        show([row | {"containers": rows}], args.output)
        return
    show([row], args.output)
    if rows:
        show(rows, args.output)


@suppress_logs_and_warning
@providers_configuration_loaded
def logs(args: Namespace) -> None:
    """Print what a replica of a job has written; with ``--follow`` all replicas, until the job has ended.

    :raises SystemExit: with a sentence if there is no such job, or if a job that was followed did not succeed.
    """
    with hook_of("logs", args.conn_id) as hook:
        if args.follow:
            follow(hook, args.job)
            return
        text = hook.logs(args.job, instance_id=args.replica, container=args.container, lines=args.lines)
    if text:
        print(text, end="" if text.endswith("\n") else "\n")


def follow(hook: SnowflakeBatchHook, job: str) -> None:
    """:raises SystemExit: if the job ends otherwise than as DONE."""
    hook.status(job)
    ended = hook.wait(job, poll_interval=2, on_log=lambda line: print(line, flush=True))
    console(stderr=True).print(f"Job {ended.name} is {ended.reported_status}", soft_wrap=True)
    if not ended.status.is_successful:
        raise SystemExit(1)


@suppress_logs_and_warning
@providers_configuration_loaded
def cancel(args: Namespace) -> None:
    """Stop jobs that run. One that has ended already stays as it is.

    :raises SystemExit: with a sentence if one is not there, or the user does not confirm.
    """
    with hook_of("cancel", args.conn_id) as hook:
        jobs = {name: hook.status(name) for name in args.jobs}
        running = [name for name, job in jobs.items() if not job.status.is_terminal]
        for name in [name for name in jobs if name not in running]:
            print(f"Job {jobs[name].name} has ended: {jobs[name].reported_status}")
        if running:
            confirm("Cancel", [jobs[name].name for name in running], sure=args.yes)
        for name in running:
            hook.kill(name)
            print(f"Job {jobs[name].name} is cancelled")


@suppress_logs_and_warning
@providers_configuration_loaded
def delete(args: Namespace) -> None:
    """Drop jobs with their logs, stopping those that run. Their results stay.

    :raises SystemExit: with a sentence if one is not there, or the user does not confirm.
    """
    with hook_of("delete", args.conn_id) as hook:
        jobs = {name: hook.status(name) for name in args.jobs}
        confirm("Delete", [f"{job.name} ({job.reported_status})" for job in jobs.values()], sure=args.yes)
        for name, job in jobs.items():
            hook.delete(name)
            print(f"Job {job.name} is deleted")


def confirm(what: str, jobs: Iterable[str], *, sure: bool) -> None:
    """Ask whoever sits at the terminal.

    :param sure: do not ask.
    :raises SystemExit: unless the answer is yes.
    """
    if sure:
        return
    try:
        answer = input(f"{what} {', '.join(jobs)}? [y/N] ")
    except EOFError:
        raise SystemExit(f"Nobody is there to confirm it; {what.lower()} with --yes.") from None
    if answer.strip().lower() not in ("y", "yes"):
        raise SystemExit("Nothing was done.")


def jobs_of(hook: SnowflakeBatchHook, given: str | None, like: str | None) -> list[JobInfo]:
    """:raises JobNotFoundError: if there is no such schema."""
    database, schema = read_schema(given)
    try:
        return hook.list_jobs(database, schema, like=like)
    except Exception as error:
        if does_not_exist(error):
            where = f"Schema {given}" if given else "The schema of the connection"
            raise JobNotFoundError(f"{where} does not exist, or this role may not see it.") from error
        raise


def refuse_unknown(statuses: set[str], found: Iterable[JobInfo]) -> None:
    """Refuse statuses that this version does not know and that no job reports: they would leave out all jobs.

    :raises InvalidJobError: that names those there are.
    """
    known = [status for status in JobStatus.__members__ if status != JobStatus.UNKNOWN]
    unknown = statuses - {*known, *(job.reported_status.upper() for job in found)}
    if unknown:
        raise InvalidJobError("--status", f"no job has {' or '.join(sorted(unknown))}; there are {', '.join(known)}.")


def read_schema(given: str | None) -> tuple[str | None, str | None]:
    """``DATABASE.SCHEMA`` or ``SCHEMA``, as SQL writes them.

    :raises InvalidJobError: if it is neither.
    """
    if given is None:
        return None, None
    name = QualifiedName.parse(given, field="--schema")
    if name.database is not None:
        raise InvalidJobError("--schema", f"{given!r} has more parts than DATABASE.SCHEMA.")
    return (None if name.schema is None else str(Identifier(name.schema))), str(Identifier(name.name))


def job_row(job: JobInfo) -> dict[str, Any]:
    """What is shown of a job."""
    return {
        "job": job.name,
        "status": job.reported_status,
        "created": _in_utc(job.created_on),
        "changed": _in_utc(job.updated_on),
        "seconds": None if job.seconds is None else round(job.seconds, 1),
        "replicas": job.replicas,
        "compute pool": job.compute_pool,
    }


def _in_utc(moment: str | None) -> str | None:
    """As Airflow's commands print moments; Snowflake tells them in the session's time zone, by default Los Angeles'."""
    if moment is None:
        return None
    told = datetime.fromisoformat(moment)
    return (told if told.tzinfo is None else told.astimezone(UTC)).isoformat()


def container_row(container: ContainerInfo) -> dict[str, Any]:
    """What is shown of a container."""
    told = asdict(container)
    return {
        "replica": told["instance_id"],
        "container": told["name"],
        "status": told["status"],
        "exit code": told["exit_code"],
        "restarts": told["restart_count"],
        "message": told["message"],
    }


def show(rows: Iterable[Mapping[str, Any]], output: str) -> None:
    """In one of Airflow's forms; what is not told is empty in a table and null for programs."""
    empty = None if output in ("json", "yaml") else ""
    console().print_as(
        [{name: empty if value is None else value for name, value in row.items()} for row in rows], output
    )
