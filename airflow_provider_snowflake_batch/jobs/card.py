"""What a task shows of its job while the job runs: one small record that pages and callbacks can read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any, Self

from airflow_provider_snowflake_batch.jobs.json_values import json_value, number
from airflow_provider_snowflake_batch.jobs.logs import Progress
from airflow_provider_snowflake_batch.jobs.progress_history import grown, readable
from airflow_provider_snowflake_batch.jobs.sent_statement import readable_statement
from airflow_provider_snowflake_batch.jobs.status import ContainerInfo, JobInfo, JobStatus, by_blame
from airflow_provider_snowflake_batch.jobs.waits import readable_waits, waited

# The XCom under which the operator keeps it, written before the task defers.
JOB_CARD_KEY = "snowflake_batch_job"

CARD_SECONDS = 10
"""Least time between two versions of a card while the job's status stays the same."""

REFUSED = "REFUSED"
"""Status of a card whose task has no job: what it asks for was refused, by its own checks or by Snowflake."""
NOT_SUBMITTED = "NOT_SUBMITTED"
"""Status of a card whose task has no job for another reason: Snowflake could not be reached, for instance."""


@dataclass(frozen=True, slots=True)
class JobCard:
    """Holds no secret and no rows. Times are seconds since the epoch.

    :param job_name: ``database.schema.name``; empty where there is no job.
    :param status: the job's status when the card was last written; ``SUBMITTED`` before Snowflake has told one,
        :data:`REFUSED` or :data:`NOT_SUBMITTED` where there is no job.
    :param compute_pool: where it runs.
    :param replicas: containers asked for.
    :param output_location: the job's own directory.
    :param submitted_at: when the statement was sent.
    :param attempt: which try of the Airflow task, from 1.
    :param model: ``database.schema.model``.
    :param version: the model's version; None if it is the default one and Snowflake did not tell which that is.
    :param function: the model's function; None if it is the only one and Snowflake did not tell its name.
    :param started_at: when the job was first seen to run; None if it ended before anybody saw that.
    :param ended_at: when the job ended, as Snowflake tells; else when it was seen to have ended.
    :param updated_at: when the card was last written. While a job runs, that is when it was last looked at.
    :param confirmed_every: seconds after which it is looked at and written again while the job runs; None if nobody
        does, or in cards of versions that wrote changes only.
    :param progress: ``phase``, ``rows_done``, ``rows_total``, ``rows_per_second``, ``eta_seconds``, ``rows_reused`` and
        ``quarantined_rows`` of all replicas together, and ``by_replica`` where there are several
        (`contract/progress.py`); None where the runtime tells none, as Snowflake's own does.
    :param message: why the task failed.
    :param accepted_at: since when there is a job in Snowflake, which may build its image before; None if nobody saw it.
    :param instance_family: of the compute pool's nodes; None where nobody has looked.
    :param containers: what the containers said at the last look, those to blame first (:func:`told_containers`).
    :param earlier_tries: how the tries before this one have ended, oldest first (:func:`ended_try`).
    :param history: how far it was at earlier moments (`jobs/progress_history.py`); None where nothing tells of rows.
    :param statement: on cards from before it had an XCom of its own (`jobs/sent_statement.py`), as is the next one.
    :param no_statement: why there is none.
    :param log: the last lines that the job has written, as the last look has found them (:func:`told_lines`); None once
        it is done.
    :param output: what a job that is done has written (:func:`told_output`).
    :param waits: what its containers have said that it waits for, while it was pending (`jobs/waits.py`).
    """

    job_name: str
    status: str
    compute_pool: str
    replicas: int
    output_location: str
    submitted_at: float
    attempt: int
    model: str | None = None
    version: str | None = None
    started_at: float | None = None
    ended_at: float | None = None
    updated_at: float | None = None
    progress: dict[str, Any] | None = None
    message: str | None = None
    function: str | None = None
    confirmed_every: float | None = None
    accepted_at: float | None = None
    history: list[list[int]] | None = None
    containers: list[dict[str, Any]] | None = None
    earlier_tries: list[dict[str, Any]] | None = None
    instance_family: str | None = None
    statement: str | None = None
    no_statement: str | None = None
    output: dict[str, Any] | None = None
    log: list[str] | None = None
    waits: list[list[Any]] | None = None

    def to_dict(self) -> dict[str, Any]:
        values: dict[str, Any] = json_value(asdict(self))
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """A card as it was stored, by this version or another."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})

    @classmethod
    def read(cls, stored: Any) -> Self | None:
        """A stored card, or None for what is none: the XCom is open to everybody."""
        if not isinstance(stored, Mapping):
            return None
        texts = [stored.get(name) for name in ("job_name", "status", "compute_pool", "output_location")]
        numbers = [stored.get(name) for name in ("replicas", "submitted_at", "attempt")]
        later = [
            stored.get(name) for name in ("started_at", "ended_at", "updated_at", "confirmed_every", "accepted_at")
        ]
        sound = (
            all(isinstance(text, str) for text in texts)
            and all(number(each) is not None for each in numbers)
            and all(each is None or number(each) is not None for each in later)
            and isinstance(stored.get("progress"), (dict, type(None)))
        )
        if not sound:
            return None
        card = cls.from_dict(stored)
        return replace(
            card,
            history=readable(card.history),
            containers=card.containers if isinstance(card.containers, list) else None,
            earlier_tries=card.earlier_tries if isinstance(card.earlier_tries, list) else None,
            statement=readable_statement(card.statement),
            output=card.output if isinstance(card.output, dict) else None,
            log=card.log if isinstance(card.log, list) else None,
            waits=readable_waits(card.waits),
        )

    def seen(
        self,
        info: JobInfo,
        now: float,
        progress: Progress | None = None,
        message: str | None = None,
        running_since: float | None = None,
        containers: Iterable[ContainerInfo] = (),
        lines: Iterable[str] = (),
    ) -> Self:
        """The card after a look at the job.

        :param now: when that look was.
        :param progress: of all replicas together; None leaves the last one.
        :param containers: as that look has shown them; none leaves the last ones.
        :param lines: the last ones of the job's log; none leaves those that the card has.
        :param running_since: when an earlier look, of which the card knows nothing, has shown that the job runs.
        """
        if running_since is None and info.status is JobStatus.RUNNING:
            running_since = now
        told = told_containers(containers) or self.containers
        pending = told if info.status is JobStatus.PENDING else None
        return replace(
            self,
            status=info.reported_status,
            accepted_at=self.accepted_at or self._accepted(info, now),
            started_at=self.started_at or running_since,
            ended_at=self.ended_at or (self._end(info, now) if info.status.is_terminal else None),
            updated_at=now,
            progress=progress.to_dict() if progress is not None else self.progress,
            message=message or self.message,
            containers=told,
            waits=waited(self.waits, now - self.submitted_at, pending or ()),
            log=told_lines(lines) or self.log,
            history=self.history
            if progress is None
            else grown(self.history, now - self.submitted_at, progress.rows_done),
        )

    def _accepted(self, info: JobInfo, now: float) -> float:
        try:
            told = datetime.fromisoformat(info.created_on or "").timestamp()
        except ValueError:
            return now
        # Snowflake's clock and ours may differ.
        return min(max(told, self.submitted_at), now)

    def _end(self, info: JobInfo, now: float) -> float:
        try:
            told = datetime.fromisoformat(info.updated_on or "").timestamp()
        except ValueError:
            return now
        # Snowflake's clock and ours may differ: a time before the start or after now is not taken for the end.
        return told if (self.started_at or self.submitted_at) < told <= now else now


_MOST_CONTAINERS, _MOST_TRIES, _LONGEST = 8, 10, 300


def told_containers(containers: Iterable[ContainerInfo]) -> list[dict[str, Any]]:
    """What a card tells of containers: of at most eight, those first that most likely made the job fail.

    ``replica``, ``name``, ``status``, ``message``, ``exit_code`` (of the last process that ended) and ``restarts``.
    """
    return [
        {
            "replica": one.instance_id,
            "name": one.name[:_LONGEST],
            "status": one.status[:_LONGEST],
            "message": one.message[:_LONGEST],
            "exit_code": one.exit_code,
            "restarts": one.restart_count,
        }
        for one in by_blame(containers)[:_MOST_CONTAINERS]
    ]


MOST_LINES = 12
"""Of a job's log on its card."""
_LONGEST_LINE = 200


