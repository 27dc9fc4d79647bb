"""What a job is to those that submit it, wait for it and tell of it, whatever kind of job it is.

Operators, hook, card and lineage know these protocols only. The kinds are in ``job.py`` and ``worker_job.py``;
``parse_job`` in ``kinds.py`` tells which one a task's fields describe, and ``hooks/preflight.py`` what of each kind is
looked up before it is submitted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName, StagePath
    from airflow_provider_snowflake_batch.jobs.sources import Source
    from airflow_provider_snowflake_batch.jobs.specs import OutputSpec


@dataclass(frozen=True, slots=True)
class JobStatements:
    """The statements that start a job.

    :param statement: makes the job.
    :param preparation: what the same session has to run before; harmless when repeated.
    """

    statement: str
    preparation: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """All of them, as they can be run one after another in one session."""
        return ";\n".join((*self.preparation, self.statement))


@dataclass(frozen=True, slots=True)
class ModelFunction:
    """What scores the rows.

    :param model: the model in the registry, or ``package.module:Class`` of one that is in no registry.
    :param version: its version or alias; None for the model's default version, and for one that is in no registry.
    :param function: the model's function; None if it has only one.
    """

    model: QualifiedName | str
    version: Identifier | None
    function: str | None


class SubmittedJob(Protocol):
    """What ``SnowflakeBatchHook.submit`` takes."""

    @property
    def name(self) -> QualifiedName: ...

    @property
    def compute_pool(self) -> Identifier: ...

    def submission(self) -> JobStatements:
        """How it starts."""


class BatchJob(SubmittedJob, Protocol):
    """A job that scores rows and writes the results to a directory of its own."""

    @property
    def source(self) -> Source:
        """The rows."""

    @property
    def output(self) -> OutputSpec:
        """Where the results go."""

    @property
    def output_directory(self) -> StagePath:
        """What this job alone writes: the output location, and in it a directory of the job's name."""

    @property
    def model_function(self) -> ModelFunction:
        """What scores the rows, as card, result and lineage tell it."""

    @property
    def sizing(self) -> Mapping[str, Any]:
        """What the job runs on, as plain JSON values; at least ``compute_pool`` and ``replicas``."""

    @property
    def has_fixed_name(self) -> bool:
        """Whether the user has chosen the whole name, which is the same in each run then."""

    @property
    def name_prefix(self) -> str:
        """The beginning of a name that is made for the job."""

    def fingerprint(self) -> str:
        """A hash of which rows are scored by what, and into where: jobs of one fingerprint would write the same rows.

        It covers neither the job's size nor a name made for the job. It covers database, schema and role as far as they
        decide what a query reads.
        """

    def older_fingerprints(self) -> tuple[str, ...]:
        """What earlier versions of this package have recorded as the fingerprint of the same job."""

    def qualify(self, database: str | None, schema: str | None, role: str | None = None) -> Self:
        """The same job with the missing parts of its names filled in, which knows who reads its rows.

        :param role: the session's; None where it is not known.
        :raises InvalidJobError: if a name is partial and there is nothing to fill in.
        """

    def under_name(self, name: QualifiedName) -> Self:
        """The same job under another name."""

    def as_submitted(self, version: str | None, function: str | None) -> Self:
        """The same job with the version and function that a submitted one has; None leaves what the job has."""

    @property
    def can_resume(self) -> bool:
        """Whether a job goes on with what an earlier one of the same fingerprint has left in its output directory."""

    def resuming(self, output_directory: StagePath) -> Self:
        """The same job, which is to write into the directory of an earlier one; itself if the kind cannot resume."""


def other_sizing(recorded: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """How two sizings differ, for people: ``replicas 2 instead of 4``; empty if they do not.

    :param recorded: of the job that is there.
    :param wanted: of the job that is asked for.
    """
    names = sorted({*recorded, *wanted})
    return ", ".join(
        f"{name} {_in_words(recorded.get(name))} instead of {_in_words(wanted.get(name))}"
        for name in names
        if recorded.get(name) != wanted.get(name)
    )


def _in_words(value: Any) -> str:
    return "unset" if value is None else str(value)
