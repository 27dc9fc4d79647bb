"""Which files under a stage location are a job's Parquet input, as far as their names tell.

What Snowflake's own runtime reads of a location is not documented. Files whose names end in ``.parquet`` are read by
every runtime; with others, rows might be left out without a word, so that they are not left to chance.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from airflow_provider_snowflake_batch.jobs.identifiers import StagePath

PARQUET_FILES = r".*\.parquet"
"""The files that a query reads if no pattern says otherwise."""
EVERY_FILE = r"(.*/)?[^_.][^/]*"
"""All files but such as ``_SUCCESS``."""
# What often lies beside data, or is another format of it. Whatever has another ending, or none, may be Parquet: Hive
# writes 000000_0, COPY INTO … SINGLE = TRUE what it is told, others .parq, .pq, .PARQUET or .parquet.snappy.
_OTHER_FORMATS = frozenset({
    "avro", "crc", "csv", "html", "ini", "ipynb", "jpeg", "jpg", "json", "jsonl", "log", "md", "ndjson", "orc", "pdf",
    "pkl", "png", "py", "sql", "svg", "toml", "tsv", "txt", "xlsx", "xml", "yaml", "yml", "zip",
})  # fmt: skip
_COMPRESSED = ("gz", "bz2", "zst")


@dataclass(frozen=True, slots=True)
class InputFiles:
    """The files under a location, by name relative to it.

    :param parquet: those that are read.
    :param unclear: those that may be Parquet, and that it is not sure a job reads.
    :param others: those that are something else.
    :param hidden: Parquet files that are no data, since a name on their path begins with ``_`` or ``.``.
    """

    parquet: list[str] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, files: Iterable[tuple[str, int]]) -> InputFiles:
        """:param files: names relative to the location, and sizes in bytes."""
        found = cls()
        for name, size in files:
            if any(part.startswith(("_", ".")) for part in name.split("/")):
                if name.endswith(".parquet"):
                    found.hidden.append(name)
            elif name.endswith(".parquet"):
                found.parquet.append(name)
            elif _is_something_else(name):
                found.others.append(name)
            elif size and not name.endswith("/"):
                # An empty file is what some tools make of a folder, and holds no rows.
                found.unclear.append(name)
        return found


def _is_something_else(name: str) -> bool:
    endings = name.rpartition("/")[2].lower().split(".")[1:]
    if endings and endings[-1] in _COMPRESSED:
        endings.pop()
    return bool(endings) and endings[-1] in _OTHER_FORMATS


def visible_parquet(location: StagePath) -> str:
    """A pattern for :attr:`InputFiles.parquet`, for queries and ``LIST``.

    These differ in how much of the path before the name they match.
    """
    path = location.directory().path
    hidden = any(part.startswith(("_", ".")) for part in path.split("/"))
    before = f"(.*{re.escape(path)})?" if hidden else ""
    return rf"/?{before}([^_./][^/]*/)*[^_./][^/]*\.parquet"
