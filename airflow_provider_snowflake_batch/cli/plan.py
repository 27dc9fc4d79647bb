"""``airflow snowflake-batch plan``."""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor
from typing import IO

import yaml
from airflow.utils.cli import suppress_logs_and_warning

from airflow_provider_snowflake_batch.cli.connection import console
from airflow_provider_snowflake_batch.cli.progress_bar import ProgressBar, for_people, progress_bar

_WORKER = "airflow_provider_snowflake_batch.worker"


@suppress_logs_and_warning
def plan(args: Namespace) -> None:
    """Have the worker score some of a job's input on this machine, and print what all of it will take.

    :raises SystemExit: with the worker's exit code, after its own words, if it cannot.
    """
    table = args.output == "table"
    # Only the answer comes on standard output. What a model prints goes to standard error.
    command = [sys.executable, "-m", _WORKER, "plan", args.job_file]
    if args.seconds is not None:
        command += ["--seconds", str(args.seconds)]
    with progress_bar("Scoring a sample", shown=for_people(args.output)) as bar:
        answer = _ask([*command, *([] if table else ["--json"])], bar)
    if table or args.output == "json":
        # Not by Airflow's console, which turns numbers into texts, in YAML as well.
        print(answer, end="")
        return
    document = json.loads(answer)
    if args.output == "yaml":
        print(yaml.safe_dump(document, sort_keys=False), end="")
        return
    console().print_as(document["replicas"], args.output)


def _ask(command: list[str], bar: ProgressBar) -> str:
    """What the worker says.

    :raises SystemExit: with its exit code, if it cannot.
    """
    # Its other words go by the bar, which would be written over by them.
    words = subprocess.PIPE if bar.is_shown else None
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=words, text=True, encoding="utf-8", errors="replace"
    ) as worker:
        bar.pulse()
        # Read by two, so that neither pipe fills while the other is read.
        with ThreadPoolExecutor(1) as reader:
            printed = reader.submit(_print_above, worker.stderr, bar)
            assert worker.stdout is not None
            answer = worker.stdout.read()
            printed.result()
    if worker.returncode:
        raise SystemExit(worker.returncode)
    return answer


def _print_above(words: IO[str] | None, bar: ProgressBar) -> None:
    for line in words or ():
        bar.print_above(line.rstrip("\n"))
