"""The job card of a task that runs: kept up to date while it waits, and once more when it ends."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from airflow.sdk.exceptions import AirflowTaskTimeout

from airflow_provider_snowflake_batch.jobs.card import JOB_CARD_KEY, JobCard
from airflow_provider_snowflake_batch.jobs.logs import Progress

if TYPE_CHECKING:
    from types import TracebackType

    from airflow.sdk import Context

    from airflow_provider_snowflake_batch.hooks.results import JobResult
    from airflow_provider_snowflake_batch.jobs.batch_job import BatchJob
    from airflow_provider_snowflake_batch.jobs.status import JobInfo
    from airflow_provider_snowflake_batch.operators.job_record import JobRecord

CARD_SECONDS = 10
"""Least time between two versions of the card while the job's status stays the same."""

log = logging.getLogger(__name__)


class TaskCard:
    """The job card of one try. A context manager: an exception that leaves it becomes the card's message."""

    def __init__(self, context: Context, card: JobCard, query_id: str | None = None) -> None:
        self._ti = context["ti"]
        self.card = card
        self.query_id = query_id
        self._written_at = 0.0
        self._written: JobCard | None = None

    @classmethod
    def begin(cls, context: Context, job: BatchJob, record: JobRecord) -> Self:
        """The card of a job that was just submitted or found again. It is written at once.

        The trigger's ``on_kill`` compares it with its own job, so it must be there before the task defers.
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
            ),
            record.query_id,
        )
        card._write()
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
        if written is not None and self.card.status == written.status:
            too_soon = now - self._written_at < CARD_SECONDS
            if too_soon or self.card == replace(written, updated_at=now):
                return
        self._update()

    def done(self, result: JobResult) -> None:
        """The job has succeeded."""
        if result.rows is not None:
            known = self.card.progress or {}
            progress = {**known, "phase": "done", "rows_done": result.rows, "rows_total": result.rows}
            if result.rows_reused is not None:
                progress["rows_reused"] = result.rows_reused
            self.card = replace(self.card, progress={**progress, "eta_seconds": None})
        self._update()

    def _update(self) -> None:
        try:
            self._write()
        except Exception:
            # The card informs people; the job goes on without it.
            log.debug("The job card could not be written", exc_info=True)

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
            message = str(error) or type(error).__name__
            self.card = replace(self.card, message=message, updated_at=time.time())
            self._update()


def _stored_card(context: Context) -> JobCard | None:
    from airflow.providers.common.compat.sdk import XCom

    try:
        stored = XCom.get_value(ti_key=context["ti"], key=JOB_CARD_KEY)
    except Exception:
        log.debug("The job card could not be read", exc_info=True)
        return None
    return JobCard.read(stored)
