"""A job's logs as they grow, from all its containers."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from airflow_provider_snowflake_batch.hooks.masking import masked
from airflow_provider_snowflake_batch.jobs.card import MOST_LINES
from airflow_provider_snowflake_batch.jobs.logs import LogWindow, Progress
from airflow_provider_snowflake_batch.jobs.status import JobStatus

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
    from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName
    from airflow_provider_snowflake_batch.jobs.status import ContainerInfo, JobInfo

READ_SECONDS = 2
"""Least time between two readings while the job runs."""
PENDING_SECONDS = 20
"""Least time between two while it is PENDING: its containers have no logs yet, but say what they wait for."""
PROGRESS_SECONDS = 10
"""Least time between two lines that tell how far the job is."""
_LINES = 1000


@dataclass(slots=True)
class LogFollower:
    """Reads what is new in the logs of one job.

    :param name: the job.
    """

    name: QualifiedName
    _windows: dict[str, LogWindow] = field(default_factory=dict)
    _read_at: float = 0
    _pending_at: float = 0
    _progress_shown: float | None = None
    _progress: dict[int, Progress] = field(default_factory=dict)
    _untold: bool = False
    _lost: frozenset[int] = frozenset()
    _last: deque[str] = field(default_factory=lambda: deque(maxlen=MOST_LINES))
    containers: Sequence[ContainerInfo] = ()
    """Those of the job itself, as :meth:`list_containers` has last found them."""

    @property
    def progress(self) -> Progress | None:
        """How far the whole job was at the last reading; None if its log does not tell."""
        return Progress.total(self._progress.values(), self._lost)

    @property
    def last_lines(self) -> list[str]:
        """The last lines that were read, without how far the job is, and without what Airflow masks."""
        return list(self._last)

    @property
    def positions(self) -> dict[str, list[int]]:
        """How far each container's log has been read, as plain JSON; for :meth:`resume` in another process."""
        return {key: window.position for key, window in self._windows.items()}

    def resume(self, positions: Mapping[str, Sequence[int]]) -> None:
        """Go on where another follower stopped."""
        self._windows = {key: LogWindow.resume(position) for key, position in positions.items()}

    def is_due(self, info: JobInfo) -> bool:
        """Whether there may be something to read now that is worth the statements."""
        now = time.monotonic()
        if info.status is JobStatus.PENDING:
            # Most jobs wait for some seconds only.
            self._pending_at = self._pending_at or now
            return now - max(self._pending_at, self._read_at) >= PENDING_SECONDS
        return info.status.is_terminal or now - self._read_at >= READ_SECONDS

    def read(self, hook: SnowflakeBatchHook, *, last: bool = False) -> list[str]:
        """The lines that are new, each beginning with its replica if there are several; then how far the job is.

        :param last: the job has ended: nothing more will come.

        A log that cannot be read now is read the next time: following a log must never end a task.
        """
        lines: list[str] = []
        for container in (containers := self.list_containers(hook)):
            lines += self.read_container(hook, container, several=several_replicas(containers), last=last)
        return lines + self.tell_progress()

    def list_containers(self, hook: SnowflakeBatchHook) -> list[ContainerInfo]:
        """Whose logs can be read now; the first half of :meth:`read`."""
        try:
            found = hook.containers(self.name)
        except Exception as error:
            hook.log.debug("The containers of job %s could not be listed: %s", self.name, error)
            return []
        self._read_at = time.monotonic()
        self._lost = frozenset(
            one.instance_id for one in found if one.instance_id is not None and one.status == "FAILED"
        )
        # The others are those that Snowflake adds for stage volumes.
        own = [container for container in found if not container.name.startswith("stage-mount-")]
        self.containers = [replace(container, message=masked(container.message)) for container in own]
        return [
            container
            for container in self.containers
            if container.instance_id is not None and container.status != "PENDING"
        ]

    def read_container(
        self, hook: SnowflakeBatchHook, container: ContainerInfo, *, several: bool, last: bool = False
    ) -> list[str]:
        """What is new in one container's log; one statement."""
        instance = container.instance_id or 0
        try:
            text = hook.logs(self.name, instance_id=instance, container=container.name, lines=_LINES)
        except Exception as error:
            hook.log.debug("The log of replica %d, %s could not be read: %s", instance, container.name, error)
            return []
        window = self._windows.setdefault(f"{instance}/{container.name}", LogWindow())
        label = f"[replica {instance}] " if several else ""
        lines = self._readable(window.advance(text, last=last))
        self._last.extend(masked(f"{label}{line}") for line in [one for one in lines if one.strip()][-MOST_LINES:])
        return [f"{label}{line}" for line in lines]

    def _readable(self, lines: list[str]) -> list[str]:
        shown: list[str] = []
        for line in lines:
            progress = Progress.parse(line)
            if progress is None:
                shown.append(line)
            else:
                # The model's own words, as its log is.
                told = tuple(map(masked, progress.first_bad_rows))
                self._progress[progress.replica] = replace(progress, first_bad_rows=told)
                self._untold = True
        return shown

    def tell_progress(self) -> list[str]:
        """How far the whole job is, in words: no line, or one if there is news that is worth it.

        To be called when the containers' logs have been read.
        """
        total = self.progress
        if total is None or not self._untold or total.phase == "failed":
            return []
        now = time.monotonic()
        last = self._progress_shown
        if total.phase != "done" and last is not None and now - last < PROGRESS_SECONDS:
            return []
        self._untold, self._progress_shown = False, now
        return [total.sentence()]


def several_replicas(containers: Sequence[ContainerInfo]) -> bool:
    """Whether a line of these containers' logs has to say which replica wrote it."""
    return len({container.instance_id for container in containers}) > 1
