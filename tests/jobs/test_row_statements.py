from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from airflow_provider_snowflake_batch.jobs import row_statements
from airflow_provider_snowflake_batch.jobs.column_types import LoadedColumn
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName, StagePath
from airflow_provider_snowflake_batch.jobs.sources import (
    SelectedColumn,
    StageParquet,
    StagePaths,
    StageQuery,
    parse_source,
)
from tests.jobs.statement_tokens import enclosed, stored

parquet_columns = st.lists(
    st.tuples(stored.filter(lambda name: '"' not in name), st.sampled_from(["NUMBER(38, 0)", "REAL", "ARRAY(X)"])),
    min_size=1,
    max_size=5,
    unique_by=lambda column: column[0],
)


@given(parquet_columns, stored, st.sampled_from([None, "a > ')'", 'b IN (1, 2) -- "', "/* ( */ c IS NULL"]), st.data())
def test_nothing_leaves_its_place_in_a_query_of_files(columns, pattern: str, condition: str | None, data) -> None:
    chosen = data.draw(st.none() | st.lists(st.sampled_from([name for name, _ in columns]), min_size=1, unique=True))
    aliases = [data.draw(st.none() | stored) for _ in chosen or ()]
    called = [alias or name for name, alias in zip(chosen or (), aliases, strict=True)]
    assume(len(set(called)) == len(called))
    select = chosen and tuple(
        SelectedColumn(Identifier(name), Identifier(alias) if alias else None)
        for name, alias in zip(chosen, aliases, strict=True)
    )
    files = StageParquet(StagePath(QualifiedName("ST", "my s", "DB"), "a b/"), pattern, select, condition)
    query = StageQuery(files, tuple(columns), QualifiedName("F", "my s", "DB"), temporary=True)
    sql = row_statements.select_source(query)
    strings = [token.value for token in enclosed(sql) if token.kind == "string"]
    assert strings[:3] == ['@DB."my s".ST/a b/', 'DB."my s".F', pattern]
    assert {token.value for token in enclosed(sql)} >= set(called or [name for name, _ in columns])


@given(st.lists(stored.filter(lambda name: "/" not in name and name not in (".", "..")), min_size=1), stored)
def test_paths_and_their_column_read_back(files: list[str], column: str) -> None:
    paths = tuple(StagePath.file(f"@db.s.st/{name}", field="X") for name in files)
    tokens = enclosed(row_statements.select_source(StagePaths(paths, Identifier(column))))
    assert [token.value for token in tokens if token.kind == "string"] == [f"@DB.S.ST/{name}" for name in files]
    assert tokens[4].value == column


def test_a_query_of_files() -> None:
    columns = (("id", "NUMBER(38, 0)"), ("Name", "TEXT"), ("nested", "ARRAY(NUMBER(38, 0))"))
    file_format = QualifiedName("F", "S", "DB")

    def query(**changes) -> str:
        source = parse_source({"stage_location": "@db.s.st/in/", **changes})
        return row_statements.select_source(StageQuery(source, columns, file_format, temporary=False))

    assert query(pattern=r".*\.parquet") == (
        """SELECT $1:"id"::NUMBER(38, 0) AS "id", $1:"Name"::TEXT AS "Name", $1:"nested"::VARIANT AS "nested" """
        r"""FROM '@DB.S.ST/in/' (FILE_FORMAT => 'DB.S.F', PATTERN => '.*\\.parquet')"""
    )
    assert query(select={"name": "who", "id": None}, filter="id > 1") == (
        'SELECT "NAME" AS "WHO", "ID" AS "id" FROM (\n'
        'SELECT $1:"id"::NUMBER(38, 0) AS "ID", $1:"Name"::TEXT AS "NAME", $1:"nested"::VARIANT AS "NESTED" '
        "FROM '@DB.S.ST/in/' (FILE_FORMAT => 'DB.S.F')\n) WHERE (\nid > 1\n)"
    )
    with pytest.raises(
        InvalidJobError, match=r"^X\.select: the files have no column 'AGE'; they have id, Name, nested"
    ):
        query(select=["age"])


PARQUET = "TYPE = PARQUET BINARY_AS_TEXT = FALSE USE_LOGICAL_TYPE = TRUE USE_VECTORIZED_SCANNER = FALSE"


def test_parquet_is_read_the_same_way_everywhere() -> None:
    table, location = QualifiedName("T", "S", "DB"), StagePath(QualifiedName("ST", "S", "DB"), "d/")
    assert row_statements.create_parquet_format(QualifiedName("F")).endswith(f" F {PARQUET}")
    assert row_statements.copy_into_table(table, location, ["a.parquet"], force=False) == (
        f"COPY INTO DB.S.T FROM '@DB.S.ST/d/' FILES = ('a.parquet') FILE_FORMAT = ({PARQUET}) "
        "MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE FORCE = FALSE"
    )
    columns = [LoadedColumn("A", ("a", "A"), "REAL"), LoadedColumn('b"', ("b",), "LIST(TEXT)")]
    assert row_statements.copy_into_table(table, location, ["a", "b"], force=True, columns=columns) == (
        'COPY INTO DB.S.T ("A", "b""") FROM (SELECT COALESCE($1:"a"::REAL, $1:"A"::REAL), $1:"b"::VARIANT '
        f"FROM '@DB.S.ST/d/') FILES = ('a', 'b') FILE_FORMAT = ({PARQUET}) FORCE = TRUE"
    )
    with pytest.raises(InvalidJobError, match="its name holds a double quote"):
        row_statements.copy_into_table(table, location, ["a"], force=True, columns=[LoadedColumn("A", ('a"',), "REAL")])


