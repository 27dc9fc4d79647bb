"""File formats: the options of CSV, JSON and Parquet that this server honours, and the named formats.

Source: https://docs.snowflake.com/en/sql-reference/sql/create-file-format
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_snowflake_batch.local.errors import (
    SnowflakeError,
    already_exists,
    compilation_error,
    does_not_exist,
    not_supported,
)
from airflow_provider_snowflake_batch.local.parsing import Cursor

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.local.sessions import Session
    from airflow_provider_snowflake_batch.local.state import StateDirectory

RAW = "engine's own SQL: "
"""How a name begins that stands for SQL which no translation may touch."""
NO_CHARACTER = "\uffff"
"""What no text has."""
_LONGEST_DELIMITER = 4
"""Bytes."""
# Options by type. A value in a set is the only one that is honoured; None stands for any.
_ANY = None
_FLAG = {"TRUE", "FALSE"}
_OPTIONS: dict[str, dict[str, set[str] | None]] = {
    "CSV": {
        "COMPRESSION": {"AUTO", "GZIP", "NONE", "ZSTD"},
        "FIELD_DELIMITER": _ANY,
        "RECORD_DELIMITER": {"\n", "\r\n", "NONE"},
        "SKIP_HEADER": _ANY,
        "PARSE_HEADER": _ANY,
        "SKIP_BLANK_LINES": _ANY,
        "FIELD_OPTIONALLY_ENCLOSED_BY": {'"', "'", "0x22", "0x27", "NONE"},
        "NULL_IF": _ANY,
        "EMPTY_FIELD_AS_NULL": _ANY,
        "ESCAPE": {"NONE", "\\"},
        "ESCAPE_UNENCLOSED_FIELD": {"NONE", "\\"},
        "TRIM_SPACE": {"FALSE"},
        "ERROR_ON_COLUMN_COUNT_MISMATCH": _ANY,
        "DATE_FORMAT": _ANY,
        "TIME_FORMAT": _ANY,
        "TIMESTAMP_FORMAT": _ANY,
        "BINARY_FORMAT": {"HEX"},
        "ENCODING": {"UTF8", "UTF-8"},
        "FILE_EXTENSION": _ANY,
        "MULTI_LINE": _ANY,
    },
    "JSON": {
        "COMPRESSION": {"AUTO", "GZIP", "NONE", "ZSTD"},
        "STRIP_OUTER_ARRAY": _ANY,
        "ALLOW_DUPLICATE": {"FALSE"},
        "STRIP_NULL_VALUES": {"FALSE"},
        "IGNORE_UTF8_ERRORS": {"FALSE"},
        "ENABLE_OCTAL": {"FALSE"},
        "FILE_EXTENSION": _ANY,
        "MULTI_LINE": _ANY,
    },
    "PARQUET": {
        # Parquet says itself how it is compressed; what unloading can write is checked there.
        "COMPRESSION": {"AUTO", "SNAPPY", "NONE", "GZIP", "LZO", "BROTLI", "ZSTD"},
        "SNAPPY_COMPRESSION": _FLAG,
        "BINARY_AS_TEXT": _FLAG,
        "USE_LOGICAL_TYPE": _FLAG,
        "USE_VECTORIZED_SCANNER": _FLAG,
        "TRIM_SPACE": _FLAG,
        "REPLACE_INVALID_CHARACTERS": _FLAG,
        "NULL_IF": _ANY,
    },
}


@dataclass(frozen=True, slots=True)
class FileFormat:
    """A file format.

    :param type: CSV, JSON or PARQUET.
    :param options: as given, by upper-case name.
    """

    type: str = "CSV"
    options: Mapping[str, Any] = field(default_factory=dict)

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.options.get(name, default)
        return value if isinstance(value, bool) else str(value).upper() == "TRUE"

    def text(self, name: str, default: str) -> str:
        return str(self.options.get(name, default))

    def read_by(self, kind: str) -> str:
        """DATE_FORMAT, TIME_FORMAT or TIMESTAMP_FORMAT, as the type of a column is, and AUTO for others."""
        name = kind.partition("_")[0].partition("(")[0]
        return self.text(f"{name}_FORMAT", "AUTO") if name in ("DATE", "TIME", "TIMESTAMP") else "AUTO"

    @property
    def delimiter(self) -> str:
        """What is between the fields of a CSV file, :data:`NO_CHARACTER` where a line is one field.

        :raises SnowflakeError: "not supported" for what the engine's reader does not take.
        """
        text = self.text("FIELD_DELIMITER", ",")
        if text.upper() == "NONE":
            return NO_CHARACTER
        found = _decoded(text)
        if found is None or not 0 < len(found.encode()) <= _LONGEST_DELIMITER or set(found) & set("\0\r\n"):
            raise not_supported(f"FIELD_DELIMITER = {text!r} of CSV files")
        return found


def _decoded(text: str) -> str | None:
    """A delimiter that may be written as hexadecimal or octal numbers of bytes, None for what is no text."""
    if re.fullmatch(r"0x(?:[0-9a-fA-F]{2})+", text):
        data = bytes.fromhex(text[2:])
    elif re.fullmatch(r"(?:\\x[0-9a-fA-F]{2}|\\[0-3][0-7]{2})+", text):
        numbers = re.findall(r"\\(?:x(..)|(\d{3}))", text)
        data = bytes(int(base16, 16) if base16 else int(base8, 8) for base16, base8 in numbers)
    else:
        named = {"\\t": "\t", "\\\\": "\\"}.get(text, text)
        return named if named in ("\t", "\\") or "\\" not in named else None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def file_format(options: Mapping[str, Any]) -> FileFormat:
    """The format of ``TYPE = … OPTION = …``.

    :raises SnowflakeError: for types and options that are not honoured.
    """
    given = {name.upper(): value for name, value in options.items()}
    kind = str(given.pop("TYPE", "CSV")).upper()
    known = _OPTIONS.get(kind)
    if known is None:
        raise not_supported(f"The file format type {kind}")
    for name, value in given.items():
        if name not in known:
            raise not_supported(f"The option {name} of {kind} files")
        allowed = known[name]
        if allowed is not None and str(value).upper() not in {entry.upper() for entry in allowed}:
            raise not_supported(f"{name} = {value!r} of {kind} files")
    return FileFormat(kind, given)


class FileFormats:
    """The named file formats, in the control database; temporary ones end with their session."""

    def __init__(self, state: StateDirectory) -> None:
        self._control = state.control(
            "CREATE TABLE IF NOT EXISTS file_formats (database TEXT, schema TEXT, name TEXT, type TEXT, options TEXT, "
            "created TEXT, owner TEXT, comment TEXT, session_id INTEGER, PRIMARY KEY (database, schema, name))"
        )
        self._control.run("DELETE FROM file_formats WHERE session_id IS NOT NULL")

    def create(
        self,
        session: Session,
        parts: tuple[str, ...],
        found: FileFormat,
        *,
        temporary: bool,
        or_replace: bool,
        if_not_exists: bool,
        comment: str,
    ) -> bool:
        """Whether it was created.

        :raises SnowflakeError: 2002 if it is there and neither flag is given.
        """
        name = session.qualify(parts)
        verb = "REPLACE" if or_replace else "INSERT OR IGNORE"
        changed = self._control.insert(
            "file_formats",
            *name,
            found.type,
            json.dumps(dict(found.options)),
            datetime.datetime.now(datetime.UTC).isoformat(),
            session.role,
            comment,
            session.id if temporary else None,
            verb=verb,
        )
        if changed == 0 and not if_not_exists:
            raise already_exists(name[-1])
        return changed > 0

    def get(self, session: Session, text: str) -> FileFormat:
        """The format of a name as SQL writes it.

        :raises SnowflakeError: 2003 if there is none.
        """
        cursor = Cursor(text)
        name = session.qualify(cursor.name())
        cursor.end()
        row = self._control.row(
            "SELECT type, options FROM file_formats WHERE (database, schema, name) = (?, ?, ?)", *name
        )
        if row is None:
            raise does_not_exist("File format", ".".join(name))
        return FileFormat(row[0], json.loads(row[1]))

    def drop(self, session: Session, parts: tuple[str, ...]) -> None:
        """:raises SnowflakeError: 2003 if there is none."""
        name = session.qualify(parts)
        if not self._control.run("DELETE FROM file_formats WHERE (database, schema, name) = (?, ?, ?)", *name):
            raise does_not_exist("File format", ".".join(name))

    def list(self) -> list[tuple[Any, ...]]:
        """Rows of database, schema, name, type, options, created, owner, comment."""
        return self._control.rows(
            "SELECT database, schema, name, type, options, created, owner, comment FROM file_formats"
        )

    def drop_all(self, database: str, schema: str | None = None) -> None:
        """Drop the file formats of a database or schema that is itself dropped."""
        self._control.run(
            "DELETE FROM file_formats WHERE database = ? AND (? IS NULL OR schema = ?)", database, schema, schema
        )

    def close_session(self, session: Session) -> None:
        self._control.run("DELETE FROM file_formats WHERE session_id = ?", session.id)

    def resolve(self, session: Session, value: Any) -> FileFormat:
        """The format of a ``FILE_FORMAT`` option: a name, ``(FORMAT_NAME = 'x')`` or ``(TYPE = … …)``."""
        if value is None:
            return FileFormat()
        if isinstance(value, str):
            return self.get(session, value)
        if not isinstance(value, dict):
            raise compilation_error("FILE_FORMAT has no TYPE and no FORMAT_NAME.")
        given = {name.upper(): one for name, one in value.items()}
        name = given.pop("FORMAT_NAME", None)
        if name is None:
            return file_format(given)
        named = self.get(session, str(name))
        return file_format({"TYPE": named.type, **named.options, **given})


def malformed(message: str) -> SnowflakeError:
    return SnowflakeError(message, errno=100069, sqlstate="22P02")
