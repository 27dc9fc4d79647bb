"""LIKE of SHOW statements."""

from __future__ import annotations

import re


def like(pattern: str | None, name: str) -> bool:
    """Whether a name matches a SHOW … LIKE pattern, which ignores case; no pattern matches everything."""
    if pattern is None:
        return True
    expression = re.sub(r"\\(.)|(%)|(_)|(.)", _piece, pattern, flags=re.DOTALL)
    return re.fullmatch(expression, name, re.IGNORECASE | re.DOTALL) is not None


def _piece(match: re.Match[str]) -> str:
    escaped, percent, underscore, character = match.groups()
    if percent:
        return ".*"
    if underscore:
        return "."
    return re.escape(escaped or character)
