"""A batch on disk: input files, a job file, and the worker as the process that it is."""

from __future__ import annotations

import atexit
import functools
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from airflow_provider_snowflake_batch.contract.progress import PROGRESS_PREFIX
from airflow_provider_snowflake_batch.worker.errors import EXIT_DONE, WorkerError
from airflow_provider_snowflake_batch.worker.output.verify import verify
from tests.worker.stage_volume import StageVolume
from tests.worker.warm_worker import WarmWorkers

# The worker's archive, where the package is not installed beside its libraries: see the Makefile's test-worker-….
_ARCHIVE = os.environ.get("WORKER_ARCHIVE")
WORKER = [sys.executable, *([_ARCHIVE] if _ARCHIVE else ["-m", "airflow_provider_snowflake_batch.worker"])]
# Input and output behave as mounted stages do, which are no disks: see the Makefile's test-stage-volume.
ON_STAGES = os.environ.get("WORKER_ON_STAGE_VOLUME") == "1"
PROGRESS = PROGRESS_PREFIX
HERE = Path(__file__).parent
# Folders of a job that may be on stages, too: of files that rows name, of the model's code, of the model.
MOUNTED = ("mounted", "stage", "code", "wheels", "model", "packed")
# A limit for what goes wrong: on a busy machine, a worker may take minutes to begin.
LONGEST_WAIT = 300.0


def until(there: Callable[[], object], what: str) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + LONGEST_WAIT
    while not there():
        assert time.monotonic() < deadline, f"not seen: {what}"
        time.sleep(0.02)


@functools.cache
def _warm_workers() -> WarmWorkers:
    """Those of this process, from the first job on."""
    workers = WarmWorkers()
    atexit.register(workers.close)
    return workers


def _environment(replica: tuple[int, int] | None) -> dict[str, str]:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    if replica is not None:
        environment["SNOWFLAKE_JOB_INDEX"], environment["SNOWFLAKE_JOBS_COUNT"] = map(str, replica)
    return environment


