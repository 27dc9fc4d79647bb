"""Names of a job with their missing parts filled in: what is sent must not depend on a session."""

from __future__ import annotations

from dataclasses import dataclass, replace

from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName, StagePath
from airflow_provider_snowflake_batch.jobs.sources import (
    JobOutput,
    Query,
    Source,
    StageListing,
    StageParquet,
    StagePaths,
    Table,
)
from airflow_provider_snowflake_batch.jobs.specs import OutputSpec


@dataclass(frozen=True, slots=True)
class Namespace:
    """Where partial names belong, and who reads: as Snowflake stores them, None where there is none."""

    database: str | None
    schema: str | None
    role: str | None = None

    def name(self, given: QualifiedName, field: str) -> QualifiedName:
        """:raises InvalidJobError: if the name is partial and there is nothing to fill in."""
        full = given.qualify(self.database, self.schema)
        if not full.is_qualified:
            raise InvalidJobError(
                field,
                f"{given} has no database or schema, and the connection has none either: write "
                "database.schema.name, or set both on the connection or the operator.",
            )
        return full

    def location(self, given: StagePath, field: str) -> StagePath:
        """:raises InvalidJobError: if the stage's name is partial and there is nothing to fill in."""
        return replace(given, stage=self.name(given.stage, field))

    def output(self, given: OutputSpec) -> OutputSpec:
        """:raises InvalidJobError: if its stage's name is partial and there is nothing to fill in."""
        return replace(given, stage_location=str(self.location(given.location, "output_spec.stage_location")))

    def source(self, source: Source) -> Source:
        """:raises InvalidJobError: if a name in it is partial and there is nothing to fill in."""
        match source:
            case Table():
                return replace(source, name=self.name(source.name, "X"))
            case StageParquet(file_format=None) | StageListing() | JobOutput():
                return replace(source, location=self.location(source.location, "X"))
            case StageParquet(file_format=QualifiedName() as given):
                file_format = self.name(given, "X.file_format")
                return replace(source, location=self.location(source.location, "X"), file_format=file_format)
            case StagePaths():
                return replace(source, paths=tuple(self.location(path, "X") for path in source.paths))
        return source

    def decides(self, source: Source) -> tuple[tuple[str, str], ...]:
        """What of the session decides which rows a source has, by its name.

        SQL of a user's own may name anything without its database and schema, and which rows a role sees of a table or
        view is the affair of row access and masking policies
        (https://docs.snowflake.com/en/user-guide/security-row-intro).
        """
        known = {"database": self.database, "schema": self.schema, "role": self.role}
        match source:
            case Query() | StageParquet(filter=str()):
                names: tuple[str, ...] = ("database", "schema", "role")
            case Table():
                names = ("role",)
            case _:
                names = ()
        return tuple((name, value) for name in names if (value := known[name]) is not None)
