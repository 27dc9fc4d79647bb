"""``_manifest.json``: what a finished directory holds. Its writer, and the two ways of reading it.

A reader of results takes from a manifest of any version what results are told by: `parse_result_manifest`. Who goes on
with a directory, or verifies it, reads all of it, and only in the version that it knows: `parse_manifest`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from airflow_provider_snowflake_batch.contract import VERSION
from airflow_provider_snowflake_batch.contract.json_text import is_count, load
from airflow_provider_snowflake_batch.contract.part_file import PartFile, parse_part_file


@dataclass(frozen=True)
class Column:
    """A column of the results.

    :param type: the name of its Arrow type.
    """

    name: str
    type: str
    nullable: bool


@dataclass(frozen=True)
class Manifest:
    """What the finished directory holds, as it is written.

    :param seconds: wall time of the attempt that finished the batch.
    :param quarantine: the files of rows set aside as bad; ``rows`` does not count these.
    :param attempt: token of the attempt that finished the batch.
    :param model: hash of all files that the model can read.
    :param rows_reused: input rows that this batch's last job has not scored, since an earlier one had; None if unknown.
    :param original_types: input columns that are written as they came, and the SQL types that they had before their
        rows became Parquet files.
    """

    job_name: str
    fingerprint: str
    input_fingerprint: str
    rows: int
    files: Sequence[PartFile]
    schema: Sequence[Column]
    seconds: float
    warnings: Sequence[str] = ()
    quarantine: Sequence[PartFile] = ()
    attempt: str | None = None
    model: str | None = None
    rows_reused: int | None = None
    original_types: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """The manifest's text."""
        types = {"original_types": dict(self.original_types)} if self.original_types else {}
        return json.dumps(
            {
                "version": VERSION,
                "job_name": self.job_name,
                "rows": self.rows,
                "files": [asdict(part) for part in self.files],
                "schema": [asdict(column) for column in self.schema],
                "seconds": round(self.seconds, 3),
                "fingerprint": self.fingerprint,
                "input_fingerprint": self.input_fingerprint,
                "quarantined_rows": sum(one.rows for one in self.quarantine),
                "quarantine_files": [asdict(one) for one in self.quarantine],
                "warnings": list(self.warnings),
                "attempt": self.attempt,
                "model": self.model,
                "rows_reused": self.rows_reused,
                **types,
            },
            indent=1,
        )


@dataclass(frozen=True)
class StoredManifest:
    """All of a manifest.

    :param schema: name and type of each column. :param document: the whole document.
    """

    rows: int
    files: tuple[PartFile, ...]
    quarantine: tuple[PartFile, ...]
    quarantined_rows: int
    schema: dict[str, str]
    fingerprint: str | None
    attempt: str | None
    document: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class ResultManifest:
    """A manifest as readers of results need it.

    :param rows: rows of the results.
    :param files: the names of their files, beside which nothing is data; None if the manifest does not list them.
    :param quarantined_rows: rows that failed and were put aside. :param warnings: sentences worth reading.
    :param rows_reused: input rows whose results are an earlier job's; 0 also where the manifest does not tell.
    :param job_name: the job that has written it, if it tells.
    :param original_types: columns and the SQL types that they had, of which their Parquet types do not tell.
    :param bytes: size of the files together; None if the manifest does not tell that of each.
    :param columns: name and Arrow type of each; None likewise.
    """

    rows: int
    files: tuple[str, ...] | None
    quarantined_rows: int = 0
    warnings: tuple[str, ...] = ()
    rows_reused: int = 0
    job_name: str | None = None
    original_types: Mapping[str, str] = field(default_factory=dict)
    bytes: int | None = None
    columns: tuple[tuple[str, str], ...] | None = None


def parse_manifest(text: str) -> StoredManifest:
    """Read a manifest of this version.

    :raises ValueError: it is none, in words that follow the file's name.
    """
    value = load(text)
    if not isinstance(value, dict):
        raise ValueError(f"it holds a {type(value).__name__} and no object")
    version = value.get("version")
    if version != VERSION or isinstance(version, bool):
        raise ValueError(f"manifest version {str(version)[:40]} is not supported; this worker reads {VERSION}")
    files, aside, columns = (_list(value, name) for name in ("files", "quarantine_files", "schema"))
    schema = {}
    for column in columns:
        if not isinstance(column, dict) or not all(isinstance(column.get(key), str) for key in ("name", "type")):
            raise ValueError(f"{str(column)[:200]} does not describe a column")
        schema[column["name"]] = column["type"]
    rows, bad_rows = _rows(value.get("rows")), _rows(value.get("quarantined_rows", 0))
    fingerprint, attempt = value.get("fingerprint"), value.get("attempt")
    return StoredManifest(
        rows=rows,
        files=tuple(map(parse_part_file, files)),
        quarantine=tuple(map(parse_part_file, aside)),
        quarantined_rows=bad_rows,
        schema=schema,
        fingerprint=fingerprint if isinstance(fingerprint, str) else None,
        attempt=attempt if isinstance(attempt, str) else None,
        document=value,
    )


def parse_result_manifest(text: str | bytes) -> ResultManifest:
    """Read of a manifest, of any version, what readers of results need.

    :raises ValueError: it is none.
    """
    value = load(text)
    if not isinstance(value, dict):
        raise ValueError("it is no object")
    files, warnings = value.get("files"), value.get("warnings") or []
    names = None if files is None else _names(files)
    rows, bad_rows = _rows(value.get("rows")), _rows(value.get("quarantined_rows") or 0)
    if not isinstance(warnings, list):
        raise ValueError("its warnings are no list")
    reused, job = _rows(value.get("rows_reused") or 0), value.get("job_name")
    job_name = job if isinstance(job, str) else None
    types = value.get("original_types") or {}
    if not isinstance(types, dict) or not all(isinstance(kind, str) for kind in types.values()):
        raise ValueError("its original types are no object of columns and types")
    size, columns = _size(files), _columns(value.get("schema"))
    return ResultManifest(rows, names, bad_rows, tuple(map(str, warnings)), reused, job_name, types, size, columns)


def _rows(number: Any) -> int:
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise ValueError(f"{str(number)[:40]} is no number of rows")
    return number


def _list(value: dict[str, Any], name: str) -> list[Any]:
    # Manifests of the first versions lack this field.
    found = value.get(name, [] if name == "quarantine_files" else None)
    if not isinstance(found, list):
        raise ValueError(f"its {name!r} is no list")
    return found


def _size(files: Any) -> int | None:
    # Nothing depends on it, so a manifest without it is one.
    sizes: list[Any] = [None] if files is None else [one.get("bytes") for one in files]
    return sum(sizes) if all(map(is_count, sizes)) else None


def _columns(schema: Any) -> tuple[tuple[str, str], ...] | None:
    found = []
    for column in schema if isinstance(schema, list) else ():
        name, kind = (column.get(key) for key in ("name", "type")) if isinstance(column, dict) else (None, None)
        if not isinstance(name, str) or not isinstance(kind, str):
            return None
        found.append((name, kind))
    return tuple(found) or None


def _names(files: Any) -> tuple[str, ...]:
    names = [one.get("name") if isinstance(one, dict) else None for one in files] if isinstance(files, list) else [None]
    found = tuple(name for name in names if isinstance(name, str))
    if len(found) < len(names):
        raise ValueError("it lists no files")
    return found
