"""The job's directory: part files, task records, manifest, ``_SUCCESS``.

::

    part-<plan>-<task>.parquet       rows of one task
    _quarantine/<plan>-<task>.pq     rows of the task that were set aside as bad, if there are any
    _tasks/<plan>-<task>.json        the record that makes these files count, written after them
    _manifest.json                   every part with rows, bytes and checksum
    _SUCCESS                         empty; written last

``<plan>`` is the beginning of a fingerprint over the input files and the model, so that a later attempt of the same
batch finds its own work and nothing else. Every file is written once, from beginning to end; nothing relies on append,
rename or on seeing at once what another replica wrote, because stage volumes promise none of these
(https://docs.snowflake.com/en/developer-guide/snowpark-container-services/snowflake-stage-volume).
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pyarrow as pa

from airflow_provider_snowflake_batch.worker.errors import OutputError, Refused
from airflow_provider_snowflake_batch.worker.job import SaveMode
from airflow_provider_snowflake_batch.worker.part_file import PartFile
from airflow_provider_snowflake_batch.worker.schemas import type_name

SUCCESS = "_SUCCESS"
MANIFEST = "_manifest.json"
TASKS = "_tasks"
FAILURES = "_failures"
QUARANTINE = "_quarantine"
REPLICAS = "_replicas"
# Folders of this batch's own records, in which every name begins with the batch's tag.
RECORDS = (TASKS, FAILURES, QUARANTINE, REPLICAS)
MANIFEST_VERSION = 1

# Snowflake's own temporary directory may lie beside the results; it is no content of ours or anybody's.
RESERVED = "_snowflake_temporary"


@dataclass(frozen=True)
class TaskRecord:
    """What is known of a finished task.

    :param part: None if no row came out of it.
    :param input_rows: rows that were read for it, the bad ones included.
    :param seconds: time from the first row read to the part written.
    :param schema: the part's Arrow schema, serialized and hexadecimal.
    :param quarantine: the file of bad rows, None if there are none.
    :param warnings: remarks for the manifest.
    """

    task: int
    fingerprint: str
    part: PartFile | None
    input_rows: int
    seconds: float
    schema: str | None
    warnings: tuple[str, ...] = ()
    quarantine: PartFile | None = None

    @property
    def quarantined_rows(self) -> int:
        return 0 if self.quarantine is None else self.quarantine.rows

    def arrow_schema(self) -> pa.Schema | None:
        if self.schema is None:
            return None
        return pa.ipc.read_schema(pa.py_buffer(bytes.fromhex(self.schema)))


def encode_schema(schema: pa.Schema) -> str:
    """An Arrow schema as text."""
    return bytes(schema.serialize()).hex()


@dataclass(frozen=True)
class Manifest:
    """What the finished directory holds.

    :param seconds: wall time of the attempt that finished the batch.
    :param quarantine: the files of rows set aside as bad; ``rows`` does not count these.
    """

    job_name: str
    fingerprint: str
    input_fingerprint: str
    rows: int
    files: list[PartFile]
    schema: pa.Schema
    seconds: float
    warnings: list[str] = field(default_factory=list)
    quarantine: list[PartFile] = field(default_factory=list)

    def to_json(self) -> str:
        return json.dumps(
            {
                "version": MANIFEST_VERSION,
                "job_name": self.job_name,
                "rows": self.rows,
                "files": [asdict(part) for part in self.files],
                "schema": [
                    {"name": one.name, "type": type_name(one.type), "nullable": one.nullable} for one in self.schema
                ],
                "seconds": round(self.seconds, 3),
                "fingerprint": self.fingerprint,
                "input_fingerprint": self.input_fingerprint,
                "quarantined_rows": sum(one.rows for one in self.quarantine),
                "quarantine_files": [asdict(one) for one in self.quarantine],
                "warnings": self.warnings,
            },
            indent=1,
        )


class OutputDirectory:
    """The job's directory, seen by one batch.

    :param path: the directory; made when it does not exist.
    :param fingerprint: of the batch: its input, model and parameters.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        self.path = path
        self.fingerprint = fingerprint
        self.tag = fingerprint[:12]

    def part_name(self, task: int, revision: int = 0) -> str:
        suffix = f".r{revision}" if revision else ""
        return f"part-{self.tag}-{task:06d}{suffix}.parquet"

    def part_path(self, task: int, revision: int = 0) -> Path:
        return self.path / self.part_name(task, revision)

    def quarantine_path(self, task: int) -> Path:
        """Where a task's bad rows go; makes the folder."""
        folder = self.path / QUARANTINE
        folder.mkdir(exist_ok=True)
        return folder / f"{self.tag}-{task:06d}.pq"

    def prepare(self, mode: SaveMode, *, first: bool, alone: bool) -> bool:
        """Make the directory ready for this batch.

        :param first: this replica is the one that clears and finishes.
        :param alone: the batch has no other replica.
        :return: whether the batch is complete already, by this very plan: then there is nothing to do.
        :raises Refused: mode ERROR and the directory holds anything but this batch's own records.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        names = sorted(entry.name for entry in self.path.iterdir() if entry.name != RESERVED)
        complete = SUCCESS in names and self._manifest_fingerprint() == self.fingerprint
        if complete and (mode is SaveMode.ERROR or not alone):
            return True
        foreign = [name for name in names if not self._is_ours(name)]
        if foreign and mode is SaveMode.ERROR:
            shown = ", ".join(foreign[:5]) + (", …" if len(foreign) > 5 else "")
            raise Refused(f"the output directory {self.path} is not empty and mode is error: it holds {shown}")
        if first:
            self._remove(SUCCESS)
            self._remove(MANIFEST)
            for name in names if complete else foreign:
                self._remove(name)
            self._remove_foreign_records(everything=complete)
        (self.path / TASKS).mkdir(exist_ok=True)
        return False

    def _manifest_fingerprint(self) -> str | None:
        try:
            value = json.loads((self.path / MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return value.get("fingerprint") if isinstance(value, dict) else None

    def _is_ours(self, name: str) -> bool:
        if name.startswith(f"part-{self.tag}-"):
            return True
        if name in RECORDS:
            folder = self.path / name
            return folder.is_dir() and all(entry.name.startswith(f"{self.tag}-") for entry in folder.iterdir())
        if name not in (MANIFEST, SUCCESS):
            return False
        # A manifest that cannot be read, without _SUCCESS, is one that was cut off while it was written.
        stated = self._manifest_fingerprint()
        return stated == self.fingerprint or (stated is None and not (self.path / SUCCESS).exists())

    def _remove_foreign_records(self, *, everything: bool) -> None:
        for folder in RECORDS:
            for entry in self._entries(folder):
                if everything or not entry.name.startswith(f"{self.tag}-"):
                    entry.unlink(missing_ok=True)

    def _entries(self, folder: str) -> list[Path]:
        try:
            return sorted((self.path / folder).iterdir())
        except FileNotFoundError:
            return []

    def _remove(self, name: str) -> None:
        path = self.path / name
        if path.is_dir() and not path.is_symlink():
            if name in RECORDS:
                return
            for folder, folders, names in os.walk(path, topdown=False):
                for one in names:
                    (Path(folder) / one).unlink(missing_ok=True)
                for one in folders:
                    below = Path(folder) / one
                    below.unlink() if below.is_symlink() else below.rmdir()
            path.rmdir()
        else:
            path.unlink(missing_ok=True)

    def _record_path(self, task: int, revision: int) -> Path:
        suffix = f".r{revision}" if revision else ""
        return self.path / TASKS / f"{self.tag}-{task:06d}{suffix}.json"

    def write_record(self, record: TaskRecord, revision: int = 0) -> None:
        """Make a task count as done. Its part must be complete by now."""
        self._record_path(record.task, revision).write_text(json.dumps(asdict(record)), encoding="utf-8")

    def read_records(self, known: Mapping[int, TaskRecord] | None = None) -> dict[int, TaskRecord]:
        """The finished tasks of this batch; a record cut off in writing does not count, nor one without its part.

        :param known: records read before, which are not read again.
        """
        found = dict(known or {})
        for entry in self._entries(TASKS):
            stem, _, ending = entry.name.partition(".")
            tag, _, number = stem.rpartition("-")
            if tag != self.tag or not number.isdecimal() or not entry.name.endswith(".json"):
                continue
            task = int(number)
            if task in found and ending == "json":
                continue
            record = self._read_record(entry)
            if record is not None and record.task == task:
                found[task] = record
        return found

    def _read_record(self, path: Path) -> TaskRecord | None:
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
            for name in ("part", "quarantine"):
                value[name] = None if value.get(name) is None else PartFile(**value[name])
            value["warnings"] = tuple(value["warnings"])
            record = TaskRecord(**value)
            if record.fingerprint != self.fingerprint or self._difference(record.part, record.quarantine):
                return None
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return record

    def _difference(self, part: PartFile | None, quarantine: PartFile | None) -> str | None:
        """What is wrong with the files of a task, None if nothing is."""
        for file, folder in ((part, self.path), (quarantine, self.path / QUARANTINE)):
            if file is None:
                continue
            try:
                size = (folder / file.name).stat().st_size
            except OSError as error:
                return f"{file.name} cannot be found: {error.strerror}"
            if size != file.bytes:
                return f"{file.name} has {size} bytes where {file.bytes} were written"
        return None

    def write_failure(self, replica: int, message: str) -> None:
        """Leave word for the replica that finishes the batch that this one cannot do its share."""
        (self.path / FAILURES).mkdir(parents=True, exist_ok=True)
        path = self.path / FAILURES / f"{self.tag}-{replica}.json"
        path.write_text(json.dumps({"message": message}), encoding="utf-8")

    def clear_failure(self, replica: int) -> None:
        (self.path / FAILURES / f"{self.tag}-{replica}.json").unlink(missing_ok=True)

    def read_failures(self) -> dict[str, tuple[float, str]]:
        """Words left by replicas: file name to time of writing and message."""
        found = {}
        for entry in self._entries(FAILURES):
            try:
                message = json.loads(entry.read_text(encoding="utf-8"))["message"]
                found[entry.name] = (entry.stat().st_mtime, str(message))
            except (OSError, ValueError, TypeError, KeyError):
                continue
        return found

    def heartbeat_path(self, replica: int) -> Path:
        """Where a replica gives its signs of life; makes the folder."""
        folder = self.path / REPLICAS
        folder.mkdir(exist_ok=True)
        return folder / f"{self.tag}-{replica}"

    def read_heartbeats(self) -> dict[int, str]:
        """The last sign of life of each replica that gave one."""
        found = {}
        for entry in self._entries(REPLICAS):
            tag, _, number = entry.name.rpartition("-")
            if tag == self.tag and number.isdecimal():
                try:
                    found[int(number)] = entry.read_text(encoding="utf-8")
                except (OSError, ValueError):
                    continue
        return found

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest, then ``_SUCCESS``; parts that the manifest does not list are removed before.

        :raises OutputError: a listed part is missing or has another size.
        """
        listed = {file.name for file in [*manifest.files, *manifest.quarantine]}
        differences = [self._difference(part, None) for part in manifest.files]
        differences += [self._difference(None, file) for file in manifest.quarantine]
        for difference in differences:
            if difference is not None:
                raise OutputError(difference)
        for entry in self.path.iterdir():
            if entry.name.endswith(".parquet") and entry.name not in listed:
                entry.unlink()
        for entry in self._entries(QUARANTINE):
            if entry.name not in listed:
                entry.unlink()
        for folder in (FAILURES, REPLICAS):
            for entry in self._entries(folder):
                entry.unlink(missing_ok=True)
        for folder in RECORDS:
            # Stages have no folders; on a disk, an empty one would be there for nothing.
            with contextlib.suppress(OSError):
                (self.path / folder).rmdir()
        for path, text in ((self.path / MANIFEST, manifest.to_json()), (self.path / SUCCESS, "")):
            path.unlink(missing_ok=True)
            path.write_text(text, encoding="utf-8")
