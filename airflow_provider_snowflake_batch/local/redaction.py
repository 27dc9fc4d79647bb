"""Statements as others than their sender see them: the content of secrets is left out."""

from __future__ import annotations

import re

from airflow_provider_snowflake_batch.local.parsing import tokenize

_MASK = "'***'"
_MAY_SET_SECRET = re.compile(r"\b(?:CREATE|ALTER)\b.*\bSECRET\b", re.IGNORECASE | re.DOTALL)


def without_secrets(text: str) -> str:
    """The text of one statement or several, each literal of a ``CREATE SECRET`` or ``ALTER SECRET`` masked.

    >>> without_secrets("CREATE SECRET S TYPE = GENERIC_STRING SECRET_STRING = 'abc'")
    "CREATE SECRET S TYPE = GENERIC_STRING SECRET_STRING = '***'"
    """
    if _MAY_SET_SECRET.search(text) is None:
        return text
    shown, end, words, in_secret = [], 0, 0, False
    for token in tokenize(text):
        if token.text == ";":
            words, in_secret = 0, False
            continue
        words += 1
        # CREATE OR REPLACE SECRET has the most words before it.
        in_secret = in_secret or (token.kind == "word" and token.value == "SECRET" and words <= 4)
        if in_secret and token.kind == "string":
            shown += [text[end : token.start], _MASK]
            end = token.end
    return "".join([*shown, text[end:]])
