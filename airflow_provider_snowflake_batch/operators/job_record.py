"""Which job a task has begun, remembered across its tries.

The record is written before the job is submitted, under Airflow's task state store (Airflow 3.3 and later), which
survives retries and crashes of every component. XCom cannot serve: it is cleared at the start of each try. What serves
before 3.3 is in ``named_jobs.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_snowflake_batch.exceptions import JobSubmissionError
from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.jobs.job import InferenceJob

_KEY = "snowflake_batch_job"


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job that was, or is about to be, submitted.

    :param job_name: ``database.schema.name``.
    :param output_location: the job's own directory.
    :param submitted_at: seconds since the epoch.
    :param fingerprint: of everything about the job but its name; a try that asks for something else must not attach.
    :param query_id: of the statement; None while it may not have been sent.
    :param dropping: its results were collected and it is being dropped: that it is gone does not mean it was lost.
    """

    job_name: str
    output_location: str
    submitted_at: float
    fingerprint: str | None = None
    query_id: str | None = None
    dropping: bool = False

    @property
    def name(self) -> QualifiedName:
        return QualifiedName.parse(self.job_name, field="job_name")

    def sent(self, query_id: str) -> Self:
        return replace(self, query_id=query_id)


class JobRecords:
    """The one record of a task instance.

    :param store: ``context["task_state_store"]``; None keeps no record, so that every try starts afresh.
    """

    def __init__(self, store: Any) -> None:
        self._store = store

    @classmethod
    def of(cls, context: Mapping[str, Any], *, durable: bool) -> Self:
        return cls(context.get("task_state_store") if durable else None)

    @property
    def has_store(self) -> bool:
        return self._store is not None

    def name(self, job: InferenceJob) -> InferenceJob:
        """The job under the name that it is to be submitted by."""
        return job

    def load(self) -> JobRecord | None:
        found = self._store.get(_KEY) if self._store is not None else None
        return JobRecord(**found) if found else None

    def save(self, record: JobRecord) -> None:
        if self._store is not None:
            self._store.set(_KEY, asdict(record))

    def mark_dropping(self) -> None:
        """Note that from now on the job may be gone although nothing is wrong."""
        if (record := self.load()) is not None:
            self.save(replace(record, dropping=True))

    @contextmanager
    def to_be_sent_again(self) -> Iterator[None]:
        """If the statement comes to nothing, the next try sends it again, under the same name."""
        try:
            yield
        except JobSubmissionError:
            if self._store is not None and (record := self.load()) is not None:
                self.save(replace(record, query_id=None))
            raise

    def forget(self) -> None:
        if self._store is not None:
            self._store.delete(_KEY)
