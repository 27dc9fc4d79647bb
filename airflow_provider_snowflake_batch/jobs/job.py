"""The kinds of jobs, each ready to be written as one statement, and the names we give to jobs."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from airflow_provider_snowflake_batch.contract.output_layout import STAGED_INPUT
from airflow_provider_snowflake_batch.jobs.batch_job import JobStatements, ModelFunction
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName, StagePath
from airflow_provider_snowflake_batch.jobs.qualify import Namespace
from airflow_provider_snowflake_batch.jobs.runtimes import refuse_worker_fields
from airflow_provider_snowflake_batch.jobs.sources import (
    DEFAULT_COLUMN,
    JobOutput,
    Source,
    StageListing,
    StageParquet,
    StagePaths,
    parse_source,
    plain_source,
)
from airflow_provider_snowflake_batch.jobs.specs import (
    InferenceEngineOptions,
    InputSpec,
    JobSpec,
    OutputSpec,
)

JOB_NAME_PREFIX = "BATCH"
# Longer names are legal, but the job's name is also a directory and a DNS label in logs and pages.
MAX_JOB_NAME_LENGTH = 120

# Fields of JobSpec that do not reach the job. The warehouse runs the operator's own statements.
_FIELDS_OF_THE_TASK = ("job_name_prefix", "warehouse")


class ScoringJob:
    """What jobs that score rows have in common, whatever scores them.

    :cvar SIZE_FIELDS: of a :class:`JobSpec`: what the job runs on. The same rows come out whatever these are.
    """

    SIZE_FIELDS: ClassVar[tuple[str, ...]]

    name: QualifiedName
    compute_pool: Identifier
    output: OutputSpec
    settings: JobSpec
    reader: tuple[tuple[str, str], ...]

    def under_name(self, name: QualifiedName) -> Self:
        """The same job under another name."""
        return replace(self, name=name)  # type: ignore[type-var]  # each kind is a dataclass

    @property
    def sizing(self) -> dict[str, Any]:
        settings = self.settings.to_dict()
        given = {name: settings[name] for name in self.SIZE_FIELDS if name in settings}
        return {"compute_pool": str(self.compute_pool), "replicas": 1} | given

    @property
    def identifying_settings(self) -> dict[str, Any]:
        """The settings that are part of the job's fingerprint: all but those that are known to be about its size."""
        others = (*self.SIZE_FIELDS, *_FIELDS_OF_THE_TASK)
        return {name: value for name, value in self.settings.to_dict().items() if name not in others}

    def hash_of(self, described: Mapping[str, Any]) -> str:
        """The fingerprint of what is described and of the session that reads the rows."""
        return hash_of({**described, "reader": dict(self.reader)} if self.reader else described)

    @property
    def has_fixed_name(self) -> bool:
        return self.settings.job_name is not None

    @property
    def name_prefix(self) -> str:
        return self.settings.job_name_prefix or JOB_NAME_PREFIX

    @property
    def output_directory(self) -> StagePath:
        """``<stage_location>/<job name>/``: what this job alone writes."""
        return self.output.location.child(self.name.name).directory()

    @property
    def staged_input(self) -> StagePath:
        """Where rows lie that were put on the stage for this job."""
        return staged_input(self.output_directory)