@dataclass
class Batch:
    """A job in a directory of its own.

    :ivar job_file: where the worker finds it.
    """

    root: Path
    processes: list[subprocess.Popen[str]] = field(default_factory=list)
    volume: StageVolume | None = None

    def __post_init__(self) -> None:
        self.job_file = self.root / "JOB.json"
        if ON_STAGES:
            self.put_on_stages()

    def put_on_stages(self, seconds: float | None = None, loses: tuple[int, str] | None = None) -> None:
        """From now on, all that a job has on stages is on one that each started worker mounts for itself.

        :param seconds: how late others see what one writes. :param loses: see `StageVolume`.
        """
        options = {} if seconds is None else {"seconds": seconds}
        folders = [self.input, self.output.parent, *(self.root / name for name in MOUNTED)]
        self.volume = StageVolume(self.root / "stage volume", folders, loses=loses, **options)

    @property
    def input(self) -> Path:
        return self.root / "input"

    @property
    def output(self) -> Path:
        return self.root / "results" / "JOB"

    def let_files_arrive(self) -> None:
        """On a stage, let so much time pass that everybody sees what has been written."""
        if self.volume is not None:
            self.volume.settle()

    def rows(self, *files: pa.Table | dict[str, Any], row_group_size: int = 1_000_000) -> None:
        """Write each table as an input file."""
        self.input.mkdir(exist_ok=True)
        for number, table in enumerate(files):
            table = table if isinstance(table, pa.Table) else pa.table(table)
            pq.write_table(table, self.input / f"data_{number:03d}.parquet", row_group_size=row_group_size)

    def ids(self, count: int, files: int = 1, row_group_size: int = 1_000_000) -> None:
        """Write rows with an ID from 0 and X = 3 * ID, over some files."""
        edges = [count * number // files for number in range(files + 1)]
        self.rows(
            *(
                {
                    "ID": np.arange(first, last, dtype=np.int64),
                    "X": np.arange(first, last, dtype=np.float64) * 3,
                }
                for first, last in itertools.pairwise(edges)
            ),
            row_group_size=row_group_size,
        )

    def job(self, model: str | dict[str, Any] = "Linear", **changes: Any) -> Path:
        """Write the job file.

        :param model: a class of sample_models, ``module:class``, or the model as the job file states it.
        """
        if isinstance(model, str):
            init = changes.pop("init", {})
            target = model if ":" in model else f"sample_models:{model}"
            model = {"kind": "python", "target": target, "python_path": [str(HERE)], "init": init}
        document: dict[str, Any] = {
            "version": 1,
            "job_name": "DB.SCHEMA.JOB",
            "input": {"path": "input", **changes.pop("input", {})},
            "output": {"path": "results/JOB", "mode": "error", **changes.pop("output", {})},
            "model": model,
            **changes,
        }
        self.job_file.write_text(json.dumps(document))
        return self.job_file

    def put_job_file_beside_output(self) -> None:
        """On the stage of the output, as that of a job in Snowflake."""
        document = json.loads(self.job_file.read_text())
        document["input"]["path"], document["output"]["path"] = str(self.input), str(self.output)
        self.job_file = self.output.parent / "JOB.json"
        self.job_file.parent.mkdir()
        self.job_file.write_text(json.dumps(document))

    def start(
        self,
        *,
        replica: tuple[int, int] | None = None,
        group: bool = False,
        worker: Sequence[str] = WORKER,
        variables: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        """Start the worker on the job file.

        :param worker: its command. :param variables: of its environment.
        """
        environment = _environment(replica) | (variables or {})
        if self.volume is not None:
            if all(process.poll() is not None for process in self.processes):
                # It takes longer than that until a container starts after another one.
                self.let_files_arrive()
            environment |= self.volume.mount()
        process = subprocess.Popen(
            [*worker, str(self.job_file)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=group,
        )
        self.processes.append(process)
        return process

    def run(self, *, replica: tuple[int, int] | None = None, warm: bool = True, **options: Any) -> Outcome:
        """Run the worker to its end.

        :param warm: it may be forked from a process that has loaded its libraries, where that comes to the same.
        """
        if warm and sys.platform == "linux" and _ARCHIVE is None and self.volume is None and not options:
            ended = _warm_workers().run([str(self.job_file)], _environment(replica), timeout=LONGEST_WAIT)
            if ended is not None:
                return Outcome(*ended)
        process = self.start(replica=replica, **options)
        stdout, stderr = process.communicate(timeout=LONGEST_WAIT)
        return Outcome(process.returncode, stdout, stderr)

    def verify(self) -> Outcome:
        """What the command ``verify`` finds, in this process: `verify_by_command` starts one."""
        try:
            verify(self.output)
        except WorkerError as error:
            return Outcome(error.exit_code, "", error.describe())
        return Outcome(EXIT_DONE, "", "")

    def verify_by_command(self) -> Outcome:
        command = [*WORKER, "verify", str(self.output)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_WAIT, check=False)
        return Outcome(done.returncode, done.stdout, done.stderr)

    def manifest(self) -> dict[str, Any]:
        return dict(json.loads((self.output / "_manifest.json").read_text()))

    def succeeded(self) -> bool:
        return (self.output / "_SUCCESS").exists()

    def recorded(self) -> set[int]:
        """The tasks of which there is a record."""
        names = [path.name for path in self.output.glob("_tasks/*.json")]
        return {int(name.partition(".")[0].rpartition("-")[2]) for name in names}

    def result(self) -> pa.Table:
        """The rows of the data files, as a reader that knows nothing of the manifest finds them, by ID."""
        table = ds.dataset(self.output, format="parquet").to_table()
        return table.sort_by("ID") if "ID" in table.column_names else table


@dataclass
class Outcome:
    code: int
    stdout: str
    stderr: str

    @property
    def last(self) -> str:
        return self.stderr.rstrip().splitlines()[-1] if self.stderr.strip() else ""

    @property
    def progress(self) -> list[dict[str, Any]]:
        lines = self.stdout.splitlines()
        return [json.loads(line[len(PROGRESS) :]) for line in lines if line.startswith(PROGRESS)]
