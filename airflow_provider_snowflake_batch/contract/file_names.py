"""Whether a file may hold rows, judged by its name: one rule for a stage's list and for a directory."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Endings of files that often lie beside data, and of data in other formats. A file with any other ending, or with none,
# may be Parquet: Hive writes 000000_0, COPY INTO … SINGLE = TRUE any name, others .parq, .pq, .PARQUET or
# .parquet.snappy.
_OTHER_FORMATS = frozenset({
    "avro", "crc", "csv", "html", "ini", "ipynb", "jpeg", "jpg", "json", "jsonl", "log", "md", "ndjson", "orc", "pdf",
    "pkl", "png", "py", "sql", "svg", "toml", "tsv", "txt", "xlsx", "xml", "yaml", "yml",
})  # fmt: skip
_PACKED = frozenset({"gz", "bz2", "zst"})
_PARQUET = frozenset({"parquet", "parq", "pq"})
# A folder's name that is a column and its value; not one that ends as Base64 does.
_COLUMN = re.compile(r"([A-Za-z_]\w*)=[^=].*")


def is_no_data(path: str) -> bool:
    """Whether a name on the path begins with ``_`` or ``.``, as those of markers and unfinished files do."""
    return any(name.startswith(("_", ".")) for name in path.split("/"))


def is_something_else(path: str) -> bool:
    """Whether a file is plainly no Parquet file: ``notes.txt`` and ``rows.csv.gz`` are, ``x.parquet.gz`` is not.

    :param path: with ``/`` as separator.
    """
    endings = path.rpartition("/")[2].lower().split(".")[1:]
    last = endings.pop() if endings else ""
    if last in _PACKED:
        last = endings.pop() if endings else ""
    if last == "zip":
        return not _PARQUET.intersection(endings)
    return last in _OTHER_FORMATS


def folder_columns(paths: Iterable[str], columns: Iterable[str] = ()) -> list[str]:
    """Columns that Hive, Spark and others write as names of folders, ``day=2024-01-01/``, and that no file has.

    :param paths: of files, with ``/`` as separator. :param columns: those that the files have.
    :return: their names, in alphabetical order.
    """
    folders = {folder for path in paths if "=" in (folder := path.rpartition("/")[0])}
    found = {match[1] for folder in folders for part in folder.split("/") if (match := _COLUMN.fullmatch(part))}
    had = {column.upper() for column in columns}
    return sorted(name for name in found if name.upper() not in had)
