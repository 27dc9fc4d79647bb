"""The statement that a try has sent to make its job, as the job's page shows it: an XCom of its own, written once.

It can be several times as long as a job card, which is written again at each look.
"""

from __future__ import annotations

from typing import Any

STATEMENT_KEY = "snowflake_batch_statement"

MOST_STATEMENT_BYTES = 8 * 1024
"""Of a statement that is kept."""


def told_statement(statement: str) -> dict[str, Any]:
    """What is told of a statement: all of it, or why it is not there. Half of one is of no use."""
    size = len(statement.encode("utf-8", "replace"))
    if size > MOST_STATEMENT_BYTES:
        return {"no_statement": f"It has {size:,} bytes, and {MOST_STATEMENT_BYTES:,} are kept at most."}
    return {"statement": statement}


def readable_statement(stored: Any) -> str | None:
    """A statement as it was stored, or None for what is none."""
    try:
        whole = isinstance(stored, str) and len(stored.encode()) <= MOST_STATEMENT_BYTES
    except UnicodeEncodeError:
        return None
    return stored if whole else None
