"""Which ``_SUCCESS`` files are news: each of them once, and again when it is written again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Self

from airflow_provider_snowflake_batch.contract.output_layout import SUCCESS
from airflow_provider_snowflake_batch.jobs.identifiers import StagePath

OVERLAP_SECONDS = 900
"""A listing may show a file later than one that was written after it, but no more than this later."""


@dataclass(frozen=True, slots=True)
class Success:
    """A ``_SUCCESS`` on a stage.

    :param directory: path of its directory inside the stage, with the trailing slash; empty for the stage itself.
    :param written: seconds since the epoch; Snowflake tells whole seconds.
    :param mark: another one once it is written anew.
    """

    directory: str
    written: float
    mark: str

    @classmethod
    def of(cls, path: str, written: float, md5: str | None) -> Self | None:
        """The ``_SUCCESS`` that a file of a listing is, or None.

        :param path: inside the stage.
        """
        directory, slash, name = path.rpartition("/")
        return cls(directory + slash, written, f"{written:.0f} {md5 or ''}") if name == SUCCESS else None

    def lies_in(self, location: StagePath, directories: str | None) -> bool:
        """Whether this belongs to a location.

        :param location: a directory.
        :param directories: shell pattern for what follows the location, for example ``BATCH_NIGHTLY_*``.
        """
        beginning = location.directory().path
        if not self.directory.startswith(beginning):
            return False
        return directories is None or fnmatchcase(self.directory.removeprefix(beginning).rstrip("/"), directories)


@dataclass(frozen=True, slots=True)
class SeenSuccesses:
    """What has been told of already. It stays small, since files that were written long ago are not listed one by one.

    :param horizon: seconds since the epoch; what was written before is no news.
    :param recent: the mark of each directory whose ``_SUCCESS`` was written since.
    """

    horizon: float
    recent: Mapping[str, str]

    @classmethod
    def at_first(cls, found: Iterable[Success], newer_than: float | None = None) -> Self:
        """What counts as seen when nothing is remembered: all that is there.

        :param newer_than: seconds since the epoch; what was written later is news all the same.
        """
        known = [each for each in found if newer_than is None or each.written <= newer_than]
        return cls(newer_than if newer_than is not None else 0.0, {}).with_(known)

    def news(self, found: Iterable[Success]) -> list[Success]:
        """Those that have not been told of, in the order in which they were written."""
        new = [each for each in found if each.written >= self.horizon and self.recent.get(each.directory) != each.mark]
        return sorted(new, key=lambda each: (each.written, each.directory))

    def with_(self, told: Iterable[Success]) -> Self:
        """The same with these told of, too."""
        everything = list(told)
        newest = max((each.written for each in everything), default=0.0)
        horizon = max(self.horizon, newest - OVERLAP_SECONDS)
        recent = {**self.recent, **{each.directory: each.mark for each in everything}}
        kept = {directory: mark for directory, mark in recent.items() if _written(mark) >= horizon}
        return replace(self, horizon=horizon, recent=kept)

    def merged_with(self, other: Self) -> Self:
        """What either of the two has seen."""
        latest = dict(self.recent)
        for directory, mark in other.recent.items():
            if directory not in latest or _written(mark) > _written(latest[directory]):
                latest[directory] = mark
        return replace(self, horizon=max(self.horizon, other.horizon), recent=latest)

    def to_dict(self) -> dict[str, Any]:
        return {"horizon": self.horizon, "recent": dict(self.recent)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        return cls(float(values["horizon"]), dict(values["recent"]))


def _written(mark: str) -> float:
    return float(mark.partition(" ")[0])
