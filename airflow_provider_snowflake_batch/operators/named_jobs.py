"""What serves instead of Airflow's task state store before 3.3: the jobs' names tell which task they belong to."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName
from airflow_provider_snowflake_batch.jobs.job import generate_job_name
from airflow_provider_snowflake_batch.jobs.status import JobInfo, JobStatus
from airflow_provider_snowflake_batch.jobs.task_jobs import TaskInstanceKey, TaskJobName
from airflow_provider_snowflake_batch.operators.job_record import JobRecord, JobRecords

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
    from airflow_provider_snowflake_batch.jobs.batch_job import BatchJob

log = logging.getLogger(__name__)


def find_records(
    context: Mapping[str, Any], hook: SnowflakeBatchHook, job: BatchJob, *, durable: bool, waits: bool
) -> JobRecords:
    """Where a try finds the job of an earlier one: in Airflow's store, or else in Snowflake by its name.

    :param job: what this try asks for, fully qualified.
    :param waits: the task waits for its jobs. A task that does not wait has done with them once it has succeeded.
    """
    records = JobRecords.of(context, durable=durable)
    if not durable or records.has_store:
        return records
    run_started = getattr(context.get("dag_run"), "start_date", None)
    if job.has_fixed_name or run_started is None:
        log.info(
            "This Airflow has no task state store (new in 3.3), and %s: a retry will start a new job.",
            "job_name is fixed" if job.has_fixed_name else "the Dag run has no start",
        )
        return records
    log.info("This Airflow has no task state store (new in 3.3): a retry will look for the job by its name.")
    return NamedJobs(context["ti"], run_started, hook, job, waits=waits)


class NamedJobs(JobRecords):
    """The jobs of one task instance, told by their names.

    :param ti: the task instance.
    :param run_started: when its Dag run started.
    :param hook: lists the jobs.
    :param job: what this try asks for.
    :param waits: see :func:`find_records`.
    """

    def __init__(self, ti: Any, run_started: datetime, hook: SnowflakeBatchHook, job: BatchJob, *, waits: bool) -> None:
        super().__init__(None, ti)
        self._ti = ti
        self._hook = hook
        self._job = job
        self._waits = waits
        self._key = TaskInstanceKey(ti.dag_id, ti.task_id, ti.run_id, run_started, ti.map_index)
        self._number = 1

    def name(self, job: BatchJob) -> BatchJob:
        return self._numbered(job, self._number)

    def as_begun(self, job: BatchJob) -> BatchJob:
        """Tries of one task instance that ask for the same job share the directory of the first try's job."""
        return job.resuming(self._numbered(job, 1).output_directory) if job.can_resume else job

    def resumes(self, job: BatchJob) -> bool:
        return job.can_resume

    def _numbered(self, job: BatchJob, number: int) -> BatchJob:
        end = TaskJobName(self._key.digest(), self._short(job.fingerprint()), self._ti.max_tries, number)
        name = generate_job_name(self._ti.dag_id, self._ti.task_id, prefix=job.name_prefix, suffix=str(end))
        return job.under_name(QualifiedName(name, job.name.schema, job.name.database))

    def load(self) -> JobRecord | None:
        found = self._found()
        if found:
            end, latest = found[-1]
            self._number = end.number + 1
            # After a clear the rows are scored again. But before Airflow 3.3 a clear does not cancel the job of a
            # deferred task, so such a job may still run: then the task goes on with it.
            same_tries = end.tries == self._ti.max_tries
            goes_on = not latest.status.is_terminal and (same_tries or self._waits)
            if goes_on or (same_tries and latest.status is JobStatus.DONE):
                return self._record(latest.name, self._started(latest), same_job=self._asked_for(end))
            log.info("Job %s of an earlier try is %s: not going on with it.", latest.name, latest.reported_status)
        if self._ti.try_number == 1:
            return None
        # There is no job, but an earlier try may have sent its statement, or have dropped it when it was done. Nothing
        # else writes under this name, so files in its directory are that job's.
        return self._record(str(self.name(self._job).name), time.time(), same_job=True, dropping=True)

    def _found(self) -> list[tuple[TaskJobName, JobInfo]]:
        digest, where = self._key.digest(), self._job.name
        jobs = self._hook.list_jobs(where.database, where.schema, like=f"%{digest}%")
        ends = ((TaskJobName.of(info.name), info) for info in jobs)
        mine = [(end, info) for end, info in ends if end is not None and end.instance == digest]
        return sorted(mine, key=lambda pair: pair[0].number)

    def _asked_for(self, end: TaskJobName) -> bool:
        accepted = (self._job.fingerprint(), *self._job.older_fingerprints())
        return end.fingerprint in {self._short(fingerprint) for fingerprint in accepted}

    def _record(self, name: str, submitted_at: float, *, same_job: bool, dropping: bool = False) -> JobRecord:
        job = self.as_begun(self._job.under_name(QualifiedName.parse(name, field="job_name")))
        fingerprint = job.fingerprint() if same_job else None
        return JobRecord(name, str(job.output_directory), submitted_at, fingerprint, dropping=dropping)

    @staticmethod
    def _started(info: JobInfo) -> float:
        return datetime.fromisoformat(info.created_on).timestamp() if info.created_on else time.time()

    @staticmethod
    def _short(fingerprint: str) -> str:
        return fingerprint[:8].upper()
