from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_snowflake_batch.hooks.results import JobResult
from airflow_provider_snowflake_batch.hooks.verification import Verification
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName, StagePath
from airflow_provider_snowflake_batch.jobs.sources import (
    JobOutput,
    Query,
    SelectedColumn,
    StageListing,
    StageParquet,
    StagePaths,
    Table,
    parse_source,
    plain_source,
)


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
        (
            {"stage_location": "@st/in", "pattern": r".*\.parquet", "select": ["a", '"b"', "c (cm)"], "filter": "a"},
            StageParquet(
                StagePath(QualifiedName("ST"), "in/"), r".*\.parquet",
                tuple(SelectedColumn(Identifier(name)) for name in ("A", "b", "c (cm)")), "a",
            ),
        ),
        (
            {"stage_location": "@st/in", "select": {"a": "x", '"b"': '"y"', "c": None}, "file_format": "db.s.f"},
            StageParquet(
                StagePath(QualifiedName("ST"), "in/"), None,
                (
                    SelectedColumn(Identifier("A"), Identifier("X")),
                    SelectedColumn(Identifier("b"), Identifier("y")),
                    SelectedColumn(Identifier("C")),
                ),
                None, QualifiedName("F", "S", "DB"),
            ),
        ),
        (["@db.s.st/a (1).png"], StagePaths((StagePath(QualifiedName("ST", "S", "DB"), "a (1).png"),))),
        (
            {"paths": ("@st/a",), "column_name": "image"},
            StagePaths((StagePath(QualifiedName("ST"), "a"),), Identifier("IMAGE")),
        ),
        ({"list_stage_files": "@st"}, StageListing(StagePath(QualifiedName("ST")))),
        (
            {"list_stage_files": "@st/p", "pattern": ".*", "column_name": '"x"'},
            StageListing(StagePath(QualifiedName("ST"), "p"), ".*", Identifier("x")),
        ),
        (
            {"job_name": "J", "status": "DONE", "output_location": "@st/out/J", "rows": 3, "warnings": []},
            JobOutput(StagePath(QualifiedName("ST"), "out/J/")),
        ),
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
        ({}, "exactly one of query, table, stage_location, paths, list_stage_files, output_location; got none of them"),
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
        ("['@st/a']", "a template has turned into text"),
        ("{'paths': []}", "a template has turned into text"),
        ([], "the list of stage paths is empty"),
        (["@st/a", "b"], r"X\[1\]: 'b' is not a stage location"),
        (["@st/a/"], r"X\[0\]: '@st/a/' names no file"),
        (["@st/a/../b"], r"X\[0\]: .*'..' part"),
        (["@~/a"], "user or table stage"),
        ({"paths": "@st/a"}, "X.paths: expected a list of full stage paths"),
        ({"paths": ["@st/a"], "pattern": "x"}, "'pattern' does not go with paths, which takes column_name"),
        ({"query": "SELECT 1", "filter": "x"}, "'filter' does not go with query, which takes nothing else"),
        ({"paths": ["@st/a"], "column_name": 3}, "X.column_name: expected a text"),
        ({"list_stage_files": "st"}, "X.list_stage_files: 'st' is not a stage location"),
        ({"stage_location": "@st", "select": []}, "X.select: it names no column"),
        ({"stage_location": "@st", "select": ["a", "A"]}, "X.select: two columns would be called A"),
        ({"stage_location": "@st", "select": {"a": "x", "b": "X"}}, "X.select: two columns would be called X"),
        ({"stage_location": "@st", "select": {"a": "x", "A": "y"}}, "X.select: A stands there twice"),
        ({"stage_location": "@st", "select": {"a": 1}}, r"X.select\['a'\]: expected a column's name, got 1"),
        ({"stage_location": "@st", "select": "a"}, "X.select: expected a list of columns"),
        ({"stage_location": "@st", "select": ["a", ["b"]]}, r"X.select: expected a column's name, got \['b'\]"),
        ({"stage_location": "@st", "filter": "a > 1) UNION (SELECT 1"}, "X.filter: the condition closes a parenthesis"),
        ({"stage_location": "@st", "filter": "a; DROP TABLE t"}, "X.filter: the condition holds more than one"),
        ({"stage_location": "@st", "filter": "-- nothing"}, "X.filter: expected a condition"),
        ({"stage_location": "@st", "pattern": ""}, "X.pattern: expected a text"),
        ({"stage_location": "@st", "file_format": "a b"}, "X.file_format: 'a b' is not a valid name"),
    ],
)
def test_bad_input_is_one_clear_error(X, message: str) -> None:
    with pytest.raises(InvalidJobError, match=message):
        parse_source(X)


