"""Do batches over several replicas survive it when replicas are killed at any moment?

Replicas are killed with SIGKILL at random moments, from their first import to the last row, and started again as a
container would be; one that has ended because the first one was killed is started again as well. When the batch is
done, the next one begins, until there were enough kills.
"""

from __future__ import annotations

import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from benchmarks.replica_runs import TASK_ROWS, Replicas, calls_of, write

COUNT = 3
TASKS = 60
# A task takes 0.6 s, so that a batch lasts for some kills.
CALL_SECONDS = 0.04
# Longer than most starts, shorter than a batch.
LONGEST_PAUSE_SECONDS = 25.0
MOST_BATCH_SECONDS = 1800.0
# Done, or ended because of a kill.
EXPECTED = (0, 1, -signal.SIGKILL)


@dataclass
class Found:
    """:param kills: of replicas. :param heads: those of the first one among them.
    :param lost: rows that are not in a result. :param doubled: rows that are there more than once.
    :param again: calls of the model for a task whose record was there before.
    :param attempts: of replica 0.
    """

    kills: int = 0
    heads: int = 0
    batches: int = 0
    attempts: int = 0
    lost: int = 0
    doubled: int = 0
    again: int = 0

    @property
    def is_good(self) -> bool:
        return not (self.lost or self.doubled or self.again)


def kill_replicas(python: Path, folder: Path, kills: int, seed: int, seconds: float) -> Found:
    """Kill so many replicas, or fewer if that takes longer than some seconds; the batch at hand is always finished.

    :raises SystemExit: a replica has ended otherwise than it should.
    """
    draw = random.Random(seed)
    source = folder / "kills"
    write(source, [TASKS * TASK_ROWS // 4] * 4)
    found = Found()
    deadline = time.time() + seconds
    while found.kills < kills and time.time() < deadline:
        replicas = Replicas(python, folder / f"batch-{found.batches}", source, COUNT, seconds=CALL_SECONDS)
        _batch(replicas, found, draw, kills, deadline)
        found.batches += 1
        print(f"  {found}", flush=True)
    return found


def _batch(replicas: Replicas, found: Found, draw: random.Random, kills: int, deadline: float) -> None:
    begun = time.time()
    recorded_by: list[tuple[float, set[int]]] = []
    for replica in range(COUNT):
        replicas.start(replica)
    found.attempts += 1
    pause = time.time() + draw.uniform(0, LONGEST_PAUSE_SECONDS)
    try:
        while not (replicas.output / "_SUCCESS").exists() or replicas.running:
            if time.time() - begun > MOST_BATCH_SECONDS:
                raise SystemExit(f"a batch has not ended within {MOST_BATCH_SECONDS:.0f} s: {replicas.folder}")
            time.sleep(0.05)
            done = (replicas.output / "_SUCCESS").exists()
            for replica, process in list(replicas.processes.items()):
                code = process.poll()
                if code is not None and code not in EXPECTED:
                    raise SystemExit(f"replica {replica} has ended with {code}:\n{replicas.log(replica).read_text()}")
                if code is not None and not done:
                    replicas.start(replica)
                    found.attempts += replica == 0
            if time.time() > pause and not done and found.kills < kills and time.time() < deadline:
                victim = draw.choice(replicas.running)
                replicas.processes[victim].kill()
                replicas.processes[victim].wait()
                recorded_by.append((time.time(), set(_recorded(replicas.output))))
                found.kills += 1
                found.heads += victim == 0
                pause = time.time() + draw.uniform(0, LONGEST_PAUSE_SECONDS)
    finally:
        replicas.kill()
    _look(replicas, recorded_by, found)


def _look(replicas: Replicas, recorded_by: list[tuple[float, set[int]]], found: Found) -> None:
    """Read the result as plain pyarrow does, and what the model was called for."""
    parts = [pq.read_table(path, columns=["ID"])["ID"].to_numpy() for path in replicas.output.glob("*.parquet")]
    rows = np.concatenate(parts)
    there = len(np.unique(rows))
    found.lost += TASKS * TASK_ROWS - there
    found.doubled += len(rows) - there
    for call in calls_of(replicas.calls):
        task = call.row // TASK_ROWS
        found.again += any(call.begun > when and task in recorded for when, recorded in recorded_by)


def _recorded(output: Path) -> list[int]:
    return [int(path.name.partition(".")[0].rpartition("-")[2]) for path in (output / "_tasks").glob("*.json")]
