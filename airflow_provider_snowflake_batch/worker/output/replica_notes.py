"""What replicas leave for the one that finishes the batch: that they failed, and that they are alive."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from airflow_provider_snowflake_batch.contract.output_layout import FAILURES, RECORD_ENDING, REPLICAS
from airflow_provider_snowflake_batch.worker.output.disk import write_new


class ReplicaNotes:
    """The notes of a batch's replicas.

    :param path: the job's directory. :param tag: the beginning of the batch's fingerprint.
    """

    def __init__(self, path: Path, tag: str) -> None:
        self._path, self._tag = path, tag

    def _failure(self, replica: int) -> Path:
        return self._path / FAILURES / f"{self._tag}-{replica}{RECORD_ENDING}"

    def write_failure(self, replica: int, message: str) -> None:
        """Leave word that a replica cannot do its share."""
        (self._path / FAILURES).mkdir(parents=True, exist_ok=True)
        self.clear_failure(replica)
        write_new(self._failure(replica), json.dumps({"message": message}))

    def clear_failure(self, replica: int) -> None:
        """Take the word of a replica back, which begins anew, or whose word has been passed on."""
        self._failure(replica).unlink(missing_ok=True)

    def read_failures(self) -> dict[int, tuple[int, str]]:
        """Failures that replicas left word of: replica to time of writing, as the file system has it, and message."""
        found = {}
        for replica, entry in self._entries(FAILURES, RECORD_ENDING).items():
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
                message = json.loads(entry.read_text(encoding="utf-8"))["message"]
                found[replica] = (entry.stat().st_mtime_ns, str(message))
        return found

    def heartbeat_path(self, replica: int) -> Path:
        """How the names of a replica's signs of life begin; makes the folder."""
        folder = self._path / REPLICAS
        folder.mkdir(exist_ok=True)
        return folder / f"{self._tag}-{replica}"

    def read_heartbeats(self) -> dict[int, str]:
        """The signs of life of each replica that gave any: other ones when it has given one more."""
        found: dict[int, str] = {}
        for name in self._names(REPLICAS):
            replica, _, sign = name.partition(".")
            tag, _, number = replica.rpartition("-")
            if tag == self._tag and number.isdecimal():
                found[int(number)] = f"{found.get(int(number), '')} {sign}"
        return found

    def _entries(self, folder: str, ending: str) -> dict[int, Path]:
        found = {}
        for name in self._names(folder):
            tag, _, number = name.removesuffix(ending).rpartition("-")
            if tag == self._tag and number.isdecimal():
                found[int(number)] = self._path / folder / name
        return found

    def _names(self, folder: str) -> list[str]:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return sorted(entry.name for entry in (self._path / folder).iterdir())
        return []
