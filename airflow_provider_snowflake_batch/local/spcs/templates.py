"""Specification templates: ``{{ name }}`` and ``{{ name | default('x') }}``, filled from the USING clause.

https://docs.snowflake.com/en/developer-guide/snowpark-container-services/working-with-services
"""

from __future__ import annotations

import re

from airflow_provider_snowflake_batch.local.errors import invalid_specification, not_supported
from airflow_provider_snowflake_batch.local.parsing import Cursor

_VARIABLE = re.compile(
    r"\{\{\s*(?P<name>\w+)\s*(?:\|\s*default\(\s*(?:'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\"|(?P<bare>[^)]*?))\s*\)\s*)?\}\}"
)


def fill(template: str, values: dict[str, str]) -> str:
    """:raises SnowflakeError: 395018 for a variable without a value; "not supported" for more than variables."""

    def one(match: re.Match[str]) -> str:
        for key, value in values.items():
            if key.upper() == match["name"].upper():
                return value
        default = next((match[group] for group in ("single", "double", "bare") if match[group] is not None), None)
        if default is None:
            raise invalid_specification(f"template variable '{match['name']}' has no value and no default.")
        return default

    filled = _VARIABLE.sub(one, template)
    left = re.search(r"\{\{.*?\}\}|\{%.*?%\}", filled, re.DOTALL)
    if left is not None and left[0] in template:
        raise not_supported(f"The template expression {left[0]}")
    return filled


def using(cursor: Cursor) -> dict[str, str]:
    """The USING clause, cursor placed after the keyword: ``( key => value [, …] )``."""
    values: dict[str, str] = {}
    cursor.expect("(")
    while True:
        key = cursor.next()
        if key.kind not in ("word", "quoted", "string"):
            raise cursor.unexpected("a template variable")
        cursor.expect("=>")
        token = cursor.next()
        if token.kind not in ("string", "number", "word"):
            raise cursor.unexpected("a template value")
        values[key.value] = token.value if token.kind == "string" else token.text
        if cursor.accept(")"):
            return values
        cursor.expect(",")
