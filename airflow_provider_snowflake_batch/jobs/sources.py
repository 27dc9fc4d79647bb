"""The ways to name a job's input rows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName, StagePath

_SQL_PART = re.compile(
    r"""(?P<skip>\$\$.*?\$\$ | '(?:[^'\\]|''|\\.)*' | "(?:[^"]|"")*" | --[^\n]* | //[^\n]* | /\*.*?\*/)
      | (?P<open>\() | (?P<close>\)) | (?P<semicolon>;) | (?P<broken>\$\$|'|"|/\*) | .""",
    re.VERBOSE | re.DOTALL,
)
_LEADING_COMMENTS = re.compile(r"\A(?:\s+|--[^\n]*(?:\n|\Z)|//[^\n]*(?:\n|\Z)|/\*.*?\*/)*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Query:
    """The rows of a query.

    :param sql: one SELECT or WITH statement, without a semicolon.
    :raises InvalidJobError: if it is something else, or could break out of the parentheses it is sent in.
    """

    sql: str

    def __post_init__(self) -> None:
        text = self.sql.strip()
        while text.endswith(";"):
            text = text[:-1].rstrip()
        _check_single_query(text)
        object.__setattr__(self, "sql", text)

    def __str__(self) -> str:
        return self.sql


@dataclass(frozen=True, slots=True)
class Table:
    """All rows of a table or view."""

    name: QualifiedName

    def __str__(self) -> str:
        return str(self.name)


@dataclass(frozen=True, slots=True)
class StageParquet:
    """All Parquet files under a stage location."""

    location: StagePath

    def __str__(self) -> str:
        return str(self.location)


Source = Query | Table | StageParquet

_FORMS = ("query", "table", "stage_location")


def parse_source(X: Any, *, field: str = "X") -> Source:
    """Understand what a user gave as input.

    :param X: a query (``SELECT …`` or ``WITH …``), a table's name, a stage location (``@…``), one of this module's
        objects, or a dict with exactly one of the keys ``query``, ``table``, ``stage_location``.
    :raises InvalidJobError: if it is none of these, or a dict with none or several of the keys.
    """
    if isinstance(X, (Query, Table, StageParquet)):
        return X
    if isinstance(X, Mapping):
        return _from_mapping(X, field)
    if not isinstance(X, str) or not X.strip():
        raise InvalidJobError(
            field, f"expected a query, a table's name or a stage location of Parquet files, got {X!r}."
        )
    text = X.strip()
    if text.startswith("@"):
        return StageParquet(StagePath.parse(text, field=field).directory())
    if re.match(r"(?:select|with)\b|\(", text[_LEADING_COMMENTS.match(text).end() :], re.IGNORECASE):  # type: ignore[union-attr]
        return Query(text)
    try:
        return Table(QualifiedName.parse(text, field=field))
    except InvalidJobError:
        raise InvalidJobError(
            field,
            f"{text[:80]!r} is neither a query (SELECT … or WITH …), nor a table's name, nor a stage location (@…).",
        ) from None


def plain_source(X: Any) -> Any:
    """The same input as plain JSON values, so that Airflow can render and show it; anything unknown as it is."""
    if isinstance(X, Query):
        return {"query": X.sql}
    if isinstance(X, Table):
        return {"table": str(X.name)}
    if isinstance(X, StageParquet):
        return {"stage_location": str(X.location)}
    return X


def _from_mapping(X: Mapping[str, Any], field: str) -> Source:
    for key in X:
        if key not in _FORMS:
            raise InvalidJobError(field, f"unknown field {key!r}; give one of {', '.join(_FORMS)}.")
    given = [form for form in _FORMS if X.get(form) is not None]
    if len(given) != 1:
        named = " and ".join(given) if given else "none of them"
        raise InvalidJobError(field, f"give exactly one of {', '.join(_FORMS)}; got {named}.")
    form, value = given[0], X[given[0]]
    if not isinstance(value, str):
        raise InvalidJobError(f"{field}.{form}", f"expected a text, got {type(value).__name__}.")
    if form == "query":
        return Query(value)
    if form == "table":
        return Table(QualifiedName.parse(value, field=f"{field}.{form}"))
    return StageParquet(StagePath.parse(value, field=f"{field}.{form}").directory())


def _check_single_query(text: str) -> None:
    beginning = text[_LEADING_COMMENTS.match(text).end() :]  # type: ignore[union-attr]
    if not re.match(r"(?:select|with)\b|\(", beginning, re.IGNORECASE):
        raise InvalidJobError("X", f"a query must begin with SELECT or WITH; got {beginning[:40]!r}.")
    depth = 0
    for match in _SQL_PART.finditer(text):
        kind = match.lastgroup
        if kind == "semicolon":
            raise InvalidJobError("X", "the query holds more than one statement (a ';' inside it).")
        if kind == "broken":
            raise InvalidJobError("X", f"the query has an unclosed {match[0]} at character {match.start() + 1}.")
        depth += {"open": 1, "close": -1}.get(kind or "", 0)
        if depth < 0:
            raise InvalidJobError("X", f"the query closes a parenthesis too many at character {match.start() + 1}.")
    if depth:
        raise InvalidJobError("X", "the query leaves a parenthesis open.")
