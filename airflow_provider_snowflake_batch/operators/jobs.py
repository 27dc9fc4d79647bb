"""Cancel and delete jobs that are there already."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_snowflake_batch.exceptions import JobLostError, JobNotFoundError, failing_for_good
from airflow_provider_snowflake_batch.jobs.connection import CONNECTION_FIELDS
from airflow_provider_snowflake_batch.jobs.deadlines import Deadlines, check_seconds
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName, StagePath
from airflow_provider_snowflake_batch.jobs.spec_fields import is_template
from airflow_provider_snowflake_batch.links.snowsight import SnowsightJobLink, store_links
from airflow_provider_snowflake_batch.operators.base import SnowflakeBatchOperator

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg

    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook

_STOP_SECONDS = 300


class _JobOperator(SnowflakeBatchOperator):
    """Base of operators on one existing job."""

    job_name: str

    def __init__(self, *, job_name: str | XComArg, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._keep(job_name=job_name)
        with self._checking():
            if isinstance(self.job_name, str) and not is_template(self.job_name):
                QualifiedName.parse(self.job_name, field="job_name", allow_quoted=False)

    def _qualified_name(self) -> QualifiedName:
        with failing_for_good():
            return self.hook.qualify_name(QualifiedName.parse(self.job_name, field="job_name", allow_quoted=False))


class CancelBatchJobOperator(_JobOperator):
    """Stop a batch inference job. Its logs and its history stay.

    A job that has ended already is left as it is. The result (XCom ``return_value``) is the job's last status.

    :param job_name: ``[database.][schema.]job``, for example ``"{{ ti.xcom_pull('score')['job_name'] }}"``.
    :param wait_for_completion: wait until the job has ended.
    :param timeout: most seconds to wait.
    :raises InvalidJobError: when the Dag is parsed, if the name is malformed.
    :raises JobNotFoundError: when the task runs, if there is no such job.

    .. seealso::
        https://docs.snowflake.com/en/developer-guide/snowpark-container-services/working-with-services
    """

    template_fields: Sequence[str] = ("job_name", *CONNECTION_FIELDS)
    operator_extra_links = (SnowsightJobLink(),)

    def __init__(self, *, wait_for_completion: bool = True, timeout: float = 300, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.wait_for_completion = wait_for_completion
        self.timeout = timeout
        with self._checking():
            check_seconds("timeout", timeout)

    def execute(self, context: Context) -> str:
        with self.hook as hook:
            name = self._qualified_name()
            info = hook.status(name)
            store_links(context, hook, job=name)
            if info.status.is_terminal:
                self.log.info("Job %s has ended already: %s", name, info.reported_status)
                return info.reported_status
            hook.kill(name)
            if self.wait_for_completion:
                info = hook.wait(name, poll_interval=2, deadlines=Deadlines.within(self.timeout))
            else:
                info = hook.status(name)
            self.log.info("Job %s is %s", name, info.reported_status)
            return info.reported_status


class DeleteBatchJobOperator(_JobOperator):
    """Drop a batch inference job with its logs, stopping it first if it runs. A job that is not there is no error.

    With ``output_location`` the task waits until the job has stopped (at most 5 minutes) before it removes anything.

    :param job_name: ``[database.][schema.]job``.
    :param output_location: also remove every file under this stage location, for example
        ``"{{ ti.xcom_pull('score')['output_location'] }}"``, and what lies beside it for the jobs that write there:
        unloaded rows, job files. It must name a directory, never a whole stage.
    :raises InvalidJobError: when the Dag is parsed, if the name or the location is malformed.

    .. seealso::
        https://docs.snowflake.com/en/sql-reference/sql/drop-service
    """

    template_fields: Sequence[str] = ("job_name", "output_location", *CONNECTION_FIELDS)

    output_location: str | None

    def __init__(self, *, output_location: str | XComArg | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._keep(output_location=output_location)
        with self._checking():
            if isinstance(self.output_location, str) and not is_template(self.output_location):
                _directory(self.output_location)

    def execute(self, context: Context) -> None:
        from airflow_provider_snowflake_batch.jobs.leftovers import worker_input

        with self.hook as hook:
            name = self._qualified_name()
            with failing_for_good():
                location = _directory(self.output_location) if self.output_location is not None else None
            if location is not None:
                # A job that was told to stop may still write for a while.
                _stop(hook, name)
            hook.delete(name)
            self.log.info("Job %s is deleted", name)
            if location is not None:
                removed = hook.remove_files(location)
                # Rows and job files, which stay if no job has succeeded.
                for place in worker_input(location):
                    removed += hook.remove_files(place)
                self.log.info("Removed %d file(s) under %s", removed, location)


def _stop(hook: SnowflakeBatchHook, name: QualifiedName) -> None:
    """Cancel a job, if it is there and has not ended, and wait for its end."""
    with suppress(JobNotFoundError, JobLostError):
        if not hook.status(name).status.is_terminal:
            hook.kill(name)
            hook.wait(name, poll_interval=2, deadlines=Deadlines.within(_STOP_SECONDS))


def _directory(location: str) -> StagePath:
    parsed = StagePath.parse(location, field="output_location").directory()
    if not parsed.path:
        raise InvalidJobError(
            "output_location", f"{location!r} is a whole stage: name the directory of the job's output."
        )
    return parsed
