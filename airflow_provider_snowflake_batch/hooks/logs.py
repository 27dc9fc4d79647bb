"""A job's logs as they grow, from all its containers."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_snowflake_batch.jobs.errors import is_transient
from airflow_provider_snowflake_batch.jobs.logs import LogWindow, Progress
from airflow_provider_snowflake_batch.jobs.status import JobStatus

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
    from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName
    from airflow_provider_snowflake_batch.jobs.status import JobInfo

READ_SECONDS = 2
"""Least time between two readings while the job runs."""
PROGRESS_SECONDS = 10
"""Least time between two progress lines of one replica."""
_LINES = 1000


@dataclass(slots=True)
class LogFollower:
    """Reads what is new in the logs of one job.

    :param name: the job.
    """

    name: QualifiedName
    _windows: dict[tuple[int, str], LogWindow] = field(default_factory=dict)
    _read_at: float = 0
    _progress_shown: dict[int, float] = field(default_factory=dict)
    _progress: dict[int, Progress] = field(default_factory=dict)

    @property
    def progress(self) -> Progress | None:
        """How far the whole job was at the last reading; None if its log does not tell."""
        return Progress.total(self._progress.values())

    def is_due(self, info: JobInfo) -> bool:
        """Whether there may be something to read now that is worth the statements."""
        if info.status is JobStatus.PENDING:
            return False
        return info.status.is_terminal or time.monotonic() - self._read_at >= READ_SECONDS

    def read(self, hook: SnowflakeBatchHook, *, last: bool = False) -> list[str]:
        """The lines that are new, each beginning with its replica if there are several; progress in words.

        :param last: the job has ended: nothing more will come.

        A log that cannot be read now is read the next time: following a log must never end a task.
        """
        try:
            containers = [
                container
                for container in hook.containers(self.name)
                # Containers that Snowflake adds for stage volumes.
                if not container.name.startswith("stage-mount-")
            ]
        except Exception as error:
            hook.log.debug("The containers of job %s could not be listed: %s", self.name, error)
            return []
        self._read_at = time.monotonic()
        several = len({container.instance_id for container in containers}) > 1
        lines: list[str] = []
        for container in containers:
            if container.instance_id is None or container.status == "PENDING":
                continue
            key = (container.instance_id, container.name)
            try:
                text = hook.logs(self.name, instance_id=key[0], container=key[1], lines=_LINES)
            except Exception as error:
                if is_transient(error):
                    return lines
                hook.log.debug("The log of replica %d, %s could not be read: %s", *key, error)
                continue
            label = f"[replica {key[0]}] " if several else ""
            new = self._windows.setdefault(key, LogWindow()).advance(text, last=last)
            lines += [f"{label}{shown}" for shown in self._readable(new)]
        return lines

    def _readable(self, lines: list[str]) -> list[str]:
        shown: list[str] = []
        latest: Progress | None = None
        for line in lines:
            progress = Progress.parse(line)
            if progress is None:
                shown.append(line)
            else:
                latest = progress
        if latest is not None:
            self._progress[latest.replica] = latest
        if latest is not None and latest.phase != "failed" and self._is_worth_showing(latest):
            shown.append(latest.sentence())
        return shown

    def _is_worth_showing(self, progress: Progress) -> bool:
        now = time.monotonic()
        last = self._progress_shown.get(progress.replica)
        if progress.phase != "done" and last is not None and now - last < PROGRESS_SECONDS:
            return False
        self._progress_shown[progress.replica] = now
        return True
