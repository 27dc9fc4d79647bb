"""The worker, as a replica that notes how long rows are read and brought together by groups.

``python -m benchmarks.grouped_worker JOB.json``. Over Ray, reading begins when all replicas can read, so that the start
of the cluster does not count. Beside the job file, ``reading-<replica>.json`` says when reading began and ended, and
``delivered-0.json`` how many bytes of rows went to hosts, and for how long these waited for them, added up.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

from airflow_provider_snowflake_batch.worker import __main__ as worker
from airflow_provider_snowflake_batch.worker.executors import ray_executor, shared_buckets
from airflow_provider_snowflake_batch.worker.executors.bucket_reader import Chunk
from airflow_provider_snowflake_batch.worker.executors.host import Order
from airflow_provider_snowflake_batch.worker.executors.shared_buckets import Reader, ReaderHere, SharedBuckets, Target
from airflow_provider_snowflake_batch.worker.input.partitions import Buckets
from airflow_provider_snowflake_batch.worker.input.plan import Plan

_LOOK_SECONDS = 0.05
# A few files each, since those here are small.
_CHUNK_BYTES = 1024 * 1024


def _note(what: str, **found: float) -> None:
    path = Path(sys.argv[1]).parent / f"{what}-{os.environ.get('SNOWFLAKE_JOB_INDEX', '0')}.json"
    path.write_text(json.dumps(found))


class TimedBuckets(SharedBuckets):
    """Begins when all replicas can read."""

    def fill(self) -> Plan:
        self._open, self._ready = threading.Event(), 0
        self._counting, self._bytes, self._seconds = threading.Lock(), 0, 0.0
        while self._ready < int(os.environ.get("SNOWFLAKE_JOBS_COUNT", "1")) - 1:
            self._step()
            time.sleep(_LOOK_SECONDS)
        begun = time.time()
        self._open.set()
        found = super().fill()
        _note("reading", begun=begun, ended=time.time())
        return found

    def deliver(self, target: Target, order: Order) -> None:
        begun = time.time()
        super().deliver(target, order)
        with self._counting:
            self._seconds += time.time() - begun
            self._bytes += sum(task.bytes for task in order.tasks)
            _note("delivered", bytes=self._bytes, seconds=self._seconds)

    def _work(self, reader: Reader) -> None:
        if not isinstance(reader, ReaderHere):
            # It is there when it answers.
            reader.spread(Chunk(-1, (), ()))
            self._ready += 1
            self._open.wait()
        super()._work(reader)


def _timed(fill: object = Buckets.fill) -> None:
    def timed(self: Buckets) -> Plan:
        begun = time.time()
        found: Plan = fill(self)  # type: ignore[operator]
        _note("reading", begun=begun, ended=time.time())
        return found

    Buckets.fill = timed  # type: ignore[method-assign]


if __name__ == "__main__":
    shared_buckets.CHUNK_BYTES = _CHUNK_BYTES
    ray_executor.SharedBuckets = TimedBuckets  # type: ignore[misc]
    _timed()
    sys.exit(worker.main(sys.argv[1:]))
