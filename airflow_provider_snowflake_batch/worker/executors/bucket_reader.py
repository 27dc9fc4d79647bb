"""Reads parts of an input whose rows are grouped, and spreads their rows over files on a disk of this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from airflow_provider_snowflake_batch.worker.errors import WorkerError
from airflow_provider_snowflake_batch.worker.executors.host import Failure
from airflow_provider_snowflake_batch.worker.input.categories import CategoriesPart
from airflow_provider_snowflake_batch.worker.input.spread import BucketFiles, Changed, RowGroups


@dataclass(frozen=True)
class Spreading:
    """What all parts of an input have in common.

    :param schema: of the input. :param column: the partition column, in the input's own spelling.
    :param count: of buckets.
    """

    schema: pa.Schema
    column: str
    count: int


@dataclass(frozen=True)
class Chunk:
    """A part of the input: row groups that follow each other.

    :param seen: of the file of each, `content.seen`, by which a replica tells whether it sees the same files.
    """

    number: int
    groups: tuple[RowGroups, ...]
    seen: tuple[int, ...]


@dataclass(frozen=True)
class Spread:
    """What has become of a chunk.

    :param rows: of each bucket of which there are any. :param bytes: the same in memory.
    :param changed: a file that is not the one that was planned; then nothing was read.
    """

    rows: Mapping[int, int] = field(default_factory=dict)
    bytes: Mapping[int, int] = field(default_factory=dict)
    categories: CategoriesPart = field(default_factory=dict)
    changed: str | None = None
    failure: Failure | None = None


def file_name(bucket: int, chunk: int) -> str:
    """The name of the file for a bucket's rows of one chunk."""
    return f"{bucket:04d}-{chunk:04d}.arrow"


class BucketReader:
    """Reads chunks on this machine.

    :param root: the input. :param folder: for the files.
    """

    def __init__(self, root: Path, spreading: Spreading, folder: Path) -> None:
        self._root, self._spreading, self.folder = root, spreading, folder

    def spread(self, chunk: Chunk, *, same: bool, tick: Callable[[], None] = lambda: None) -> Spread:
        """Read a chunk.

        :param same: hold that its files are those that were planned.
        :param tick: called again and again meanwhile; what it raises is raised here.
        """
        shared = self._spreading
        files = BucketFiles(
            self._root,
            shared.schema,
            shared.column,
            shared.count,
            lambda bucket: self.folder / file_name(bucket, chunk.number),
        )
        try:
            files.fill(chunk.groups, chunk.seen if same else (), tick)
        except Changed as change:
            return Spread(changed=str(change))
        except WorkerError as error:
            return Spread(failure=Failure(type(error).__name__, error.message, error.details))
        there = [bucket for bucket, rows in enumerate(files.rows) if rows]
        return Spread(
            {bucket: files.rows[bucket] for bucket in there},
            {bucket: files.bytes[bucket] for bucket in there},
            files.categories.part(),
        )