def test_what_is_quoted_does_not_count() -> None:
    text = """SELECT ';)' AS "a);", $$;($$ /* ;) */ -- ;)"""
    assert parse_source(text) == Query(text)


names = st.builds(Identifier, st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), min_size=1))
locations = st.builds(StagePath, st.builds(QualifiedName, st.just("st")), st.sampled_from(["", "a/", "a/b c/"]))


@given(
    locations,
    st.none() | st.text(min_size=1),
    st.none() | st.lists(names, min_size=1, max_size=4, unique_by=lambda name: name.value),
    st.none() | st.just("a > 1"),
)
def test_plain_forms_lose_nothing(location, pattern, columns, condition) -> None:
    select = None if columns is None else tuple(map(SelectedColumn, columns))
    for source in (StageParquet(location, pattern, select, condition), StageListing(location, pattern)):
        assert parse_source(json.loads(json.dumps(plain_source(source)))) == source


@given(st.lists(st.text(min_size=1), min_size=1, max_size=3))
def test_any_file_name_is_taken_or_refused(parts: list[str]) -> None:
    try:
        source = parse_source(["@db.s.st/" + "/".join(parts)])
    except InvalidJobError:
        return
    assert isinstance(source, StagePaths)
    assert parse_source(plain_source(source)) == source


@pytest.mark.parametrize("prefix", ["", "/", "out/J$1/", "stage/_old/out/J$1/", "/stage/out/J$1/"])
def test_the_results_of_a_job_are_its_data_files(prefix: str) -> None:
    pattern = JobOutput(StagePath(QualifiedName("ST"), "_old/out/J$1/")).files.pattern
    for name in ("part-0.parquet", "3_63012abc.parquet"):
        assert re.fullmatch(pattern, prefix + name)
    for name in ("_SUCCESS", "_manifest.json", "_part.parquet", "_quarantine/part-0.parquet", "part-0.parquet.tmp"):
        assert not re.fullmatch(pattern, prefix + name)


@pytest.mark.parametrize("result", [JobResult, Verification])
def test_the_whole_result_of_a_task_is_an_input(result: type[Any]) -> None:
    every_field: dict[str, Any] = dict.fromkeys((one.name for one in fields(result)), 1)
    whole = result(**every_field | {"output_location": "@db.s.st/out/J/"}).to_dict()
    assert parse_source(whole) == JobOutput(StagePath.parse("@db.s.st/out/J/", field="x"))


@pytest.mark.parametrize(
    ("make", "instead"),
    [
        (lambda text: Query(f"SELECT a FROM t WHERE {text}"), 'X="SELECT …"'),
        (lambda text: StageParquet(StagePath.parse("@s/x/", field="X"), filter=text), 'X={"stage_location": …'),
    ],
)
def test_an_object_that_a_template_keeps_from_being_checked_says_how_to_give_it(
    make: Callable[[str], object], instead: str
) -> None:
    with pytest.raises(InvalidJobError, match=f"It holds a Jinja template: give it as {re.escape(instead)}"):
        make("b = '{{ var.value.get('x') }}'")
    # One that is right as it stands needs no word.
    make("b = '{{ ds }}'")
    with pytest.raises(InvalidJobError) as told:
        make("b = 'c")
    assert "Jinja" not in str(told.value)
