"""The worker, whose own reader of grouped rows waits until a file is there: the two others read meanwhile.

The input's row groups are read one by one, each by one reader, and each of the others reads two at least. The file is
named by an environment variable.
"""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from pathlib import Path

from airflow_provider_snowflake_batch.worker import __main__ as worker
from airflow_provider_snowflake_batch.worker.executors import ray_cluster, shared_buckets
from airflow_provider_snowflake_batch.worker.executors.bucket_reader import Chunk, Spread

READ_WHEN = "TEST_READ_WHEN"


class Held(shared_buckets.ReaderHere):
    def spread(self, chunk: Chunk) -> Spread:
        while not Path(os.environ[READ_WHEN]).exists():
            self._tick()
            time.sleep(0.05)
        return super().spread(chunk)


class Together(ray_cluster._ReaderThere):
    """Reads its first two chunks when the other one has been given as many."""

    both = threading.Barrier(2)
    waited = 0

    def spread(self, chunk: Chunk) -> Spread:
        if self.waited < 2:
            self.both.wait()
            self.waited += 1
        return super().spread(chunk)


if __name__ == "__main__":
    shared_buckets.ReaderHere = Held  # type: ignore[misc]
    ray_cluster._ReaderThere = Together  # type: ignore[misc]
    # Nobody reads what is held.
    shared_buckets.OVERDUE_SECONDS = math.inf
    shared_buckets.CHUNK_BYTES, shared_buckets.CHUNKS_EACH = 1, 1000
    sys.exit(worker.main(sys.argv[1:]))
