"""The actor that reads parts of an input on the Ray node of another replica than replica 0, and keeps what it has read.

It has a process of its own, so that it can send what it has while the node's host scores.
"""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path

from airflow_provider_snowflake_batch.worker.cluster.follower import NodeFacts
from airflow_provider_snowflake_batch.worker.executors.bucket_files import Piece, Wanted, read_pieces
from airflow_provider_snowflake_batch.worker.executors.bucket_reader import BucketReader, Chunk, Spread, Spreading
from airflow_provider_snowflake_batch.worker.job import read_job
from airflow_provider_snowflake_batch.worker.temporary import JobFolder


class RayReader:
    """The class of the actor. Several threads call it."""

    def __init__(self, spreading: Spreading) -> None:
        self._spreading = spreading
        self._folder = Path(tempfile.mkdtemp(prefix="sfbatch-partitions-", dir=JobFolder().path))
        self._reader: BucketReader | None = None
        self._reading = threading.Lock()
        self._last: tuple[int, Spread] | None = None

    def folder(self) -> str:
        """Where its files are."""
        return str(self._folder)

    def spread(self, chunk: Chunk) -> Spread:
        """Read a chunk. Called again, because the answer was lost, it tells the same."""
        with self._reading:
            if self._last is None or self._last[0] != chunk.number:
                if self._reader is None:
                    root = read_job(Path(NodeFacts.here().job_file)).input.path
                    self._reader = BucketReader(root, self._spreading, self._folder)
                self._last = (chunk.number, self._reader.spread(chunk, same=True))
            return self._last[1]

    def read(self, wanted: Wanted) -> list[Piece]:
        """The next bytes of its files."""
        return read_pieces(self._folder, wanted)
