"""Which job a task has begun, remembered across its tries.

The record is written before the job is submitted, under Airflow's task state store (Airflow 3.3 and later), which
survives retries and crashes of every component. XCom cannot serve: it is cleared at the start of each try. What serves
before 3.3 is in ``named_jobs.py``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_snowflake_batch.exceptions import JobSubmissionError
from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName, StagePath

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.jobs.batch_job import BatchJob
    from airflow_provider_snowflake_batch.jobs.status import JobInfo

_KEY = "snowflake_batch_job"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job that was, or is about to be, submitted.

    :param job_name: ``database.schema.name``.
    :param output_location: the job's own directory.
    :param submitted_at: seconds since the epoch.
    :param fingerprint: of which rows are scored by what and into where; a try that asks for something else must not
        go on with the job.
    :param query_id: of the statement; None while it may not have been sent.
    :param dropping: its results were collected and it is being dropped: that it is gone does not mean it was lost.
    :param found_at: when a later try began to go on with it, in seconds since the epoch.
    :param done_within: how many tries the task instance might make when the task had done with the job; None before.
    :param version: the model's version that the job runs, also where the task leaves it to the model's default.
    :param function: the model's function, likewise.
    :param begun_within: how many tries the task instance might make when the job was begun.
    :param sizing: what the job runs on; None where nobody has noted it.
    :param instance_family: of the compute pool's nodes; None where nobody has noted it.
    :param created_on: when Snowflake has made it, which tells it from a later job of its name; None where nobody has
        noted it.
    """

    job_name: str
    output_location: str
    submitted_at: float
    fingerprint: str | None = None
    query_id: str | None = None
    dropping: bool = False
    found_at: float | None = None
    done_within: list[int] | None = None
    version: str | None = None
    function: str | None = None
    begun_within: list[int] | None = None
    sizing: dict[str, Any] | None = None
    instance_family: str | None = None
    created_on: str | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """A record as it was stored, by this version or another."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})

    @property
    def name(self) -> QualifiedName:
        return QualifiedName.parse(self.job_name, field="job_name")

    def is_of(self, job: BatchJob) -> bool:
        """Whether the recorded job does what ``job`` would do, in whatever size."""
        return self.fingerprint in (job.fingerprint(), *job.older_fingerprints())

    def sent(self, query_id: str) -> Self:
        return replace(self, query_id=query_id)


class JobRecords:
    """The one record of a task instance.

    :param store: ``context["task_state_store"]``; None keeps no record, so that every try starts afresh.
    :param ti: the task instance.
    """

    def __init__(self, store: Any, ti: Any) -> None:
        self._store = store
        # Clearing a task raises the first number, a retry leaves both as they are. If ``retries`` was changed before a
        # clear, the first number may by chance stay the same; then the second one differs.
        retries = getattr(getattr(ti, "task", None), "retries", None)
        self._tries = [getattr(ti, "max_tries", None) or 0, retries or 0]

    @classmethod
    def of(cls, context: Mapping[str, Any], *, durable: bool) -> Self:
        return cls(context.get("task_state_store") if durable else None, context["ti"])

    @property
    def has_store(self) -> bool:
        return self._store is not None

    def name(self, job: BatchJob) -> BatchJob:
        """The job under the name that it is to be submitted by."""
        return job

    def load(self) -> JobRecord | None:
        """The job that the task has begun; None if it has none, or has done with it before it was cleared.

        A try may die when it is done, but before Airflow knows of it. The next try still needs the record.
        """
        return self._stored()

    def _stored(self) -> JobRecord | None:
        found = self._store.get(_KEY) if self._store is not None else None
        record = JobRecord.from_dict(found) if found else None
        if record is not None and record.done_within not in (None, self._tries):
            return None
        return record

    def as_begun(self, job: BatchJob) -> BatchJob:
        """The job with the version and the output directory that an earlier try has begun with.

        The model's default and its aliases may stand for another version since. A job that can resume goes on with the
        files in the directory. After a clear, a task begins anew: with the version of that moment.
        """
        record = self._begun(job)
        if record is None:
            return job
        kept = job if record.version is None else job.as_submitted(record.version, None)
        if kept.model_function != job.model_function:
            log.info("This try keeps to version %s, with which an earlier one has begun.", record.version)
        if not job.can_resume:
            return kept
        directory = StagePath.parse(record.output_location, field="output_location")
        log.info("This try goes on with what earlier ones have left in %s.", directory)
        return kept.resuming(directory)

    def resumes(self, job: BatchJob) -> bool:
        """Whether the job goes on with what earlier tries have left in its output directory."""
        return job.can_resume and self._begun(job) is not None

    def _begun(self, job: BatchJob) -> JobRecord | None:
        """The record of an earlier try that has begun this very job, unless the task was cleared since."""
        record = self._stored()
        if record is None or record.begun_within != self._tries or not record.is_of(job):
            return None
        return record

    def begin(self, record: JobRecord) -> JobRecord:
        """Record a job that is about to be submitted."""
        record = replace(record, begun_within=self._tries)
        self.save(record)
        return record

    def save(self, record: JobRecord) -> None:
        if self._store is not None:
            self._store.set(_KEY, asdict(record))

    def mark_found(self, record: JobRecord, info: JobInfo | None = None) -> None:
        """Note that this try goes on with the job of an earlier one."""
        created_on = record.created_on or (info.created_on if info is not None else None)
        self.save(replace(record, found_at=time.time(), created_on=created_on))

    def mark_seen(self, info: JobInfo) -> None:
        """Note when the job was made: a task that is tried again much later may find another one of its name."""
        record = self._stored()
        if record is not None and record.created_on is None and record.job_name == info.name:
            self.save(replace(record, created_on=info.created_on))

    def mark_dropping(self) -> None:
        """Note that the job is being dropped: from now on it is no error if it is gone."""
        if (record := self._stored()) is not None:
            self.save(replace(record, dropping=True))

    def mark_done(self) -> None:
        """Note that the task has done with the job, so that the task scores the rows again when it is cleared."""
        if (record := self._stored()) is not None:
            self.save(replace(record, done_within=self._tries))

    @contextmanager
    def forgetting_lost_statement(self) -> Iterator[None]:
        """If Snowflake does not finish the statement, the next try sends it again, under the same name."""
        try:
            yield
        except JobSubmissionError:
            if (record := self._stored()) is not None:
                self.save(replace(record, query_id=None))
            raise
