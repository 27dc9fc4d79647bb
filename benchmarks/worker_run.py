"""One run of the worker, as the process that it is."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from airflow_provider_snowflake_batch.contract.progress import PROGRESS_PREFIX


def python_model(target: str, **init: Any) -> dict[str, Any]:
    """A model class of this folder, as a job file states it."""
    return {"kind": "python", "target": target, "python_path": [str(Path(__file__).parent)], "init": init}


def run_worker(
    source: Path,
    target: Path,
    model: Mapping[str, Any],
    *,
    inference: Mapping[str, Any],
    columns: list[str] | None = None,
    input_more: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    stages: Mapping[str, str] | None = None,
    meanwhile: Callable[[int], None] | None = None,
) -> dict[str, float]:
    """Score ``source`` into ``target``.

    :param columns: the input columns that are written; None for all.
    :param meanwhile: called with the process's id, again and again, while it runs.
    :return: ``seconds`` from the model loaded to the end, ``planning`` and ``wall`` seconds, ``cpu`` seconds of all
        processes, ``rows``.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    job = target.parent / f"{target.name}.json"
    job.write_text(
        json.dumps(
            {
                "version": 1,
                "job_name": "BENCHMARK.PUBLIC.JOB",
                "input": {"path": str(source), **(input_more or {})},
                "output": {"path": str(target), "mode": "overwrite", "columns": columns},
                "model": dict(model),
                "inference": dict(inference),
                "stages": dict(stages or {}),
            }
        )
    )
    command = [sys.executable, "-m", "airflow_provider_snowflake_batch.worker", str(job)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    with (target.parent / f"{target.name}.log").open("w+") as log, (target.parent / "errors").open("w+") as errors:
        process = subprocess.Popen(command, stdout=log, stderr=errors, env={**os.environ, **(environment or {})})
        try:
            while meanwhile is not None and process.poll() is None:
                meanwhile(process.pid)
            process.wait()
        finally:
            # Still running only if the measurement was interrupted: its files are about to be removed.
            if process.poll() is None:
                process.kill()
                process.wait()
        wall = time.perf_counter() - begun
        log.seek(0)
        errors.seek(0)
        if process.returncode:
            raise SystemExit(errors.read())
        lines = [json.loads(line[len(PROGRESS_PREFIX) :]) for line in log if line.startswith(PROGRESS_PREFIX)]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    first = {line["phase"]: line["seconds"] for line in reversed(lines)}
    return {
        "seconds": lines[-1]["seconds"] - first["running"],
        "planning": first["loading"] - first["planning"],
        "wall": wall,
        "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "rows": lines[-1]["rows_done"],
    }
