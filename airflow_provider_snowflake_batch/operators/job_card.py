"""The job card of a task that runs: kept up to date while it waits, and once more when it ends."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from airflow.sdk.exceptions import AirflowTaskTimeout

from airflow_provider_snowflake_batch.exceptions import JobCancelledError, JobInputError, JobSubmissionError
from airflow_provider_snowflake_batch.jobs.card import (
    CARD_SECONDS,
    JOB_CARD_KEY,
    NOT_SUBMITTED,
    REFUSED,
    JobCard,
    told_containers,
    told_lines,
    told_output,
)
from airflow_provider_snowflake_batch.jobs.example_rows import EXAMPLE_ROWS_KEY
from airflow_provider_snowflake_batch.jobs.json_values import json_value
from airflow_provider_snowflake_batch.jobs.logs import Progress
from airflow_provider_snowflake_batch.jobs.sent_statement import STATEMENT_KEY, told_statement
from airflow_provider_snowflake_batch.operators.earlier_tries import earlier_tries, remember_try
from airflow_provider_snowflake_batch.operators.failed_job import tell_failure

if TYPE_CHECKING:
    from types import TracebackType

    from airflow.sdk import Context

    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
    from airflow_provider_snowflake_batch.hooks.results import JobResult
    from airflow_provider_snowflake_batch.jobs.batch_job import BatchJob
    from airflow_provider_snowflake_batch.jobs.status import ContainerInfo, JobInfo
    from airflow_provider_snowflake_batch.operators.job_record import JobRecord

# A task that is told to end has five seconds for all.
_CANCELLED_LOOKS, _CANCELLED_PAUSE = 3, 0.5

log = logging.getLogger(__name__)


class TaskCard:
    """The job card of one try. A context manager: an exception that leaves it becomes the card's message."""

    def __init__(self, context: Context, card: JobCard, query_id: str | None = None) -> None:
        self._context = context
        self._ti = context["ti"]
        self.card = card
        self.query_id = query_id
        self._written_at = 0.0
        self._written: JobCard | None = None
        self._cancelled = False

    @classmethod
    def begin(
        cls,
        context: Context,
        job: BatchJob,
        record: JobRecord,
        *,
        poll_interval: float,
        statement: str | None = None,
    ) -> Self:
        """The card of a job that was just submitted or found again. It is written at once.

        The trigger's ``on_kill`` compares it with its own job, so it must be there before the task defers.

        :param poll_interval: most seconds between two looks at the job.
        :param statement: what this try has sent; None if the job is that of an earlier one.
        """
        model = job.model_function
        # A job that an earlier try has begun keeps its size.
        sizing = record.sizing or job.sizing
        card = cls(
            context,
            JobCard(
                job_name=record.job_name,
                status="SUBMITTED",
                compute_pool=str(sizing.get("compute_pool", job.compute_pool)),
                replicas=int(sizing.get("replicas") or 1),
                output_location=record.output_location,
                submitted_at=record.submitted_at,
                attempt=context["ti"].try_number,
                model=str(model.model),
                version=record.version or (str(model.version) if model.version is not None else None),
                function=record.function or model.function,
                updated_at=time.time(),
                confirmed_every=max(CARD_SECONDS, poll_interval),
                earlier_tries=earlier_tries(context),
                instance_family=record.instance_family,
            ),
            record.query_id,
        )
        card._write()
        card._keep_statement(statement)
        return card

    @classmethod
    def resume(cls, context: Context, record: JobRecord, compute_pool: str, event: Mapping[str, Any]) -> Self:
        """The card as the trigger has left it.

        :param event: the trigger's; it may know of progress that has come after the card was last written.
        """
        progress = event.get("progress")
        stored = _stored_card(context)
        if stored is not None and stored.job_name == record.job_name:
            known = progress if isinstance(progress, dict) else stored.progress
            return cls(context, replace(stored, progress=known), record.query_id)
        return cls(
            context,
            JobCard(
                job_name=record.job_name,
                status="SUBMITTED",
                compute_pool=compute_pool,
                replicas=1,
                output_location=record.output_location,
                submitted_at=record.submitted_at,
                attempt=context["ti"].try_number,
                progress=progress if isinstance(progress, dict) else None,
            ),
            record.query_id,
        )

    def look(self, info: JobInfo, progress: Progress | None = None) -> None:
        """What a look at the job has shown; written at once if the status is another, else now and then."""
        now = time.time()
        self.card = self.card.seen(info, now, progress)
        written = self._written
        too_soon = now - self._written_at < (self.card.confirmed_every or CARD_SECONDS)
        if written is not None and self.card.status == written.status and too_soon:
            return
        # Written also when nothing has changed: a page takes an old card as a sign that nobody looks at the job.
        self._update()

    def tell_containers(self, containers: Iterable[ContainerInfo]) -> None:
        """What the job's containers report; written with the next look, or at the end of the task."""
        self.card = replace(self.card, containers=told_containers(containers) or self.card.containers)

    def tell_lines(self, lines: Iterable[str]) -> None:
        """The last lines of the job's log; written with the next look, or with what comes of the job."""
        self.card = replace(self.card, log=told_lines(lines) or self.card.log)

    def cancelled(self, hook: SnowflakeBatchHook, why: str) -> None:
        """The job was cancelled by this package. The card then tells what Snowflake says of it.

        :param hook: asks for the job's status, a few times at most, until it has ended.
        :param why: becomes the card's message.
        """
        self._cancelled = True
        said = None
        # A task that has missed its time limit has a message already.
        why = f"{self.card.message.rstrip('.')}. {why}" if self.card.message else why
        for look in range(_CANCELLED_LOOKS):
            try:
                info = hook.status(self.card.job_name)
            except Exception:
                log.debug("What became of job %s is not known", self.card.job_name, exc_info=True)
                break
            if info.reported_status != said:
                said = info.reported_status
                self.card = replace(self.card.seen(info, time.time()), message=f"{why} Snowflake said then: {said}.")
                self._update()
            if info.status.is_terminal:
                break
            if look + 1 < _CANCELLED_LOOKS:
                time.sleep(_CANCELLED_PAUSE)
        if said is None:
            self.card = replace(self.card, message=why, updated_at=time.time())
            self._update()

    def done(self, result: JobResult) -> None:
        """The job has succeeded."""
        if result.rows is not None:
            known = self.card.progress or {}
            progress = {**known, "phase": "done", "rows_done": result.rows, "rows_total": result.rows}
            if result.rows_reused is not None:
                progress["rows_reused"] = result.rows_reused
            if result.quarantined_rows is not None:
                progress["quarantined_rows"] = result.quarantined_rows
            self.card = replace(self.card, progress={**progress, "eta_seconds": None})
        output = told_output(result.files, result.bytes, result.columns)
        self.card = replace(self.card, output=output, log=None)
        self._update()

    def _update(self) -> None:
        try:
            self._write()
        except Exception:
            # The card only informs people, so the job goes on without it.
            log.debug("The job card could not be written", exc_info=True)

    def _keep_statement(self, statement: str | None) -> None:
        self._keep(STATEMENT_KEY, _told_statement(statement))

    def keep_example_rows(self, told: dict[str, Any]) -> None:
        """Rows of the job's results, as `jobs/example_rows.py` tells them."""
        self._keep(EXAMPLE_ROWS_KEY, told)

    def _keep(self, key: str, told: dict[str, Any]) -> None:
        """Keep beside the card what is told of its job once."""
        try:
            self._ti.xcom_push(key=key, value=json_value({"job_name": self.card.job_name, **told}))
        except Exception:
            log.debug("The XCom %s could not be written", key, exc_info=True)

    def _write(self) -> None:
        self._ti.xcom_push(key=JOB_CARD_KEY, value=self.card.to_dict())
        self._written_at, self._written = time.time(), self.card

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # A deferral is a BaseException, and so is what ends the process.
        if isinstance(error, (Exception, AirflowTaskTimeout)):
            if self._cancelled and isinstance(error, JobCancelledError):
                # The card already says why the job was cancelled.
                remember_try(self._context, self.card)
                tell_failure(self._context, error, self.card, self.query_id)
                return
            message = _message(error)
            status = self.card.status
            if status == "SUBMITTED":
                status = _without_job(error) or status
            self.card = replace(self.card, status=status, message=message, updated_at=time.time())
            self._update()
            remember_try(self._context, self.card)
            tell_failure(self._context, error, self.card, self.query_id)


