"""What of an Airflow stands in a job's way: facts in, findings out."""

from __future__ import annotations

from collections.abc import Iterator

from airflow_provider_snowflake_batch.doctor.facts import AirflowFacts, Unseen
from airflow_provider_snowflake_batch.doctor.findings import Finding, ok, unknown, wrong
from airflow_provider_snowflake_batch.jobs.runtime_images import problem_with_image

CONNECTION_TYPE = "snowflake"


def check_airflow(conn_id: str, facts: AirflowFacts) -> list[Finding]:
    """Everything that was seen of this Airflow, judged."""
    return [
        *_check_versions(facts),
        *_check_triggerer(facts),
        *_check_configuration(facts),
        *_check_connection(conn_id, facts),
    ]


def _check_versions(facts: AirflowFacts) -> Iterator[Finding]:
    for requirement, there in facts.unmet.items():
        has = f"there is {there}" if there else "it is not installed"
        yield wrong("versions", f"{requirement} is needed, {has}", f"pip install '{requirement}'")
    if not facts.unmet:
        yield ok("versions", ", ".join(f"{name} {version}" for name, version in facts.versions.items()))


def _check_triggerer(facts: AirflowFacts) -> Iterator[Finding]:
    if isinstance(facts.triggerers, Unseen):
        yield unknown("triggerer", f"Airflow's database cannot be asked whether one runs: {facts.triggerers.why}")
    elif facts.triggerers:
        yield ok("triggerer", f"{facts.triggerers} running")
    else:
        yield unknown(
            "triggerer", "none is running: tasks with deferrable=True would wait for one", "airflow triggerer"
        )


def _check_configuration(facts: AirflowFacts) -> Iterator[Finding]:
    problems = [
        wrong(
            "configuration",
            f"[snowflake_batch] {option} = {image}: {problem}",
            f"export AIRFLOW__SNOWFLAKE_BATCH__{option.upper()}=/database/schema/repository/name:tag",
        )
        for option, image in facts.images.items()
        if (problem := problem_with_image(image)) is not None
    ]
    given = ", ".join(f"{option} = {image}" for option, image in facts.images.items())
    yield from problems or [ok("configuration", f"[snowflake_batch] {given or 'is at its defaults'}")]


def _check_connection(conn_id: str, facts: AirflowFacts) -> Iterator[Finding]:
    if facts.connection_type is None:
        yield wrong(
            "connection",
            f"there is no connection {conn_id}",
            f"airflow connections add {conn_id} --conn-type {CONNECTION_TYPE} --conn-login <user> --conn-extra "
            '\'{"account": "<organization>-<account>", "role": "<role>", "warehouse": "<warehouse>", '
            '"database": "<database>", "private_key_file": "<path>"}\' --conn-schema <schema>',
        )
    elif facts.connection_type != CONNECTION_TYPE:
        yield wrong("connection", f"{conn_id} is of type {facts.connection_type}, not {CONNECTION_TYPE}")
    else:
        yield ok("connection", conn_id)
