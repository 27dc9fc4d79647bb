"""What was seen, before anybody judges it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName, StagePath
from airflow_provider_snowflake_batch.jobs.model_versions import ListedVersion

REGISTRY, WORKER = "registry", "worker"
RUNTIMES = (REGISTRY, WORKER)


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants to run.

    :param runtime: ``registry`` for Snowflake's own, which scores models of the Model Registry; ``worker`` for this
        package's, which scores any.
    :param version: of the model; None for its default.
    :param write: whether a small file may be written to the stage, and removed.
    """

    conn_id: str
    runtime: str
    compute_pool: Identifier | None = None
    stage: StagePath | None = None
    model: QualifiedName | None = None
    version: Identifier | None = None
    write: bool = False

    def qualify(self, session: Session) -> Asked:
        """The same with the session's database and schema where names have none."""
        namespace = session.database, session.schema
        return replace(
            self,
            stage=self.stage.qualify(*namespace) if self.stage is not None else None,
            model=self.model.qualify(*namespace) if self.model is not None else None,
        )


@dataclass(frozen=True, slots=True)
class Unseen:
    """What could not be looked at.

    :param why: Snowflake's sentence.
    """

    why: str


@dataclass(frozen=True, slots=True)
class Expected:
    """What the Airflow connection asks for, as the user wrote it; None for what it leaves out."""

    user: str | None = None
    role: str | None = None
    warehouse: str | None = None
    database: str | None = None
    schema: str | None = None
    account: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A login that failed.

    :param number: Snowflake's, if it gave one.
    :param unreachable: another try might do: the network failed, or there is no such account.
    """

    expected: Expected
    why: str
    number: int | None = None
    unreachable: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """What Snowflake says of the session, names as it stores them."""

    organization: str | None
    account: str | None
    user: str
    role: str | None
    warehouse: str | None
    database: str | None
    schema: str | None
    version: str


@dataclass(frozen=True, slots=True)
class Warehouse:
    state: str
    auto_resume: bool


@dataclass(frozen=True, slots=True)
class Pool:
    """A row of DESCRIBE COMPUTE POOL.

    :param status: what the pool says of itself, such as that it has no nodes left to give.
    """

    state: str
    family: str
    min_nodes: int
    max_nodes: int
    auto_resume: bool
    status: str | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage and what became of looking into it.

    :param kind: the column ``type`` of SHOW STAGES: ``INTERNAL NO CSE``.
    :param refused: what could not be done with a file there, each with Snowflake's sentence, in the order in which it
        was tried: ``list``, ``write``, ``read``, ``remove``.
    """

    kind: str
    refused: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Privilege:
    """A privilege that a role has.

    :param kind: of the object, in words: ``COMPUTE POOL``.
    :param name: its parts as Snowflake stores them; the name as it was shown, where it is none that can be read.
    """

    privilege: str
    kind: str
    name: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """:param functions: of the chosen version; None if that could not be seen.
    :param files_refused: why its files cannot be listed, which the worker's jobs copy; None if they can, or need not.
    """

    versions: tuple[ListedVersion, ...]
    functions: tuple[str, ...] | None = None
    files_refused: str | None = None


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """Everything that was seen over one session. None for what is not there, or hidden from this role.

    :param parameters: values by name; one that could not be seen is missing.
    :param privileges: those of the session's role and of the roles that it inherits.
    :param roles: these roles, the session's first.
    :param image: what the account answers about the pool's image; None for an answer that names none.
    :param pinned_image: that of Airflow's configuration.
    """

    expected: Expected
    session: Session
    warehouse: Warehouse | Unseen | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    pool: Pool | Unseen | None = None
    stage: Stage | Unseen | None = None
    model: Model | Unseen | None = None
    privileges: frozenset[Privilege] | Unseen = frozenset()
    roles: tuple[str, ...] = ()
    image: str | Unseen | None = None
    pinned_image: str | None = None


@dataclass(frozen=True, slots=True)
class AirflowFacts:
    """What was seen of this Airflow.

    :param versions: of what takes part, by distribution.
    :param unmet: requirements of this package that the installation does not meet, as ``name>=1``, with what is there.
    :param triggerers: how many send heartbeats; Unseen without Airflow's database.
    :param connection_type: of the connection; None if there is no such connection.
    :param images: ``cpu_image`` and ``gpu_image`` of the configuration, where they are set.
    """

    versions: Mapping[str, str]
    unmet: Mapping[str, str | None] = field(default_factory=dict)
    triggerers: int | Unseen = 0
    connection_type: str | None = None
    images: Mapping[str, str] = field(default_factory=dict)