def tell_of_no_job(
    context: Context, error: BaseException, record: JobRecord | None, *, model: str | None, compute_pool: str
) -> None:
    """Write the card of a task that fails before its job is known to be there.

    :param error: what it fails with.
    :param record: the job whose statement may have been sent; None if nothing was sent.
    :param model: as the task names it; None where it names none.
    """
    now = time.time()
    status = _without_job(error) or ("UNKNOWN" if record is not None else NOT_SUBMITTED)
    if isinstance(error, JobCancelledError):
        status = "CANCELLED"
    card = JobCard(
        job_name=record.job_name if record is not None else "",
        status=status,
        compute_pool=compute_pool,
        replicas=1,
        output_location=record.output_location if record is not None else "",
        submitted_at=now,
        attempt=context["ti"].try_number,
        model=model,
        ended_at=now,
        updated_at=now,
        message=_message(error),
        earlier_tries=earlier_tries(context),
    )
    remember_try(context, card)
    tell_failure(context, error, card, record.query_id if record is not None else None)
    try:
        context["ti"].xcom_push(key=JOB_CARD_KEY, value=card.to_dict())
    except Exception:
        log.debug("The job card could not be written", exc_info=True)


def _message(error: BaseException) -> str:
    from airflow_provider_snowflake_batch.hooks.masking import masked

    return masked(str(error) or type(error).__name__)


def _without_job(error: BaseException) -> str | None:
    """The status of a card without a job, if that is what an error says."""
    if isinstance(error, JobInputError):
        return REFUSED
    return NOT_SUBMITTED if isinstance(error, JobSubmissionError) else None


def _told_statement(statement: str | None) -> dict[str, Any]:
    """What is told of a statement. Unlike a log, an XCom is stored as it is, so nothing is in it that Airflow would
    mask there."""
    from airflow_provider_snowflake_batch.hooks.masking import masked

    if statement is None:
        return {"no_statement": "An earlier try of the task has sent it."}
    if masked(statement) != statement:
        return {"no_statement": "It holds something that Airflow masks in logs."}
    return told_statement(statement)


def _stored_card(context: Context) -> JobCard | None:
    from airflow.providers.common.compat.sdk import XCom

    try:
        stored = XCom.get_value(ti_key=context["ti"], key=JOB_CARD_KEY)
    except Exception:
        log.debug("The job card could not be read", exc_info=True)
        return None
    return JobCard.read(stored)
