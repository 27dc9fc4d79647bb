"""Looks at this Airflow; nothing is judged here, nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement

from airflow_provider_snowflake_batch.doctor.facts import AirflowFacts, Unseen

_DISTRIBUTION = "airflow-provider-snowflake-batch"
_SHOWN = (
    "apache-airflow-core",
    _DISTRIBUTION,
    "apache-airflow-providers-snowflake",
    "snowflake-connector-python",
)
_SECTION = "snowflake_batch"


def look_at_airflow(conn_id: str) -> AirflowFacts:
    """Installed versions, triggerers, configuration and whether there is the connection."""
    from airflow.sdk.configuration import conf

    options = {option: conf.get(_SECTION, option, fallback=None) for option in ("cpu_image", "gpu_image")}
    return AirflowFacts(
        versions={name: version for name in _SHOWN if (version := _version(name)) is not None},
        unmet=dict(_unmet()),
        triggerers=_triggerers(),
        connection_type=_connection_type(conn_id),
        images={option: image for option, image in options.items() if image},
    )


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _unmet() -> Iterator[tuple[str, str | None]]:
    """Requirements that pip would have met, but that somebody has changed since."""
    for text in metadata.requires(_DISTRIBUTION) or ():
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        there = _version(requirement.name)
        if there is None or not requirement.specifier.contains(there, prereleases=True):
            yield f"{requirement.name}{requirement.specifier}", there


def _triggerers() -> int | Unseen:
    """How many triggerers send heartbeats, which they do to Airflow's database."""
    from airflow.jobs.job import Job, JobState
    from airflow.utils.session import create_session
    from sqlalchemy import select

    try:
        with create_session() as session:
            running = session.scalars(
                select(Job).where(Job.job_type == "TriggererJob", Job.state == JobState.RUNNING)
            ).all()
            return sum(1 for job in running if job.is_alive())
    except Exception as error:
        return Unseen(str(error).strip().splitlines()[0])


def _connection_type(conn_id: str) -> str | None:
    from airflow.models.connection import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        return str(Connection.get_connection_from_secrets(conn_id).conn_type)
    except AirflowNotFoundException:
        return None
