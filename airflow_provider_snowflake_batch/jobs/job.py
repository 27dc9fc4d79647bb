"""A whole job, ready to be written as one statement, and the names we give to jobs."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName, StagePath
from airflow_provider_snowflake_batch.jobs.sources import Source, StageParquet
from airflow_provider_snowflake_batch.jobs.specs import (
    InferenceEngineOptions,
    InputSpec,
    JobSpec,
    OutputSpec,
)

JOB_NAME_PREFIX = "BATCH"
# Longer names are legal, but the job's name is also a directory and a DNS label in logs and pages.
MAX_JOB_NAME_LENGTH = 120

SUCCESS_FILE = "_SUCCESS"
MANIFEST_FILE = "_manifest.json"


@dataclass(frozen=True)
class InferenceJob:
    """A batch inference job of a registered model (``EXECUTE INFERENCE JOB SERVICE``).

    :param name: the job; unquoted parts only.
    :param model: the model in the registry.
    :param version: version or alias; None for the model's default version.
    :param source: the input rows.
    :param compute_pool: where it runs.
    :param output: where the results go.
    :param input: how the input reaches the model.
    :param settings: size and run-time settings.
    :param engine: inference engine and its arguments.
    :raises InvalidJobError: if the input lies inside the output directory, or the other way round.
    """

    name: QualifiedName
    model: QualifiedName
    version: Identifier | None
    source: Source
    compute_pool: Identifier
    output: OutputSpec
    input: InputSpec = field(default_factory=InputSpec)
    settings: JobSpec = field(default_factory=JobSpec)
    engine: InferenceEngineOptions = field(default_factory=InferenceEngineOptions)

    def __post_init__(self) -> None:
        if isinstance(self.source, StageParquet):
            refuse_overlap(self.source.location, self.output.location)

    @property
    def output_directory(self) -> StagePath:
        """``<stage_location>/<job name>/``: what this job alone writes."""
        return self.output.location.child(self.name.name).directory()


@dataclass(frozen=True)
class ContainerJob:
    """A job of any container image (``EXECUTE JOB SERVICE``).

    :param name: the job; unquoted parts only.
    :param compute_pool: where it runs.
    :param specification: the service specification as a dict (``{"spec": {"containers": […]}}``).
    :param replicas: containers that share the work.
    :param query_warehouse: warehouse of queries that the container runs.
    :param external_access_integrations: names, case-sensitive.
    :param comment: free text kept with the job.
    """

    name: QualifiedName
    compute_pool: Identifier
    specification: Mapping[str, Any]
    replicas: int = 1
    query_warehouse: Identifier | None = None
    external_access_integrations: Sequence[Identifier] = ()
    comment: str | None = None


def refuse_overlap(source: StagePath, output: StagePath) -> None:
    """:raises InvalidJobError: if one of the two locations lies inside the other."""
    if output.contains(source):
        raise InvalidJobError(
            "output_spec.stage_location",
            f"the input {source} lies inside the output {output}: the job would read its own results. "
            "Give the output a directory of its own.",
        )
    if source.contains(output):
        raise InvalidJobError(
            "output_spec.stage_location",
            f"the output {output} lies inside the input {source}: a later run would read these results as input. "
            "Give the output a directory of its own.",
        )


def generate_job_name(*parts: str, prefix: str = JOB_NAME_PREFIX) -> str:
    """A unique, unquoted job name: ``<prefix>_<parts>_<8 hex>``, upper case, cut to fit.

    :param parts: for example the Dag's id and the task's id; characters that a name cannot have become ``_``.
    """
    suffix = secrets.token_hex(4).upper()
    clean = [re.sub(r"[^A-Z0-9]+", "_", part.upper()).strip("_") for part in (prefix, *parts)]
    head = "_".join(part for part in clean if part)
    if not head or not (head[0].isalpha()):
        head = f"{JOB_NAME_PREFIX}_{head}".rstrip("_")
    return f"{head[: MAX_JOB_NAME_LENGTH - 9].rstrip('_')}_{suffix}"
