"""How far a command is, as a bar for whoever sits at a terminal. Programs and files never get one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_provider_snowflake_batch.cli.connection import console

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


def for_people(output: str | None) -> bool:
    """Whether a command's ``--output`` is read by people."""
    return output not in ("json", "yaml")


class ProgressBar:
    """A bar, from the first word of how far it is. This one is for no terminal, and shows nothing."""

    is_shown = False

    def tell(self, done: int, total: int) -> None:
        """So much of so much is done."""

    def pulse(self) -> None:
        """Something is at work, and nobody knows how far it is."""

    def print_above(self, line: str) -> None:
        """Print a line, as it is; the bar stays below."""
        print(line, flush=True)


class _TerminalBar(ProgressBar):
    is_shown = True

    def __init__(self, what: str, progress: Progress) -> None:
        self._what = what
        self._progress = progress
        self._task: TaskID | None = None

    def tell(self, done: int, total: int) -> None:
        if self._task is None:
            self._task = self._progress.add_task(self._what, total=total, told="")
        self._progress.update(self._task, completed=done, total=total, told=f"{done:,} of {total:,}")

    def pulse(self) -> None:
        self._task = self._progress.add_task(self._what, total=None, told="")

    def print_above(self, line: str) -> None:
        self._progress.console.print(line, soft_wrap=True)


@contextmanager
def progress_bar(what: str, *, shown: bool = True) -> Iterator[ProgressBar]:
    """A bar on standard error that is gone when the block ends.

    :param what: its words: what is counted.
    :param shown: False shows none, as for a program.
    """
    # A bar that is redrawn would be between the lines of whoever reads either of them.
    if not (shown and sys.stdout.isatty() and sys.stderr.isatty()):
        yield ProgressBar()
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[told]}", markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=console(stderr=True), transient=True) as progress:
        yield _TerminalBar(what, progress)
