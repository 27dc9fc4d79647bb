"""Replicas of a job as processes of this machine, each with a loopback address of its own, and how long they take."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

SECONDS = 0.02
BATCH_ROWS = 4096
TASK_ROWS = 65_536
SLOW_FACTOR = 4.0
MOST_SECONDS = 1800.0
HERE = Path(__file__).parent
RUNTIME = HERE.parent / ".venv-container-runtime/bin/python"
_LOOK_SECONDS = 0.05
# Looking for processes and adding up their memory is work, of which this machine has none to spare while it measures.
_WATCH_SECONDS = 1.0
_PROCESSOR_SECONDS = 0.2


class Call(NamedTuple):
    """One call of the model. Times are seconds since the epoch. :param row: number of its first row."""

    begun: float
    ended: float
    rows: int
    row: int


@dataclass
class Head:
    """What replica 0 takes, its model processes apart: the coordinator and Ray's processes.

    :param bytes: at most, at the same time.
    """

    bytes: int = 0
    _processes: list[psutil.Process] = field(default_factory=list)
    # By process; those that have ended keep what they had.
    _seconds: dict[int, float] = field(default_factory=dict)
    # Moments, the coordinator's seconds until then, and those of all.
    _looks: list[tuple[float, float, float]] = field(default_factory=list)

    def find(self, root: psutil.Process) -> None:
        """Look which processes there are, and what memory they take."""
        self._processes = [root]
        for process in root.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                # Forked model processes have the command of the one that they were forked from.
                if "model_process" not in " ".join(process.cmdline()):
                    self._processes.append(process)
        found = 0
        for process in self._processes:
            with contextlib.suppress(psutil.Error):
                found += process.memory_full_info().pss
        self.bytes = max(self.bytes, found)

    def look(self) -> None:
        """Note the processor time of the processes that were found."""
        for process in self._processes:
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                self._seconds[process.pid] = times.user + times.system
        if self._processes:
            coordinator = self._seconds.get(self._processes[0].pid, 0.0)
            self._looks.append((time.time(), coordinator, sum(self._seconds.values())))

    def seconds(self, begin: float, end: float) -> tuple[float, float]:
        """Processor time between two moments: the coordinator's, and that of all."""
        moments, *sums = zip(*self._looks, strict=True)
        coordinator, of_all = (np.interp([begin, end], moments, one) for one in sums)
        return float(np.diff(coordinator)[0]), float(np.diff(of_all)[0])


class Timed(NamedTuple):
    """:param seconds: from the first call of the model, when all nodes have it, to the last one.
    :param start: seconds until then. :param end: seconds from the last call until all replicas have ended.
    :param tasks: how many there were.
    :param processor_seconds: those of the coordinator, and of the coordinator and Ray's processes on its node, from the
        first call of the model to the last one; 0 if nobody has watched.
    :param reading: seconds for which rows were read and brought together by groups; 0 without.
    :param delivered: bytes of such rows that a host got in a second, over Ray; 0 without.
    """

    seconds: float
    start: float
    end: float
    tasks: int
    head: Head
    processor_seconds: tuple[float, float]
    reading: float
    delivered: float


def python_with_ray() -> Path:
    stated = os.environ.get("LOCAL_SNOWFLAKE_RUNTIME_PYTHON")
    return Path(stated) if stated else RUNTIME if RUNTIME.exists() else Path(sys.executable)


