"""What becomes text in Parquet files becomes what it was again."""

from __future__ import annotations

import pytest

from airflow_provider_snowflake_batch.jobs.column_types import (
    FileColumn,
    LoadedColumn,
    match_columns,
    with_original_types,
)
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.text_forms import FORMS, created_type, form_of, takes
from tests.jobs.statement_tokens import only_statement

TIMESTAMP = "YYYY-MM-DD HH24:MI:SS.FF9"


@pytest.mark.parametrize(
    ("original", "read", "created"),
    [
        ("TIME(9)", "TO_TIME(x, 'HH24:MI:SS.FF9')", "TIME(9)"),
        ("TIMESTAMP_NTZ(3)", f"TO_TIMESTAMP_NTZ(x, '{TIMESTAMP}')", "TIMESTAMP_NTZ(3)"),
        (
            "TIMESTAMP_LTZ(9)",
            f"TO_TIMESTAMP_TZ(RTRIM(x, 'Z') || ' +0000', '{TIMESTAMP} TZHTZM')::TIMESTAMP_LTZ",
            "TIMESTAMP_LTZ(9)",
        ),
        ("TIMESTAMP_TZ(9)", f"TO_TIMESTAMP_TZ(x, '{TIMESTAMP} TZHTZM')", "TIMESTAMP_TZ(9)"),
        ("VARIANT", "PARSE_JSON(x)", "VARIANT"),
        ("OBJECT", "PARSE_JSON(x)::OBJECT", "OBJECT"),
        ("ARRAY", "PARSE_JSON(x)::ARRAY", "ARRAY"),
        ("MAP", "PARSE_JSON(x)::OBJECT", "OBJECT"),
        ("VECTOR", "PARSE_JSON(x)::ARRAY", "ARRAY"),
    ],
)
def test_each_form_is_read_with_a_format_of_its_own(original: str, read: str, created: str) -> None:
    form = form_of(original)
    assert form is not None
    assert form.read.format("x") == read
    assert created_type(original) == created
    assert takes(created, original)
    assert only_statement(read)


def test_every_form_has_a_column_that_takes_it() -> None:
    assert all(form.created in form.into if form.created else kind in form.into for kind, form in FORMS.items())


@pytest.mark.parametrize("original", ["", "FLOAT", "VARCHAR", "NEWER(3)", "TIMESTAMP_TZ(9); DROP TABLE T", "MAP(A, B)"])
def test_other_types_are_what_their_files_say(original: str) -> None:
    column = FileColumn("A", "TEXT", "f", ("A",))
    (found,) = with_original_types([column], {"A": original})
    assert (found, found.created_kind) == (column, "TEXT")


@pytest.mark.parametrize(
    ("kind", "original", "expected"),
    [
        ("TEXT", "TIMESTAMP_TZ(9)", "TIMESTAMP_TZ(9)"),
        ("NUMBER(38, 0)", "NUMBER(5,0)", "NUMBER(5,0)"),
        # Somebody has written the files anew.
        ("TIMESTAMP_LTZ", "TIMESTAMP_TZ(9)", "TIMESTAMP_LTZ"),
        ("TEXT", "NUMBER(5,0)", "TEXT"),
    ],
)
def test_a_type_is_remembered_where_the_files_hold_what_it_becomes(kind: str, original: str, expected: str) -> None:
    (found,) = with_original_types([FileColumn("a", kind, "f", ("a",))], {"a": original})
    assert found.created_kind == expected


@pytest.mark.parametrize(
    ("original", "column", "kept", "may_change"),
    [
        ("TIMESTAMP_TZ(9)", "TIMESTAMP_TZ(9)", True, False),
        ("TIMESTAMP_TZ(9)", "TIMESTAMP_LTZ(9)", True, False),
        ("TIMESTAMP_TZ(9)", "TIMESTAMP_TZ(6)", True, True),
        ("TIMESTAMP_TZ(3)", "TIMESTAMP_TZ(3)", True, False),
        ("TIME(9)", "TIME(0)", True, True),
        ("TIMESTAMP_NTZ(9)", "DATE", True, True),
        ("VARIANT", "VARIANT", True, False),
        ("ARRAY", "VARIANT", True, False),
        ("TIMESTAMP_TZ(9)", "VARCHAR(16777216)", False, False),
        ("VECTOR", "ARRAY", True, False),
    ],
)
def test_columns_that_take_a_form(original: str, column: str, kept: bool, may_change: bool) -> None:
    ((loaded,), _) = match_columns([FileColumn("a", "TEXT", "f", ("a",), original)], {"A": column})
    assert loaded == LoadedColumn("A", ("a",), original if kept else "TEXT", column, original if kept else "")
    assert loaded.may_change is may_change


@pytest.mark.parametrize(
    ("original", "column"),
    [
        ("TIMESTAMP_TZ(9)", "TIMESTAMP_NTZ(9)"),
        ("TIMESTAMP_NTZ(9)", "TIMESTAMP_LTZ(9)"),
        ("TIMESTAMP_NTZ(9)", "TIME(9)"),
        ("VARIANT", "ARRAY"),
        ("VARIANT", "NUMBER(38,0)"),
        ("MAP", "MAP(VARCHAR(16777216), NUMBER(38,0))"),
        ("VECTOR", "VECTOR(FLOAT, 3)"),
    ],
)
def test_a_column_that_would_make_something_else_of_it_is_refused(original: str, column: str) -> None:
    with pytest.raises(InvalidJobError, match=r"table: its column A is .*, and the values .* were .*: give"):
        match_columns([FileColumn("a", "TEXT", "f", ("a",), original)], {"A": column})
