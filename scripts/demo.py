"""The main job on this machine: batch inference of a registered model from an Airflow Dag.

Starts the local Snowflake, runs ``example_dags/digits.py`` on a real Airflow and sums up what happened. Everything
stays under one directory (``.demo``), so that a second run starts warm.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from airflow_provider_snowflake_batch.local.server_process import LocalServer
from airflow_provider_snowflake_batch.standalone.airflow import StandaloneError, migrate
from airflow_provider_snowflake_batch.standalone.processes import last_lines
from airflow_provider_snowflake_batch.standalone.settings import home_settings

ROOT = Path(__file__).resolve().parent.parent
DAG_FILE = ROOT / "example_dags" / "digits.py"
TASKS = ("prepare", "train", "score", "complete", "evaluate")


class DemoError(Exception):
    """Something the reader of the terminal has to know; without a stack."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", type=Path, default=ROOT / ".demo", help="where everything is kept")
    parser.add_argument("--report", type=Path, help="also write the outcome to this JSON file")
    arguments = parser.parse_args()
    directory = arguments.directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    try:
        say("Starting the local Snowflake")
        with local_snowflake(directory) as connection:
            home = directory / "airflow"
            environment = os.environ | home_settings(home, connection)
            environment["AIRFLOW__CORE__DAGS_FOLDER"] = str(ROOT / "example_dags")
            if not (home / "airflow.db").exists():
                say("Creating Airflow's metadata database")
            migrate(home, environment, directory / "airflow-migrate.log")
            report = run_dag(environment, directory)
    except (DemoError, StandaloneError) as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    report["seconds"] = round(time.monotonic() - started, 1)
    if arguments.report:
        arguments.report.write_text(json.dumps(report))
    print(summary(report, directory))
    return 0


@contextmanager
def local_snowflake(directory: Path) -> Iterator[str]:
    """Run the server as its own process; yields the Airflow connection to it, as JSON."""
    server = LocalServer(directory / "snowflake")
    try:
        server.start(60)
    except RuntimeError as error:
        raise DemoError(str(error)) from None
    try:
        yield server.airflow_connection_json
    finally:
        # It was asked, and killed when it did not end.
        with suppress(subprocess.TimeoutExpired):
            server.stop(30)


def run_dag(environment: dict[str, str], directory: Path) -> dict[str, Any]:
    """Run the Dag in a process of its own and show each task's state as it changes."""
    say(f"Running the Dag {DAG_FILE.relative_to(ROOT)}")
    log, report_file = directory / "dag.log", directory / "report.json"
    report_file.unlink(missing_ok=True)
    database = directory / "airflow" / "airflow.db"
    previous_run = newest_run(database)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "scripts" / "run_dag.py"), str(DAG_FILE), "--report", str(report_file)],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=environment,
        )
    try:
        follow(process, database, previous_run)
    finally:
        process.terminate()
    if not report_file.exists():
        raise DemoError(f"Airflow could not run the Dag.\n{last_lines(log)}\n\nThe whole log: {log}")
    report: dict[str, Any] = json.loads(report_file.read_text())
    if report["state"] != "success":
        causes = [f"task {task}: {error}" for task, error in report["failures"].items()]
        raise DemoError("\n".join(causes or [f"the Dag run ended as {report['state']}"]) + f"\n\nThe whole log: {log}")
    return report


def follow(process: subprocess.Popen[bytes], database: Path, previous_run: int) -> None:
    """Print a line for each change of a task's state until the process has ended."""
    shown: dict[str, str] = {}
    since = time.monotonic()
    while True:
        ended = process.poll() is not None
        for task, state in sorted(task_states(database, previous_run).items(), key=lambda item: TASKS.index(item[0])):
            if state == "queued" and shown.get(task) == "running":
                # What dag.test() calls a deferred task while it runs the trigger.
                state = "deferred"
            if state != shown.get(task) and state in ("running", "deferred", "success", "failed", "upstream_failed"):
                shown[task] = state
                print(f"  {time.monotonic() - since:5.1f} s  {task:<9} {state}", flush=True)
        if ended:
            return
        time.sleep(0.2)


def task_states(database: Path, previous_run: int) -> dict[str, str]:
    query = """
        SELECT task_instance.task_id, task_instance.state FROM task_instance JOIN dag_run
        ON dag_run.dag_id = task_instance.dag_id AND dag_run.run_id = task_instance.run_id
        WHERE dag_run.dag_id = 'digits' AND dag_run.id > ? AND task_instance.state IS NOT NULL
    """
    return dict(ask(database, query, previous_run))


def newest_run(database: Path) -> int:
    rows = ask(database, "SELECT max(id) FROM dag_run WHERE dag_id = 'digits'")
    return rows[0][0] or 0 if rows else 0


def ask(database: Path, query: str, *values: Any) -> list[Any]:
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=1)) as connection:
            return connection.execute(query, values).fetchall()
    except sqlite3.OperationalError:
        # Airflow is writing; the next look comes soon.
        return []


def summary(report: dict[str, Any], directory: Path) -> str:
    score, evaluation = report["results"]["score"], report["results"]["evaluate"]
    rate = score["rows"] / score["seconds"]
    lines = [
        "",
        "Batch inference is done.",
        "",
        f"  job          {score['job_name']}",
        f"  status       {score['status']}",
        f"  rows         {score['rows']} in {score['files']} Parquet file(s)",
        f"  seconds      {score['seconds']:.1f} from submission to the end, {rate:.0f} rows/s with start-up",
        f"  output       {score['output_location']}",
        f"  accuracy     {evaluation['accuracy']:.4f} on scans that the model had not seen",
        f"  demo took    {report['seconds']:.1f} s",
        "",
        "  scan   digit  prediction",
        *(f"  {row['SCAN']:<6} {row['DIGIT']:<6} {row['PREDICTION']}" for row in evaluation["sample"]),
        "",
        "Try next:",
        f"  read the Dag            {DAG_FILE.relative_to(ROOT)}",
        f"  read the task logs      {shorten(directory / 'dag.log')}",
        "  see it in a browser     make up",
        "  keep a Snowflake up     make local",
        "  use your account        point the Airflow connection snowflake_default at it; the Dag stays as it is",
    ]
    return "\n".join(lines)


def say(sentence: str) -> None:
    print(sentence, flush=True)


def shorten(path: Path) -> str:
    with suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


if __name__ == "__main__":
    sys.exit(main())
