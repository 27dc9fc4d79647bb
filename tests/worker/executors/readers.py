"""A reader and a host of another machine, both of which are folders here."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from airflow_provider_snowflake_batch.worker.executors import bucket_files
from airflow_provider_snowflake_batch.worker.executors.bucket_files import BucketReceiver, Piece, Wanted, read_pieces
from airflow_provider_snowflake_batch.worker.executors.bucket_reader import BucketReader, Chunk, Spread, Spreading
from airflow_provider_snowflake_batch.worker.executors.hosts import HostLost
from airflow_provider_snowflake_batch.worker.executors.shared_buckets import Reader, ReaderLost


class There:
    """A reader of another machine, which is a folder here.

    :param leaves: it is lost when it has sent so many pieces, or has read so many chunks.
    """

    replica = 1

    def __init__(
        self, root: Path, spreading: Spreading, folder: Path, leaves: Mapping[str, int] = MappingProxyType({})
    ) -> None:
        self._reader = BucketReader(root, spreading, folder)
        self._leaves = leaves
        self.did = Counter[str]()
        self.begun = threading.Event()

    def spread(self, chunk: Chunk) -> Spread:
        self.begun.set()
        found = self._reader.spread(chunk, same=True)
        self._count("chunks", HostLost)
        return found

    def pieces(self, wanted: Wanted) -> list[Piece]:
        self._count("pieces", ReaderLost)
        return read_pieces(self._reader.folder, wanted)

    def _count(self, what: str, lost: type[Exception]) -> None:
        if self.did[what] == self._leaves.get(what):
            raise lost("killed")
        self.did[what] += 1


class Copies:
    """Another host than the one of this machine, as it gets files."""

    def __init__(self, folder: Path) -> None:
        self.receiver = BucketReceiver(folder)

    def receive(self, pieces: Sequence[Piece]) -> None:
        self.receiver.receive(pieces)

    def take(self, reader: Reader, names: Sequence[str]) -> None:
        wanted = Wanted(names)
        while wanted.names:
            pieces = reader.pieces(wanted)
            assert sum(len(piece.data) for piece in pieces) <= bucket_files.PIECE_BYTES
            # A piece may come twice.
            self.receive([*pieces, pieces[-1]])
            wanted = wanted.after(pieces)

    def wait(self) -> None:
        pass
