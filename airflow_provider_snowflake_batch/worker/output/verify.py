"""Whether an output directory is what its manifest says."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_snowflake_batch.contract.manifest import parse_manifest
from airflow_provider_snowflake_batch.contract.output_layout import MANIFEST, SUCCESS
from airflow_provider_snowflake_batch.contract.part_file import PartFile
from airflow_provider_snowflake_batch.contract.result_faults import listed_files, manifest_faults
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
    problems = manifest_faults(manifest, data_files(directory))
    with ThreadPoolExecutor(_THREADS) as pool:
        checks = [
            (directory / path, file, manifest.schema if path == file.name else None)
            for path, file in listed_files(manifest)
        ]
        for problem in pool.map(lambda check: _check(*check), checks):
            if problem is not None:
                problems.append(problem)
    if problems:
        raise OutputError(f"{directory} differs from its manifest: " + "; ".join(problems))
    return manifest.document


def _check(path: Path, entry: PartFile, schema: dict[str, str] | None) -> str | None:
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
