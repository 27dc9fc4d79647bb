"""Which form rows get in the files of an unload, and the list of those files."""

from __future__ import annotations

import json

import pytest

from airflow_provider_snowflake_batch.jobs import row_statements
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import StagePath
from airflow_provider_snowflake_batch.jobs.unload import RowColumn, Unload, UnloadedFile, unloaded_columns
from tests.jobs.statement_tokens import only_statement

TIMESTAMP = "YYYY-MM-DD HH24:MI:SS.FF9"


@pytest.mark.parametrize(
    ("column", "selected", "type_"),
    [
        (RowColumn("A", "FIXED", 38, 0), '"A"', "NUMBER(38,0)"),
        (RowColumn("A", "FIXED", 10, 2), '"A"', "NUMBER(10,2)"),
        (RowColumn("A", "REAL"), '"A"', "FLOAT"),
        (RowColumn('a "b"', "TEXT"), '"a ""b"""', "VARCHAR"),
        (RowColumn("A", "DATE"), '"A"', "DATE"),
        (RowColumn("A", "BINARY"), '"A"', "BINARY"),
        (RowColumn("A", "BOOLEAN"), '"A"', "BOOLEAN"),
        (
            RowColumn("A", "TIME", 0, 9),
            """TO_VARCHAR(TIMESTAMP_NTZ_FROM_PARTS('1970-01-01'::DATE, "A"), 'HH24:MI:SS.FF9') AS "A\"""",
            "TIME(9)",
        ),
        (RowColumn("A", "TIMESTAMP_NTZ", 0, 9), f"""TO_VARCHAR("A", '{TIMESTAMP}') AS "A\"""", "TIMESTAMP_NTZ(9)"),
        (
            RowColumn("A", "TIMESTAMP_LTZ", 0, 9),
            f"""TO_VARCHAR(CONVERT_TIMEZONE('UTC', "A")::TIMESTAMP_NTZ, '{TIMESTAMP}') || 'Z' AS "A\"""",
            "TIMESTAMP_LTZ(9)",
        ),
        (
            RowColumn("A", "TIMESTAMP_TZ", 0, 9),
            f"""TO_VARCHAR("A", '{TIMESTAMP} TZHTZM') AS "A\"""",
            "TIMESTAMP_TZ(9)",
        ),
        (RowColumn("A", "VARIANT"), 'TO_JSON("A") AS "A"', "VARIANT"),
        (RowColumn("A", "ARRAY"), 'TO_JSON("A"::VARIANT) AS "A"', "ARRAY"),
        (RowColumn("A", "OBJECT"), 'TO_JSON("A"::VARIANT) AS "A"', "OBJECT"),
        (RowColumn("A", "MAP"), 'TO_JSON("A"::VARIANT) AS "A"', "MAP"),
        (RowColumn("A", "VECTOR"), 'TO_JSON(TO_ARRAY("A")::VARIANT) AS "A"', "VECTOR"),
    ],
)
def test_each_type_is_unloaded_without_loss(column: RowColumn, selected: str, type_: str) -> None:
    assert column.unloaded() == selected
    assert column.type == type_
    assert column.becomes_text is (" AS " in selected)


@pytest.mark.parametrize("kind", ["GEOGRAPHY", "GEOMETRY", "FILE", "INTERVAL_DAY_TIME", "SOMETHING_NEW", ""])
def test_a_type_of_which_nothing_is_known_is_refused_with_its_column(kind: str) -> None:
    with pytest.raises(InvalidJobError, match=f"^X: the column WHERE_IT_IS has the type {kind}, which Parquet files"):
        unloaded_columns([RowColumn("A", "TEXT"), RowColumn("WHERE_IT_IS", kind)])


def test_the_whole_statement() -> None:
    directory = StagePath.parse("@DB.S.ST/a/1/", field="x")
    sql = row_statements.copy_into_stage(directory, "SELECT * FROM T -- all", ['"A"', 'TO_JSON("B") AS "B"'])
    assert sql == (
        'COPY INTO \'@DB.S.ST/a/1/\' FROM (SELECT "A", TO_JSON("B") AS "B" FROM (\nSELECT * FROM T -- all\n)) '
        "FILE_FORMAT = (TYPE = PARQUET) HEADER = TRUE INCLUDE_QUERY_ID = TRUE DETAILED_OUTPUT = TRUE "
        "MAX_FILE_SIZE = 134217728"
    )
    assert only_statement(sql)


def test_the_list_reads_back() -> None:
    files = (UnloadedFile("a.parquet", 3, 100), UnloadedFile("b.parquet", 2, 50))
    unload = Unload("f", files, (("ID", "NUMBER(38,0)"), ("WHEN", "TIMESTAMP_TZ(9)")))
    assert unload.rows == 5
    assert json.loads(unload.to_json())["rows"] == 5
    assert Unload.parse(unload.to_json().encode()) == unload


def test_a_list_of_a_later_version_may_say_more() -> None:
    document = json.loads(Unload("f", (), ()).to_json()) | {"more": 1}
    assert Unload.parse(json.dumps(document).encode()) == Unload("f", (), ())


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"version": 2}', b'{"version": 1, "files": 3}', b"\xff"])
def test_what_is_no_list_does_not_count(content: bytes) -> None:
    assert Unload.parse(content) is None
