"""What the control plane remembers: jobs, their containers, compute pools, secrets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from airflow_provider_snowflake_batch.jobs.status import JobStatus


@dataclass(slots=True)
class Job:
    """A job service.

    :param id: its folder's name; never shown to clients.
    :param number: the ID of GET_JOB_HISTORY.
    :param kind: ``JOB`` (EXECUTE JOB SERVICE) or ``INFERENCE`` (EXECUTE INFERENCE JOB SERVICE).
    :param specification: the YAML that DESCRIBE SERVICE shows.
    :param resources: what one instance takes of a node: ``cpu``, ``memory`` (bytes), ``gpu``.
    :param parameters: what GET_JOB_HISTORY shows as PARAMETERS.
    :param scratch: a folder that belongs to the run and goes with it, or None.
    """

    id: str
    number: int
    query_id: str
    database: str
    schema: str
    name: str
    kind: str
    compute_pool: str
    owner: str
    is_async: bool
    replicas: int
    specification: str
    resources: dict[str, float]
    parameters: dict[str, Any]
    created_on: float
    updated_on: float
    comment: str | None = None
    query_warehouse: str | None = None
    external_access_integrations: list[str] = field(default_factory=list)
    endpoints: list[dict[str, Any]] = field(default_factory=list)
    scratch: str | None = None
    status: JobStatus = JobStatus.PENDING
    message: str = "Job is pending."
    completed_on: float | None = None
    deleted_on: float | None = None
    settled: bool = False
    """Whether the job has ended and none of its processes is left."""

    @property
    def full_name(self) -> str:
        return f"{self.database}.{self.schema}.{self.name}"


@dataclass(slots=True)
class Container:
    """One container of one instance of a job.

    :param argv: the command, before mount paths and the interpreter are filled in.
    :param env: as declared in the specification.
    :param mounts: container path → folder on this machine.
    :param secrets: which secrets it gets, by name, and as what; never what they hold.
    :param node: the node of the pool that it occupies, or None while it waits.
    :param pid: the supervisor's process id, None before the start.
    :param pid_created: when that process was created (seconds since the epoch): a process id alone can be reused.
    """

    job_id: str
    instance: int
    name: str
    image: str
    argv: list[str]
    env: dict[str, str]
    mounts: dict[str, str]
    secrets: list[dict[str, str]] = field(default_factory=list)
    status: str = "PENDING"
    message: str = "Waiting to start"
    node: int | None = None
    pid: int | None = None
    pid_created: float | None = None
    started_on: float | None = None
    ended_on: float | None = None
    exit_code: int | None = None

    @property
    def ended(self) -> bool:
        return self.ended_on is not None


@dataclass(slots=True)
class ComputePool:
    """A compute pool. Nodes are bookkeeping: every process runs on this machine."""

    name: str
    min_nodes: int
    max_nodes: int
    instance_family: str
    owner: str
    created_on: float
    updated_on: float
    resumed_on: float | None
    auto_resume: bool = True
    auto_suspend_secs: int = 3600
    comment: str | None = None
    suspended: bool = False


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret of a schema.

    :param type: ``GENERIC_STRING`` or ``PASSWORD``.
    :param content: what containers get, by ``secretKeyRef``.
    """

    database: str
    schema: str
    name: str
    type: str
    owner: str
    created_on: float
    comment: str | None
    content: dict[str, str] = field(repr=False)

    @property
    def full_name(self) -> str:
        return f"{self.database}.{self.schema}.{self.name}"