def write(folder: Path, files: Sequence[int], task_rows: int = TASK_ROWS, group_rows: int | None = None) -> None:
    """Input files of so many rows each. X is the number of the row among all.

    :param group_rows: with a column G, by which there are groups of so many rows, all over the input.
    """
    folder.mkdir()
    first = 0
    schema = _SCHEMA if group_rows is None else _SCHEMA.append(pa.field("G", pa.int64()))
    for number, rows in enumerate(files):
        with pq.ParquetWriter(folder / f"{number:02d}.parquet", schema) as writer:
            for begin in range(first, first + rows, task_rows):
                ids = np.arange(begin, min(begin + task_rows, first + rows))
                columns = {"ID": ids, "X": ids.astype(np.float64)}
                if group_rows is not None:
                    columns["G"] = ids % max(sum(files) // group_rows, 1)
                writer.write_table(pa.table(columns, schema=schema))
        first += rows


_SCHEMA = pa.schema({"ID": pa.int64(), "X": pa.float64()})


def rows_of(source: Path) -> int:
    return sum(pq.read_metadata(path).num_rows for path in source.iterdir())


def calls_of(folder: Path) -> list[Call]:
    """The calls that were written down. The last one of a process that was killed may be cut off."""
    found = []
    for path in folder.iterdir():
        for line in path.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                begun, ended, rows, row = line.split()
                found.append(Call(float(begun), float(ended), int(rows), int(row)))
    return found


class Replicas:
    """The replicas of one job.

    :param python: has Ray. :param folder: for the job's files. :param count: of replicas.
    :param groups: rows with the same G are scored together. It is noted how long they are read.
    :param environment: more variables for the replicas.
    :param device: arguments of the model besides its seconds and folder.
    """

    def __init__(
        self,
        python: Path,
        folder: Path,
        source: Path,
        count: int,
        *,
        executor: str = "ray",
        seconds: float = SECONDS,
        groups: bool = False,
        environment: Mapping[str, str] | None = None,
        **device: Any,
    ) -> None:
        self._module = "benchmarks.grouped_worker" if groups else "airflow_provider_snowflake_batch.worker"
        self._environment = environment or {}
        self._python, self.folder, self.source, self.count = python, folder, source, count
        self.calls, self.output = folder / "calls", folder / "out"
        self.calls.mkdir(parents=True)
        code = folder / "code"
        code.mkdir()
        shutil.copy(HERE / "replica_device.py", code)
        init = {"seconds": seconds, "folder": str(self.calls), "replicas": count, "factor": SLOW_FACTOR, **device}
        model = {"kind": "python", "target": "replica_device:Device", "python_path": [str(code)], "init": init}
        document: Mapping[str, Any] = {
            "version": 1,
            "job_name": "BENCHMARK.PUBLIC.JOB",
            "input": {"path": str(source), "partition_column": "G" if groups else None},
            # With groups, all columns are written.
            "output": {"path": str(self.output), "mode": "error", "columns": None if groups else ["ID"]},
            "model": model,
            "inference": {"num_workers": 1, "max_batch_rows": BATCH_ROWS, "executor": executor},
        }
        (folder / "JOB.json").write_text(json.dumps(document))
        self.processes: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, replica: int) -> None:
        paths = [str(HERE.parent), *filter(None, [self._environment.get("PYTHONPATH")])]
        environment = {
            **os.environ,
            **self._environment,
            "PYTHONPATH": os.pathsep.join(paths),
            "SNOWFLAKE_JOB_INDEX": str(replica),
            "SNOWFLAKE_JOBS_COUNT": str(self.count),
            "WORKER_ADDRESS": f"127.0.0.{replica + 2}",
        }
        command = [str(self._python), "-m", self._module, str(self.folder / "JOB.json")]
        with self.log(replica).open("ab") as log:
            self.processes[replica] = subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    def log(self, replica: int) -> Path:
        return self.folder / f"{replica}.log"

    @property
    def running(self) -> list[int]:
        return [replica for replica, process in self.processes.items() if process.poll() is None]

    def kill(self) -> None:
        """End all that still run."""
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
            process.wait()

    def run(self, *, watch: bool = False) -> Timed:
        """Start all of them, and wait until they have ended.

        :param watch: look what the head takes.

        :raises SystemExit: one has failed, or they take too long.
        """
        begun = time.time()
        head = Head()
        for replica in range(self.count):
            self.start(replica)
        try:
            root, found, looked = psutil.Process(self.processes[0].pid), 0.0, 0.0
            while self.running:
                if time.time() - begun > MOST_SECONDS:
                    raise SystemExit(f"{self.count} nodes have not ended within {MOST_SECONDS:.0f} s")
                if watch and time.time() - found > _WATCH_SECONDS:
                    found = time.time()
                    with contextlib.suppress(psutil.Error):
                        head.find(root)
                if watch and time.time() - looked > _PROCESSOR_SECONDS:
                    looked = time.time()
                    head.look()
                time.sleep(_LOOK_SECONDS)
            ended = time.time()
        finally:
            self.kill()
        codes = {replica: process.returncode for replica, process in self.processes.items()}
        if any(codes.values()):
            logs = "\n".join(self.log(replica).read_text()[-2000:] for replica, code in codes.items() if code)
            raise SystemExit(f"exit codes {codes}:\n{logs}")
        calls = calls_of(self.calls)
        first, last = min(one.begun for one in calls), max(one.ended for one in calls)
        manifest = json.loads((self.output / "_manifest.json").read_text())
        assert manifest["rows"] == rows_of(self.source)
        tasks = len(list((self.output / "_tasks").glob("*.json"))) or len(manifest["files"])
        shutil.rmtree(self.output)
        noted = [json.loads(path.read_text()) for path in self.folder.glob("reading-*.json")]
        reading = max(one["ended"] for one in noted) - min(one["begun"] for one in noted) if noted else 0.0
        carried = [json.loads(path.read_text()) for path in self.folder.glob("delivered-*.json")]
        delivered = carried[0]["bytes"] / carried[0]["seconds"] if carried else 0.0
        taken = head.seconds(first, last) if watch else (0.0, 0.0)
        return Timed(last - first, first - begun, ended - last, tasks, head, taken, reading, delivered)
