"""Reading the footers of very many files: in processes of their own, because a Python process parses one at a time.

A helper process gets names and sends back what `SourceFile` holds; it ends when the coordinator does. What comes out
does not depend on how many there are.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import Any

from airflow_provider_snowflake_batch.worker import errors
from airflow_provider_snowflake_batch.worker.input.footers import SourceFile, read_footers
from airflow_provider_snowflake_batch.worker.processes import interpreter, limits

# Starting a helper costs as much as reading some thousand footers.
FILES_PER_HELPER = 2048
MOST_HELPERS = 16
SHARE = 256
# A helper has its next share before it has finished the current one.
SHARES_AT_HAND = 2
# Answers are given in order, so one slow share holds back later ones: at most so many.
MOST_HELD_BACK = 64

# Reading footers makes thousands of small objects, and glibc keeps only seven of a size for reuse. Not set for model
# processes: kept memory lies scattered, and so would a model that is loaded into it. LightGBM scored 3 % slower then,
# and a process that decodes images took more memory.
_TUNABLES = "glibc.malloc.tcache_count=500"

# What a helper answers to a share: for each file all of `SourceFile` but the path, or the error that ends the batch.
Answer = list[tuple[Any, ...]] | errors.WorkerError


@dataclass
class HelperProcess:
    """A process, and the shares that it has not answered yet."""

    process: subprocess.Popen[bytes]
    connection: Connection[Any, Any]
    shares: deque[int] = field(default_factory=deque)


def environment() -> dict[str, str]:
    """A helper's environment: this process's, and an allocator set for many small objects."""
    return {"GLIBC_TUNABLES": _TUNABLES, **interpreter.environment()}


def read_all_footers(root: Path, names: Sequence[str]) -> Generator[SourceFile, None, None]:
    """Read the footers of all input files, in the order given.

    :raises DataError: any of them cannot be read.
    """
    helpers = min(limits.cores(), MOST_HELPERS, len(names) // FILES_PER_HELPER)
    if helpers < 2:
        yield from read_footers(root, names)
        return
    with contextlib.closing(Helpers(root, names, helpers)) as pool:
        yield from pool.read()


class Helpers:
    """Helper processes for the files of a job.

    :param names: the files, below ``root``.
    """

    def __init__(self, root: Path, names: Sequence[str], count: int) -> None:
        self._root, self._names = root, names
        self._waiting = deque(range(-(-len(names) // SHARE)))
        self._answers: dict[int, Answer] = {}
        self.helpers: list[HelperProcess] = []
        for _ in range(count):
            self._start()

    def _start(self) -> None:
        ours, theirs = Pipe()
        with theirs:
            arguments = [sys.executable, "-m", "airflow_provider_snowflake_batch.worker.input.footer_process"]
            process = subprocess.Popen(
                [*arguments, str(theirs.fileno()), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=environment(),
            )
        helper = HelperProcess(process, ours)
        self.helpers.append(helper)
        self._tell(helper, str(self._root))

    def _tell(self, helper: HelperProcess, message: Any) -> None:
        # A message to a dying helper is lost. Its end is noticed when its answers are read.
        with contextlib.suppress(OSError):
            helper.connection.send(message)

    def _share(self, number: int) -> Sequence[str]:
        return self._names[number * SHARE : (number + 1) * SHARE]

    def read(self) -> Iterator[SourceFile]:
        """All files in order."""
        for number in range(-(-len(self._names) // SHARE)):
            while number not in self._answers:
                self._hand_out(number + MOST_HELD_BACK)
                ready = wait([helper.connection for helper in self.helpers])
                for helper in [one for one in self.helpers if one.connection in ready]:
                    self._hear(helper)
            self._hand_out(number + MOST_HELD_BACK)
            answers = self._answers.pop(number)
            if isinstance(answers, errors.WorkerError):
                raise answers
            for name, answer in zip(self._share(number), answers, strict=True):
                yield SourceFile(name, *answer)

    def _hand_out(self, end: int) -> None:
        for helper in self.helpers:
            while len(helper.shares) < SHARES_AT_HAND and self._waiting and self._waiting[0] < end:
                number = self._waiting.popleft()
                helper.shares.append(number)
                self._tell(helper, self._share(number))

    def _hear(self, helper: HelperProcess) -> None:
        try:
            answer: Answer = helper.connection.recv()
        except (EOFError, OSError):
            self._died(helper)
            return
        self._answers[helper.shares.popleft()] = answer

    def _died(self, helper: HelperProcess) -> None:
        """Give its shares to the others; if there is none left, what it was reading is named."""
        self._end(helper)
        self.helpers.remove(helper)
        self._waiting = deque(sorted([*self._waiting, *helper.shares]))
        if not self.helpers:
            names = self._share(min(helper.shares, default=0))
            raise errors.DataError(
                f"the processes that read Parquet footers died (exit status {helper.process.returncode}), the last one "
                f"between the input files {names[0]} and {names[-1]}"
            )

    def _end(self, helper: HelperProcess) -> None:
        helper.connection.close()
        helper.process.kill()
        helper.process.wait()

    def close(self) -> None:
        """End the processes."""
        for helper in self.helpers:
            self._end(helper)
        self.helpers.clear()
