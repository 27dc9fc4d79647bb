from __future__ import annotations

import pytest

from airflow_provider_snowflake_batch.jobs.column_types import (
    FileColumn,
    LoadedColumn,
    common_type,
    match_columns,
    merge_columns,
)
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("TEXT", "TEXT", "TEXT"),
        ("NUMBER(38, 0)", "REAL", "REAL"),
        ("NUMBER(3, 1)", "NUMBER(9, 4)", "NUMBER(9, 4)"),
        ("NUMBER(5, 0)", "NUMBER(4, 4)", "NUMBER(9, 4)"),
        ("NUMBER(38, 0)", "NUMBER(9, 4)", "NUMBER(38, 4)"),
        ("DATE", "TIMESTAMP_NTZ", "TIMESTAMP_NTZ"),
        ("DATE", "TIMESTAMP_NTZ(9)", "TIMESTAMP_NTZ(9)"),
        ("REAL", "DOUBLE", "REAL"),
        # A decimal changes as a floating-point number, a moment without its zone, a text as anything else.
        ("NUMBER(9, 4)", "REAL", None),
        ("TIMESTAMP_NTZ", "TIMESTAMP_LTZ", None),
        ("DATE", "TIMESTAMP_LTZ", None),
        ("TIME", "TIMESTAMP_NTZ", None),
        ("TEXT", "NUMBER(38, 0)", None),
        ("TEXT", "BINARY", None),
        ("BOOLEAN", "NUMBER(38, 0)", None),
        ("VARIANT", "TEXT", None),
    ],
)
def test_the_type_of_both(one: str, other: str, both: str | None) -> None:
    assert common_type(one, other) == common_type(other, one) == both


def test_columns_of_several_groups_of_files() -> None:
    found = [
        FileColumn("a", "NUMBER(38, 0)", "1.parquet"),
        FileColumn("b", "TEXT", "1.parquet"),
        FileColumn("a", "REAL", "2.parquet"),
        FileColumn("A", "NUMBER(38, 0)", "3.parquet"),
    ]
    assert [(column.name, column.kind) for column in merge_columns(found, field="X")] == [
        ("a", "REAL"), ("b", "TEXT"), ("A", "NUMBER(38, 0)")
    ]  # fmt: skip
    assert [column.whole for column in merge_columns(found, field="X")] == ["1.parquet", "", ""]
    merged = merge_columns(found, field="X", key=str.upper)
    assert [(column.kind, column.spellings) for column in merged] == [("REAL", ("a", "A")), ("TEXT", ("b",))]


def test_types_that_do_not_go_together_are_named_with_their_files() -> None:
    found = [FileColumn("v", "TEXT", "a.parquet"), FileColumn("v", "REAL", "b.parquet")]
    with pytest.raises(InvalidJobError, match="X: column v is TEXT in a.parquet and REAL in b.parquet"):
        merge_columns(found, field="X")


def test_columns_go_where_their_names_are() -> None:
    found = [FileColumn("id", "REAL", "f", ("id", "Id")), FileColumn("extra", "TEXT", "f", ("extra",))]
    table = {"NOTE": "TEXT", "ID": "NUMBER(38,0)"}
    assert match_columns(found, table) == ([LoadedColumn("ID", ("id", "Id"), "REAL", "NUMBER(38,0)")], ["extra"])
    assert match_columns(found[:1], {"ID": "X", "id": "X"})[0][0].target == "id"
    with pytest.raises(InvalidJobError, match="column id may be any of"):
        match_columns(found[:1], {"ID": "X", "iD": "X"})
    with pytest.raises(InvalidJobError, match="none of the files' columns, which are id, extra; it has NOTE"):
        match_columns(found, {"NOTE": "X"})


