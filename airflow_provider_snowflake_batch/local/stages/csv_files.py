"""CSV files as a relation of the SQL engine, with what its reader would take for something else than Snowflake does.

Source: https://docs.snowflake.com/en/sql-reference/sql/create-file-format (CSV)
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import hashlib
import io
import itertools
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Literal, cast

import pyarrow as pa
from sqlglot import exp

from airflow_provider_snowflake_batch.local.errors import not_supported
from airflow_provider_snowflake_batch.local.parsing import quoted
from airflow_provider_snowflake_batch.local.sql.engine_errors import other_width
from airflow_provider_snowflake_batch.local.sql.file_loads import REJECT_SCANS, REJECTS
from airflow_provider_snowflake_batch.local.stages.formats import NO_CHARACTER, RAW, FileFormat

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_PIECE = 1 << 20
_MOST_FIELDS = 10_000


def read_csv(
    files: Sequence[Path], found: FileFormat, width: int, *, is_exact: bool, keeps_rejects: bool, compression: str
) -> str:
    """The call of the engine's reader.

    :param width: the number of fields that are read.
    :param is_exact: fail for a line that has more or fewer.
    :param keeps_rejects: leave out such lines, and note them, instead.
    """
    quote = enclosing(found)
    columns = ", ".join(f"'column{number}': 'VARCHAR'" for number in range(width))
    parameters = [
        "filename = true",
        "header = false",
        "auto_detect = false",
        f"columns = {quoted(RAW + f'{{{columns}}}')}",
        f"skip = {_skipped(found)}",
        f"delim = {_text(found.delimiter)}",
        f"quote = {_text(quote)}",
        f"escape = {_text(quote)}",
        # Not what is empty within quotes; NULL_IF, which is also of what is in quotes, comes after.
        f"nullstr = {_text('' if found.flag('EMPTY_FIELD_AS_NULL', True) else NO_CHARACTER)}",
        "allow_quoted_nulls = false",
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


def widest(path: Path, found: FileFormat) -> int:
    """The greatest number of fields in one of the lines after the header, 0 for a file without any."""
    with _lines(path) as lines:
        return max(map(len, _rows(itertools.islice(lines, _skipped(found), None), found)), default=0)


def readable_lines(
    path: Path,
    found: FileFormat,
    width: int,
    *,
    is_exact: bool,
    keeps_rejects: bool,
    content: str,
    scratch: Path,
) -> Path:
    """The file, or a copy of it for the engine, which leaves out empty lines and takes lines that end in delimiters.

    To an account an empty line is a line of one empty field, which is too few or padded, as any other; the last one of
    a file is none. In a file of one column the engine has it for a row, too.

    :param width: the number of fields that are read.
    :param is_exact: a line that has more or fewer is an error: the copy has one there that is it to the engine as well.
    :param keeps_rejects: such errors are noted.
    :param content: a checksum of the file, by which a copy is found again.
    :param scratch: a folder for the copy, emptied at each start.
    :raises SnowflakeError: 100080 for the first such line, if they are not noted.
    """
    # Several columns' empty lines the engine leaves out itself.
    blank = found.flag("SKIP_BLANK_LINES") == (width == 1)
    is_adapted = False
    with _lines(path) as lines:
        for row in _rows(itertools.islice(lines, _skipped(found), None), found):
            if is_exact and not keeps_rejects and row and len(row) != width:
                # The engine would not say how many fields there are.
                raise other_width(str(len(row)), str(width))
            is_adapted = is_adapted or (is_exact and len(row) > width) or (blank and not row)
    if not is_adapted:
        return path
    compression = found.text("COMPRESSION", "AUTO").upper()
    ending = {"GZIP": ".gz", "ZSTD": ".zst"}.get(compression, "")
    meant = json.dumps([dict(found.options), width, is_exact], sort_keys=True)
    copy = scratch / f"lines-{content}-{hashlib.sha256(meant.encode()).hexdigest()[:16]}.csv{ending}"
    if copy.exists():
        return copy
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        # The stream is closed first: what it compresses is complete only then.
        with _created(Path(folder, "copy"), compression) as binary, _lines(path) as lines:
            for line in _adapted(lines, found, width, is_exact=is_exact):
                binary.write(line.encode(errors="surrogateescape"))
        os.replace(f"{folder}/copy", copy)
    return copy


def _adapted(lines: Iterator[str], found: FileFormat, width: int, *, is_exact: bool) -> Iterator[str]:
    """The lines of such a copy."""
    yield from itertools.islice(lines, _skipped(found))
    skips, quote, filler = found.flag("SKIP_BLANK_LINES"), enclosing(found), "0" if "x" in found.delimiter else "x"
    empty = found.delimiter if found.flag("EMPTY_FIELD_AS_NULL", True) else quote * 2
    blank = filler if is_exact else empty
    read: list[str] = []
    waiting = ""
    for row in _rows(_noting(lines, read), found):
        ending = read[-1][len(read[-1].rstrip("\r\n")) :]
        yield waiting
        waiting = ""
        if not row and width > 1 and not skips:
            if not (is_exact or quote or found.flag("EMPTY_FIELD_AS_NULL", True)):
                raise not_supported("An empty line of a CSV file with EMPTY_FIELD_AS_NULL = FALSE and without quotes")
            # Whether it is the last one is known with the next line.
            waiting = blank + ending
        elif is_exact and len(row) > width:
            yield found.delimiter.join([filler] * len(row)) + ending
        elif row or not skips:
            yield from read
        read.clear()


def _noting(lines: Iterator[str], read: list[str]) -> Iterator[str]:
    for line in lines:
        read.append(line)
        yield line


def _rows(lines: Iterator[str], found: FileFormat) -> Iterator[list[str]]:
    """The fields of each row; none for an empty line. A row may be several lines."""
    quote, delimiter = enclosing(found), found.delimiter
    if len(delimiter) > 1:
        # The library takes one character.
        lines = (line.replace(found.delimiter, NO_CHARACTER) for line in lines)
        delimiter = NO_CHARACTER
    # Of the process, as the library has no limit of a reader.
    csv.field_size_limit(sys.maxsize)
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE
    return csv.reader(lines, delimiter=delimiter, quotechar=quote or None, quoting=quoting)


def refuse_escapes(path: Path, found: FileFormat) -> None:
    """:raises SnowflakeError: "not supported" for a backslash that is an escape."""
    quote, delimiter = re.escape(enclosing(found)), re.escape(found.delimiter)
    within, outside = escapes(found)
    if not (within or outside) or not _holds(path, b"\\"):
        return
    with _lines(path) as lines:
        text = "".join(line.rstrip("\r\n") + "\n" for line in itertools.islice(lines, _skipped(found), None))
    begin = rf"(?m)(?:^|(?<={delimiter}))"
    if quote and not within:
        text = re.sub(f"{begin}{quote}(?:[^{quote}]|{quote}{quote})*{quote}", "x", text)
    null = "|".join(re.escape(one) for one in sorted(nulls(found), key=len, reverse=True)) or "$"
    if "\\" in re.sub(rf"{begin}(?:{null})(?=$|{delimiter})", "", text):
        words = f"A backslash in the CSV file '{path.name}'"
        raise not_supported(f"{words} (ESCAPE_UNENCLOSED_FIELD = NONE lets it be one outside of quotes)")


def escapes(found: FileFormat) -> list[bool]:
    """Whether a backslash is an escape within quotes, and outside of them."""
    defaults = {"ESCAPE": "NONE", "ESCAPE_UNENCLOSED_FIELD": "\\"}
    return [found.text(name, default).upper() != "NONE" for name, default in defaults.items()]


def nulls(found: FileFormat) -> list[str]:
    """What stands for NULL: the first as it is written, then others that are read as well."""
    given = found.options.get("NULL_IF", ["\\N"])
    nulls = [str(one) for one in (given if isinstance(given, list) else [given])]
    return [*nulls, *(one.replace("\\", "\\\\") for one in nulls if "\\" in one and any(escapes(found)))]


def _holds(path: Path, sign: bytes) -> bool:
    with _opened(path) as binary:
        return any(sign in piece for piece in iter(lambda: binary.read(_PIECE), b""))


def enclosing(found: FileFormat) -> str:
    text = found.text("FIELD_OPTIONALLY_ENCLOSED_BY", "NONE")
    return {"NONE": "", "0X22": '"', "0X27": "'"}.get(text.upper(), text)


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


@contextlib.contextmanager
def _lines(path: Path) -> Iterator[Iterator[str]]:
    # What is no UTF-8 stays what it is, for the engine to refuse.
    errors = "surrogateescape"
    with _opened(path) as binary, io.TextIOWrapper(binary, encoding="utf-8", errors=errors, newline="") as text:
        yield iter(text)


def _created(path: Path, compression: str) -> BinaryIO:
    if compression in ("GZIP", "ZSTD"):
        return cast(BinaryIO, pa.CompressedOutputStream(str(path), compression.lower()))
    return path.open("wb")


def _text(value: str) -> str:
    return str(exp.Literal.string(value).sql(dialect="duckdb"))
