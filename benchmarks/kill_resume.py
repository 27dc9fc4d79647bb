"""Does a batch survive ``kill -9`` at any moment, without a row lost, doubled or computed again?

A batch of many small tasks runs through `airflow_provider_snowflake_batch.worker`, in one replica with two model
processes or in three replicas. At random moments of its life, from the first import to the last file written, processes
are killed: all of them, a replica with its model processes, a coordinator alone, or one model process. What has died is
started again, until the batch is done; then the next batch begins, until there were enough kills. Some rows are bad and
are set aside.

Every other batch has more to endure: between attempts parts are damaged, and input files and the model's weights are
replaced by others of the same size and footer; attempts are stalled, thought dead and wake up again; two attempts are
at work at once, or a replica is started twice.

After each batch the output is read by plain pyarrow, once by the manifest and once by taking every ``.parquet`` file.
``lost`` and ``doubled`` count rows, bad ones included; ``stale`` those of an input or of weights that were replaced;
``again`` counts calls of the model for a task whose record was there already, in batches that only were killed.
``tidied`` counts files that an attempt killed in its last milliseconds left beside a finished result, until the next
run of the batch removed them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.kill_faults import Content, damage_part
from benchmarks.scratch import scratch

MODEL = Path(__file__).parent / "watched_model.py"
WORKER = [sys.executable, "-m", "airflow_provider_snowflake_batch.worker"]
# Rows that name files make tasks of this size, the smallest there are; the paths are null, so no file is read.
TASK_ROWS = 256
BAD_EVERY = 3001
CALL_SECONDS = 0.01
# A finished batch is only looked at; one that is done again waits for replicas that nobody starts.
LONGEST_LOOK_SECONDS = 60
# Longer than a start, so that kills hit every phase; shorter than the rest of a batch.
LONGEST_PAUSE_SECONDS = 2.0
VICTIMS = ("everything", "replica", "coordinator", "model process")
LONGEST_STALL_SECONDS = 4.0
# Exit codes of the worker: done, failed (a process was killed), another attempt came first; and killed itself.
EXPECTED = (0, 1, 3, -signal.SIGKILL)


@dataclass
class Figures:
    """What is reported."""

    batches: int = 0
    starts: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    ends: Counter[int] = field(default_factory=Counter)
    rows: int = 0
    bad_rows: int = 0
    tasks: int = 0
    calls: int = 0
    lost: int = 0
    doubled: int = 0
    stale: int = 0
    wrong: int = 0
    again: int = 0
    tidied: int = 0

    @property
    def sound(self) -> bool:
        return not (self.lost or self.doubled or self.stale or self.wrong or self.again)


@dataclass
class Started:
    """A process of the worker. :param copy: 0, or 1 for one that is started beside it for the same work."""

    replica: int
    copy: int
    popen: subprocess.Popen[str]
    wakes: float | None = None


class Volume(Protocol):
    """Where input and output are, unless on a disk."""

    def mount(self) -> Mapping[str, str]:
        """Environment variables for a worker that mounts it."""

    def settle(self) -> None:
        """Let time pass, until everything that was written has arrived."""


class Batch:
    """One batch, from nothing to ``_SUCCESS``.

    :param faults: whether more is done to it than killing. :param volume: where it is, unless on a disk.
    """

    def __init__(
        self,
        root: Path,
        tasks: int,
        replicas: int,
        choice: random.Random,
        figures: Figures,
        *,
        faults: bool,
        volume: Volume | None = None,
    ) -> None:
        self._volume = volume
        self._root, self._rows, self._replicas = root, tasks * TASK_ROWS, replicas
        self._choice, self._figures, self._faults = choice, figures, faults
        self._output = root / "output" / "JOB"
        self._tasks = tasks
        self._running: list[Started] = []
        self._wanted = self._choose()
        self._shots_at_the_end = 0
        self._write()

    @property
    def _may_overlap(self) -> bool:
        """Whether two attempts may be alive: of two that end on a stage at once, each may miss the other's manifest, as
        docs/worker.md says.
        """
        return self._faults and self._volume is None

    def _choose(self) -> list[tuple[int, int]]:
        """Which processes there are to be, as replica and copy."""
        wanted = [(replica, 0) for replica in range(self._replicas)]
        luck = self._choice.random() if self._may_overlap else 1.0
        if luck < 0.3:
            wanted += [(replica, 1) for replica in range(self._replicas)]
            self._figures.faults["two attempts at once"] += 1
        elif luck < 0.5 and self._replicas > 1:
            wanted.append((self._choice.randrange(self._replicas), 1))
            self._figures.faults["a replica twice"] += 1
        return wanted

    def _write(self) -> None:
        for name in ("input", "marks", "model"):
            (self._root / name).mkdir()
        # A folder of its own: the worker takes a change of any file below it for another model.
        shutil.copy(MODEL, self._root / "model")
        self._content = Content(self._root, self._rows, TASK_ROWS)
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
            while not self._succeeded() or self._running:
                self._start_what_is_not_running()
                if self._figures.kills.total() < left:
                    self._pause()
                    self._kill()
                else:
                    time.sleep(0.05)
                self._wake()
                self._collect()
        finally:
            # Still running only if the measurement failed or was interrupted.
            for one in self._running:
                one.popen.kill()
                one.popen.wait()
        self._judge()

    def _succeeded(self) -> bool:
        return (self._output / "_SUCCESS").exists()

    def _start_what_is_not_running(self) -> None:
        if self._succeeded():
            return
        there = {(one.replica, one.copy) for one in self._running if one.wakes is None}
        for replica, copy in self._wanted:
            if (replica, copy) not in there:
                self._running.append(Started(replica, copy, self._start(replica)))

    def _start(self, replica: int) -> subprocess.Popen[str]:
        environment = dict(os.environ)
        environment |= {"SNOWFLAKE_JOB_INDEX": str(replica), "SNOWFLAKE_JOBS_COUNT": str(self._replicas)}
        if self._volume is not None:
            if all(one.popen.poll() is not None for one in self._running):
                # It takes longer than that until containers start after others.
                self._volume.settle()
            environment |= self._volume.mount()
        self._figures.starts += 1
        with (self._root / f"stderr-{replica}").open("a") as errors:
            return subprocess.Popen(
                [*WORKER, str(self._root / "JOB.json")],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                text=True,
            )

    def _stall(self) -> None:
        """Stop everything, as a node that hangs does, and go on as if it were dead."""
        for one in self._running:
            if one.wakes is None:
                one.wakes = time.monotonic() + self._choice.uniform(0, LONGEST_STALL_SECONDS)
                _signal(_family(one.popen), signal.SIGSTOP)
        self._figures.faults["everything stalled"] += 1

    def _wake(self) -> None:
        for one in self._running:
            if one.wakes is not None and (time.monotonic() > one.wakes or self._succeeded()):
                _signal(_family(one.popen), signal.SIGCONT)
                # It is nobody's any more; it lives as long as it takes it to notice.
                one.wakes, one.copy = None, 2

    def _change_something(self) -> None:
        """Between two attempts: what is dead does not come back, what is stalled may."""
        stalled = any(one.wakes is not None for one in self._running)
        deeds = [self._content.replace_some_rows, self._content.replace_weights]
        if not stalled:
            # A disk that damages what a live attempt has written is another matter: it would have to read it all again.
            deeds += 2 * [lambda choice: damage_part(self._output, choice)]
        what = self._choice.choice(deeds)(self._choice)
        if what is not None:
            self._figures.faults[what] += 1

    def _pause(self) -> None:
        if self._choice.random() < 0.5:
            # On a busy machine most kills would hit processes that start, and hardly any would find a part.
            self._wait_for_a_record()
        until = time.monotonic() + self._choice.uniform(0, LONGEST_PAUSE_SECONDS)
        while time.monotonic() < until and self._running:
            if self._shots_at_the_end < 2 and self._recorded() == self._tasks:
                # The end is short, and random moments rarely hit it.
                self._shots_at_the_end += 1
                time.sleep(self._choice.uniform(0, 0.02))
                return
            time.sleep(0.002)
            self._collect()

    def _wait_for_a_record(self) -> None:
        """Until something is recorded, or somebody has to be started."""
        known = set(_names(self._output / "_tasks"))
        until = time.monotonic() + LONGEST_LOOK_SECONDS
        while time.monotonic() < until and not set(_names(self._output / "_tasks")) - known:
            awake = [one.popen for one in self._running if one.wakes is None]
            if self._succeeded() or not awake or any(one.poll() is not None for one in awake):
                return
            time.sleep(0.01)
            self._wake()

    def _recorded(self) -> int:
        return len({name.partition(".")[0] for name in _names(self._output / "_tasks")})

    def _kill(self) -> None:
        family = {number: _family(one.popen) for number, one in enumerate(self._running) if one.wakes is None}
        if not family:
            return
        if self._may_overlap and not self._succeeded() and self._choice.random() < 0.08:
            self._stall()
            self._begin_anew()
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
        if victim == "everything":
            for number in family:
                self._running[number].popen.wait()
            self._begin_anew()

    def _begin_anew(self) -> None:
        """Nothing is alive, as far as anybody knows."""
        if self._faults and not (self._output / "_manifest.json").exists():
            if self._choice.random() < 0.7:
                self._change_something()
            self._wanted = self._choose()

    def _collect(self) -> None:
        for one in list(self._running):
            code = one.popen.poll()
            if code is None:
                continue
            self._running.remove(one)
            self._figures.ends[code] += 1
            if code == 0 and not self._succeeded() and self._replicas == 1:
                raise SystemExit("a worker ended with exit code 0 and left no _SUCCESS")
            if code not in EXPECTED:
                errors = (self._root / f"stderr-{one.replica}").read_text()[-3000:]
                raise SystemExit(f"a worker ended with exit code {code}: {errors}")

    def _judge(self) -> None:
        figures = self._figures
        figures.batches += 1
        figures.tasks += self._tasks
        listed, aside = self._by_manifest()
        self._count(listed, aside)
        if self._faults:
            # One that was killed between writing its last part and noticing that it came late could not remove it.
            figures.tidied += len(set(self._output.glob("*.parquet")) - set(listed))
            again = self._start(0)
            try:
                code = again.wait(LONGEST_LOOK_SECONDS)
            except subprocess.TimeoutExpired:
                again.kill()
                code = None
            if code != 0:
                raise SystemExit(f"a finished batch was not taken for finished: {self._words()}")
            if self._by_manifest() != (listed, aside):
                raise SystemExit("another run of a finished batch changed its result")
        self._count(sorted(self._output.rglob("*.parquet")), sorted(self._output.glob("_quarantine/*.pq")))
        done = subprocess.run([*WORKER, "verify", str(self._output)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"the output differs from its manifest: {done.stderr}")
        for marks in (self._root / "marks").iterdir() if not self._faults else ():
            words = [line.split()[0] for line in marks.read_text().splitlines()]
            figures.calls += len(words)
            figures.again += words.count("again")

    def _words(self) -> str:
        return (self._root / "stderr-0").read_text()[-3000:]

    def _by_manifest(self) -> tuple[list[Path], list[Path]]:
        manifest = json.loads((self._output / "_manifest.json").read_text())
        listed = [self._output / one["name"] for one in manifest["files"]]
        return sorted(listed), sorted(
            self._output / "_quarantine" / one["name"] for one in manifest["quarantine_files"]
        )

    def _count(self, parts: list[Path], aside: list[Path]) -> None:
        """Hold some files against what the result should be."""
        figures, content = self._figures, self._content
        table = pa.concat_tables([pq.read_table(path) for path in parts])
        bad = pa.concat_tables([pq.read_table(path) for path in aside]) if aside else table.slice(0, 0)
        ids = np.concatenate([table["ID"].to_numpy(), bad["ID"].to_numpy()])
        seen = np.bincount(ids, minlength=self._rows)
        figures.rows += len(ids)
        figures.bad_rows += len(bad)
        figures.lost += int((seen == 0).sum())
        figures.doubled += int((seen[seen > 1] - 1).sum())
        x = np.concatenate([table["X"].to_numpy(), bad["X"].to_numpy()])
        stale = x != content.x[ids]
        stale[: len(table)] |= table["Y"].to_numpy() != table["X"].to_numpy() * content.weight
        figures.stale += int(stale.sum())
        figures.wrong += int((table["ID"].to_numpy() % BAD_EVERY == 0).sum())
        figures.wrong += int((bad["ID"].to_numpy() % BAD_EVERY != 0).sum())


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


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


def measure(kills: int, seed: int, tasks: int, folder: Path, volume: Volume | None = None) -> Figures:
    """Kill so often, over as many batches as it takes.

    :param volume: where input and output are, below the folder, unless on a disk.
    """
    choice = random.Random(seed)
    figures = Figures()
    while figures.kills.total() < kills:
        root = folder / f"batch-{figures.batches}"
        root.mkdir()
        replicas, faults = (1, 3)[figures.batches // 2 % 2], figures.batches % 2 == 0
        # No batch takes all kills, so that there are several ends to hit.
        batch = Batch(root, tasks, replicas, choice, figures, faults=faults, volume=volume)
        batch.run(min(kills - figures.kills.total(), 30))
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
    print(", ".join(f"{count} × {fault}" for fault, count in sorted(figures.faults.items())))
    print("exit codes: " + ", ".join(f"{code}: {count}" for code, count in sorted(figures.ends.items())))
    print(f"batches {figures.batches}, workers started {figures.starts}, tasks {figures.tasks}, calls {figures.calls}")
    print(f"rows {figures.rows}, of them {figures.bad_rows} bad and set aside")
    print(f"lost {figures.lost}, doubled {figures.doubled}, stale {figures.stale}, wrong {figures.wrong}")
    print(f"again {figures.again}, tidied {figures.tidied}")
    return 0 if figures.sound else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
