"""Whether an output directory is what its manifest says."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_snowflake_batch.contract.manifest import parse_manifest
from airflow_provider_snowflake_batch.contract.output_layout import MANIFEST, QUARANTINE, SUCCESS
from airflow_provider_snowflake_batch.contract.part_file import PartFile
from airflow_provider_snowflake_batch.worker.errors import OutputError
from airflow_provider_snowflake_batch.worker.output.output_directory import data_files
from airflow_provider_snowflake_batch.worker.values.schemas import type_name

_BLOCK_BYTES = 1024 * 1024
_THREADS = 8


def verify(directory: Path) -> dict[str, Any]:
    """Compare a finished directory with its manifest: every file, its size, rows, schema and checksum.

    :return: the manifest.
    :raises OutputError: the first difference, or all that are found among the files.
    """
    if not (directory / SUCCESS).is_file():
        raise OutputError(f"{directory} holds no {SUCCESS}: the batch is not complete")
    try:
        manifest = parse_manifest((directory / MANIFEST).read_text(encoding="utf-8"))
    except OSError as error:
        raise OutputError(f"cannot read {directory / MANIFEST}: {error.strerror or error}") from None
    except ValueError as error:
        raise OutputError(f"{directory / MANIFEST} is not a manifest that can be read: {error}") from None
    files, aside = manifest.files, manifest.quarantine
    names = [one.name for one in files] + [f"{QUARANTINE}/{one.name}" for one in aside]
    problems = [f"{name} is in the manifest twice" for name in sorted({one for one in names if names.count(one) > 1})]
    problems += [f"{name} is not in the manifest" for name in sorted(data_files(directory) - set(names))]
    with ThreadPoolExecutor(_THREADS) as pool:
        checks: list[tuple[Path, PartFile, dict[str, str] | None]] = [
            (directory, one, manifest.schema) for one in files
        ]
        checks += [(directory / QUARANTINE, one, None) for one in aside]
        for problem in pool.map(lambda check: _check(*check), checks):
            if problem is not None:
                problems.append(problem)
    counted = sum(one.rows for one in files)
    if counted != manifest.rows:
        problems.append(f"the manifest states {manifest.rows} rows, its files {counted}")
    counted = sum(one.rows for one in aside)
    if counted != manifest.quarantined_rows:
        problems.append(f"the manifest states {manifest.quarantined_rows} bad rows, its files {counted}")
    if problems:
        raise OutputError(f"{directory} differs from its manifest: " + "; ".join(problems))
    return manifest.document


def _check(directory: Path, entry: PartFile, schema: dict[str, str] | None) -> str | None:
    path = directory / entry.name
    digest = hashlib.sha256()
    size = 0
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
                size += len(block)
        if size != entry.bytes:
            return f"{path.name} has {size} bytes, not {entry.bytes}"
        if f"sha256:{digest.hexdigest()}" != entry.checksum:
            return f"{path.name} has another checksum"
        with pq.ParquetFile(path) as parquet:
            if parquet.metadata.num_rows != entry.rows:
                return f"{path.name} has {parquet.metadata.num_rows} rows, not {entry.rows}"
            if schema is not None and {field.name: type_name(field.type) for field in parquet.schema_arrow} != schema:
                return f"{path.name} has another schema"
    except FileNotFoundError:
        return f"{path.name} is missing"
    except (OSError, pa.ArrowException) as error:
        return f"{path.name} cannot be read: {error}"
    return None
