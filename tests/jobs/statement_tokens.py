"""Statements read back: texts of every kind to put into them, and the tokens that come out."""

from __future__ import annotations

from hypothesis import strategies as st
from sqlglot.dialects.snowflake import Snowflake
from sqlglot.tokens import TokenType

from airflow_provider_snowflake_batch.local.parsing import Token, tokenize

text = st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), max_size=40)
stored = text.filter(bool)


def only_statement(sql: str) -> list[Token]:
    """The tokens of a text that is one statement, whoever reads it: the local Snowflake or sqlglot."""
    tokens = tokenize(sql)
    assert not any(token.kind == "symbol" and token.text in (";", "'", '"') for token in tokens)
    # At the beginning, sqlglot takes EXECUTE and other words, with all that follows, for one text.
    theirs = Snowflake().tokenize(f"SELECT {sql}")
    assert TokenType.SEMICOLON not in {token.token_type for token in theirs}
    kinds = {TokenType.STRING: "string", TokenType.RAW_STRING: "string", TokenType.IDENTIFIER: "quoted"}
    read = [(kinds[token.token_type], token.text) for token in theirs if token.token_type in kinds]
    assert [(token.kind, token.value) for token in tokens if token.kind in ("string", "quoted")] == read
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