def told_lines(lines: Iterable[str]) -> list[str]:
    """What a card tells of a log: its last twelve lines that are not blank."""
    return [_short(line.rstrip(), _LONGEST_LINE) for line in [one for one in lines if one.strip()][-MOST_LINES:]]


_MOST_COLUMNS, _LONGEST_COLUMN = 40, 60


def told_output(files: int | None, size: int | None, columns: Sequence[tuple[str, str]] | None) -> dict[str, Any]:
    """What a card tells of a job's results: ``files``, ``bytes``, ``columns`` and ``columns_left_out``.

    :param size: of the files together, in bytes.
    :param columns: name and type of each; the first forty are told. None where nobody knows them.
    """
    told = (
        None
        if columns is None
        else [[_short(text, _LONGEST_COLUMN) for text in column] for column in columns[:_MOST_COLUMNS]]
    )
    left_out = 0 if columns is None else max(len(columns) - _MOST_COLUMNS, 0)
    return {"files": files, "bytes": size, "columns": told, "columns_left_out": left_out}


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def ended_try(card: JobCard, now: float) -> dict[str, Any]:
    """What the cards of later tries tell of one that has failed.

    ``attempt``, ``job_name``, ``status``, ``submitted_at``, ``ended_at``, ``rows_done``, ``rows_reused``, ``message``.
    """
    progress, message = card.progress or {}, (card.message or "").strip()
    return {
        "attempt": card.attempt,
        "job_name": card.job_name,
        "status": card.status,
        "submitted_at": card.submitted_at,
        "ended_at": card.ended_at or now,
        "rows_done": progress.get("rows_done"),
        "rows_reused": progress.get("rows_reused"),
        # The reason is the last line of a traceback, and the beginning of any other message.
        "message": message[-_LONGEST:] if "\n" in message else message[:_LONGEST],
    }


def with_try(earlier: Iterable[dict[str, Any]], ended: dict[str, Any]) -> list[dict[str, Any]]:
    """The tries that have failed, with one more; the last ten."""
    others = [one for one in earlier if one.get("attempt") != ended["attempt"]]
    return [*others, ended][-_MOST_TRIES:]
