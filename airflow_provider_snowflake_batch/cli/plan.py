"""``airflow snowflake-batch plan``."""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import Namespace

import yaml
from airflow.utils.cli import suppress_logs_and_warning

from airflow_provider_snowflake_batch.cli.connection import console

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
    done = subprocess.run([*command, *([] if table else ["--json"])], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    if table or args.output == "json":
        # Not by Airflow's console, which turns numbers into texts, in YAML as well.
        print(done.stdout, end="")
        return
    document = json.loads(done.stdout)
    if args.output == "yaml":
        print(yaml.safe_dump(document, sort_keys=False), end="")
        return
    console().print_as(document["replicas"], args.output)
