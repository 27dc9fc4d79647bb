"""The record of a finished task: what makes its part count, and for which content of input and model it does.

Records of other versions are read: fields that are unknown here are left alone, fields that older ones lack are None.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from typing import Any

import pyarrow as pa

from airflow_provider_snowflake_batch.worker.part_file import PartFile

# What reading something of somebody else's can raise.
_BROKEN = (ValueError, TypeError, KeyError, AttributeError, RecursionError, pa.ArrowException)


@dataclass(frozen=True)
class TaskRecord:
    """What is known of a finished task.

    :param part: None if no row came out of it.
    :param input_rows: rows that were read for it, the bad ones included.
    :param seconds: time from the first row read to the part written.
    :param schema: the part's Arrow schema, serialized and hexadecimal.
    :param quarantine: the file of bad rows, None if there are none.
    :param warnings: remarks for the manifest.
    :param attempt: the token of the attempt that did it. This and what follows is None in records of version
        0.1, which cannot tell.
    :param model: hash of all files that the model can read.
    :param input: hash of what was read of the input (`content.Content.digest`).
    :param seen: `content.Content.seen`.
    """

    task: int
    fingerprint: str
    part: PartFile | None
    input_rows: int
    seconds: float
    schema: str | None
    warnings: tuple[str, ...] = ()
    quarantine: PartFile | None = None
    attempt: str | None = None
    model: str | None = None
    input: str | None = None
    seen: str | None = None

    @property
    def quarantined_rows(self) -> int:
        return 0 if self.quarantine is None else self.quarantine.rows

    def arrow_schema(self) -> pa.Schema | None:
        if self.schema is None:
            return None
        return pa.ipc.read_schema(pa.py_buffer(bytes.fromhex(self.schema)))

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def encode_schema(schema: pa.Schema) -> str:
    """An Arrow schema as text."""
    return bytes(schema.serialize()).hex()


def load_json(text: str) -> Any:
    """A JSON document.

    :raises ValueError: it is none, or nested too deeply to be one of ours.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def parse_file(value: Any) -> PartFile:
    """A data file as records and manifests describe it.

    :raises ValueError: it is not described so.
    """
    if not isinstance(value, dict):
        raise ValueError(f"{str(value)[:80]} does not describe a file")
    name, rows, size, checksum = (value.get(key) for key in ("name", "rows", "bytes", "checksum"))
    plain = isinstance(name, str) and name not in ("", ".", "..") and not set(name) & {"/", "\0"}
    if not (plain and _count(rows) and _count(size) and isinstance(checksum, str)):
        raise ValueError(f"{str(value)[:200]} does not describe a file")
    return PartFile(str(name), int(rows), int(size), checksum)  # type: ignore[arg-type]


def parse_record(text: str) -> TaskRecord | None:
    """A record, or None if that is none: one that was cut off in writing, or written by somebody else."""
    try:
        value = load_json(text)
        known = {one.name: value[one.name] for one in fields(TaskRecord) if one.name in value}
        for name in ("part", "quarantine"):
            known[name] = None if known.get(name) is None else parse_file(known[name])
        if not isinstance(known["warnings"], list):
            return None
        known["warnings"] = tuple(known["warnings"])
        record = TaskRecord(**known)
        texts = (record.schema, record.attempt, record.model, record.input, record.seen)
        sound = (
            _count(record.task)
            and _count(record.input_rows)
            and isinstance(record.fingerprint, str)
            and isinstance(record.seconds, int | float)
            and math.isfinite(record.seconds)
            and all(isinstance(one, str) for one in record.warnings)
            and all(one is None or isinstance(one, str) for one in texts)
        )
        record.arrow_schema()
    except _BROKEN:
        return None
    return record if sound else None


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63
