"""Workers killed at random moments."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil

from tests.worker.batches import LONGEST_WAIT, Batch


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    try:
        parent = psutil.Process(process.pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def kill_someone(process: subprocess.Popen[str], choice: random.Random) -> None:
    """Kill the coordinator, one of its processes, or all of them, as an out-of-memory killer or a lost node would."""
    processes = family(process)
    victims = processes if choice.random() < 0.3 else [choice.choice(processes)] if processes else []
    for victim in victims:
        try:
            victim.kill()
        except psutil.NoSuchProcess:
            continue


def tasks_called(marks: Path) -> list[int]:
    return [int(line.split()[1]) for line in marks.read_text().splitlines()] if marks.exists() else []


def kill_until_done(batch: Batch, choice: random.Random, kills: int, marks: Path, task_rows: int) -> None:
    """Kill and start again until the batch is done; hold that what had a record is not computed again.

    A batch that was done after few kills, as all else was faster than the one who kills, is done anew.
    """
    done = 0
    while not batch.succeeded() or done < kills // 2:
        if batch.succeeded():
            shutil.rmtree(batch.output)
        recorded = {path.name for path in (batch.output / "_tasks").glob("*.json")} if batch.output.exists() else set()
        before = len(tasks_called(marks))
        process = batch.start(group=True)
        # Towards the end an attempt is let through, or the last task would never be done.
        while process.poll() is None and done < kills:
            time.sleep(choice.uniform(0.0, 1.0))
            if process.poll() is None:
                kill_someone(process, choice)
                done += 1
        _, stderr = process.communicate(timeout=LONGEST_WAIT)
        assert process.returncode in (0, -signal.SIGKILL, 1), stderr
        if process.returncode == 1:
            assert stderr.splitlines()[-1].startswith("ModelProcessDied"), stderr
        # What had a record was not computed again: its first row was not seen in this attempt.
        finished = {int(name.partition(".")[0].rpartition("-")[2]) for name in recorded}
        called = {first // task_rows for first in tasks_called(marks)[before:]}
        assert not finished & called
