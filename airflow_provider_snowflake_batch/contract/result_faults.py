"""Whether a directory of results has the files that its manifest lists, and no others. The caller lists it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from airflow_provider_snowflake_batch.contract.manifest import StoredManifest
from airflow_provider_snowflake_batch.contract.output_layout import (
    FAILURES,
    PARQUET_ENDING,
    QUARANTINE,
    REPLICAS,
    STAGED_INPUT,
    TASKS,
)
from airflow_provider_snowflake_batch.contract.part_file import PartFile

NO_RESULTS = (TASKS, FAILURES, REPLICAS, STAGED_INPUT)
"""Folders whose files are not taken for results: a replica that is killed may leave records there."""


def may_be_results(path: str) -> bool:
    """Whether a reader of the directory might take a file for results or bad rows, wherever it lies.

    :param path: below the directory.
    """
    folder, _, name = path.rpartition("/")
    return folder.partition("/")[0] not in NO_RESULTS and (not name.startswith("_") or name.endswith(PARQUET_ENDING))


def listed_files(manifest: StoredManifest) -> list[tuple[str, PartFile]]:
    """The files of a manifest, those of bad rows as well, with their paths below the directory."""
    aside = [(f"{QUARANTINE}/{one.name}", one) for one in manifest.quarantine]
    return [(one.name, one) for one in manifest.files] + aside


def manifest_faults(manifest: StoredManifest, found: Iterable[str]) -> list[str]:
    """What is wrong with a manifest in itself, and with what lies beside its files.

    :param found: paths below the directory.
    :returns: a clause for each fault.
    """
    names = Counter(path for path, _ in listed_files(manifest))
    faults = [f"{name} is in the manifest twice" for name, times in sorted(names.items()) if times > 1]
    extra = {path for path in found if may_be_results(path)} - set(names)
    faults += [f"{name} is not in the manifest" for name in sorted(extra)]
    for stated, what, files in (
        (manifest.rows, "rows", manifest.files),
        (manifest.quarantined_rows, "bad rows", manifest.quarantine),
    ):
        counted = sum(one.rows for one in files)
        if counted != stated:
            faults.append(f"the manifest states {stated} {what}, its files {counted}")
    return faults


def size_faults(manifest: StoredManifest, sizes: Mapping[str, int]) -> list[str]:
    """The files of a manifest that are missing, or have another size.

    :param sizes: bytes, by path below the directory.
    :returns: a clause for each fault.
    """
    faults = []
    for path, file in listed_files(manifest):
        size = sizes.get(path)
        if size is None:
            faults.append(f"{path} is missing")
        elif size != file.bytes:
            faults.append(f"{path} has {size} bytes, not {file.bytes}")
    return faults
