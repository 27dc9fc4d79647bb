"""Does a batch survive ``kill -9`` at any moment, without a row lost, doubled or computed again?

A batch of many small tasks runs through `airflow_provider_snowflake_batch.worker`, in one replica with two model
processes or in three replicas. At random moments of its life, from the first import to the last file written, processes
are killed: all of them, a replica with its model processes, a coordinator alone, or one model process. What has died is
started again, until the batch is done; then the next batch begins, until there were enough kills. Some rows are bad and
are set aside.

After each batch the output is read as a stranger would read it. ``lost`` and ``doubled`` count rows, bad ones included;
``again`` counts calls of the model for a task whose record was there already.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from benchmarks.scratch import scratch

MODEL = Path(__file__).parent / "watched_model.py"
WORKER = [sys.executable, "-m", "airflow_provider_snowflake_batch.worker"]
# Rows that name files make tasks of this size, the smallest there are; the paths are null, so no file is read.
TASK_ROWS = 256
BAD_EVERY = 3001
CALL_SECONDS = 0.01
# Longer than a start, so that kills hit every phase; shorter than the rest of a batch.
LONGEST_PAUSE_SECONDS = 2.0
VICTIMS = ("everything", "replica", "coordinator", "model process")


@dataclass
class Figures:
    """What is reported."""

    batches: int = 0
    starts: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    bad_rows: int = 0
    tasks: int = 0
    calls: int = 0
    lost: int = 0
    doubled: int = 0
    wrong: int = 0
    again: int = 0

    @property
    def sound(self) -> bool:
        return not (self.lost or self.doubled or self.wrong or self.again)


class Batch:
    """One batch, from nothing to ``_SUCCESS``."""

    def __init__(self, root: Path, tasks: int, replicas: int, choice: random.Random, figures: Figures) -> None:
        self._root, self._rows, self._replicas = root, tasks * TASK_ROWS, replicas
        self._choice, self._figures = choice, figures
        self._output = root / "output" / "JOB"
        self._tasks = tasks
        self._running: dict[int, subprocess.Popen[str]] = {}
        self._shots_at_the_end = 0
        self._write()

    def _write(self) -> None:
        for name in ("input", "marks", "model"):
            (self._root / name).mkdir()
        # A folder of its own: the worker takes a change of any source file below it for another model.
        shutil.copy(MODEL, self._root / "model")
        ids = np.arange(self._rows)
        table = pa.table({"ID": ids, "X": ids * 3.0, "FILE": pa.nulls(self._rows, pa.string())})
        half = self._rows // 2 // TASK_ROWS * TASK_ROWS
        for number, part in enumerate((table.slice(0, half), table.slice(half))):
            pq.write_table(part, self._root / "input" / f"{number}.parquet", row_group_size=TASK_ROWS)
        init = {
            "records": str(self._output / "_tasks"),
            "marks": str(self._root / "marks"),
            "task_rows": TASK_ROWS,
            "bad_every": BAD_EVERY,
            "seconds": CALL_SECONDS,
        }
        job = {
            "version": 1,
            "job_name": "JOB",
            "input": {"path": "input", "column_handling": {"FILE": {"convert_to": "raw_bytes"}}},
            "output": {"path": str(self._output)},
            "model": {
                "kind": "python",
                "target": f"{MODEL.stem}:Watched",
                "python_path": ["model"],
                "init": init,
            },
            "inference": {
                "num_workers": 2 if self._replicas == 1 else 1,
                "on_error": "quarantine",
                "max_batch_rows": TASK_ROWS,
            },
        }
        (self._root / "JOB.json").write_text(json.dumps(job))

    def run(self, kills: int) -> None:
        """Kill at most so often, then let it end."""
        left = self._figures.kills.total() + kills
        try:
            while not (self._output / "_SUCCESS").exists() or self._running:
                self._start_what_is_not_running()
                if self._figures.kills.total() < left:
                    self._pause()
                    self._kill()
                else:
                    time.sleep(0.05)
                self._collect()
        finally:
            # Still running only if the measurement failed or was interrupted.
            for process in self._running.values():
                process.kill()
                process.wait()
        self._judge()

    def _start_what_is_not_running(self) -> None:
        if (self._output / "_SUCCESS").exists():
            return
        for replica in range(self._replicas):
            if replica not in self._running:
                environment = dict(os.environ)
                environment |= {"SNOWFLAKE_JOB_INDEX": str(replica), "SNOWFLAKE_JOBS_COUNT": str(self._replicas)}
                command = [*WORKER, str(self._root / "JOB.json")]
                with (self._root / f"stderr-{replica}").open("a") as errors:
                    self._running[replica] = subprocess.Popen(
                        command, env=environment, stdout=subprocess.DEVNULL, stderr=errors, text=True
                    )
                self._figures.starts += 1

    def _pause(self) -> None:
        until = time.monotonic() + self._choice.uniform(0, LONGEST_PAUSE_SECONDS)
        while time.monotonic() < until and self._running:
            if self._shots_at_the_end < 2 and self._recorded() == self._tasks:
                # The end is short, and random moments rarely hit it.
                self._shots_at_the_end += 1
                time.sleep(self._choice.uniform(0, 0.02))
                return
            time.sleep(0.002)
            self._collect()

    def _recorded(self) -> int:
        return len({name.partition(".")[0] for name in _names(self._output / "_tasks")})

    def _kill(self) -> None:
        family = {replica: _family(process) for replica, process in self._running.items()}
        if not family:
            return
        victim = self._choice.choice(VICTIMS)
        replica = self._choice.choice(sorted(family))
        coordinator, models = family[replica][:1], family[replica][1:]
        victims = {
            "everything": [process for one in family.values() for process in one],
            "replica": family[replica],
            "coordinator": coordinator,
            "model process": [self._choice.choice(models)] if models else [],
        }[victim]
        hit = False
        for process in victims:
            try:
                process.kill()
                hit = True
            except psutil.NoSuchProcess:
                continue
        if hit:
            self._figures.kills[victim] += 1

    def _collect(self) -> None:
        for replica, process in list(self._running.items()):
            if process.poll() is not None:
                del self._running[replica]
                if process.returncode == 0 and not (self._output / "_SUCCESS").exists() and self._replicas == 1:
                    raise SystemExit("a worker ended with exit code 0 and left no _SUCCESS")
                if process.returncode not in (0, 1, -9):
                    errors = (self._root / f"stderr-{replica}").read_text()[-3000:]
                    raise SystemExit(f"a worker ended with exit code {process.returncode}: {errors}")

    def _judge(self) -> None:
        figures = self._figures
        done = subprocess.run([*WORKER, "verify", str(self._output)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"the output differs from its manifest: {done.stderr}")
        table = ds.dataset(sorted(self._output.rglob("*.parquet")), format="parquet").to_table()
        bad = ds.dataset(sorted(self._output.glob("_quarantine/*.pq")), format="parquet").to_table()
        ids = np.concatenate([table["ID"].to_numpy(), bad["ID"].to_numpy()])
        seen = np.bincount(ids, minlength=self._rows)
        figures.batches += 1
        figures.tasks += self._tasks
        figures.rows += len(ids)
        figures.bad_rows += len(bad)
        figures.lost += int((seen == 0).sum())
        figures.doubled += int((seen[seen > 1] - 1).sum())
        figures.wrong += int((table["Y"].to_numpy() != table["ID"].to_numpy() * 6.0).sum())
        figures.wrong += int((bad["ID"].to_numpy() % BAD_EVERY != 0).sum())
        for marks in (self._root / "marks").iterdir():
            words = [line.split()[0] for line in marks.read_text().splitlines()]
            figures.calls += len(words)
            figures.again += words.count("again")


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except OSError:
        return []


def _family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """A replica's processes, its coordinator first."""
    try:
        coordinator = psutil.Process(process.pid)
        return [coordinator, *coordinator.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def measure(kills: int, seed: int, tasks: int, folder: Path) -> Figures:
    """Kill so often, over as many batches as it takes."""
    choice = random.Random(seed)
    figures = Figures()
    while figures.kills.total() < kills:
        root = folder / f"batch-{figures.batches}"
        root.mkdir()
        replicas = 1 if figures.batches % 2 == 0 else 3
        # No batch takes all kills, so that there are several ends to hit.
        Batch(root, tasks, replicas, choice, figures).run(min(kills - figures.kills.total(), 60))
        shutil.rmtree(root)
    return figures


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kill_resume", description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tasks", type=int, default=400, help="tasks of one batch (default: %(default)s)")
    options = parser.parse_args(arguments)
    begun = time.monotonic()
    with scratch("kill_resume") as folder:
        figures = measure(options.kills, options.seed, options.tasks, folder)
    kinds = ", ".join(f"{count} {victim}" for victim, count in sorted(figures.kills.items()))
    print(f"kill -9: {figures.kills.total()} ({kinds}), seed {options.seed}, {time.monotonic() - begun:.0f} s")
    print(f"batches {figures.batches}, workers started {figures.starts}, tasks {figures.tasks}, calls {figures.calls}")
    print(f"rows {figures.rows}, of them {figures.bad_rows} bad and set aside")
    print(f"lost {figures.lost}, doubled {figures.doubled}, wrong {figures.wrong}, again {figures.again}")
    return 0 if figures.sound else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
