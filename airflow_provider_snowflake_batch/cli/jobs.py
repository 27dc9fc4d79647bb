"""``airflow snowflake-batch list``, ``describe``, ``logs``, ``cancel`` and ``delete``."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import yaml
from airflow.utils.cli import suppress_logs_and_warning
from airflow.utils.providers_configuration_loader import providers_configuration_loaded

from airflow_provider_snowflake_batch.cli.connection import console, hook_of
from airflow_provider_snowflake_batch.cli.progress_bar import progress_bar
from airflow_provider_snowflake_batch.exceptions import JobNotFoundError
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError, does_not_exist
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName
from airflow_provider_snowflake_batch.jobs.status import JobStatus

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
    from airflow_provider_snowflake_batch.jobs.logs import Progress
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
            follow(hook, args.job, args.output)
            return
        text = hook.logs(args.job, instance_id=args.replica, container=args.container, lines=args.lines)
    if args.output is not None:
        show([{"line": line} for line in text.splitlines()], args.output)
    elif text:
        print(text, end="" if text.endswith("\n") else "\n")


def follow(hook: SnowflakeBatchHook, job: str, output: str | None) -> None:
    """Print lines as they come: as they are, or for programs each on its own, since nobody knows which is the last.

    :raises InvalidJobError: if they are to come as a table, whose columns are as wide as its longest line.
    :raises SystemExit: if the job ends otherwise than as DONE.
    """
    if output in ("table", "plain"):
        raise InvalidJobError("--output", f"a log that is followed can be json or yaml, not {output}.")
    hook.status(job)
    with progress_bar("Rows", shown=output is None) as bar:

        def on_look(info: JobInfo, progress: Progress | None) -> None:
            if progress is not None and progress.rows_total:
                bar.tell(progress.rows_done, progress.rows_total)

        ended = hook.wait(
            job, poll_interval=2, on_log=lambda line: bar.print_above(_log_line(line, output)), on_look=on_look
        )
    console(stderr=True).print(f"Job {ended.name} is {ended.reported_status}", soft_wrap=True)
    if not ended.status.is_successful:
        raise SystemExit(1)


def _log_line(line: str, output: str | None) -> str:
    """A line of a log: itself, a line of JSON, or one item of a YAML list."""
    if output is None:
        return line
    return json.dumps({"line": line}) if output == "json" else yaml.safe_dump([{"line": line}]).rstrip("\n")


@suppress_logs_and_warning
@providers_configuration_loaded
def cancel(args: Namespace) -> None:
    """Stop jobs that run. One that has ended already stays as it is.

    :raises SystemExit: with a sentence if one is not there, or the user does not confirm.
    """
    with hook_of("cancel", args.conn_id) as hook:
        jobs = {name: hook.status(name) for name in args.jobs}
        running = [name for name, job in jobs.items() if not job.status.is_terminal]
        with told(args.output) as tell:
            for job in [job for name, job in jobs.items() if name not in running]:
                tell(f"Job {job.name} has ended: {job.reported_status}", _done(job, cancelled=False))
            if running:
                confirm("Cancel", [jobs[name].name for name in running], sure=args.yes)
            for name in running:
                hook.kill(name)
                tell(f"Job {jobs[name].name} is cancelled", _done(jobs[name], cancelled=True))


@suppress_logs_and_warning
@providers_configuration_loaded
def delete(args: Namespace) -> None:
    """Drop jobs with their logs, stopping those that run. Their results stay.

    :raises SystemExit: with a sentence if one is not there, or the user does not confirm.
    """
    with hook_of("delete", args.conn_id) as hook:
        jobs = {name: hook.status(name) for name in args.jobs}
        confirm("Delete", [f"{job.name} ({job.reported_status})" for job in jobs.values()], sure=args.yes)
        with told(args.output) as tell:
            for name, job in jobs.items():
                hook.delete(name)
                tell(f"Job {job.name} is deleted", _done(job, deleted=True))


def _done(job: JobInfo, **what: bool) -> dict[str, Any]:
    """A row: a job, its status before, and what was done."""
    return {"job": job.name, "status": job.reported_status, **what}


@contextmanager
def told(output: str | None) -> Iterator[Callable[[str, Mapping[str, Any]], None]]:
    """Tells what was done: each sentence at once, or all rows at the end, also those before an error."""
    rows: list[Mapping[str, Any]] = []

    def tell(sentence: str, row: Mapping[str, Any]) -> None:
        rows.append(row)
        if output is None:
            print(sentence, flush=True)

    try:
        yield tell
    finally:
        if output is not None:
            show(rows, output)


def confirm(what: str, jobs: Iterable[str], *, sure: bool) -> None:
    """Ask whoever sits at the terminal.

    :param sure: do not ask.
    :raises SystemExit: unless the answer is yes.
    """
    if sure:
        return
    # Not on standard output, which a program may read.
    print(f"{what} {', '.join(jobs)}? [y/N] ", end="", file=sys.stderr, flush=True)
    try:
        answer = input()
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