@dataclass(frozen=True)
class RegistryJob(ScoringJob):
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
    :param reader: database, schema and role of the session, as far as they decide what the source reads.
    :raises InvalidJobError: if the input lies inside the output directory, or the other way round.
    """

    SIZE_FIELDS: ClassVar[tuple[str, ...]] = (
        "cpu_requests",
        "memory_requests",
        "gpu_requests",
        "num_workers",
        "max_batch_rows",
        "replicas",
        "image_repo",
        "force_rebuild",
    )

    name: QualifiedName
    model: QualifiedName
    version: Identifier | None
    source: Source
    compute_pool: Identifier
    output: OutputSpec
    input: InputSpec = field(default_factory=InputSpec)
    settings: JobSpec = field(default_factory=JobSpec)
    engine: InferenceEngineOptions = field(default_factory=InferenceEngineOptions)
    reader: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.source, StageParquet) and self.source.location != self.staged_input:
            refuse_overlap(self.source.location, self.output.location)
        if isinstance(self.source, JobOutput) and self.source.location == self.output_directory:
            raise InvalidJobError("X", f"{self.source.location} is this job's own output.")

    @classmethod
    def parse(
        cls,
        *,
        name: str,
        model_name: str,
        X: Any,
        compute_pool: str,
        output_spec: OutputSpec | Mapping[str, Any],
        version_name: str | None = None,
        function_name: str | None = None,
        input_spec: InputSpec | Mapping[str, Any] | None = None,
        job_spec: JobSpec | Mapping[str, Any] | None = None,
        inference_engine_options: InferenceEngineOptions | Mapping[str, Any] | None = None,
    ) -> RegistryJob:
        """The job from values as a user writes them. Names may still lack database and schema.

        :raises InvalidJobError: on the first value that is wrong.
        """
        settings, given_input, output = JobSpec.of(job_spec), InputSpec.of(input_spec), OutputSpec.of(output_spec)
        for spec in (settings, output):
            refuse_worker_fields(spec.label, spec)
        if function_name is not None:
            if settings.function_name not in (None, function_name):
                raise InvalidJobError(
                    "function_name", f"{function_name!r} differs from job_spec.function_name: give it once."
                )
            settings = replace(settings, function_name=function_name)
        return cls(
            name=QualifiedName.parse(name, field="job_spec.job_name", allow_quoted=False),
            model=QualifiedName.parse(model_name, field="model_name"),
            version=Identifier.parse(version_name, field="version_name") if version_name is not None else None,
            source=with_column(parse_source(X), given_input),
            compute_pool=Identifier.parse(compute_pool, field="compute_pool"),
            output=output,
            input=given_input,
            settings=settings,
            engine=InferenceEngineOptions.of(inference_engine_options),
        )

    def qualify(self, database: str | None, schema: str | None, role: str | None = None) -> RegistryJob:
        """The same job with the missing parts of its names filled in: what is sent must not depend on a session.

        :raises InvalidJobError: if a name is partial and there is nothing to fill in.
        """
        names = Namespace(database, schema, role)
        return replace(
            self,
            source=names.source(self.source),
            output=names.output(self.output),
            name=names.name(self.name, "job_spec.job_name"),
            model=names.name(self.model, "model_name"),
            reader=names.decides(self.source),
        )

    def as_submitted(self, version: str | None, function: str | None) -> RegistryJob:
        """The same job with the version and function that a submitted one has; None leaves what the job has."""
        job = self
        if version is not None:
            job = replace(job, version=Identifier.parse(version, field="version_name"))
        if function is not None:
            job = replace(job, settings=replace(job.settings, function_name=function))
        return job

    def resuming(self, output_directory: StagePath) -> RegistryJob:
        """The same job: Snowflake's runtime begins anew, in a directory of its own."""
        return self

    @property
    def can_resume(self) -> bool:
        return False

    def fingerprint(self) -> str:
        """A hash of which rows are scored by what, and into where; see :class:`BatchJob`.

        Fields are hashed as plain values rather than as SQL, so that it stays the same when a statement is written
        differently.
        """
        return self.hash_of(self._described())

    def _described(self) -> dict[str, Any]:
        return {
            "model": str(self.model),
            "version": str(self.version),
            "source": plain_source(self.source),
            "output": self.output.to_dict(),
            "input": self.input.to_dict(),
            "settings": self.identifying_settings,
            "engine": self.engine.to_dict(),
        }

    def older_fingerprints(self) -> tuple[str, ...]:
        """Up to version 0.1 the fingerprint covered everything but the name, so also the size.

        A record of such a version holds no sizing. Compared with it, the same job in another size is another job.
        Another earlier version did not cover the session that reads the rows.
        """
        described = {
            "model": str(self.model),
            "version": str(self.version),
            "source": plain_source(self.source),
            "compute_pool": str(self.compute_pool),
            "specs": [spec.to_dict() for spec in (self.output, self.input, self.settings, self.engine)],
        }
        return (hash_of(described), hash_of(self._described()))

    def submission(self) -> JobStatements:
        """One ``EXECUTE INFERENCE JOB SERVICE``."""
        # Imported here, so that parsing a Dag does not load PyYAML.
        from airflow_provider_snowflake_batch.jobs import statements

        return JobStatements(statements.execute_inference_job(self), tuple(statements.before_inference_job(self)))

    @property
    def model_function(self) -> ModelFunction:
        return ModelFunction(self.model, self.version, self.settings.function_name)


@dataclass(frozen=True)
class ContainerJob:
    """A job of any container image (``EXECUTE JOB SERVICE``). It has no rows and no output that we would know of.

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

    def submission(self) -> JobStatements:
        """One ``EXECUTE JOB SERVICE``."""
        from airflow_provider_snowflake_batch.jobs import statements

        return JobStatements(statements.execute_job(self))


def hash_of(described: Mapping[str, Any]) -> str:
    """A hash of plain JSON values."""
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def staged_input(output_directory: StagePath) -> StagePath:
    """``<stage_location>/_snowflake_temporary/<job name>/``: rows that are too many for the job's statement.

    :param output_directory: the job's own, ``<stage_location>/<job name>/``.
    """
    parent, _, name = output_directory.path.rstrip("/").rpartition("/")
    return StagePath(output_directory.stage, parent).child(STAGED_INPUT).child(name).directory()


def with_column(source: Source, given: InputSpec) -> Source:
    """A list of files that names no column gets the only column of ``column_handling``, or else the default one."""
    if not isinstance(source, (StagePaths, StageListing)) or source.column_name is not None:
        return source
    handled = list(given.column_handling or ())
    if len(handled) != 1:
        return replace(source, column_name=DEFAULT_COLUMN)
    return replace(source, column_name=Identifier.column(handled[0], field="input_spec.column_handling"))


def refuse_overlap(source: StagePath, output: StagePath) -> None:
    """:raises InvalidJobError: if one of the two locations lies inside the other."""
    if output.contains(source):
        raise InvalidJobError(
            "output_spec.stage_location",
            f"the input {source} lies inside the output {output}, which Snowflake refuses: give the output a directory "
            "of its own, beside the input.",
        )
    if source.contains(output):
        raise InvalidJobError(
            "output_spec.stage_location",
            f"the output {output} lies inside the input {source}: a later run would read these results as input. "
            "Give the output a directory of its own.",
        )


def generate_job_name(*parts: str, prefix: str = JOB_NAME_PREFIX, suffix: str | None = None) -> str:
    """A unique, unquoted job name: ``<prefix>_<parts>_<suffix>``, upper case, cut to fit.

    :param parts: for example the Dag's id and the task's id; characters that a name cannot have become ``_``.
    :param suffix: makes it unique; never cut. Default: 8 random hexadecimal digits.
    """
    suffix = suffix or secrets.token_hex(4).upper()
    clean = [re.sub(r"[^A-Z0-9]+", "_", part.upper()).strip("_") for part in (prefix, *parts)]
    head = "_".join(part for part in clean if part)
    if not head or not (head[0].isalpha()):
        head = f"{JOB_NAME_PREFIX}_{head}".rstrip("_")
    return f"{head[: MAX_JOB_NAME_LENGTH - len(suffix) - 1].rstrip('_')}_{suffix}"


# Its name in version 0.1.
InferenceJob = RegistryJob
