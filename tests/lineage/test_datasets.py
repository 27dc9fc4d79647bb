"""Which datasets a job's input is; tests/lineage/test_tasks.py has whole tasks tell theirs."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName, StagePath
from airflow_provider_snowflake_batch.jobs.sources import StageParquet, StageQuery, parse_source
from airflow_provider_snowflake_batch.lineage import datasets

NAMESPACE = "snowflake://acme-prod"


def names(X: Any, database: str | None = "ML", schema: str | None = "PUBLIC") -> list[str]:
    found, error = datasets.inputs(NAMESPACE, parse_source(X), database, schema)
    assert error is None
    assert {dataset.namespace for dataset in found} <= {NAMESPACE}
    return [dataset.name for dataset in found]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT * FROM features", ["ML.PUBLIC.FEATURES"]),
        (
            'WITH c AS (SELECT * FROM "features too") SELECT c.* FROM c JOIN other_db.s.T t ON t.id = c.id',
            ["ML.PUBLIC.features too", "OTHER_DB.S.T"],
        ),
        ("SELECT * FROM s.a UNION ALL SELECT * FROM s.a", ["ML.S.A"]),
        ("SELECT $1:a FROM @lineage/in/", ["ML.PUBLIC.LINEAGE/in"]),
        # Those of a user and of a table have no name that other tasks know them by.
        ("SELECT $1:a FROM @~/in/", []),
        ("SELECT $1:a FROM @%features/in/", []),
        ("SELECT 1 AS ID", []),
    ],
)
def test_a_query_reads_what_it_names(query: str, expected: list[str]) -> None:
    assert names(query) == expected


def test_names_without_a_database_are_no_dataset() -> None:
    query = "SELECT * FROM features JOIN ml.public.labels USING (id)"
    assert names(query, None, None) == ["ML.PUBLIC.LABELS"]
    assert names("SELECT $1:a FROM @lineage/in/", "ML", None) == []


def test_a_query_that_cannot_be_parsed_says_so() -> None:
    found, error = datasets.inputs(NAMESPACE, parse_source("SELECT FROM WHERE"), "ML", "PUBLIC")
    assert found == []
    assert error is not None
    assert (error.totalTasks, error.failedTasks) == (1, 1)
    assert error.errors[0].task == "SELECT FROM WHERE"


@pytest.mark.parametrize(
    ("X", "expected"),
    [
        ({"table": 'ML.PUBLIC."features too"'}, ["ML.PUBLIC.features too"]),
        ("@ML.PUBLIC.LINEAGE/in/", ["ML.PUBLIC.LINEAGE/in"]),
        ("@ML.PUBLIC.LINEAGE", ["ML.PUBLIC.LINEAGE"]),
        ({"list_stage_files": "@ML.PUBLIC.LINEAGE/images/", "pattern": ".*png"}, ["ML.PUBLIC.LINEAGE/images"]),
        (
            ["@ML.PUBLIC.LINEAGE/a/1", "@ML.PUBLIC.LINEAGE/a/2", "@ML.PUBLIC.LINEAGE/b/3"],
            ["ML.PUBLIC.LINEAGE/a", "ML.PUBLIC.LINEAGE/b"],
        ),
        ([f"@ML.PUBLIC.LINEAGE/{number}/x.png" for number in range(50)], ["ML.PUBLIC.LINEAGE"]),
        # All jobs of a location write into one dataset, whoever reads them.
        ({"output_location": "@ML.PUBLIC.LINEAGE/first/BATCH_1/"}, ["ML.PUBLIC.LINEAGE/first"]),
        (
            StageQuery(
                StageParquet(StagePath.parse("@ML.PUBLIC.LINEAGE/in/", field="X")),
                (("ID", "NUMBER(38,0)"),),
                QualifiedName("F", "PUBLIC", "ML"),
                temporary=True,
            ),
            ["ML.PUBLIC.LINEAGE/in"],
        ),
    ],
    ids=["table", "files", "stage", "listing", "paths", "many paths", "results", "files by a query"],
)
def test_every_other_kind_of_input_has_its_datasets(X: Any, expected: list[str]) -> None:
    assert names(X) == expected


def test_what_is_written_says_how_much_where_that_is_known() -> None:
    table = QualifiedName("SCORES", "PUBLIC", "ML")
    assert datasets.loaded(NAMESPACE, table).outputFacets == {}
    told = datasets.loaded(NAMESPACE, table, rows=3, files=0).outputFacets["outputStatistics"]
    assert (told.rowCount, told.fileCount) == (3, 0)
