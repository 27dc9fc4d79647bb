"""Names by which a task finds the jobs of its own earlier tries, where Airflow keeps no record of them.

``<prefix>_<Dag>_<task>_<task instance>_<fingerprint>_<tries>_<number>``: hexadecimal hashes of the task instance (16
digits) and of what the job does (8 digits), how many tries the task instance may make, and which of its jobs this is.
A try that died while its statement was on its way and the try that follows it choose the same name, and a name makes
one job.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self


@dataclass(frozen=True, slots=True)
class TaskInstanceKey:
    """Which task instance.

    :param run_started: when the Dag run started: a run that is deleted and made anew has the same id.
    :param map_index: -1 if the task is not mapped.
    """

    dag_id: str
    task_id: str
    run_id: str
    run_started: datetime
    map_index: int

    def digest(self) -> str:
        """16 hexadecimal digits, upper case."""
        parts = [
            self.dag_id,
            self.task_id,
            self.run_id,
            self.run_started.astimezone(UTC).isoformat(),
            self.map_index,
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16].upper()


@dataclass(frozen=True, slots=True)
class TaskJobName:
    """The end of a job's name.

    :param instance: :meth:`TaskInstanceKey.digest`.
    :param fingerprint: the first 8 hexadecimal digits of the job's fingerprint, upper case.
    :param tries: how many tries the task instance may make. A retry leaves it as it is, clearing the task raises it.
    :param number: 1 for the task instance's first job.
    """

    instance: str
    fingerprint: str
    tries: int
    number: int

    def __str__(self) -> str:
        return f"{self.instance}_{self.fingerprint}_{self.tries}_{self.number}"

    @classmethod
    def of(cls, name: str) -> Self | None:
        """What a job's name says, or None if it is not such a name."""
        match = _END.search(name)
        return cls(match[1], match[2], int(match[3]), int(match[4])) if match else None


_END = re.compile(r"_([0-9A-F]{16})_([0-9A-F]{8})_(\d+)_(\d+)$")
