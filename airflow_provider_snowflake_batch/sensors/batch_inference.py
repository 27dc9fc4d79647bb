"""Gate downstream tasks on ``_SUCCESS``."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
)

from airflow_provider_snowflake_batch.contract.output_layout import SUCCESS
from airflow_provider_snowflake_batch.exceptions import (
    JobFailedError,
    JobInputError,
    SnowflakeBatchError,
    failing_for_good,
)
from airflow_provider_snowflake_batch.jobs.connection import CONNECTION_FIELDS
from airflow_provider_snowflake_batch.jobs.deadlines import parse_moment
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName, StagePath
from airflow_provider_snowflake_batch.jobs.spec_fields import is_template
from airflow_provider_snowflake_batch.links.snowsight import OutputStageLink, SnowsightJobLink, store_links
from airflow_provider_snowflake_batch.operators.base import SnowflakeBatchOperator

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg


# The trigger keeps the sensor's timeout. Airflow's own, so much later, is for the case that no triggerer runs it.
_BACKSTOP = timedelta(minutes=10)


class BatchSuccessSensor(SnowflakeBatchOperator, BaseSensorOperator):
    """Wait until a batch inference job's output directory holds ``_SUCCESS``: only then are its files complete.

    The result (XCom ``return_value``) is the directory, with its trailing slash.

    .. code-block:: python

        BatchSuccessSensor(
            task_id="results_are_there",
            stage_location="{{ ti.xcom_pull('score')['output_location'] }}",
            deferrable=True,
        )

    :param stage_location: the job's output directory, ``@database.schema.stage/…/<job name>/``.
    :param newer_than: an older ``_SUCCESS`` does not count: for directories that are written again and again. A
        datetime with its time zone, or ISO 8601 text such as ``"{{ data_interval_start }}"``.
    :param job_name: the job that is to write ``_SUCCESS``: when it has ended without it, the sensor fails at once
        instead of waiting for its timeout.
    :param deferrable: wait in the triggerer. Default: ``[operators] default_deferrable``.
    :param kwargs: ``snowflake_conn_id``, ``warehouse``, ``database``, ``schema`` and ``role`` as in
        :class:`~airflow_provider_snowflake_batch.operators.base.SnowflakeBatchOperator`, and what every sensor takes:
        ``poke_interval``, ``timeout`` (seconds), ``mode``, ``soft_fail``, ``exponential_backoff`` … All of them, and
        ``execution_timeout``, hold while the sensor is deferred, too.
    :raises InvalidJobError: when the Dag is parsed, if the location is malformed.

    .. seealso::
        https://docs.snowflake.com/en/developer-guide/snowflake-ml/inference/batch-inference-jobs
    """

    template_fields: Sequence[str] = ("stage_location", "newer_than", "job_name", *CONNECTION_FIELDS)
    operator_extra_links = (OutputStageLink(), SnowsightJobLink())
    stage_location: str
    newer_than: datetime | str | None
    job_name: str | None
    deferrable: bool

    def __init__(
        self,
        *,
        stage_location: str | XComArg,
        newer_than: datetime | str | XComArg | None = None,
        job_name: str | XComArg | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._keep(stage_location=stage_location, newer_than=newer_than, job_name=job_name, deferrable=deferrable)
        with self._checking():
            if isinstance(self.stage_location, str) and not is_template(self.stage_location):
                StagePath.parse(self.stage_location, field="stage_location")
            if isinstance(self.job_name, str) and not is_template(self.job_name):
                QualifiedName.parse(self.job_name, field="job_name", allow_quoted=False)
            moment = self.newer_than
            if isinstance(moment, datetime) or (isinstance(moment, str) and not is_template(moment)):
                parse_moment(moment, field="newer_than")

    @property
    def directory(self) -> StagePath:
        """The directory with database and schema, whichever way the user wrote it."""
        with failing_for_good():
            return self.hook.qualify_location(self.stage_location).directory()

    def poke(self, context: Context) -> PokeReturnValue:
        from airflow_provider_snowflake_batch.hooks.success import results_are_there

        directory = self.directory
        try:
            with failing_for_good():
                newer_than = parse_moment(self.newer_than, field="newer_than")
                complete = results_are_there(self.hook, directory, newer_than=newer_than, job_name=self.job_name)
        except AirflowException:
            raise
        except Exception as error:
            # In the words of the trigger's event.
            raise SnowflakeBatchError(f"{type(error).__name__}: {error}") from error
        if not complete:
            self.log.info("%s has no %s yet", directory, SUCCESS)
        return PokeReturnValue(complete, str(directory) if complete else None)

    def execute(self, context: Context) -> Any:
        with self.hook as hook:
            # The first look raises the same error.
            with suppress(JobInputError, InvalidJobError):
                job = hook.qualify_name(self.job_name) if self.job_name else None
                store_links(context, hook, job=job, location=self.directory)
            with self._softened():
                if not self.deferrable:
                    return super().execute(context)
                first = self._first_look(context)
                if first:
                    return first.xcom_value
                return self._defer(context, str(self.directory))

    def _first_look(self, context: Context) -> PokeReturnValue:
        try:
            return self.poke(context)
        except (AirflowFailException, AirflowSkipException):
            raise
        except Exception as error:
            # As in the loop of the base class.
            if not self.silent_fail:
                raise
            self.log.exception("Looking on, since silent_fail is set: %s", error)
            return PokeReturnValue(False)

    def _defer(self, context: Context, directory: str) -> NoReturn:
        from airflow_provider_snowflake_batch.triggers.batch_inference import BatchSuccessSensorTrigger

        newer_than = parse_moment(self.newer_than, field="newer_than")
        must_end = None
        if self.execution_timeout is not None:
            # Airflow itself does not watch it while a task is deferred (apache/airflow#19382).
            must_end = context["ti"].start_date.timestamp() + self.execution_timeout.total_seconds()
        longest = self.max_wait.total_seconds() if isinstance(self.max_wait, timedelta) else self.max_wait
        self.defer(
            trigger=BatchSuccessSensorTrigger(
                stage_location=directory,
                deadline=time.time() + self.timeout,
                execution_deadline=must_end,
                newer_than=newer_than.isoformat() if newer_than is not None else None,
                job_name=self.job_name,
                exponential_backoff=self.exponential_backoff,
                max_wait=longest,
                silent_fail=self.silent_fail,
                poll_interval=self.poke_interval,
                **self.connection.arguments(),
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout) + _BACKSTOP,
        )

    @contextmanager
    def _softened(self) -> Iterator[None]:
        """Skip where ``soft_fail`` or ``never_fail`` asks for it, as the base class does for a deferred sensor.

        Without deferral the base class lets some failures pass: of the job under ``soft_fail``, for instance.
        """
        try:
            yield
        except (AirflowSkipException, AirflowRescheduleException):
            raise
        except AirflowException as error:
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException(f"Skipped, since the sensor must not fail: {error}") from error
            raise

    def execute_complete(self, context: Context, event: dict[str, Any]) -> str:
        """Continue after the trigger has seen ``_SUCCESS``, or given up."""
        match event["status"]:
            case "success":
                return str(event["stage_location"])
            case "timeout":
                raise AirflowSensorTimeout(f"{event['message']} Gave up after {self.timeout:g} s.")
            case "execution_timeout":
                if self.soft_fail or self.never_fail:
                    raise AirflowSkipException(f"Skipped, since the sensor must not fail: {event['message']}")
                raise AirflowTaskTimeout(f"{event['message']} Its execution_timeout has passed.")
            case "failed":
                raise JobFailedError(event["message"])
            case "refused":
                raise JobInputError(event["message"])
        raise SnowflakeBatchError(event["message"])
