"""Snowflake's names and stage paths: parsed, validated, and written back as SQL.

Rules: https://docs.snowflake.com/en/sql-reference/identifiers-syntax
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError

MAX_IDENTIFIER_LENGTH = 255

# Characters that no text sent to Snowflake can have: NUL, and halves of surrogate pairs, which UTF-8 does not know.
NOT_SENT = re.compile("[\x00\ud800-\udfff]")
_UNQUOTED = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")
_QUOTED = re.compile(r'"((?:[^"\x00\ud800-\udfff]|"")+)"')
_PART = re.compile(rf"{_QUOTED.pattern}|({_UNQUOTED.pattern})")
_LOCATION = re.compile(rf"@((?:{_PART.pattern})(?:\.(?:{_PART.pattern})){{0,2}})(?:/(.*))?\Z", re.DOTALL)
# Words that are no names unless they are in quotes.
# https://docs.snowflake.com/en/sql-reference/reserved-keywords
_RESERVED = frozenset([
    "ACCOUNT", "ALL", "ALTER", "AND", "ANY", "AS", "BETWEEN", "BY", "CASE", "CAST", "CHECK", "COLUMN", "CONNECT",
    "CONNECTION", "CONSTRAINT", "CREATE", "CROSS", "CURRENT", "CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP",
    "CURRENT_USER", "DATABASE", "DELETE", "DISTINCT", "DROP", "ELSE", "EXISTS", "FALSE", "FOLLOWING", "FOR", "FROM",
    "FULL", "GRANT", "GROUP", "GSCLUSTER", "HAVING", "ILIKE", "IN", "INCREMENT", "INNER", "INSERT", "INTERSECT",
    "INTO", "IS", "ISSUE", "JOIN", "LATERAL", "LEFT", "LIKE", "LOCALTIME", "LOCALTIMESTAMP", "MINUS", "NATURAL", "NOT",
    "NULL", "OF", "ON", "OR", "ORDER", "ORGANIZATION", "QUALIFY", "REGEXP", "REVOKE", "RIGHT", "RLIKE", "ROW", "ROWS",
    "SAMPLE", "SCHEMA", "SELECT", "SET", "SOME", "START", "TABLE", "TABLESAMPLE", "THEN", "TO", "TRIGGER", "TRUE",
    "TRY_CAST", "UNION", "UNIQUE", "UPDATE", "USING", "VALUES", "VIEW", "WHEN", "WHENEVER", "WHERE", "WITH",
])  # fmt: skip
_STAGE_PATH = re.compile(r"[\w.=+~:%@!, -]+")
_NO_SEGMENTS = frozenset({"", ".", ".."})
# The EXECUTE statements take a stage location only in its unquoted form.
_BARE_STAGE_PATH = re.compile(r"[A-Za-z0-9_./=+-]*")


@dataclass(frozen=True, slots=True, order=True)
class Identifier:
    """One identifier.

    :param value: as Snowflake stores it: upper case if it was written without quotes.
    """

    value: str

    @classmethod
    def parse(cls, text: str, *, field: str, allow_quoted: bool = True) -> Identifier:
        """Read an identifier as a user would write it in SQL.

        :raises InvalidJobError: if it is not one.
        """
        name = QualifiedName.parse(text, field=field, allow_quoted=allow_quoted)
        if name.schema is not None:
            raise InvalidJobError(field, f"{text!r} must be a plain name without database and schema.")
        return Identifier(name.name)

    @classmethod
    def column(cls, text: str, *, field: str) -> Identifier:
        """Read a column's name as Snowpark does: upper case unless in double quotes, and one that could not stand in
        SQL without quotes as it is.

        :raises InvalidJobError: if it is no text.
        """
        if not isinstance(text, str) or not text or NOT_SENT.search(text):
            raise InvalidJobError(field, f"expected a column's name, got {text!r}.")
        if match := _QUOTED.fullmatch(text):
            value = match[1].replace('""', '"')
        else:
            value = text.upper() if _UNQUOTED.fullmatch(text) else text
        if len(value) > MAX_IDENTIFIER_LENGTH:
            raise InvalidJobError(field, f"{value[:40]}… has {len(value)} characters; the limit is 255.")
        return cls(value)

    def sql(self) -> str:
        """As it stands in a statement."""
        return _sql_part(self.value)

    def quoted(self) -> str:
        """In double quotes, whether it needs them or not."""
        return _quoted(self.value)

    def __str__(self) -> str:
        """As it is shown and stored: a reserved word has no quotes."""
        return _shown_part(self.value)


@dataclass(frozen=True, slots=True, order=True)
class QualifiedName:
    """``[[database.]schema.]name``, each part as Snowflake stores it."""

    name: str
    schema: str | None = None
    database: str | None = None

    @classmethod
    def parse(cls, text: str, *, field: str, allow_quoted: bool = True) -> QualifiedName:
        """Read a name as a user would write it in SQL.

        :param text: for example ``my_db.my_schema."My table"``.
        :param field: what is being read, for the error.
        :param allow_quoted: False for names of services and jobs, which Snowflake takes only unquoted
            (https://docs.snowflake.com/en/sql-reference/sql/execute-job-service).
        :raises InvalidJobError: if it is not a name of one to three parts.
        """
        if not isinstance(text, str) or not text.strip():
            raise InvalidJobError(field, f"expected a name, got {text!r}.")
        parts, position, source = [], 0, text.strip()
        while True:
            match = _PART.match(source, position)
            if match is None:
                raise InvalidJobError(field, _not_a_name(text, allow_quoted))
            if match[1] is not None and not allow_quoted:
                raise InvalidJobError(field, _not_a_name(text, allow_quoted))
            part = match[2].upper() if match[1] is None else match[1].replace('""', '"')
            if len(part) > MAX_IDENTIFIER_LENGTH:
                raise InvalidJobError(field, f"{part[:40]}… has {len(part)} characters; the limit is 255.")
            parts.append(part)
            position = match.end()
            if position == len(source):
                break
            if source[position] != "." or len(parts) == 3:
                raise InvalidJobError(field, _not_a_name(text, allow_quoted))
            position += 1
        return cls(*reversed(parts))

    def qualify(self, database: str | None, schema: str | None) -> QualifiedName:
        """Fill in the parts that are missing from the given namespace (each as Snowflake stores it)."""
        if self.schema is None:
            return replace(self, schema=schema, database=database)
        if self.database is None:
            return replace(self, database=database)
        return self

    @property
    def is_qualified(self) -> bool:
        return self.database is not None and self.schema is not None

    def parts(self) -> list[str]:
        """The parts that are given, in the order in which they are written."""
        return [part for part in (self.database, self.schema, self.name) if part is not None]

    def sql(self) -> str:
        """As it stands in a statement."""
        return ".".join(map(_sql_part, self.parts()))

    def __str__(self) -> str:
        """As it is shown and stored: a reserved word has no quotes, so that it reads as Snowflake tells it."""
        return ".".join(map(_shown_part, self.parts()))


@dataclass(frozen=True, slots=True)
class StagePath:
    """``@[[database.]schema.]stage[/path]`` of a named stage.

    :param stage: the stage's name.
    :param path: path inside the stage, without leading slash.
    """

    stage: QualifiedName
    path: str = ""

    @classmethod
    def parse(cls, text: str, *, field: str) -> StagePath:
        """Read a stage location.

        :raises InvalidJobError: if it is malformed, climbs with ``..``, or names a user or table stage,
            which container services cannot mount.
        """
        example = "write it like '@my_db.my_schema.my_stage/path/'."
        stage, path = _split_location(text, field, example)
        for segment in _segments(path, text, field, example):
            if not _STAGE_PATH.fullmatch(segment):
                raise InvalidJobError(
                    field,
                    f"{text!r}: the part {segment!r} has characters other than letters, digits and . _=+~:%@!,-",
                )
        return cls(stage, path)

    @classmethod
    def file(cls, text: str, *, field: str) -> StagePath:
        """Read the path of one file, whose name may have any characters: it reaches statements as a value only.

        :raises InvalidJobError: if it is malformed, climbs with ``..``, names no file, or a user's or table's stage.
        """
        example = "write it like '@my_db.my_schema.my_stage/path/file'."
        stage, path = _split_location(text, field, example)
        if not path or path.endswith("/"):
            raise InvalidJobError(field, f"{text!r} names no file: {example}")
        if found := NOT_SENT.search(path):
            raise InvalidJobError(field, f"{text!r} holds {named(found)}.")
        _segments(path, text, field, example)
        return cls(stage, path)

    def qualify(self, database: str | None, schema: str | None) -> StagePath:
        return replace(self, stage=self.stage.qualify(database, schema))

    def directory(self) -> StagePath:
        """The same place written as a directory, with a trailing slash."""
        return self if not self.path or self.path.endswith("/") else replace(self, path=self.path + "/")

    def child(self, name: str) -> StagePath:
        return replace(self, path=self.directory().path + name)

    def contains(self, other: StagePath) -> bool:
        """Whether the other location is this directory or lies in it."""
        return self.stage == other.stage and other.directory().path.startswith(self.directory().path)

    def bare_sql(self, *, field: str) -> str:
        """The unquoted form, for statements that take no other.

        :raises InvalidJobError: if the path has characters that need quotes.
        """
        if not _BARE_STAGE_PATH.fullmatch(self.path):
            raise InvalidJobError(
                field, f"{self} needs quotes, which this statement does not take: use letters, digits and . _ / = + -"
            )
        return str(self)

    def __str__(self) -> str:
        # Whether a reserved word needs quotes after the @ is not documented. It stands without them.
        return f"@{self.stage}/{self.path}" if self.path else f"@{self.stage}"


def named(found: re.Match[str]) -> str:
    """What `NOT_SENT` has found, in words."""
    return "a NUL character" if found[0] == "\x00" else f"half of a surrogate pair ({found[0]!a})"


def _split_location(text: str, field: str, example: str) -> tuple[QualifiedName, str]:
    """Stage and path of a location of a named stage."""
    if not isinstance(text, str) or not text.startswith("@"):
        raise InvalidJobError(field, f"{text!r} is not a stage location: {example}")
    if text.startswith(("@~", "@%")):
        raise InvalidJobError(field, f"{text!r} is a user or table stage; a job needs a named stage: {example}")
    match = _LOCATION.match(text)
    if match is None:
        raise InvalidJobError(field, f"{text!r} is not a stage location: {example}")
    return _stage_name(match[1]), text[len(match[1]) + 2 :]


@lru_cache(maxsize=256)
def _stage_name(text: str) -> QualifiedName:
    return QualifiedName.parse(text, field="stage")


def _segments(path: str, text: str, field: str, example: str) -> list[str]:
    segments = path.removesuffix("/").split("/") if path else []
    if not _NO_SEGMENTS.isdisjoint(segments):
        raise InvalidJobError(field, f"{text!r} has an empty, '.' or '..' part in its path: {example}")
    return segments


def _sql_part(value: str) -> str:
    return _quoted(value) if value in _RESERVED else _shown_part(value)


def _shown_part(value: str) -> str:
    return _quoted(value) if needs_quotes(value) else value


def needs_quotes(value: str) -> bool:
    """Whether Snowflake reads a name as this value only in quotes, reserved words aside.

    :param value: as Snowflake stores it.
    """
    return not _UNQUOTED.fullmatch(value) or value != value.upper()


def _quoted(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'


def _not_a_name(text: str, allow_quoted: bool) -> str:
    shape = "[database.][schema.]name of letters, digits, _ and $"
    quoted = ', with other names in "double quotes"' if allow_quoted else "; quoted names are not supported here"
    return f"{text!r} is not a valid name: expected {shape}{quoted}."
