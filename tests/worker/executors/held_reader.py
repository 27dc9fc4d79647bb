"""The worker, whose own reader of grouped rows waits until a file is there: the others read meanwhile.

The input's row groups are read one by one. The file is named by an environment variable.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from airflow_provider_snowflake_batch.worker import __main__ as worker
from airflow_provider_snowflake_batch.worker.executors import shared_buckets
from airflow_provider_snowflake_batch.worker.executors.bucket_reader import Chunk, Spread

READ_WHEN = "TEST_READ_WHEN"


class Held(shared_buckets.ReaderHere):
    def spread(self, chunk: Chunk) -> Spread:
        while not Path(os.environ[READ_WHEN]).exists():
            self._tick()
            time.sleep(0.05)
        return super().spread(chunk)


if __name__ == "__main__":
    shared_buckets.ReaderHere = Held  # type: ignore[misc]
    shared_buckets.CHUNK_BYTES, shared_buckets.CHUNKS_EACH = 1, 1000
    sys.exit(worker.main(sys.argv[1:]))
