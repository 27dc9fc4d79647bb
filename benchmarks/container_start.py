"""How soon a container of the worker scores: from the start of its process to the first batch, loading no model.

The whole way on the local Snowflake: archive, code and rows are put on a stage, EXECUTE JOB SERVICE starts the archive
in the environment of the container runtime, and the model notes when it is first called. What comes before the process
starts (a node, an image) and what a model needs for loading are not counted.

    python -m benchmarks.container_start
"""

from __future__ import annotations

import argparse
import json
import statistics
import zipfile
from pathlib import Path
from typing import Any

from benchmarks.scratch import scratch

ROWS = 100_000
MODEL = """
import time

class Clock:
    def predict(self, rows):
        return {"AT": [time.time()] * len(rows)}
"""
OUTPUT = "/mnt/output"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=3, help="jobs")
    arguments = parser.parse_args(argv)
    import snowflake.connector

    from airflow_provider_snowflake_batch.local.server_process import LocalServer
    from airflow_provider_snowflake_batch.worker.archive import build_archive

    with scratch("container_start") as folder:
        archive = build_archive().write(folder)
        size = archive.stat().st_size
        with zipfile.ZipFile(folder / "code.zip", "w") as code:
            code.writestr("clock.py", MODEL)
        with (
            LocalServer(folder / "state") as server,
            snowflake.connector.connect(**server.connection_kwargs) as connection,
        ):
            cursor = connection.cursor()
            cursor.execute("CREATE STAGE S ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')")
            cursor.execute("CREATE FILE FORMAT PARQUET_FILES TYPE = PARQUET")
            cursor.execute("CREATE COMPUTE POOL P MIN_NODES = 1 MAX_NODES = 1 INSTANCE_FAMILY = CPU_X64_S")
            cursor.execute(
                f"COPY INTO @S/in/ FROM (SELECT SEQ4() AS ID FROM TABLE(GENERATOR(ROWCOUNT => {ROWS}))) "
                "FILE_FORMAT = (TYPE = PARQUET) HEADER = TRUE"
            )
            for path in (archive, folder / "code.zip"):
                cursor.execute(f"PUT file://{path} @S/w AUTO_COMPRESS = FALSE")
            # The first start compiles bytecode and may make the environment.
            seconds = [one_job(cursor, folder, archive.name, number) for number in range(arguments.times + 1)][1:]
    print(f"Archive: {size / 2**20:.2f} MiB")
    print(f"From the start of the container to the first batch, s: {', '.join(f'{one:.2f}' for one in seconds)}")
    print(f"  median {statistics.median(seconds):.2f}   goal 1.00")
    return 0


def one_job(cursor: Any, folder: Path, archive: str, number: int) -> float:
    """Seconds from the start of the container's process to the model's first call."""
    name = f"J{number}"
    document = {
        "version": 1,
        "job_name": name,
        "input": {"path": "${BATCH_OUTPUT}/in"},
        "output": {"path": f"${{BATCH_OUTPUT}}/{name}"},
        "model": {"kind": "python", "target": "clock:Clock", "python_path": ["${BATCH_OUTPUT}/w/code.zip"]},
    }
    (folder / f"{name}.json").write_text(json.dumps(document))
    cursor.execute(f"PUT file://{folder}/{name}.json @S/w AUTO_COMPRESS = FALSE")
    container = {
        "name": "main",
        "image": cursor.execute("CALL SYSTEM$GET_ML_JOB_RUNTIME('P', '')").fetchone()[0],
        "command": ["python", f"{OUTPUT}/w/{archive}", f"{OUTPUT}/w/{name}.json"],
        "env": {"BATCH_OUTPUT": OUTPUT},
        "volumeMounts": [{"name": "s", "mountPath": OUTPUT}],
    }
    volume = {"name": "s", "source": "stage", "stageConfig": {"name": "@S"}}
    specification = json.dumps({"spec": {"containers": [container], "volumes": [volume]}})
    cursor.execute(f"EXECUTE JOB SERVICE IN COMPUTE POOL P NAME = {name} FROM SPECIFICATION $${specification}$$")
    files = f"@S/{name} (FILE_FORMAT => 'PARQUET_FILES', PATTERN => '.*[.]parquet')"
    (first,) = cursor.execute(f"SELECT MIN($1:AT::DOUBLE) FROM {files}").fetchone()
    # Each job has a folder of its own, and this one's is the only one that is left.
    (exit_file,) = (folder / "state" / "jobs").glob("*/instance-0/main.exit")
    started = json.loads(exit_file.read_text())["started"]
    cursor.execute(f"DROP SERVICE {name}")
    return float(first) - float(started)


if __name__ == "__main__":
    raise SystemExit(main())
