"""SQL that a user writes, and that must not leave the parentheses in which it is sent."""

from __future__ import annotations

import re

from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError

_PART = re.compile(
    r"""(?P<skip>\$\$.*?\$\$ | '(?:[^'\\]|''|\\.)*' | "(?:[^"]|"")*" | --[^\n]* | //[^\n]* | /\*.*?\*/)
      | (?P<open>\() | (?P<close>\)) | (?P<semicolon>;) | (?P<broken>\$\$|'|"|/\*) | .""",
    re.VERBOSE | re.DOTALL,
)
_LEADING_COMMENTS = re.compile(r"\A(?:\s+|--[^\n]*(?:\n|\Z)|//[^\n]*(?:\n|\Z)|/\*.*?\*/)*", re.DOTALL)
_QUERY = re.compile(r"(?:select|with)\b|\(", re.IGNORECASE)


def looks_like_query(text: str) -> bool:
    """Whether a text begins as a query does, comments aside."""
    return _QUERY.match(_without_leading_comments(text)) is not None


def check_query(text: str, *, field: str) -> str:
    """One SELECT or WITH statement, returned without a semicolon at its end.

    :raises InvalidJobError: if it is something else, or could end the parentheses that it is sent in.
    """
    text = text.strip()
    while text.endswith(";"):
        text = text[:-1].rstrip()
    if not looks_like_query(text):
        beginning = _without_leading_comments(text)[:40]
        raise InvalidJobError(field, f"a query must begin with SELECT or WITH; got {beginning!r}.")
    _check_enclosed(text, "query", field)
    return text


def check_condition(text: str, *, field: str) -> str:
    """A condition as it stands after WHERE.

    :raises InvalidJobError: if it is empty, or could end the parentheses that it is sent in.
    """
    text = text.strip()
    if not _without_leading_comments(text):
        raise InvalidJobError(field, "expected a condition such as 'feature_1 > 100', got none.")
    _check_enclosed(text, "condition", field)
    return text


def _without_leading_comments(text: str) -> str:
    return text[_LEADING_COMMENTS.match(text).end() :]  # type: ignore[union-attr]


def _check_enclosed(text: str, kind: str, field: str) -> None:
    depth = 0
    for match in _PART.finditer(text):
        part = match.lastgroup
        if part == "semicolon":
            raise InvalidJobError(field, f"the {kind} holds more than one statement (a ';' inside it).")
        if part == "broken":
            raise InvalidJobError(field, f"the {kind} has an unclosed {match[0]} at character {match.start() + 1}.")
        depth += {"open": 1, "close": -1}.get(part or "", 0)
        if depth < 0:
            raise InvalidJobError(field, f"the {kind} closes a parenthesis too many at character {match.start() + 1}.")
    if depth:
        raise InvalidJobError(field, f"the {kind} leaves a parenthesis open.")
