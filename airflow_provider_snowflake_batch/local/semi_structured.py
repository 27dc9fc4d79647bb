"""The JSON text of VARIANT, OBJECT and ARRAY as Snowflake writes it: keys in order, on one line or on several.

Sources: https://docs.snowflake.com/en/sql-reference/functions/to_json (keys are in order, text has one line) and
https://docs.snowflake.com/en/sql-reference/functions/parse_json (what a query shows has a line for each value).
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any


def on_one_line(text: str) -> str:
    """The text of ``TO_JSON`` and of a cast to text.

    >>> on_one_line('{"b": 1, "a": [2, 3]}')
    '{"a":[2,3],"b":1}'
    """
    if text[:1] not in ("{", "["):
        return text
    try:
        return json.dumps(json.loads(text), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    except ValueError:
        # The engine asks for text that is no JSON, too, before it drops the branch for JSON.
        return text


def on_several_lines(text: str) -> str:
    """The text that the result of a query shows.

    >>> on_several_lines("[10,{}]")
    '[\\n  10,\\n  {}\\n]'
    """
    if text[:1] not in ("{", "["):
        return text
    return json.dumps(json.loads(text), sort_keys=True, ensure_ascii=False, indent=2)


def with_last_values(text: str) -> str:
    """The JSON text with the last of the values of each key that an object has twice.

    >>> with_last_values('{"a": 1, "b": 2, "a": 3}')
    '{"a": 3, "b": 2}'
    """
    try:
        return json.dumps(json.loads(text), ensure_ascii=False)
    except (ValueError, RecursionError):
        # The engine says what is wrong with it.
        return text


def repeated_key(text: str) -> str:
    """A key that an object of the JSON text has twice, in quotes; nothing if there is none.

    >>> repeated_key('[{"a": 1}, {"b": {"c": 1, "c": 2}}]')
    '"c"'
    """
    repeated: list[str] = []

    def look(pairs: list[tuple[str, Any]]) -> None:
        if len(dict(pairs)) < len(pairs):
            repeated.append(Counter(key for key, _ in pairs).most_common(1)[0][0])

    try:
        json.loads(text, object_pairs_hook=look)
    except (ValueError, RecursionError):
        # The engine says what is wrong with it.
        return ""
    return f'"{repeated[0]}"' if repeated else ""
