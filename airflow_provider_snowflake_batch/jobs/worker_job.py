"""The job of this package's worker: a container that scores rows with a model that is in no registry.

Snowflake is sent ``EXECUTE JOB SERVICE`` with the worker's archive in one of Snowflake's images. What the container
reads and writes is below the job's output location:

============================================================ =========================================================
``_batch_worker/batch-worker-<version>-<digest>.pyz``        the worker
``_batch_worker/code-<digest>.zip``                          the model's code
``_batch_worker/model-<digest>.<ending>``                    the model's own file, or its folder
``_batch_worker/<directory>/<job>/JOB-<digest>.json``        what the worker is to do
``_snowflake_temporary/<directory>/<attempt>/``              the rows of a query or table
``<directory>/``                                             the results
============================================================ =========================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from airflow_provider_snowflake_batch.contract.job_file import JOB_FILE
from airflow_provider_snowflake_batch.jobs.batch_job import JobStatements, ModelFunction
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName, StagePath
from airflow_provider_snowflake_batch.jobs.job import ContainerJob, ScoringJob, hash_of, refuse_overlap, with_column
from airflow_provider_snowflake_batch.jobs.models import ModelSpec, RegistryModel, parse_model
from airflow_provider_snowflake_batch.jobs.qualify import Namespace
from airflow_provider_snowflake_batch.jobs.runtimes import refuse_registry_fields
from airflow_provider_snowflake_batch.jobs.sources import (
    JobOutput,
    Query,
    Source,
    StageListing,
    StageParquet,
    StagePaths,
    StageQuery,
    Table,
    parse_source,
    plain_source,
)
from airflow_provider_snowflake_batch.jobs.specs import InputSpec, JobSpec, OutputSpec
from airflow_provider_snowflake_batch.jobs.worker_resources import ContainerSize

WORKER_FOLDER = "_batch_worker"


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the container runs, which only the account tells.

    :param image: with its tag.
    :param size: what the container gets of a node.
    """

    image: str
    size: ContainerSize


@dataclass(frozen=True, slots=True)
class Upload:
    """Which files of the job lie on its output stage.

    :param archive: name of the worker's archive, in the worker's folder.
    :param python_path: names of the code's archives there, in the order of the model's places; None for a place on a
        stage.
    :param model: name there of the model's own file, or of its folder's archive; None if it lies on a stage.
    :param rows: where the rows of a query or table were put; None where the job reads its input in place.
    :param types: their columns, and the SQL types that these had.
    :param job_file: name of the job file, in the job's folder. It is another one for other content, since a try that
        Airflow has given up may still upload its own: the file that a running job's containers read must not change.
    """

    archive: str
    python_path: tuple[str | None, ...] = ()
    rows: StagePath | None = None
    model: str | None = None
    types: tuple[tuple[str, str], ...] = ()
    job_file: str = JOB_FILE


