"""Tokens of statements: read as sqlglot's Snowflake dialect reads them, where it can read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlglot.dialects.snowflake import Snowflake
from sqlglot.tokens import TokenType

from airflow_provider_snowflake_batch.local.errors import SnowflakeError
from airflow_provider_snowflake_batch.local.parsing import Cursor, tokenize

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
SIMPLE = st.text("abc XYZ_09.,()-/*@$:;\n", max_size=12)
LITERALS = TEXT.map(lambda text: "'" + text.replace("\\", "\\\\").replace("'", "''") + "'")
NAMES = st.text("aB_ .;-/@", min_size=1, max_size=8).map(lambda text: f'"{text}"')
DOLLARS = SIMPLE.filter(lambda text: "$" not in text).map(lambda text: f"$${text}$$")
WORDS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,7}", fullmatch=True)
NUMBERS = st.one_of(
    st.integers(0, 10**20).map(str), st.decimals(0, 10**6, places=3).map(lambda number: format(number, "f"))
)
COMMENTS = st.sampled_from(["-- it's; @x\n", "/* it's; $$ \n */", '// "\n'])
PIECES = st.lists(st.one_of(LITERALS, NAMES, DOLLARS, WORDS, NUMBERS, COMMENTS), max_size=8)
KINDS = {
    TokenType.STRING: "string",
    TokenType.RAW_STRING: "string",
    TokenType.IDENTIFIER: "quoted",
    TokenType.NUMBER: "number",
}


@given(PIECES)
def test_literals_names_and_comments_are_those_of_another_reader(pieces: list[str]) -> None:
    sql = " , ".join(pieces)
    ours = [(token.kind, token.value, token.start, token.end) for token in tokenize(sql) if token.text != ","]
    theirs = [
        (
            KINDS.get(token.token_type, "word"),
            token.text.upper() if token.token_type not in KINDS else token.text,
            token.start,
            token.end + 1,
        )
        for token in Snowflake().tokenize(sql)
        if token.token_type is not TokenType.COMMA
    ]
    assert ours == theirs


@pytest.mark.parametrize(
    ("sql", "stage"),
    [
        ("LIST @s/a/*.csv PATTERN = 'x'", "@s/a/*.csv"),
        ("LIST @~/a//b -- c", "@~/a//b"),
        ('LIST @"a b".c."d""e"/f', '@"a b".c."d""e"/f'),
        ("LIST @db.sch.%t/x=1/", "@db.sch.%t/x=1/"),
        ("LIST '@s/it''s'", "@s/it's"),
        ("LIST @s)", "@s"),
    ],
)
def test_a_stage_path_is_one_token_whatever_is_in_it(sql: str, stage: str) -> None:
    cursor = Cursor(sql)
    cursor.expect("LIST")
    assert cursor.stage() == stage


@pytest.mark.parametrize(("sql", "value"), [(r"'a\n\t\x41\u263a\'\\'", "a\n\tA☺'\\"), ("'it''s'", "it's")])
def test_escapes(sql: str, value: str) -> None:
    assert Cursor(sql).string() == value


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SHOW\n  'x'", "line 2 at position 2 unexpected ''x'', expected MODELS"),
        ("SHOW", "expected MODELS at the end of the statement"),
        ("SHOW MODELS x", "position 12 unexpected 'x', expected the end of the statement"),
    ],
)
def test_a_mismatch_names_the_place(sql: str, message: str) -> None:
    with pytest.raises(SnowflakeError, match=message):
        read_show_models(Cursor(sql))


def read_show_models(cursor: Cursor) -> None:
    cursor.expect("SHOW")
    cursor.expect("MODELS")
    cursor.end()


@pytest.mark.parametrize(("sql", "inside", "rest"), [("((a), ')', \"(\") b", "(a), ')', \"(\"", "b"), ("() ", "", "")])
def test_what_stands_in_parentheses(sql: str, inside: str, rest: str) -> None:
    cursor = Cursor(sql)
    assert cursor.parenthesised() == inside
    assert cursor.rest() == rest
