"""The clauses that many statements share."""

from __future__ import annotations

import pytest

from airflow_provider_snowflake_batch.local.clauses import ShowClauses, properties, show_clauses
from airflow_provider_snowflake_batch.local.errors import SnowflakeError
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.sessions import Session


class Databases:
    """One database D with the schema S."""

    def names(self) -> list[str]:
        return ["D"]

    def has_schema(self, database: str, schema: str) -> bool:
        return (database, schema) == ("D", "S")


def read(text: str, level: str = "SCHEMA", *, in_pool: bool = False) -> ShowClauses:
    session = Session(1, "U", "R", database="D", schema="S")
    return show_clauses(Cursor(text), session, Databases(), level=level, in_pool=in_pool)


@pytest.mark.parametrize(
    ("text", "level", "scope", "names"),
    [
        ("", "SCHEMA", "SCHEMA", ("D", "S")),
        ("", "DATABASE", "DATABASE", ("D", None)),
        ("", "ACCOUNT", "ACCOUNT", (None, None)),
        ("IN ACCOUNT", "SCHEMA", "ACCOUNT", (None, None)),
        ("IN DATABASE", "SCHEMA", "DATABASE", ("D", None)),
        ("LIKE 'x' IN D.S", "SCHEMA", "SCHEMA", ("D", "S")),
        ("FROM SCHEMA S STARTS WITH 'x'", "SCHEMA", "SCHEMA", ("D", "S")),
    ],
)
def test_where_objects_are_sought(text: str, level: str, scope: str, names: tuple[str | None, str | None]) -> None:
    found = read(text, level)
    assert (found.scope, (found.database, found.schema)) == (scope, names)


@pytest.mark.parametrize("text", ["IN DATABASE NONE_SUCH", "IN SCHEMA D.NONE_SUCH"])
def test_what_is_not_there(text: str) -> None:
    with pytest.raises(SnowflakeError) as caught:
        read(text)
    assert caught.value.errno == 2043


def test_only_what_runs_in_a_pool_is_sought_in_one() -> None:
    assert read("IN COMPUTE POOL P", in_pool=True).compute_pool == "P"
    with pytest.raises(SnowflakeError, match="unexpected 'POOL'"):
        read("IN COMPUTE POOL P")


def test_rows_are_chosen_and_ordered() -> None:
    rows = [("B", "D", "S"), ("A", "D", "S"), ("C", "D", "S"), ("A", "E", "S")]
    found = read("LIKE '_' IN D.S LIMIT 2 FROM 'A'").select(rows, lambda row: row)
    assert found == [("B", "D", "S"), ("C", "D", "S")]


def test_properties_are_constants_words_and_lists() -> None:
    text = "WITH A = 1, B = 'x' C = (TYPE = CSV, NULL_IF = ('', 'n')) D = (x, 2) E = d.s.f G = TRUE"
    assert properties(Cursor(text), "ABCDEG") == {
        "A": 1, "B": "x", "C": {"TYPE": "CSV", "NULL_IF": ["", "n"]}, "D": ["X", 2], "E": "D.S.F", "G": True,
    }  # fmt: skip
    with pytest.raises(SnowflakeError, match="The property F is not supported by the local Snowflake"):
        properties(Cursor("F = 1"), "A")