PLACE = StagePath(QualifiedName("ST", "S", "DB"), "a b/")


@given(st.lists(stored, min_size=1, max_size=3), stored)
def test_names_of_files_and_patterns_read_back(files: list[str], pattern: str) -> None:
    form = QualifiedName("F", "my s", "DB")
    for sql, expected in [
        (row_statements.infer_schema(PLACE, files, form), ["@DB.S.ST/a b/", *files, 'DB."my s".F']),
        (row_statements.count_file_rows(PLACE, pattern, form), ["@DB.S.ST/a b/", 'DB."my s".F', pattern]),
        (
            row_statements.select_example_rows(PLACE.child(files[0]), form, [("A", "TEXT")], count=3, longest=9),
            [f"@DB.S.ST/a b/{files[0]}", 'DB."my s".F'],
        ),
    ]:
        assert [token.value for token in enclosed(sql) if token.kind == "string"] == expected


def test_a_few_rows_of_a_file() -> None:
    file, form = StagePath(QualifiedName("ST", "S", "DB"), "d/part-0.parquet"), QualifiedName("F", "S", "DB")
    columns = [("A", "NUMBER(38, 0)"), ("an 'a", "ARRAY(TEXT)")]
    assert row_statements.select_example_rows(file, form, columns, count=3, longest=9) == (
        'SELECT LEFT($1:"A"::NUMBER(38, 0)::VARCHAR, 9) AS C0, LEFT($1:"an \'a"::VARIANT::VARCHAR, 9) AS C1 '
        "FROM '@DB.S.ST/d/part-0.parquet' (FILE_FORMAT => 'DB.S.F') LIMIT 3"
    )


def test_a_table_for_files() -> None:
    table = QualifiedName("T", "S", "DB")
    columns = [(Identifier("A"), "NUMBER(38, 0)"), (Identifier('b"c'), "TEXT")]
    assert row_statements.create_table(table, columns) == (
        'CREATE TABLE IF NOT EXISTS DB.S.T ("A" NUMBER(38, 0), "b""c" TEXT)'
    )
    with pytest.raises(InvalidJobError, match=r"'TEXT\); DROP TABLE T; --' is not a type of a table's column"):
        row_statements.create_table(table, [(Identifier("A"), "TEXT); DROP TABLE T; --")])


def test_rows_become_files() -> None:
    sql = row_statements.copy_into_stage(PLACE, "SELECT 1 AS A -- why", ['"A"', '"B"::VARCHAR AS "B"'])
    assert sql.startswith('COPY INTO \'@DB.S.ST/a b/\' FROM (SELECT "A", "B"::VARCHAR AS "B" FROM (\nSELECT 1 AS A ')
    assert " INCLUDE_QUERY_ID = TRUE " in sql


def test_a_name_that_two_columns_may_be_is_not_guessed() -> None:
    source = parse_source({"stage_location": "@db.s.st/in/", "select": ["name"]})
    columns = (("Name", "TEXT"), ("nAME", "TEXT"))
    with pytest.raises(InvalidJobError, match=r"^X\.select: NAME may be any of Name, nAME: quote the one\.$"):
        row_statements.select_source(StageQuery(source, columns, QualifiedName("F"), temporary=False))


@pytest.mark.parametrize(
    ("kind", "target", "changed"),
    [
        ("REAL", "BOOLEAN", '$1:"a"::REAL <> $1:"a"::REAL::BOOLEAN::NUMBER'),
        ("TEXT", "NUMBER(9, 2)", '$1:"a"::TEXT::FLOAT <> $1:"a"::TEXT::NUMBER(9, 2)'),
        ("REAL", "VARCHAR(9)", '$1:"a"::REAL <> $1:"a"::REAL::VARCHAR::REAL'),
        ("NUMBER(38, 0)", "FLOAT", '$1:"a"::NUMBER(38, 0) <> $1:"a"::NUMBER(38, 0)::FLOAT::NUMBER(38, 0)'),
        ("REAL", "NUMBER(9, 0)", '$1:"a"::REAL <> $1:"a"::REAL::NUMBER(9, 0)'),
    ],
)
def test_values_that_would_be_others_in_a_table_are_counted(kind: str, target: str, changed: str) -> None:
    column = LoadedColumn("A", ("a",), kind, target)
    sql = row_statements.count_changed(PLACE, ".*", QualifiedName("F"), [column])
    assert sql == (f"SELECT COUNT_IF({changed}) AS \"A\" FROM '@DB.S.ST/a b/' (FILE_FORMAT => 'F', PATTERN => '.*')")


@pytest.mark.parametrize(
    "select", [["a", '"a"'], {"a": None, "b": '"a"'}], ids=["one column twice", "a new name that is the other's own"]
)
def test_two_columns_of_one_name_are_refused_where_only_the_files_tell_it(select: object) -> None:
    source = parse_source({"stage_location": "@db.s.st/in/", "select": select})
    found = StageQuery(source, (("a", "TEXT"), ("b", "TEXT")), QualifiedName("F"), temporary=False)
    with pytest.raises(InvalidJobError, match=r'^X\.select: two columns would be called "a": rename one of them\.$'):
        row_statements.select_source(found)
