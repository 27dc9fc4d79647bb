from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName, StagePath
from airflow_provider_snowflake_batch.jobs.sources import Query, StageParquet, Table, parse_source, plain_source
from airflow_provider_snowflake_batch.local.parsing import tokenize


@pytest.mark.parametrize(
    ("X", "source"),
    [
        ("SELECT a FROM t", Query("SELECT a FROM t")),
        ("  -- why\n/* x */ with q as (select 1) select 2 ; ", Query("-- why\n/* x */ with q as (select 1) select 2")),
        ("(SELECT 1) UNION (SELECT 2)", Query("(SELECT 1) UNION (SELECT 2)")),
        ("db.s.features", Table(QualifiedName("FEATURES", "S", "DB"))),
        ("selected", Table(QualifiedName("SELECTED"))),
        ('"with".t', Table(QualifiedName("T", "with"))),
        ("@db.s.st/in", StageParquet(StagePath(QualifiedName("ST", "S", "DB"), "in/"))),
        ({"table": "t"}, Table(QualifiedName("T"))),
        ({"query": "SELECT 1"}, Query("SELECT 1")),
        ({"stage_location": "@st/in/"}, StageParquet(StagePath(QualifiedName("ST"), "in/"))),
        ({"table": "t", "query": None}, Table(QualifiedName("T"))),
    ],
)  # fmt: skip
def test_what_a_user_writes(X, source) -> None:
    assert parse_source(X) == source
    assert parse_source(source) == source
    assert parse_source(plain_source(source)) == source


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (None, "expected a query"),
        ("", "expected a query"),
        (42, "expected a query"),
        ({}, "exactly one of query, table, stage_location; got none of them"),
        ({"query": "SELECT 1", "table": "t"}, "exactly one of .* got query and table"),
        ({"sql": "SELECT 1"}, "unknown field 'sql'"),
        ({"table": 1}, "X.table: expected a text"),
        ("DELETE FROM t", "neither a query"),
        ("my table", "neither a query"),
        ("SELECT 1; DROP TABLE t", "more than one statement"),
        ("SELECT 1) MODEL = x --", "closes a parenthesis too many at character 9"),
        ("SELECT (1", "leaves a parenthesis open"),
        ("SELECT 'it", "unclosed ' at character 8"),
        ("SELECT /* x", "unclosed"),
        ("SELECT $$x", "unclosed"),
        ({"query": "TRUNCATE t"}, "must begin with SELECT or WITH"),
        ("@st/../secret", "not a stage location|'..' part"),
    ],
)
def test_bad_input_is_one_clear_error(X, message: str) -> None:
    with pytest.raises(InvalidJobError, match=message):
        parse_source(X)


def test_what_is_quoted_does_not_count() -> None:
    text = """SELECT ';)' AS "a);", $$;($$ /* ;) */ -- ;)"""
    assert parse_source(text) == Query(text)


@given(st.lists(st.sampled_from([";", "(", ")", "'", '"', "$$", "--", "/*", "*/", "\\", "\n", "a", " ", "''"])))
def test_an_accepted_query_cannot_leave_its_parentheses(parts: list[str]) -> None:
    try:
        query = Query("SELECT " + "".join(parts))
    except InvalidJobError:
        return
    depth, closed_at = 0, []
    tokens = tokenize(f"(\n{query.sql}\n)")
    for index, token in enumerate(tokens):
        if token.kind == "symbol":
            assert token.text != ";"
            depth += {"(": 1, ")": -1}.get(token.text, 0)
            if depth == 0:
                closed_at.append(index)
    assert closed_at == [len(tokens) - 1]
