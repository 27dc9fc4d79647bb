from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# A library that is interrupted may end in an error of its own, as extension modules do while they are imported.
INTERRUPTED = """
import os, signal, sys, time
from airflow_provider_snowflake_batch.worker import __main__ as worker
from airflow_provider_snowflake_batch.worker.errors import Terminated

def score(path, folder, output, errors, descendants):
    output.line(str(folder.path))
    try:
        os.kill(os.getpid(), signal.{signal})
        time.sleep(30)
    except Terminated:
        raise ImportError("it failed to import") from None

worker._score = score
code = worker.main(["JOB.json"])
os.kill(os.getpid(), signal.{signal})
time.sleep(0.1)
sys.exit(code)
"""


@pytest.mark.parametrize("signal", ["SIGTERM", "SIGINT"])
def test_who_was_stopped_says_so_whatever_error_that_ended_in(signal: str) -> None:
    command = [sys.executable, "-c", INTERRUPTED.format(signal=signal)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    # A second signal, while the worker is ending, changes nothing.
    assert done.returncode == 143
    assert done.stderr == f"Terminated: stopped by {signal}; finished tasks keep their records\n"
    assert not Path(done.stdout.strip()).exists()
