"""Which privileges a job needs, and which of them a role lacks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_snowflake_batch.doctor.facts import REGISTRY, WORKER, Asked, Privilege, Session
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName
from airflow_provider_snowflake_batch.jobs.runtime_images import repository
from airflow_provider_snowflake_batch.jobs.worker_resources import SYSTEM_POOLS

_JOBS = "sql-reference/sql/execute-job-service"
_INFERENCE = "sql-reference/sql/execute-inference-job-service"
# Kinds of objects that SHOW GRANTS calls by another name.
_KINDS_SHOWN_OTHERWISE = {"MODULE": "MODEL"}
# Any privilege on one of these includes its use
# (https://docs.snowflake.com/en/sql-reference/sql/execute-job-service#access-control-requirements).
_ANY_PRIVILEGE_IS_USAGE = {"DATABASE", "SCHEMA"}


@dataclass(frozen=True, slots=True)
class Need:
    """A privilege that a job needs.

    :param kind: of the object: ``COMPUTE POOL``.
    :param why: what cannot be done without it.
    :param source: the page below https://docs.snowflake.com/en/ that says so.
    :param optional: only some jobs need it.
    """

    privilege: str
    kind: str
    name: QualifiedName
    why: str
    source: str
    optional: bool = False

    def is_met_by(self, held: Privilege) -> bool:
        if (held.kind, held.name) != (self.kind, parts(self.name)):
            return False
        if self.privilege == "USAGE" and self.kind in _ANY_PRIVILEGE_IS_USAGE:
            return True
        return held.privilege in (self.privilege, "OWNERSHIP")


def parts(name: QualifiedName) -> tuple[str, ...]:
    return tuple(part for part in (name.database, name.schema, name.name) if part is not None)


def needs(asked: Asked, session: Session, image: str | None = None) -> list[Need]:
    """The privileges for what was asked about, and for the session's own warehouse and schema.

    :param image: that the worker is to run in, if it is none that the account tells.
    """
    statement = _INFERENCE if asked.runtime == REGISTRY else _JOBS
    found = []
    if session.warehouse is not None:
        found.append(
            Need(
                "USAGE",
                "WAREHOUSE",
                QualifiedName(session.warehouse),
                "queries run on it",
                "user-guide/security-access-control-privileges",
            )
        )
    for database, schema in _namespaces(asked, session):
        found.append(Need("USAGE", "DATABASE", QualifiedName(database), "it holds what the job names", statement))
        if schema is not None:
            found.append(
                Need("USAGE", "SCHEMA", QualifiedName(schema, database), "it holds what the job names", statement)
            )
    if session.database is not None and session.schema is not None:
        home = QualifiedName(session.schema, session.database)
        found.append(Need("CREATE SERVICE", "SCHEMA", home, "jobs live in it", statement))
        why = "for stage Parquet as input, other jobs' results as input, and comparing types before loading"
        found.append(
            Need("CREATE FILE FORMAT", "SCHEMA", home, why, "sql-reference/sql/create-file-format", optional=True)
        )
    # Every role may use Snowflake's own pools.
    if asked.compute_pool is not None and not asked.compute_pool.value.startswith(SYSTEM_POOLS):
        found.append(
            Need("USAGE", "COMPUTE POOL", QualifiedName(asked.compute_pool.value), "the job runs on it", statement)
        )
    if asked.stage is not None:
        stage = asked.stage.stage
        found.append(Need("READ", "STAGE", stage, "tasks list and read it", "sql-reference/sql/list"))
        found.append(Need("WRITE", "STAGE", stage, "the job writes its results there", statement))
    if asked.model is not None and asked.runtime != WORKER:
        found.append(Need("USAGE", "MODEL", asked.model, "the job runs it", _INFERENCE))
    elif asked.model is not None:
        # The documentation does not say plainly that it is this privilege.
        page = "developer-guide/snowflake-ml/model-registry/overview"
        found.append(Need("READ", "MODEL", asked.model, "its files are copied", page, optional=True))
    if image is not None and (own := repository(image)) is not None:
        found.append(Need("READ", "IMAGE REPOSITORY", own, "the image is pulled from it", _JOBS))
    return list(dict.fromkeys(found))


def _namespaces(asked: Asked, session: Session) -> list[tuple[str, str | None]]:
    """Databases and schemas that the job's names lie in, each once, the session's first."""
    named = [asked.stage.stage] if asked.stage is not None else []
    named += [asked.model] if asked.model is not None else []
    pairs = [(session.database, session.schema), *((name.database, name.schema) for name in named)]
    return list(dict.fromkeys((database, schema) for database, schema in pairs if database is not None))


def missing(wanted: Iterable[Need], held: Iterable[Privilege]) -> list[Need]:
    known = list(held)
    return [need for need in wanted if not any(need.is_met_by(one) for one in known)]


def privilege(row: Mapping[str, Any]) -> Privilege:
    """A row of SHOW GRANTS TO ROLE.

    :param row: names of its columns in lower case.
    """
    kind = str(row["granted_on"]).replace("_", " ")
    return Privilege(str(row["privilege"]), _KINDS_SHOWN_OTHERWISE.get(kind, kind), parts(_shown_name(row)))


def inherited(rows: Iterable[Mapping[str, Any]]) -> list[QualifiedName]:
    """The roles whose privileges a role has beside its own. A role that it only owns gives it none.

    Names of a database's roles have two parts.
    """
    return [
        _shown_name(row)
        for row in rows
        if row["granted_on"] in ("ROLE", "DATABASE_ROLE") and row["privilege"] == "USAGE"
    ]


def _shown_name(row: Mapping[str, Any]) -> QualifiedName:
    shown = str(row["name"])
    try:
        return QualifiedName.parse(shown, field="name")
    except InvalidJobError:
        # A function's name has its arguments behind it.
        return QualifiedName(shown)