@dataclass(frozen=True)
class WorkerJob(ScoringJob):
    """A batch that this package's worker scores (``EXECUTE JOB SERVICE``).

    :param name: the job; unquoted parts only.
    :param model: what scores the rows.
    :param source: the input rows.
    :param compute_pool: where it runs.
    :param output: where the results go.
    :param input: how the input reaches the model.
    :param settings: size and run-time settings.
    :param code_folder: where relative paths of the model's code begin.
    :param resumed: the output directory, if it is an earlier job's whose finished work is to be kept.
    :param placement: known once the account was asked.
    :param upload: known once the files are on the stage.
    :param reader: database, schema and role of the session, as far as they decide what the source reads.
    :raises InvalidJobError: if input and output lie inside each other, or two fields do not go together.
    """

    SIZE_FIELDS: ClassVar[tuple[str, ...]] = (
        "cpu_requests",
        "memory_requests",
        "gpu_requests",
        "num_workers",
        "max_batch_rows",
        "replicas",
        "executor",
        "min_replicas",
        "max_task_rows",
        "image",
        "secrets",
        "external_access_integrations",
        "query_warehouse",
        "block_volume",
    )

    name: QualifiedName
    model: ModelSpec
    source: Source
    compute_pool: Identifier
    output: OutputSpec
    input: InputSpec = field(default_factory=InputSpec)
    settings: JobSpec = field(default_factory=JobSpec)
    code_folder: str | None = None
    resumed: StagePath | None = None
    placement: Placement | None = None
    upload: Upload | None = None
    reader: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.source, StageParquet):
            refuse_overlap(self.source.location, self.output.location)
        if isinstance(self.source, JobOutput) and self.source.location == self.output_directory:
            raise InvalidJobError("X", f"{self.source.location} is this job's own output.")
        names_its_stages = isinstance(self.source, (StagePaths, StageListing))
        if self.input.column_handling and not names_its_stages and not self.settings.stages:
            raise InvalidJobError(
                "job_spec.stages",
                "name the stages of the files that the rows name (column_handling), which have to be mounted: "
                "['@database.schema.stage'].",
            )
        if self.output.columns is not None and self.input.partition_column is not None:
            raise InvalidJobError("output_spec.columns", "it does not go together with input_spec.partition_column.")

    @classmethod
    def parse(
        cls,
        *,
        name: str,
        model: Any,
        X: Any,
        compute_pool: str,
        output_spec: OutputSpec | Mapping[str, Any],
        input_spec: InputSpec | Mapping[str, Any] | None = None,
        job_spec: JobSpec | Mapping[str, Any] | None = None,
        code_folder: str | None = None,
    ) -> WorkerJob:
        """The job from values as a user writes them. Names may still lack database and schema.

        :raises InvalidJobError: on the first value that is wrong.
        """
        settings, given_input = JobSpec.of(job_spec), InputSpec.of(input_spec)
        refuse_registry_fields(settings.label, settings)
        source = with_column(parse_source(X), given_input)
        return cls(
            name=QualifiedName.parse(name, field="job_spec.job_name", allow_quoted=False),
            model=parse_model(model),
            source=source,
            compute_pool=Identifier.parse(compute_pool, field="compute_pool"),
            output=OutputSpec.of(output_spec),
            input=given_input,
            settings=settings,
            code_folder=code_folder,
        )

    def qualify(self, database: str | None, schema: str | None, role: str | None = None) -> WorkerJob:
        """The same job with the missing parts of its names filled in.

        :raises InvalidJobError: if a name is partial and there is nothing to fill in.
        """
        names = Namespace(database, schema, role)
        settings = self.settings
        if settings.stages is not None:
            field = "job_spec.stages"
            full = [names.location(StagePath.parse(stage, field=field), field) for stage in settings.stages]
            settings = replace(settings, stages=tuple(map(str, full)))
        if settings.secrets is not None:
            from airflow_provider_snowflake_batch.jobs import container_settings

            settings = replace(settings, secrets=container_settings.qualified_secrets(settings.secrets, names))
        return replace(
            self,
            source=names.source(self.source),
            output=names.output(self.output),
            name=names.name(self.name, "job_spec.job_name"),
            model=_qualified(self.model, names),
            settings=settings,
            reader=names.decides(self.source),
        )

    def as_submitted(self, version: str | None, function: str | None) -> WorkerJob:
        """The same job with the version that a submitted one has, of a registered model; None leaves what it has."""
        if version is None or not isinstance(self.model, RegistryModel):
            return self
        return replace(self, model=replace(self.model, version=version))

    @property
    def can_resume(self) -> bool:
        return True

    def resuming(self, output_directory: StagePath) -> WorkerJob:
        """The same job, which goes on with what an earlier one has left in its output directory."""
        return replace(self, resumed=output_directory)

    def fingerprint(self) -> str:
        """A hash of which rows are scored by what, and into where; see
        :class:`~airflow_provider_snowflake_batch.jobs.batch_job.BatchJob`.

        It covers where code lies, not its content: the worker compares the content when it goes on with finished tasks.
        """
        return self.hash_of(self._described())

    def _described(self) -> dict[str, Any]:
        return {
            "model": self.model.to_dict(),
            "source": plain_source(self.source),
            "output": self.output.to_dict(),
            "input": self.input.to_dict(),
            "settings": self.identifying_settings,
        }

    def older_fingerprints(self) -> tuple[str, ...]:
        """An earlier version did not cover the session that reads the rows."""
        return (hash_of(self._described()),)

    def submission(self) -> JobStatements:
        """One ``EXECUTE JOB SERVICE``."""
        from airflow_provider_snowflake_batch.jobs.worker_specification import specification

        settings = self.settings
        warehouse = settings.query_warehouse
        return ContainerJob(
            name=self.name,
            compute_pool=self.compute_pool,
            specification=specification(self),
            replicas=int(settings.replicas or 1),
            query_warehouse=Identifier.parse(warehouse, field="job_spec.query_warehouse") if warehouse else None,
            external_access_integrations=[
                Identifier.parse(name, field="job_spec.external_access_integrations")
                for name in settings.external_access_integrations or ()
            ],
        ).submission()

    @property
    def model_function(self) -> ModelFunction:
        if not isinstance(self.model, RegistryModel):
            return ModelFunction(str(self.model), None, self.model.function)
        name, version = QualifiedName.parse(self.model.name, field="model.name"), self.model.version
        chosen = Identifier.parse(version, field="model.version") if version is not None else None
        return ModelFunction(name, chosen, self.model.function)

    @property
    def output_directory(self) -> StagePath:
        """``<stage_location>/<job name>/``, or that of an earlier job which this one resumes."""
        return self.resumed or super().output_directory

    @property
    def reads_in_place(self) -> bool:
        """Whether the input is Parquet on a stage that the container reads where it lies."""
        return isinstance(self.source, StageParquet) and not self.source.needs_query

    @property
    def unloads(self) -> bool:
        """Whether a warehouse has to put the rows on the stage first."""
        in_rows = isinstance(self.source, (Query, Table, StageQuery, JobOutput))
        return in_rows or (isinstance(self.source, StageParquet) and self.source.needs_query)

    @property
    def worker_folder(self) -> StagePath:
        """What all jobs of the output location share: archives of the worker and of code."""
        return self.output.location.child(WORKER_FOLDER).directory()

    @property
    def job_folder(self) -> StagePath:
        """The job's own folder there, which its replicas use as well."""
        return job_files(self.output_directory).child(self.name.name).directory()

    @property
    def job_file(self) -> StagePath:
        name = self.upload.job_file if self.upload is not None else JOB_FILE
        return self.job_folder.child(name)


def job_files(output_directory: StagePath) -> StagePath:
    """``<stage_location>/_batch_worker/<directory>/``: the job files of the jobs that write into a directory.

    :param output_directory: ``<stage_location>/<directory>/``.
    """
    parent, _, name = output_directory.path.rstrip("/").rpartition("/")
    return StagePath(output_directory.stage, parent).child(WORKER_FOLDER).child(name).directory()


def _qualified(model: ModelSpec, names: Namespace) -> ModelSpec:
    """The model with database and schema in its places on stages."""

    def full(place: str, field: str) -> str:
        return str(names.location(StagePath.parse(place, field=field), field)) if place.startswith("@") else place

    code = [full(place, "model.code") for place in model.code_places]
    file = full(model.file, "model.path") if model.file else None
    if code != list(model.code_places) or file != model.file:
        model = model.at(code, file)
    if isinstance(model, RegistryModel):
        name = names.name(QualifiedName.parse(model.name, field="model.name"), "model.name")
        model = replace(model, name=str(name))
    return model
