"""Statements read back: texts of every kind to put into them, and the tokens that come out."""

from __future__ import annotations

from hypothesis import strategies as st

from airflow_provider_snowflake_batch.local.parsing import Token, tokenize

text = st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), max_size=40)
stored = text.filter(bool)


def only_statement(sql: str) -> list[Token]:
    tokens = tokenize(sql)
    assert not any(token.kind == "symbol" and token.text in (";", "'", '"') for token in tokens)
    return tokens


def enclosed(sql: str) -> list[Token]:
    """The tokens of one statement, in which every parenthesis is closed again."""
    tokens, depth = only_statement(f"({sql})"), 0
    for index, token in enumerate(tokens):
        if token.kind == "symbol":
            depth += {"(": 1, ")": -1}.get(token.text, 0)
        assert depth > 0 or index == len(tokens) - 1
    assert depth == 0
    return tokens
