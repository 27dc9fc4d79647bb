"""CSV files as a relation of the SQL engine, with what its reader would take for something else than Snowflake does.

Source: https://docs.snowflake.com/en/sql-reference/sql/create-file-format (CSV)
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa
from sqlglot import exp

from airflow_provider_snowflake_batch.local.errors import not_supported
from airflow_provider_snowflake_batch.local.parsing import quoted
from airflow_provider_snowflake_batch.local.sql.file_loads import REJECT_SCANS, REJECTS
from airflow_provider_snowflake_batch.local.stages.formats import RAW, FileFormat

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_PIECE = 1 << 20
_MOST_FIELDS = 10_000
csv.field_size_limit(sys.maxsize)


def read_csv(
    files: Sequence[Path], found: FileFormat, width: int, *, is_exact: bool, keeps_rejects: bool, compression: str
) -> str:
    """The call of the engine's reader.

    :param width: the number of fields that are read.
    :param is_exact: fail for a line that has more or fewer.
    :param keeps_rejects: leave out such lines, and note them, instead.
    :raises SnowflakeError: "not supported" for lines that the reader would take for something else.
    """
    quote = _enclosing(found)
    nulls = [*_nulls(found), *([""] if found.flag("EMPTY_FIELD_AS_NULL", True) else [])]
    for file in files:
        refuse_signs(file, found, width)
    columns = ", ".join(f"'column{number}': 'VARCHAR'" for number in range(width))
    parameters = [
        "filename = true",
        "header = false",
        "auto_detect = false",
        f"columns = {quoted(RAW + f'{{{columns}}}')}",
        f"skip = {_skipped(found)}",
        f"delim = {_text(_delimiter(found))}",
        f"quote = {_text(quote)}",
        f"escape = {_text(quote)}",
        "nullstr = [" + ", ".join(_text(one) for one in nulls) + "]",
        f"null_padding = {str(not is_exact).lower()}",
        f"compression = '{compression}'",
    ]
    if not is_exact:
        # Of several threads, the engine does not pad lines where there is a line break within quotes.
        parameters.append("parallel = false")
    if keeps_rejects:
        parameters += ["store_rejects = true", f"rejects_table = '{REJECTS}'", f"rejects_scan = '{REJECT_SCANS}'"]
    paths = ", ".join(_text(str(file)) for file in files)
    return f"read_csv([{paths}], {', '.join(parameters)})"


def width_of(files: Sequence[Path], found: FileFormat) -> int:
    """The greatest number of fields in a line.

    :raises SnowflakeError: "not supported" for more than the engine reads without much memory.
    """
    width = max([1, *(widest(file, found) for file in files)])
    if width > _MOST_FIELDS:
        raise not_supported(f"A line of {width} fields in a CSV file")
    return width


def widest(path: Path, found: FileFormat, rows: int | None = None) -> int:
    """The greatest number of fields in one of the first rows after the header, 0 for a file without any."""
    quote, delimiter = _enclosing(found), _delimiter(found)
    with _opened(path) as binary, io.TextIOWrapper(binary, encoding="utf-8", errors="replace", newline="") as text:
        lines = itertools.islice(text, _skipped(found), None)
        if len(delimiter) > 1:
            # At the most.
            return max((line.count(delimiter) + 1 for line in itertools.islice(lines, rows)), default=0)
        read = csv.reader(
            lines,
            delimiter=delimiter,
            quotechar=quote or None,
            quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        )
        return max((len(row) for row in itertools.islice(filter(None, read), rows)), default=0)


def refuse_signs(path: Path, found: FileFormat, width: int) -> None:
    """:raises SnowflakeError: "not supported" for a backslash that is an escape, and for a line of nothing."""
    quote, delimiter = re.escape(_enclosing(found)), re.escape(_delimiter(found))
    # Of one column, a line of nothing is a row to the engine.
    escapes, blank = _escapes(found), width == 1 or not found.flag("SKIP_BLANK_LINES")
    if not _holds(path, any(escapes), blank):
        return
    with _opened(path) as binary:
        text = binary.read().decode("utf-8", errors="replace").replace("\r\n", "\n")
    if quote and not escapes[0]:
        text = re.sub(f"{quote}(?:[^{quote}]|{quote}{quote})*{quote}", "x", text)
    null = "|".join(re.escape(one) for one in sorted(_nulls(found), key=len, reverse=True)) or "$"
    if any(escapes) and "\\" in re.sub(rf"(?m)(?:^|(?<={delimiter}))(?:{null})(?=$|{delimiter})", "", text):
        words = f"A backslash in the CSV file '{path.name}'"
        raise not_supported(f"{words} (ESCAPE_UNENCLOSED_FIELD = NONE lets it be one outside of quotes)")
    if blank and re.search(r"\A\n|\n\n", text):
        words = f"A line of nothing in the CSV file '{path.name}'"
        raise not_supported(f"{words} (of several columns, SKIP_BLANK_LINES = TRUE leaves it out)")


def _escapes(found: FileFormat) -> list[bool]:
    """Whether a backslash is an escape within quotes, and outside of them."""
    defaults = {"ESCAPE": "NONE", "ESCAPE_UNENCLOSED_FIELD": "\\"}
    return [found.text(name, default).upper() != "NONE" for name, default in defaults.items()]


def _nulls(found: FileFormat) -> list[str]:
    """What stands for NULL, also as unloading writes it."""
    given = found.options.get("NULL_IF", ["\\N"])
    nulls = [str(one) for one in (given if isinstance(given, list) else [given])]
    return [*nulls, *(one.replace("\\", "\\\\") for one in nulls if "\\" in one and any(_escapes(found)))]


def _holds(path: Path, backslash: bool, blank: bool) -> bool:
    """Whether a file has a backslash, or what may be a line of nothing."""
    last = b"\n"
    with _opened(path) as binary:
        while piece := binary.read(_PIECE):
            seen = last + piece
            if (backslash and b"\\" in piece) or (blank and (b"\n\n" in seen or b"\n\r\n" in seen)):
                return True
            last = seen[-2:]
    return False


def _enclosing(found: FileFormat) -> str:
    text = found.text("FIELD_OPTIONALLY_ENCLOSED_BY", "NONE")
    return "" if text.upper() == "NONE" else text


def _delimiter(found: FileFormat) -> str:
    return found.text("FIELD_DELIMITER", ",")


def _skipped(found: FileFormat) -> int:
    return int(found.options.get("SKIP_HEADER", 0)) or (1 if found.flag("PARSE_HEADER") else 0)


def _opened(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        magic = file.read(4)
    if magic.startswith(_GZIP):
        return cast(BinaryIO, gzip.open(path, "rb"))
    if magic == _ZSTD:
        return cast(BinaryIO, pa.CompressedInputStream(str(path), "zstd"))
    return path.open("rb")


def _text(value: str) -> str:
    return str(exp.Literal.string(value).sql(dialect="duckdb"))
