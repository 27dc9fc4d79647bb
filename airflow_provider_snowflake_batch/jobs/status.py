"""What Snowflake says of a job, and what it means.

Statuses and messages: https://docs.snowflake.com/en/developer-guide/snowpark-container-services/working-with-services
and …/monitoring-services
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any


class JobStatus(str, Enum):
    """Status of a job service. A value this version does not know reads as UNKNOWN, which is not terminal."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"
    CANCELLING = "CANCELLING"
    CANCELLED = "CANCELLED"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    SUSPENDING = "SUSPENDING"
    SUSPENDED = "SUSPENDED"
    DELETING = "DELETING"
    DELETED = "DELETED"
    UNKNOWN = "UNKNOWN"

    @classmethod
    def _missing_(cls, value: object) -> JobStatus:
        text = str(value).upper()
        return cls.__members__.get(text, cls.UNKNOWN)

    @property
    def is_terminal(self) -> bool:
        return self in _TERMINAL

    @property
    def is_successful(self) -> bool:
        return self is JobStatus.DONE


_TERMINAL = frozenset(
    {JobStatus.DONE, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.INTERNAL_ERROR, JobStatus.DELETED}
)


# Two statements may round the time of a job's creation differently. Seconds.
_ONE_MOMENT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class JobInfo:
    """One row of DESCRIBE SERVICE or SHOW JOB SERVICES.

    :param name: ``database.schema.name``.
    :param status: the status as this version understands it.
    :param reported_status: the status as Snowflake wrote it.
    :param compute_pool: where it runs.
    :param replicas: containers asked for.
    :param created_on: ISO 8601 time of submission, or None.
    :param updated_on: ISO 8601 time of the last change, or None.
    """

    name: str
    status: JobStatus
    reported_status: str
    compute_pool: str | None = None
    replicas: int | None = None
    created_on: str | None = None
    updated_on: str | None = None

    @property
    def seconds(self) -> float | None:
        """Seconds from submission to the last change, which for a job that has ended is its end; None if not told."""
        if self.created_on is None or self.updated_on is None:
            return None
        try:
            between = datetime.fromisoformat(self.updated_on) - datetime.fromisoformat(self.created_on)
        except (ValueError, TypeError):
            return None
        return between.total_seconds()

    def replaces(self, earlier: JobInfo) -> bool:
        """Whether this is another job of the same name, made when the earlier one was gone; False if that is not known.

        Snowflake keeps one job of a name. A name that a user gives (``job_name``) is used again by the next run.
        """
        return self.made_after(earlier.created_on)

    def made_after(self, moment: str | None) -> bool:
        """Whether it is a later job than one of its name that was made at this moment; False if that is not known.

        :param moment: another job's ``created_on``.
        """
        if self.created_on is None or moment is None:
            return False
        try:
            later = datetime.fromisoformat(self.created_on) - datetime.fromisoformat(moment)
        except (ValueError, TypeError):
            return False
        return later.total_seconds() > _ONE_MOMENT_SECONDS

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> JobInfo:
        """Read by name, since Snowflake adds columns; keys may be of any case."""
        values = {key.lower(): value for key, value in row.items()}
        replicas = values.get("target_instances")
        return cls(
            name=".".join(str(values[part]) for part in ("database_name", "schema_name", "name")),
            status=JobStatus(values["status"]),
            reported_status=str(values["status"]),
            compute_pool=values.get("compute_pool"),
            replicas=int(replicas) if replicas is not None else None,
            created_on=_time(values.get("created_on")),
            updated_on=_time(values.get("updated_on")),
        )


@dataclass(frozen=True, slots=True)
class ContainerInfo:
    """One row of SHOW SERVICE CONTAINERS."""

    instance_id: int | None
    name: str
    status: str
    message: str
    exit_code: int | None = None
    restart_count: int = 0

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> ContainerInfo:
        values = {key.lower(): value for key, value in row.items()}
        return cls(
            instance_id=_integer(values.get("instance_id")),
            name=str(values.get("container_name") or ""),
            status=str(values.get("status") or ""),
            message=str(values.get("message") or ""),
            exit_code=_integer(values.get("last_exit_code")),
            restart_count=_integer(values.get("restart_count")) or 0,
        )


# Exit codes of a process that was ended by SIGKILL, as when memory runs out, or by SIGTERM.
_KILLED, _TERMINATED = 137, 143


def by_blame(containers: Iterable[ContainerInfo]) -> list[ContainerInfo]:
    """The containers, likely causes of a job's failure first. When a replica has failed, the others are ended."""

    def key(container: ContainerInfo) -> tuple[bool, int, int, str]:
        rank = {_KILLED: 1, _TERMINATED: 3, 0: 4, None: 2}.get(container.exit_code, 0)
        return container.status != "FAILED", rank, container.instance_id or 0, container.name

    return sorted(containers, key=key)


def describe_containers(containers: Iterable[ContainerInfo]) -> str:
    """What the containers report, one clause each, in the order of blame; empty if they report nothing."""

    def one(container: ContainerInfo) -> str:
        code = f", exit code {container.exit_code}" if container.exit_code not in (None, 0) else ""
        if container.exit_code == _KILLED:
            code += " (killed, most often for want of memory: fewer rows at a time, or more memory)"
        instance = "?" if container.instance_id is None else container.instance_id
        return f"replica {instance} {container.name}: {container.message or container.status}{code}"

    return "; ".join(one(container) for container in by_blame(containers))


def _integer(value: Any) -> int | None:
    return None if value is None or value == "" else int(value)


def _time(value: Any) -> str | None:
    if value is None or value == "":
        return None
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
