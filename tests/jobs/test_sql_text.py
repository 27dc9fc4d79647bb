"""A user's SQL stays in the parentheses it is sent in, whoever reads it: here sqlglot and the local Snowflake."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random

import pytest
from sqlglot.dialects.snowflake import Snowflake

from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.sql_text import check_condition, check_query
from airflow_provider_snowflake_batch.local.parsing import tokenize

# Whatever begins or ends something for one reader of SQL or another. Left out are "#" and "%" beside braces: sqlglot
# takes what stands between for a template's comment, which Snowflake does not know.
PIECES = [
    *"()();'\"$-/*\\@:,. \n\r\t\v\f\x00?!=|&~^<>[]{}+1_`",
    *("''", '""', "$$", "$$$", "$1", "--", "//", "/*", "*/", "/*+", "\r\n", "\\'", "::", "=>", "->"),
    *("@s", "@s/a", "@~", "@%t", '@"s', "x:", "a", "a$", "a1", "x'", "X'", "N'", "DATE'", "é"),
    *("\u2028", "\u00a0", "\x85"),
    *(" SELECT ", " FROM ", " AS ", "$$)$$", "';'", '")"', "-- )\n", "/* ) */", "(a)"),
]


def sqlglot_tokens(sql: str) -> Iterable[str]:
    symbols = {"L_PAREN": "(", "R_PAREN": ")", "SEMICOLON": ";"}
    return (symbols.get(token.token_type.name, token.token_type.name) for token in Snowflake().tokenize(sql))


def local_tokens(sql: str) -> Iterable[str]:
    return (token.text if token.kind == "symbol" else token.kind for token in tokenize(sql))


def leaves_parentheses(sql: str, read: Callable[[str], Iterable[str]]) -> bool:
    depth, closed_at = 0, []
    tokens = list(read(f"(\n{sql}\n)"))
    for index, token in enumerate(tokens):
        depth += {"(": 1, ")": -1}.get(token, 0)
        if token == ";" or depth < 0:
            return True
        if depth == 0:
            closed_at.append(index)
    return closed_at != [len(tokens) - 1]


def check_both(text: str) -> int:
    """How many of the two forms were accepted."""
    accepted = 0
    for check, sql in ((check_query, f"SELECT {text}"), (check_condition, text)):
        try:
            sent = check(sql, field="X")
        except InvalidJobError:
            continue
        accepted += 1
        for read in (sqlglot_tokens, local_tokens):
            assert not leaves_parentheses(sent, read), (sent, read)
    return accepted


def test_what_is_accepted_cannot_leave_its_parentheses() -> None:
    random = Random(20)
    texts = ("".join(random.choices(PIECES, k=random.randint(1, 14))) for _ in range(6000))
    assert sum(map(check_both, texts)) > 2000


@pytest.mark.parametrize(
    "text",
    [
        "ID AS a$$ FROM t) MODEL = OTHER /* $$ */",
        "a$$ FROM t; DROP TABLE x; SELECT b$$",
        "$1 FROM @a//b) x (\n",
        "$1 FROM @a--b) x (\n",
        "$1 FROM @a/*b) x (*/",
        "x:// ) x (\n",
        "$1 FROM @s/it's ) x ( 'a'",
        '$1 FROM @s/a" ) x ( "',
        '$1 FROM @s"a" ) x ( "b"',
        "1 = 1 OR a$$ = 1) UNION SELECT * FROM other WHERE (b$$ = 1",
        "a -|-- ) x (\n",
        "-- \r ) x (\n",
        "/* /* */ ) x ( */",
        "x'\\') x (' ",
        "\x00$$ ) x ( $$",
    ],
)
def test_what_left_its_parentheses_for_one_reader_is_refused(text: str) -> None:
    assert check_both(text) == 0


def test_the_readers_notice_what_leaves() -> None:
    for read in (sqlglot_tokens, local_tokens):
        assert leaves_parentheses("a) x (b", read)
        assert leaves_parentheses("a; b", read)
        assert not leaves_parentheses("""';)' AS "a);", (b), $$;($$ /* ;) */ -- ;)""", read)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("SELECT a FROM t; -- only today's", "SELECT a FROM t"),
        ("SELECT a FROM t; /* done; */ ;\n// )", "SELECT a FROM t"),
        ("SELECT a FROM t -- no semicolon; here", "SELECT a FROM t -- no semicolon; here"),
        ("SELECT 5 // 2\n, $1:\"a\"::INT, DATE'2026-01-01'", "SELECT 5 // 2\n, $1:\"a\"::INT, DATE'2026-01-01'"),
        ("SELECT $1 FROM '@s/a--b' t", "SELECT $1 FROM '@s/a--b' t"),
        ("SELECT $1 FROM @s/a-b.c (FILE_FORMAT => 'f') t", "SELECT $1 FROM @s/a-b.c (FILE_FORMAT => 'f') t"),
        ("SELECT 'https://host', $$it's$$, '''', 'a\\'b'", "SELECT 'https://host', $$it's$$, '''', 'a\\'b'"),
        (
            'SELECT $1 FROM @"d""b".s."a/b"/c.d/e.f, @%"t;"/x, @~/y',
            'SELECT $1 FROM @"d""b".s."a/b"/c.d/e.f, @%"t;"/x, @~/y',
        ),
        ('SELECT a$b, $1, "a$$" FROM t', 'SELECT a$b, $1, "a$$" FROM t'),
    ],
)
def test_ordinary_queries_are_taken(given: str, sent: str) -> None:
    assert check_query(given, field="X") == sent


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT a$$ FROM t", r"\$\$ inside a name at character 8: write the name in double quotes"),
        ("SELECT $$a$$b", r"\$\$ at character 8 beside a name or another \$, of which"),
        ("SELECT $1 FROM @a//b", "// inside a stage path at character 16: write the path in single quotes"),
        ("SELECT $1 FROM @a/b-- c", "-- inside a stage path"),
        ("SELECT x:// y", "// right after :"),
        ("SELECT $1 FROM @s/it's/'", "a quote inside a stage path at character 16: write the path in single quotes"),
        ('SELECT $1 FROM @s/"a"/b', "a quote inside a stage path"),
        ("SELECT 1 \x00", "a NUL character"),
        ("SELECT '\ud800'", "half of a surrogate pair"),
        ("SELECT 1 -- a\rb", "a comment at character 10 with a line break"),
        ("SELECT /* /* */ 1", "with another /\\* in it"),
        ("SELECT n'a''b'", "put a space before the literal"),
        ("SELECT x'zz'", "other than hexadecimal digits"),
        ("SELECT 1; SELECT 2", "more than one statement"),
        ("SELECT (1; -- a\n)", "more than one statement"),
    ],
)
def test_what_has_two_readings_is_refused_with_another_way_to_write_it(sql: str, message: str) -> None:
    with pytest.raises(InvalidJobError, match=message):
        check_query(sql, field="X")


def test_a_condition_ends_with_no_semicolon() -> None:
    with pytest.raises(InvalidJobError, match="more than one statement"):
        check_condition("a > 1;", field="X.filter")
