"""``python -m airflow_provider_snowflake_batch.worker``, then what to do; `USAGE` lists that.

Exit codes are listed in `errors`.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_snowflake_batch.worker import console
from airflow_provider_snowflake_batch.worker.errors import EXIT_DONE, EXIT_REFUSED, Refused, WorkerError
from airflow_provider_snowflake_batch.worker.processes.descendants import Descendants
from airflow_provider_snowflake_batch.worker.processes.stop_signals import StopSignals
from airflow_provider_snowflake_batch.worker.temporary import JobFolder

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.contract.job_file import Job
    from airflow_provider_snowflake_batch.contract.vocabulary import Sharing

USAGE = """\
usage: python -m airflow_provider_snowflake_batch.worker COMMAND
  JOB.json                  run the job that this file describes
  plan JOB.json [--seconds N] [--json]
                            score some of it, and say what all of it will take
  verify OUTPUT_DIRECTORY   check a finished job's files against its manifest
  archive PATH              write the worker as one file, which runs by: python PATH COMMAND"""


def main(arguments: list[str]) -> int:
    """Run the command line.

    :return: the exit code.
    """
    console.open_missing()
    output, errors = console.Console(1), console.Console(2)
    try:
        if len(arguments) == 2 and arguments[0] == "verify":
            from airflow_provider_snowflake_batch.worker.output.verify import verify

            manifest = verify(Path(arguments[1]))
            output.line(f"{len(manifest['files'])} files, {manifest['rows']} rows: as the manifest says")
            return EXIT_DONE
        if len(arguments) == 2 and arguments[0] == "archive":
            return _write_archive(Path(arguments[1]), output)
        if arguments[:1] == ["plan"] and (asked := _asked(arguments[1:])) is not None:
            return _plan(*asked, output, errors)
        if len(arguments) != 1 or arguments[0] in ("verify", "archive", "plan"):
            errors.line(USAGE)
            return EXIT_REFUSED
        if arguments[0] in ("-h", "--help"):
            output.line(USAGE)
            return EXIT_DONE
        path = Path(arguments[0])
        return _run(output, errors, lambda folder, descendants: _score(path, folder, output, errors, descendants))
    except Exception as unforeseen:
        error = unforeseen if isinstance(unforeseen, WorkerError) else _in_words(unforeseen)
        errors.line(error.describe())
        return error.exit_code


def _write_archive(path: Path, output: console.Console) -> int:
    from airflow_provider_snowflake_batch.worker.archive import build_archive

    archive = build_archive()
    try:
        path = archive.write(path)
    except OSError as error:
        raise Refused(f"cannot write {path}: {error.strerror or error}") from None
    output.line(f"{path}: {len(archive.content)} bytes, SHA-256 {archive.digest}")
    return EXIT_DONE


def _in_words(error: Exception) -> WorkerError:
    """An error that no other class is for, such as one of a file system, with the place where it was raised."""
    return WorkerError(f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error)))


def _run(output: console.Console, errors: console.Console, work: Callable[[JobFolder, Descendants], None]) -> int:
    folder = JobFolder()
    folder.use()
    # Made first, since it forks: no thread may have been started before.
    descendants = Descendants(folder.path)
    signals = StopSignals()
    try:
        try:
            work(folder, descendants)
        finally:
            signals.ignore()
    except Exception as error:
        if signals.received is None:
            raise
        raise signals.received from error
    finally:
        descendants.kill()
        output.close()
        errors.close()
        folder.remove()
    return EXIT_DONE


def _asked(words: list[str]) -> tuple[Path, float, bool] | None:
    """What follows ``plan``: the job file, how many seconds, whether as JSON; None if it cannot be read."""
    from airflow_provider_snowflake_batch.worker.forecast import DEFAULT_SECONDS

    left = [word for word in words if word != "--json"]
    seconds = DEFAULT_SECONDS
    if "--seconds" in left[:-1]:
        place = left.index("--seconds")
        try:
            seconds = float(left[place + 1])
        except ValueError:
            return None
        del left[place : place + 2]
    return (Path(left[0]), seconds, "--json" in words) if len(left) == 1 and 0 < seconds < float("inf") else None


def _plan(path: Path, seconds: float, as_json: bool, output: console.Console, errors: console.Console) -> int:
    def work(folder: JobFolder, descendants: Descendants) -> None:
        from airflow_provider_snowflake_batch.worker import sample
        from airflow_provider_snowflake_batch.worker.executors.launcher import Launcher
        from airflow_provider_snowflake_batch.worker.forecast import to_document, to_text
        from airflow_provider_snowflake_batch.worker.job import read_job
        from airflow_provider_snowflake_batch.worker.models import prepare_model

        job = read_job(path)
        rows = sample.task_rows(job)
        job = prepare_model(job, folder.path)
        # Standard output is for the forecast alone.
        streams = (errors.pipe(), errors.pipe())
        taken = sample.samples(job, seconds, sum(rows), folder.path, lambda: Launcher(streams, descendants.reap))
        document = to_document(list(taken), rows)
        output.line(json.dumps(document) if as_json else to_text(document))

    return _run(output, errors, work)


def _score(
    path: Path, folder: JobFolder, output: console.Console, errors: console.Console, descendants: Descendants
) -> None:
    from airflow_provider_snowflake_batch.contract.vocabulary import Sharing
    from airflow_provider_snowflake_batch.worker.job import read_job, replica_from_environment

    job = read_job(path)
    replica = replica_from_environment()
    sharing, remark = _sharing(job, replica.count, path.resolve().parent)
    if remark is not None:
        errors.line(remark)
    if sharing is Sharing.RAY:
        from airflow_provider_snowflake_batch.worker import ray_replicas

        ray_replicas.run(path, job, replica, folder, output, errors, descendants)
        return
    from airflow_provider_snowflake_batch.worker.executors.launcher import Launcher
    from airflow_provider_snowflake_batch.worker.processes.limits import device_shares, sure_threads

    launcher = Launcher((output.pipe(), errors.pipe()), descendants.reap)
    try:
        # Started now, so that it is ready for the model when this process has loaded its libraries and made the plan.
        launcher.start_early(next(iter(device_shares(job.num_workers)), None), sure_threads(job.num_workers))
        from airflow_provider_snowflake_batch.worker.executors.replicas import ReplicaExecutor
        from airflow_provider_snowflake_batch.worker.models import prepare_model
        from airflow_provider_snowflake_batch.worker.progress import Progress
        from airflow_provider_snowflake_batch.worker.run import Run

        job = prepare_model(job, folder.path)
        progress = Progress(replica.index, replica.count, output.line_if_taken)
        Run(job, replica, ReplicaExecutor(replica, launcher), progress)()
    finally:
        launcher.close()


def _sharing(job: Job, replicas: int, folder: Path) -> tuple[Sharing, str | None]:
    """See `choose`. The model process starts after this, so a replica that is alone loads nothing of a cluster."""
    from airflow_provider_snowflake_batch.worker.executors.choice import choose

    if replicas == 1:
        return choose(job, replicas, ray=False, can_meet=False)
    from airflow_provider_snowflake_batch.worker.cluster.ray_node import is_installed
    from airflow_provider_snowflake_batch.worker.cluster.rendezvous import Rendezvous

    return choose(job, replicas, ray=is_installed(), can_meet=Rendezvous(folder).is_writable)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