@pytest.mark.parametrize(
    ("kind", "column", "expected"),
    [
        ("REAL", "NUMBER(38,0)", True),
        ("NUMBER(9, 4)", "NUMBER(38,0)", True),
        ("TIMESTAMP_NTZ", "DATE", True),
        ("TIMESTAMP_LTZ", "TIMESTAMP_LTZ(3)", True),
        ("TIMESTAMP_NTZ", "VARCHAR(50)", True),
        # The files' type does not say how many digits of a second there are.
        ("TIMESTAMP_NTZ", "TIMESTAMP_NTZ(6)", True),
        ("TIME", "TIME(0)", True),
        ("TIME", "VARCHAR(50)", True),
        ("REAL", "VARCHAR(50)", True),
        ("NUMBER(9, 4)", "NUMBER(10,2)", True),
        ("NUMBER(38, 0)", "BOOLEAN", True),
        ("REAL", "BOOLEAN", True),
        ("TEXT", "NUMBER(38,0)", True),
        ("BOOLEAN", "BOOLEAN", False),
        ("NUMBER(9, 4)", "NUMBER(12,6)", False),
        ("TIMESTAMP_NTZ", "TIMESTAMP_NTZ(9)", False),
        ("TIME", "TIME(9)", False),
        ("REAL", "NUMBER(10,2)", False),
        ("NUMBER(38, 0)", "NUMBER(10,0)", False),
        ("REAL", "FLOAT", False),
        ("DATE", "TIMESTAMP_NTZ(9)", False),
        ("TEXT", "DATE", True),
        ("TEXT", "TIMESTAMP_LTZ(9)", True),
        ("TEXT", "TIMESTAMP_TZ(9)", True),
        ("TEXT", "TIMESTAMP_NTZ(9)", False),
        ("TEXT", "TIMESTAMP_NTZ(6)", True),
        ("TEXT", "TIME(0)", True),
        ("TEXT", "FLOAT", True),
        ("TEXT", "VARCHAR(16777216)", False),
    ],
)
def test_columns_that_may_change_what_goes_into_them(kind: str, column: str, expected: bool) -> None:
    assert LoadedColumn("A", ("a",), kind, column).may_change is expected


def test_a_moment_does_not_go_into_a_time_of_day() -> None:
    with pytest.raises(
        InvalidJobError, match=r"its column T is TIME\(9\), which no value of the type TIMESTAMP_NTZ fits"
    ):
        match_columns([FileColumn("t", "TIMESTAMP_NTZ", "f", ("t",))], {"T": "TIME(9)"})


@pytest.mark.parametrize(
    ("kind", "column"),
    [
        ("TIMESTAMP_LTZ", "TIMESTAMP_NTZ(9)"),
        ("TIMESTAMP_LTZ", "DATE"),
        ("TIMESTAMP_LTZ", "VARCHAR(16777216)"),
        ("TIMESTAMP_NTZ", "TIMESTAMP_LTZ(9)"),
        ("TIMESTAMP_NTZ(6)", "TIMESTAMP_TZ(9)"),
        ("DATE", "TIMESTAMP_LTZ(3)"),
        ("DATE", "TIMESTAMP_TZ(9)"),
    ],
)
def test_what_would_go_by_the_timezone_of_a_session_is_refused(kind: str, column: str) -> None:
    with pytest.raises(InvalidJobError, match=r"table: its column T is .* the session's TIMEZONE"):
        match_columns([FileColumn("t", kind, "f", ("t",))], {"T": column})


@pytest.mark.parametrize(
    ("kind", "column"),
    [
        ("TIMESTAMP_LTZ", "TIMESTAMP_LTZ(9)"),
        ("TIMESTAMP_LTZ", "TIMESTAMP_TZ(9)"),
        ("TIMESTAMP_NTZ", "VARCHAR(16777216)"),
        ("DATE", "TIMESTAMP_NTZ(9)"),
        ("DATE", "DATE"),
    ],
)
def test_what_is_the_same_in_every_session_is_not(kind: str, column: str) -> None:
    assert match_columns([FileColumn("t", kind, "f", ("t",))], {"T": column})[0][0].kind == kind
