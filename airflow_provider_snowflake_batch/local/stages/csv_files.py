"""How many fields the rows of a CSV file have."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from airflow_provider_snowflake_batch.local.stages.formats import FileFormat

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


def first_width(path: Path, found: FileFormat) -> int | None:
    """The number of fields in the first row after the header, None for a file without one."""
    enclosed = found.text("FIELD_OPTIONALLY_ENCLOSED_BY", "NONE")
    is_enclosed = enclosed.upper() != "NONE"
    with _opened(path) as binary, io.TextIOWrapper(binary, encoding="utf-8", errors="replace", newline="") as text:
        skipped = int(found.options.get("SKIP_HEADER", 0)) or (1 if found.flag("PARSE_HEADER") else 0)
        rows = csv.reader(
            itertools.islice(text, skipped, None),
            delimiter=found.text("FIELD_DELIMITER", ","),
            quotechar=enclosed if is_enclosed else None,
            quoting=csv.QUOTE_MINIMAL if is_enclosed else csv.QUOTE_NONE,
        )
        row = next((row for row in rows if row), None)
    return None if row is None else len(row)


def _opened(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        magic = file.read(4)
    if magic.startswith(_GZIP):
        return cast(BinaryIO, gzip.open(path, "rb"))
    if magic == _ZSTD:
        return cast(BinaryIO, pa.CompressedInputStream(str(path), "zstd"))
    return path.open("rb")
