"""The job's directory: part files, task records, manifest, ``_SUCCESS`` (``contract/output_layout.py`` has the names).

``<plan>`` is the beginning of a fingerprint over the input files and the model, so that a later attempt of the same
batch finds its own work and nothing else. ``<attempt>`` is a random token: two attempts that are alive at the same time
write different files, a record names its files, the manifest names those that count. The first manifest wins; whoever
comes later sees it before the next record, removes what it wrote itself and ends. Versions before wrote names without
``<attempt>``, which are read as well.

Every file is written once, from beginning to end; nothing relies on append, rename or on seeing at once what another
replica wrote, because stage volumes promise none of these
(https://docs.snowflake.com/en/developer-guide/snowpark-container-services/snowflake-stage-volume).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from airflow_provider_snowflake_batch.contract.manifest import Manifest, StoredManifest, parse_manifest
from airflow_provider_snowflake_batch.contract.output_layout import (
    BAD_ROWS_ENDING,
    FAILURES,
    MANIFEST,
    PARQUET_ENDING,
    PART_PREFIX,
    QUARANTINE,
    RECORD_ENDING,
    RECORDS,
    REPLICAS,
    STAGED_INPUT,
    SUCCESS,
    TASKS,
)
from airflow_provider_snowflake_batch.contract.part_file import PartFile
from airflow_provider_snowflake_batch.contract.result_faults import NO_RESULTS, may_be_results
from airflow_provider_snowflake_batch.contract.task_record import TaskRecord
from airflow_provider_snowflake_batch.contract.vocabulary import SaveMode
from airflow_provider_snowflake_batch.worker.attempt import Attempt
from airflow_provider_snowflake_batch.worker.errors import OutputError, Refused, Superseded
from airflow_provider_snowflake_batch.worker.output.disk import flush_folder, write_new
from airflow_provider_snowflake_batch.worker.output.records import parse_record

# Seconds that another attempt may take to write a manifest. One that is cut off after that was left by a dead attempt.
MANIFEST_SECONDS = 5.0

# Files of rows as a worker names them, for any batch.
_OWN_NAME = re.compile(
    rf"{PART_PREFIX}[0-9a-f]{{12}}-[^/]*{re.escape(PARQUET_ENDING)}"
    rf"|{QUARANTINE}/[0-9a-f]{{12}}-[^/]*{re.escape(BAD_ROWS_ENDING)}"
)


class OutputDirectory:
    """The job's directory, seen by one attempt.

    :param path: the directory; `prepare` makes it when it does not exist.
    """

    def __init__(self, path: Path, attempt: Attempt) -> None:
        self.path = path
        self.attempt = attempt
        self.tag = attempt.fingerprint[:12]

    @property
    def fingerprint(self) -> str:
        return self.attempt.fingerprint

    def part_path(self, task: int) -> Path:
        """A name for a part that nothing has yet."""
        return self._new(self.path, f"{PART_PREFIX}{self.tag}-{task:06d}", PARQUET_ENDING)

    def quarantine_path(self, task: int) -> Path:
        """A name for a file of bad rows that nothing has yet; makes the folder."""
        folder = self.path / QUARANTINE
        folder.mkdir(exist_ok=True)
        return self._new(folder, f"{self.tag}-{task:06d}", BAD_ROWS_ENDING)

    def _new(self, folder: Path, stem: str, ending: str) -> Path:
        # An attempt does a task again if its process died or the schema became wider.
        path, number = folder / f"{stem}.{self.attempt.token}{ending}", 0
        while path.exists():
            number += 1
            path = folder / f"{stem}.{self.attempt.token}.r{number}{ending}"
        return path

    def stored_manifest(self) -> StoredManifest | None:
        """The manifest that is there; None if there is none, or it is cut off."""
        try:
            return parse_manifest((self.path / MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def finished(self) -> StoredManifest | None:
        """The manifest, if this very batch is finished by its own account.

        A manifest that is there now does not supersede this attempt; one that is written later does.
        """
        self.attempt = replace(self.attempt, found=self._manifest_hash())
        stored = self.stored_manifest()
        return stored if stored is not None and stored.fingerprint == self.fingerprint else None

    def prepare(self, mode: SaveMode, *, first: bool, again: bool = False) -> None:
        """Make the directory ready for this batch, after `finished` has looked at it.

        :param first: this replica is the one that clears and finishes.
        :param again: what this batch has in the directory is to be done anew.
        :raises Refused: it cannot be made, or mode ERROR and it holds anything but this batch's own records.
        :raises Superseded: another attempt has finished meanwhile.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            names = sorted(entry.name for entry in self.path.iterdir() if entry.name != STAGED_INPUT)
        except OSError as error:
            raise Refused(f"the output directory {self.path} cannot be used: {error.strerror or error}") from None
        foreign = [name for name in names if not self._is_ours(name)]
        if foreign and mode is SaveMode.ERROR:
            shown = ", ".join(foreign[:5]) + (", …" if len(foreign) > 5 else "")
            raise Refused(f"the output directory {self.path} is not empty and mode is error: it holds {shown}")
        self.check_superseded()
        # Each replica removes it before it writes: an old _SUCCESS must not lie beside new files.
        self._remove(SUCCESS)
        if first:
            self._remove(MANIFEST)
            for name in names if again else foreign:
                self._remove(name)
            self._remove_foreign_records(everything=again)
        (self.path / TASKS).mkdir(exist_ok=True)

    def foreign_files(self, stored: StoredManifest) -> list[str]:
        """Files that a reader of a finished directory would take for results, and that no worker has written."""
        listed = {one.name for one in stored.files} | {f"{QUARANTINE}/{one.name}" for one in stored.quarantine}
        return sorted(name for name in data_files(self.path) - listed if not _OWN_NAME.fullmatch(name))

    def _manifest_hash(self) -> str | None:
        try:
            return hashlib.sha256((self.path / MANIFEST).read_bytes()).hexdigest()
        except OSError:
            return None

    def _is_ours(self, name: str) -> bool:
        if name.startswith(f"{PART_PREFIX}{self.tag}-"):
            return True
        if name in RECORDS:
            folder = self.path / name
            return folder.is_dir() and all(entry.name.startswith(f"{self.tag}-") for entry in folder.iterdir())
        if name not in (MANIFEST, SUCCESS):
            return False
        # A manifest that cannot be read, in a directory without _SUCCESS, was cut off while it was written.
        stored = self.stored_manifest()
        if stored is None:
            return not (self.path / SUCCESS).exists()
        return stored.fingerprint == self.fingerprint

    def _remove_foreign_records(self, *, everything: bool) -> None:
        for folder in RECORDS:
            for entry in self.entries(folder):
                if everything or not entry.name.startswith(f"{self.tag}-"):
                    entry.unlink(missing_ok=True)

    def entries(self, folder: str) -> list[Path]:
        """What is in a folder of records, in order."""
        try:
            return sorted((self.path / folder).iterdir())
        except (FileNotFoundError, NotADirectoryError):
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

    def write_record(self, record: TaskRecord) -> None:
        """Make a task count as done. Its part must be complete by now.

        :raises Superseded: another attempt has finished the batch.
        """
        self.check_superseded()
        folder = self.path / TASKS
        write_new(self._new(folder, f"{self.tag}-{record.task:06d}", RECORD_ENDING), record.to_json())
        # The folders that hold the names of the part, of the bad rows and of the record itself.
        for one in (self.path, folder, *([self.path / QUARANTINE] if record.quarantine is not None else [])):
            flush_folder(one)

    def read_records(
        self,
        known: Mapping[int, TaskRecord] | None = None,
        without: Iterable[TaskRecord] = (),
        listed: Collection[str] | None = None,
    ) -> dict[int, TaskRecord]:
        """The finished tasks of this batch; a record cut off in writing does not count, nor one without its part.

        :param known: records read before, which are not read again.
        :param without: records that have turned out not to count.
        :param listed: if given, records of other files do not count: those of an attempt that came late, and died
            before it could take them back.
        """
        found = dict(known or {})
        refused = list(without)
        for entry in self.entries(TASKS):
            tag, _, number = entry.name.partition(".")[0].rpartition("-")
            if tag != self.tag or not number.isdecimal() or not entry.name.endswith(RECORD_ENDING):
                continue
            task = int(number)
            # Version 0.1 wrote a part with a wider schema again, under ".r1", and then removed the first one.
            if task in found:
                continue
            record = self._read_record(entry)
            if record is None or record.task != task or record in refused:
                continue
            if listed is None or all(one.name in listed for one in record.files):
                found[task] = record
        return found

    def own_record(self, task: int) -> TaskRecord | None:
        """The record that this attempt has written of a task, if there is one that counts."""
        mark = f"{self.tag}-{task:06d}.{self.attempt.token}."
        records = (self._read_record(entry) for entry in self.entries(TASKS) if entry.name.startswith(mark))
        return next((record for record in records if record is not None), None)

    def _read_record(self, path: Path) -> TaskRecord | None:
        try:
            record = parse_record(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if record is None or record.fingerprint != self.fingerprint:
            return None
        return None if self.difference(record) else record

    def remove_record(self, record: TaskRecord) -> None:
        """Take a record back that does not count, so that no other replica counts it."""
        for entry in self.entries(TASKS):
            if entry.name.startswith(f"{self.tag}-{record.task:06d}.") and self._read_record(entry) == record:
                entry.unlink(missing_ok=True)

    def difference(self, record: TaskRecord) -> str | None:
        """What is wrong with the files of a task at first sight, None if nothing is."""
        return self._difference(record.part, self.path) or self._difference(record.quarantine, self.path / QUARANTINE)

    def _difference(self, file: PartFile | None, folder: Path) -> str | None:
        if file is None:
            return None
        try:
            size = (folder / file.name).stat().st_size
        except OSError as error:
            return f"{file.name} cannot be found: {error.strerror}"
        return None if size == file.bytes else f"{file.name} has {size} bytes where {file.bytes} were written"

    def _differences(self, parts: Iterable[PartFile], quarantine: Iterable[PartFile]) -> list[str]:
        found = [self._difference(part, self.path) for part in parts]
        found += [self._difference(one, self.path / QUARANTINE) for one in quarantine]
        return [one for one in found if one is not None]

    def check_superseded(self) -> None:
        """Look whether another attempt came first.

        :raises Superseded: it has written its manifest.
        """
        other = self._other_manifest()
        if other is not None:
            same = other.fingerprint == self.fingerprint
            what = "another attempt has finished this batch" if same else "another batch has been finished"
            raise Superseded(f"{what} in {self.path} meanwhile; its result counts and is left alone")

    def _other_manifest(self) -> StoredManifest | None:
        """The manifest of an attempt that came first, if there is one.

        One that is cut off does not count, nor one that lists files which are not there: its attempt was overtaken by
        one that cleared the directory.
        """
        if not (self.path / MANIFEST).exists() or self._manifest_hash() == self.attempt.found:
            return None
        stored = self.stored_manifest()
        if stored is None or stored.attempt == self.attempt.token:
            return None
        return None if self._differences(stored.files, stored.quarantine) else stored

    def finish(self, manifest: Manifest, unchanged: Callable[[], None]) -> None:
        """Write the manifest, then ``_SUCCESS``; parts that the manifest does not list are removed in between.

        :param unchanged: called last of all; raises `OutputError` if the manifest is of an input or model that were
            replaced, and is withdrawn then.
        :raises OutputError: a listed part is missing or has another size.
        :raises Superseded: another attempt has written its manifest.
        """
        for folder in (self.path, self.path / TASKS, self.path / QUARANTINE):
            flush_folder(folder)
        differences = self._differences(manifest.files, manifest.quarantine)
        if differences:
            self.check_superseded()
            raise OutputError(f"{differences[0]}; another attempt may have cleared the directory")
        deadline = time.monotonic() + MANIFEST_SECONDS
        while True:
            self.check_superseded()
            try:
                write_new(self.path / MANIFEST, manifest.to_json())
                break
            except FileExistsError:
                # Another attempt is writing the manifest at this moment, or died while it did.
                if self.stored_manifest() is None and time.monotonic() < deadline:
                    time.sleep(0.1)
                else:
                    self._remove_worthless_manifest()
        flush_folder(self.path)
        self.seal(manifest.files, manifest.quarantine, unchanged)

    def _remove_worthless_manifest(self) -> None:
        if self._other_manifest() is None:
            (self.path / MANIFEST).unlink(missing_ok=True)

    def seal(
        self,
        parts: Iterable[PartFile],
        quarantine: Iterable[PartFile],
        unchanged: Callable[[], None] = lambda: None,
    ) -> None:
        """Remove what the manifest does not list, then write ``_SUCCESS``.

        :param unchanged: as for `finish`.
        :raises OutputError: a listed part has gone meanwhile.
        :raises Superseded: the manifest is not this attempt's any more.
        """
        parts, quarantine = list(parts), list(quarantine)
        listed = {file.name for file in [*parts, *quarantine]}
        self._remove_unlisted(listed)
        for folder in (FAILURES, REPLICAS):
            for entry in self.entries(folder):
                entry.unlink(missing_ok=True)
        for folder in RECORDS:
            # On a disk an empty folder would be left; stages have no folders.
            with contextlib.suppress(OSError):
                (self.path / folder).rmdir()
        self.check_superseded()
        differences = self._differences(parts, quarantine)
        if differences:
            raise OutputError(f"{differences[0]}; another attempt may have cleared the directory")
        try:
            unchanged()
        except OutputError:
            self._remove(MANIFEST)
            raise
        with contextlib.suppress(FileExistsError):
            write_new(self.path / SUCCESS, "")
        flush_folder(self.path)

    def _remove_unlisted(self, listed: set[str]) -> None:
        unlisted = [one for one in self.path.iterdir() if one.name.endswith(PARQUET_ENDING) and one.name not in listed]
        # Folders stay: they hold no results, or the directory would have been refused.
        unlisted = [one for one in unlisted if not one.is_dir() or one.is_symlink()]
        unlisted += [one for one in self.entries(QUARANTINE) if one.name not in listed]
        if unlisted:
            # Checked again just before: files that this manifest does not list may be in a newer one.
            self.check_superseded()
        for entry in unlisted:
            entry.unlink(missing_ok=True)

    def tidy(self) -> None:
        """If the directory is finished, remove what this attempt wrote and the manifest does not list.

        Its processes must have ended: a reader who takes every file of a finished directory would read these as well.
        """
        stored = self.stored_manifest()
        # A manifest from before this attempt, which the first replica has not removed yet, does not list its files.
        if stored is None or self._manifest_hash() == self.attempt.found:
            return
        listed = {file.name for file in [*stored.files, *stored.quarantine]}
        mark = f".{self.attempt.token}."
        with contextlib.suppress(OSError):
            for entry in [*self.path.iterdir(), *self.entries(QUARANTINE), *self.entries(TASKS)]:
                if mark in entry.name and entry.name not in listed and not self._counts(entry, listed):
                    entry.unlink(missing_ok=True)

    def _counts(self, entry: Path, listed: set[str]) -> bool:
        """Whether a record is of files that are listed."""
        if entry.parent.name != TASKS:
            return False
        record = self._read_record(entry)
        files = record.files if record is not None else []
        return all(file.name in listed for file in files) and record is not None


def data_files(directory: Path) -> set[str]:
    """Files at any depth that a reader of a directory might take for results or bad rows, as paths below it."""
    found: set[str] = set()
    for folder, folders, names in os.walk(directory):
        place = Path(folder)
        if place == directory:
            folders[:] = [name for name in folders if name not in NO_RESULTS]
        paths = ((place / name).relative_to(directory).as_posix() for name in names)
        found.update(path for path in paths if may_be_results(path))
    return found
