"""Whether an output directory is what its manifest says."""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_snowflake_batch.worker.errors import OutputError
from airflow_provider_snowflake_batch.worker.output import (
    FAILURES,
    MANIFEST,
    MANIFEST_VERSION,
    QUARANTINE,
    REPLICAS,
    RESERVED,
    SUCCESS,
    TASKS,
)
from airflow_provider_snowflake_batch.worker.schemas import type_name

_BLOCK_BYTES = 1024 * 1024
_THREADS = 8
_ENTRY = {"name": str, "rows": int, "bytes": int, "checksum": str}


def verify(directory: Path) -> dict[str, Any]:
    """Compare a finished directory with its manifest: every file, its size, rows, schema and checksum.

    :return: the manifest.
    :raises OutputError: the first difference, or all that are found among the files.
    """
    if not (directory / SUCCESS).is_file():
        raise OutputError(f"{directory} holds no {SUCCESS}: the batch is not complete")
    try:
        manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        version, files, rows = manifest["version"], manifest["files"], manifest["rows"]
        schema = {column["name"]: column["type"] for column in manifest["schema"]}
        aside, bad_rows = manifest.get("quarantine_files", []), manifest.get("quarantined_rows", 0)
        names = [_path(entry) for entry in files] + [f"{QUARANTINE}/{_path(entry)}" for entry in aside]
    except OSError as error:
        raise OutputError(f"cannot read {directory / MANIFEST}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{directory / MANIFEST} is not a manifest: {error}") from None
    if version != MANIFEST_VERSION:
        raise OutputError(f"manifest version {version} is not supported; this worker reads {MANIFEST_VERSION}")
    problems = [f"{name} is in the manifest twice" for name in sorted({one for one in names if names.count(one) > 1})]
    problems += [f"{name} is not in the manifest" for name in sorted(_data_files(directory) - set(names))]
    with ThreadPoolExecutor(_THREADS) as pool:
        checks: list[tuple[Path, dict[str, Any], dict[str, str] | None]] = [
            (directory, entry, schema) for entry in files
        ]
        checks += [(directory / QUARANTINE, entry, None) for entry in aside]
        for problem in pool.map(lambda check: _check(*check), checks):
            if problem is not None:
                problems.append(problem)
    counted = sum(entry["rows"] for entry in files)
    if counted != rows:
        problems.append(f"the manifest states {rows} rows, its files {counted}")
    counted = sum(entry["rows"] for entry in aside)
    if counted != bad_rows:
        problems.append(f"the manifest states {bad_rows} bad rows, its files {counted}")
    if problems:
        raise OutputError(f"{directory} differs from its manifest: " + "; ".join(problems))
    return dict(manifest)


def _path(entry: dict[str, Any]) -> str:
    if not all(isinstance(entry[key], kind) for key, kind in _ENTRY.items()):
        raise TypeError(f"{entry} does not describe a file")
    return str(entry["name"])


def _data_files(directory: Path) -> set[str]:
    """What a reader of the directory might take for results or bad rows, wherever it lies, as paths below it.

    A replica that is killed while another one finishes the batch may leave records or a sign of life behind.
    """
    found = set()
    for folder, folders, names in os.walk(directory):
        place = Path(folder)
        if place == directory:
            folders[:] = [name for name in folders if name not in (TASKS, FAILURES, REPLICAS, RESERVED)]
        for name in names:
            if not name.startswith("_") or name.endswith(".parquet"):
                found.add((place / name).relative_to(directory).as_posix())
    return found


def _check(directory: Path, entry: dict[str, Any], schema: dict[str, str] | None) -> str | None:
    path = directory / entry["name"]
    digest = hashlib.sha256()
    size = 0
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
                size += len(block)
        if size != entry["bytes"]:
            return f"{path.name} has {size} bytes, not {entry['bytes']}"
        if f"sha256:{digest.hexdigest()}" != entry["checksum"]:
            return f"{path.name} has another checksum"
        with pq.ParquetFile(path) as parquet:
            if parquet.metadata.num_rows != entry["rows"]:
                return f"{path.name} has {parquet.metadata.num_rows} rows, not {entry['rows']}"
            if schema is not None and {field.name: type_name(field.type) for field in parquet.schema_arrow} != schema:
                return f"{path.name} has another schema"
    except FileNotFoundError:
        return f"{path.name} is missing"
    except (OSError, pa.ArrowException) as error:
        return f"{path.name} cannot be read: {error}"
    return None
