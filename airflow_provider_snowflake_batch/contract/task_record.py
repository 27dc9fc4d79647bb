"""The record of a finished task: what makes its part count, and for which content of input and model it does.

Records of other versions are read: fields that are unknown here are left alone, fields that older ones lack are None.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from airflow_provider_snowflake_batch.contract.json_text import is_count, load
from airflow_provider_snowflake_batch.contract.part_file import PartFile, parse_part_file

# What may be raised when a record is read that somebody else may have written.
_BROKEN = (ValueError, TypeError, KeyError, AttributeError, RecursionError)


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
    :param input: hash of what was read of the input (`content.Content.digest` of the worker).
    :param seen: `content.Content.seen`.
    :param job: the name of the job that did it.
    :param passed: input columns of the part whose values are as they came; None if no row came out of it, and in
        records that do not tell.
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
    job: str | None = None
    passed: tuple[str, ...] | None = None

    @property
    def quarantined_rows(self) -> int:
        return 0 if self.quarantine is None else self.quarantine.rows

    @property
    def files(self) -> list[PartFile]:
        """The part and the file of bad rows, as far as there are any."""
        return [one for one in (self.part, self.quarantine) if one is not None]

    def to_json(self) -> str:
        """The record's text."""
        return json.dumps(asdict(self))


def parse_record(text: str) -> TaskRecord | None:
    """A record, or None if that is none: one that was cut off in writing, or written by somebody else.

    Whether ``schema`` is one, only Arrow can tell.
    """
    try:
        value = load(text)
        known = {one.name: value[one.name] for one in fields(TaskRecord) if one.name in value}
        for name in ("part", "quarantine"):
            known[name] = None if known.get(name) is None else parse_part_file(known[name])
        if not isinstance(known["warnings"], list):
            return None
        known["warnings"] = tuple(known["warnings"])
        known["passed"] = _texts(known.get("passed"))
        record = TaskRecord(**known)
        texts = (record.schema, record.attempt, record.model, record.input, record.seen, record.job)
        sound = (
            is_count(record.task)
            and is_count(record.input_rows)
            and isinstance(record.fingerprint, str)
            and isinstance(record.seconds, int | float)
            and math.isfinite(record.seconds)
            and all(isinstance(one, str) for one in record.warnings)
            and all(one is None or isinstance(one, str) for one in texts)
        )
    except _BROKEN:
        return None
    return record if sound else None


def _texts(value: Any) -> tuple[str, ...] | None:
    """A list of texts; None for anything else, of which nothing is known."""
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        return None
    return tuple(value)
