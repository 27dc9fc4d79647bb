"""Makes a stored job card safe for the pages, whichever version of this package, or whoever else, has written it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from airflow_provider_snowflake_batch.contract.progress import AllReplicas, read_bad_rows
from airflow_provider_snowflake_batch.jobs.progress_history import readable
from airflow_provider_snowflake_batch.jobs.sent_statement import readable_statement
from airflow_provider_snowflake_batch.jobs.waits import readable_waits

TEXTS = ("job_name", "status", "compute_pool", "output_location", "model", "version", "function", "instance_family")
NUMBERS = (
    "replicas",
    "submitted_at",
    "attempt",
    "started_at",
    "ended_at",
    "updated_at",
    "confirmed_every",
    "accepted_at",
)
PROGRESS_NUMBERS = (
    "rows_done",
    "rows_total",
    "rows_per_second",
    "eta_seconds",
    "rows_reused",
    "quarantined_rows",
    "batch_rows",
)
CONTAINER = ({"name", "status", "message"}, {"replica", "exit_code", "restarts"})
EARLIER_TRY = (
    {"job_name", "status", "message"},
    {"attempt", "submitted_at", "ended_at", "rows_done", "rows_reused"},
)
_MOST, _MOST_COLUMNS = 20, 100


def readable_card(stored: Any, *, longest: int, brief: bool = False) -> dict[str, Any]:
    """Every field of a card, None where it is missing or of another type than it should be.

    Unknown fields are left out, so that a card cannot bring anything else onto the pages.

    :param stored: the value of the XCom.
    :param longest: characters to which a text is cut. A message begins with the reason; one of several lines, as of a
        traceback, ends with it, and loses its beginning.
    :param brief: for a list: without what only the job's own page shows.
    """
    values: Mapping[str, Any] = stored if isinstance(stored, Mapping) else {}
    progress = values.get("progress")
    return {
        **{name: _text(values.get(name), longest) for name in TEXTS},
        **{name: _number(values.get(name)) for name in NUMBERS},
        "message": _end(values.get("message"), longest),
        "progress": _progress(progress, longest, brief=brief) if isinstance(progress, Mapping) else None,
        "containers": None if brief else _all(values.get("containers"), CONTAINER, longest),
        "earlier_tries": None if brief else _all(values.get("earlier_tries"), EARLIER_TRY, longest),
        "history": None if brief else readable(values.get("history")),
        **dict.fromkeys(("statement", "no_statement")),
        **({} if brief else _statement(values, longest)),
        "log": None if brief else _lines(values.get("log"), longest),
        "output": None if brief else _output(values.get("output"), longest),
        "waits": None if brief else _waits(values.get("waits"), longest),
    }


def with_statement(card: dict[str, Any], stored: Any, *, longest: int) -> dict[str, Any]:
    """A readable card with the statement of its job, which is kept beside it.

    :param stored: the value of that XCom.
    """
    if not isinstance(stored, Mapping) or stored.get("job_name") != card["job_name"]:
        # A card of a version that kept the statement on it has it already.
        return card
    return {**card, **_statement(stored, longest)}


def _statement(values: Mapping[str, Any], longest: int) -> dict[str, Any]:
    return {
        "statement": readable_statement(values.get("statement")),
        "no_statement": _text(values.get("no_statement"), longest),
    }


def _progress(values: Mapping[str, Any], longest: int, *, brief: bool) -> dict[str, Any]:
    told = AllReplicas.from_json(values.get("by_replica"))
    bad = [_text(one, longest) for one in read_bad_rows(values.get("first_bad_rows"))]
    return {
        "phase": _text(values.get("phase"), longest),
        **{name: _number(values.get(name)) for name in PROGRESS_NUMBERS},
        **({} if brief or not bad else {"first_bad_rows": bad}),
        **({"by_replica": told.to_json()} if told is not None else {}),
    }


def _lines(values: Any, longest: int) -> list[str] | None:
    if not isinstance(values, list):
        return None
    return [text for text in (_text(each, longest) for each in values[-_MOST:]) if text is not None]


def _waits(values: Any, longest: int) -> list[list[Any]] | None:
    told = [[_number(at), _text(text, longest)] for at, text in readable_waits(values) or ()]
    return [one for one in told if one[0] is not None] or None


def _output(values: Any, longest: int) -> dict[str, Any] | None:
    if not isinstance(values, Mapping):
        return None
    columns = values.get("columns")
    told = None
    if isinstance(columns, list):
        pairs = [each for each in columns[:_MOST_COLUMNS] if isinstance(each, list) and len(each) == 2]
        told = [[_text(part, longest) for part in pair] for pair in pairs]
    return {"columns": told, **{name: _number(values.get(name)) for name in ("files", "bytes", "columns_left_out")}}


def _all(values: Any, known: tuple[set[str], set[str]], longest: int) -> list[dict[str, Any]] | None:
    """The entries of a list, as far as they can be read.

    :param known: the names of an entry's texts, and of its numbers.
    """
    if not isinstance(values, list):
        return None
    texts, numbers = known
    return [
        {**{name: _end(one.get(name), longest) for name in texts}, **{name: _number(one.get(name)) for name in numbers}}
        for one in values[:_MOST]
        if isinstance(one, Mapping)
    ]


def _text(value: Any, longest: int) -> str | None:
    if not isinstance(value, str):
        return None
    value = _plain(value)
    return value if len(value) <= longest else f"{value[: longest - 1]}…"


def _end(value: Any, longest: int) -> str | None:
    if not isinstance(value, str) or "\n" not in value.strip():
        return _text(value, longest)
    value = _plain(value)
    return value if len(value) <= longest else f"…{value[1 - longest :]}"


# Colours and other orders to a terminal (ECMA-48), which programs write into their logs.
_TERMINAL_CODES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")


def _plain(text: str) -> str:
    # JSON can spell half of a pair of surrogates, which is no text that can be sent.
    return _TERMINAL_CODES.sub("", text).encode("utf-8", "replace").decode()


_LARGEST = 2**63


def _number(value: Any) -> float | None:
    # JSON has no NaN and no infinity, but Python's parser lets them through.
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    # Nor are its whole numbers of any size numbers to a browser.
    return value if abs(value) <= _LARGEST and math.isfinite(value) else None
