"""How values become text of a statement: literals are escaped, specifications serialised by a library."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import yaml

from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import NOT_SENT, StagePath, named


def literal(value: str) -> str:
    """A string literal: backslashes are escapes in Snowflake's single-quoted strings, so both are doubled."""
    if found := NOT_SENT.search(value):
        raise InvalidJobError("text", f"{named(found)} cannot be sent to Snowflake.")
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def stage_sql(location: StagePath) -> str:
    """A place on a stage, in quotes."""
    return literal(str(location))


# Line breaks of YAML 1.1, characters that it only reads escaped, and halves of surrogate pairs.
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


def json_in_dollars(document: Any) -> str:
    """A document as JSON that is YAML as well, without a ``$$``, which would end the literal that it stands in.

    Snowflake reads specifications as YAML 1.1, of which JSON is nearly a part.
    """
    return _json(document, "\n").replace("$$", r"$\u0024")


def _json(value: Any, line: str) -> str:
    """:param line: the line break, and how far the value is indented."""
    deeper = f"{line}  "
    if isinstance(value, Mapping) and value:
        inner = [f"{_json(str(name), line)}: {_json(item, deeper)}" for name, item in value.items()]
        return f"{{{deeper}{f',{deeper}'.join(inner)}{line}}}"
    if isinstance(value, (list, tuple)) and value:
        return f"[{', '.join(_json(item, line) for item in value)}]"
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if isinstance(value, float) and "e" in text and "." not in text:
        # YAML 1.1 reads a number without a point before the exponent as a text.
        return text.replace("e", ".0e")
    return _NOT_IN_YAML.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def yaml_text(document: Any) -> str:
    def dump(allow_unicode: bool) -> str:
        return yaml.safe_dump(
            document, sort_keys=False, allow_unicode=allow_unicode, default_flow_style=False, width=2**20
        )

    text = dump(allow_unicode=True)
    # The library writes NEL and similar characters unescaped, and YAML 1.1 reads them as line breaks.
    return text if yaml.safe_load(text) == document else dump(allow_unicode=False)
