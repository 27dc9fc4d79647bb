"""The JSON text of VARIANT, OBJECT and ARRAY as Snowflake writes it: keys in order, on one line or on several.

Sources: https://docs.snowflake.com/en/sql-reference/functions/to_json (keys are in order, text has one line) and
https://docs.snowflake.com/en/sql-reference/functions/parse_json (what a query shows has a line for each value).
"""

from __future__ import annotations

import json


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
