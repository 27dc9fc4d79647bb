"""Snowflake's objects as OpenLineage datasets.

Tables are named as https://openlineage.io/docs/spec/naming says, in the namespace that Airflow's Snowflake provider
uses, so that datasets of both meet. The convention has no stages and models: they are named like tables, a stage with
the path that follows it, and the facet ``datasetType`` tells them apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from airflow.providers.openlineage.sqlparser import SQLParser
from openlineage.client.event_v2 import Dataset, InputDataset, OutputDataset
from openlineage.client.facet_v2 import (
    DatasetFacet,
    OutputDatasetFacet,
    base_subset_dataset,
    dataset_type_dataset,
    dataset_version_dataset,
    extraction_error_run,
    output_statistics_output_dataset,
)

from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName, StagePath
from airflow_provider_snowflake_batch.jobs.sources import (
    JobOutput,
    Query,
    Source,
    StageListing,
    StageParquet,
    StagePaths,
    StageQuery,
    Table,
)

if TYPE_CHECKING:
    from openlineage.sql import DbTableMeta

_MOST_DIRECTORIES = 20


def table(namespace: str, name: QualifiedName) -> InputDataset:
    return InputDataset(namespace, _name(name), facets=_kind("TABLE"))


def model(namespace: str, name: QualifiedName, version: Identifier | None) -> InputDataset:
    facets = _kind("MODEL")
    if version is not None:
        facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=version.value)
    return InputDataset(namespace, _name(name), facets=facets)


def stage(namespace: str, location: StagePath) -> InputDataset:
    return InputDataset(namespace, _place(location), facets=_kind("FILE"))


def job_output(namespace: str, directory: StagePath) -> InputDataset:
    """What a job has written, read by another task: see :func:`results`."""
    read = base_subset_dataset.InputSubsetInputDatasetFacet(
        inputCondition=base_subset_dataset.LocationSubsetCondition(locations=[str(directory)])
    )
    return InputDataset(namespace, _place(_parent(directory)), facets=_kind("FILE"), inputFacets={"subset": read})


def results(namespace: str, directory: StagePath, *, rows: int | None = None, files: int | None = None) -> Dataset:
    """What a job writes.

    Each job has a directory of its own, but they all are one dataset, the location above them: otherwise no run of a
    Dag would have anything to do with the next.
    """
    facets: dict[str, OutputDatasetFacet] = {
        "subset": base_subset_dataset.OutputSubsetOutputDatasetFacet(
            outputCondition=base_subset_dataset.LocationSubsetCondition(locations=[str(directory)])
        )
    }
    return OutputDataset(
        namespace, _place(_parent(directory)), facets=_kind("FILE"), outputFacets=facets | _statistics(rows, files)
    )


def loaded(namespace: str, name: QualifiedName, *, rows: int | None = None, files: int | None = None) -> Dataset:
    """A table that was written."""
    return OutputDataset(namespace, _name(name), facets=_kind("TABLE"), outputFacets=_statistics(rows, files))


def inputs(
    namespace: str, source: Source, database: str | None, schema: str | None
) -> tuple[list[Dataset], extraction_error_run.ExtractionErrorRunFacet | None]:
    """What a job reads.

    :param database: of names in a query that have none.
    :param schema: likewise.
    :returns: the datasets, and what could not be understood of a query.
    """
    match source:
        case Query(sql):
            return _of_query(namespace, sql, database, schema)
        case Table(name):
            return [table(namespace, name)], None
        case JobOutput(location):
            return [job_output(namespace, location)], None
        case StageParquet(location) | StageListing(location):
            return [stage(namespace, location)], None
        case StageQuery(files):
            return [stage(namespace, files.location)], None
        case StagePaths(paths):
            return [stage(namespace, place) for place in _directories(paths)], None


def _of_query(
    namespace: str, sql: str, database: str | None, schema: str | None
) -> tuple[list[Dataset], extraction_error_run.ExtractionErrorRunFacet | None]:
    parsed = SQLParser(dialect="snowflake").parse([sql])
    if parsed is None:
        return [], None
    found: dict[str, Dataset] = {}
    for meta in parsed.in_tables:
        dataset = _of_table(namespace, meta, database, schema)
        if dataset is not None:
            found[dataset.name] = dataset
    if not parsed.errors:
        return [found[name] for name in sorted(found)], None
    errors = [
        extraction_error_run.Error(
            errorMessage=error.message, task=error.origin_statement, taskNumber=error.index, stackTrace=None
        )
        for error in parsed.errors
    ]
    facet = extraction_error_run.ExtractionErrorRunFacet(totalTasks=1, failedTasks=len(errors), errors=errors)
    return [found[name] for name in sorted(found)], facet


def _of_table(namespace: str, meta: DbTableMeta, database: str | None, schema: str | None) -> InputDataset | None:
    if meta.name.startswith("@"):
        try:
            location = StagePath.parse(meta.qualified_name, field="stage").qualify(database, schema)
        except InvalidJobError:
            # The stage of a user or table, or a name that the parser has split.
            return None
        return stage(namespace, location) if location.stage.is_qualified else None

    def part(text: str | None, quote: str | None) -> str | None:
        return text if text is None or quote else text.upper()

    quotes = meta.quote_style
    name = QualifiedName(
        part(meta.name, quotes.name) or "", part(meta.schema, quotes.schema), part(meta.database, quotes.database)
    ).qualify(database, schema)
    return table(namespace, name) if name.is_qualified else None


def _directories(paths: Iterable[StagePath]) -> list[StagePath]:
    """The directories of single files; of many, only the stages."""
    directories = {StagePath(path.stage, path.path.rpartition("/")[0]) for path in paths}
    if len(directories) > _MOST_DIRECTORIES:
        directories = {StagePath(path.stage) for path in directories}
    return sorted(directories, key=str)


def _parent(directory: StagePath) -> StagePath:
    return StagePath(directory.stage, directory.path.rstrip("/").rpartition("/")[0])


def _name(name: QualifiedName) -> str:
    return f"{name.database}.{name.schema}.{name.name}"


def _place(location: StagePath) -> str:
    return "/".join(part for part in (_name(location.stage), location.path.rstrip("/")) if part)


def _kind(kind: str) -> dict[str, DatasetFacet]:
    return {"datasetType": dataset_type_dataset.DatasetTypeDatasetFacet(datasetType=kind)}


def _statistics(rows: int | None, files: int | None) -> dict[str, OutputDatasetFacet]:
    if rows is None and files is None:
        return {}
    statistics = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=rows, fileCount=files)
    return {"outputStatistics": statistics}
