"""``_manifest.json``: what a finished directory holds."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa

from airflow_provider_snowflake_batch.worker.part_file import PartFile
from airflow_provider_snowflake_batch.worker.records import load_json, parse_file
from airflow_provider_snowflake_batch.worker.schemas import type_name

MANIFEST_VERSION = 1


@dataclass(frozen=True)
class Manifest:
    """What the finished directory holds.

    :param seconds: wall time of the attempt that finished the batch.
    :param quarantine: the files of rows set aside as bad; ``rows`` does not count these.
    :param attempt: token of the attempt that finished the batch.
    :param model: hash of all files that the model can read.
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
    attempt: str | None = None
    model: str | None = None

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
                "attempt": self.attempt,
                "model": self.model,
            },
            indent=1,
        )


@dataclass(frozen=True)
class StoredManifest:
    """A manifest as it was read, by whatever version it was written.

    :param schema: name and type of each column. :param document: all of it.
    """

    rows: int
    files: tuple[PartFile, ...]
    quarantine: tuple[PartFile, ...]
    quarantined_rows: int
    schema: dict[str, str]
    fingerprint: str | None
    attempt: str | None
    document: dict[str, Any]


def parse_manifest(text: str) -> StoredManifest:
    """Read a manifest.

    :raises ValueError: it is none, in words that follow the file's name.
    """
    value = load_json(text)
    if not isinstance(value, dict):
        raise ValueError(f"it holds a {type(value).__name__} and no object")
    version = value.get("version")
    if version != MANIFEST_VERSION or isinstance(version, bool):
        raise ValueError(f"manifest version {str(version)[:40]} is not supported; this worker reads {MANIFEST_VERSION}")
    files, aside, columns = (_list(value, name) for name in ("files", "quarantine_files", "schema"))
    schema = {}
    for column in columns:
        if not isinstance(column, dict) or not all(isinstance(column.get(key), str) for key in ("name", "type")):
            raise ValueError(f"{str(column)[:200]} does not describe a column")
        schema[column["name"]] = column["type"]
    rows, bad_rows = value.get("rows"), value.get("quarantined_rows", 0)
    for number in (rows, bad_rows):
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise ValueError(f"{str(number)[:40]} is no number of rows")
    fingerprint, attempt = value.get("fingerprint"), value.get("attempt")
    return StoredManifest(
        rows=int(rows),  # type: ignore[arg-type]
        files=tuple(map(parse_file, files)),
        quarantine=tuple(map(parse_file, aside)),
        quarantined_rows=bad_rows,
        schema=schema,
        fingerprint=fingerprint if isinstance(fingerprint, str) else None,
        attempt=attempt if isinstance(attempt, str) else None,
        document=value,
    )


def _list(value: dict[str, Any], name: str) -> list[Any]:
    # Manifests of the first versions know of no rows set aside.
    found = value.get(name, [] if name == "quarantine_files" else None)
    if not isinstance(found, list):
        raise ValueError(f"its {name!r} is no list")
    return found
