"""A data file, as task records and manifests describe it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_provider_snowflake_batch.contract.json_text import is_count


@dataclass(frozen=True)
class PartFile:
    """One data file.

    :param bytes: size of the file.
    :param checksum: ``sha256:`` and the hexadecimal digest of the file.
    """

    name: str
    rows: int
    bytes: int
    checksum: str


def parse_part_file(value: Any) -> PartFile:
    """Read what a record or a manifest says of a file.

    :raises ValueError: it does not describe one.
    """
    if not isinstance(value, dict):
        raise ValueError(f"{str(value)[:80]} does not describe a file")
    name, rows, size, checksum = (value.get(key) for key in ("name", "rows", "bytes", "checksum"))
    plain = isinstance(name, str) and name not in ("", ".", "..") and not set(name) & {"/", "\0"}
    if not (plain and is_count(rows) and is_count(size) and isinstance(checksum, str)):
        raise ValueError(f"{str(value)[:200]} does not describe a file")
    return PartFile(str(name), int(rows), int(size), checksum)  # type: ignore[arg-type]
