from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName, StagePath
from tests.jobs.statement_tokens import only_statement

stored = st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("t", (None, None, "T")),
        ("s.t", (None, "S", "T")),
        ("Db.s.t$1", ("DB", "S", "T$1")),
        ('"My db".s."a.""b"', ("My db", "S", 'a."b')),
        ("  t  ", (None, None, "T")),
    ],
)
def test_names_are_read_as_snowflake_stores_them(text: str, parts: tuple[str | None, ...]) -> None:
    name = QualifiedName.parse(text, field="X")
    assert (name.database, name.schema, name.name) == parts


@pytest.mark.parametrize(
    "text",
    ["", " ", "1a", "a b", "a.b.c.d", "a..b", "a.", ".a", "t; DROP TABLE x", "t--", 'a"b', '"open', '""', "a'b", "t)"],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(InvalidJobError, match="table:"):
        QualifiedName.parse(text, field="table")


def test_names_of_jobs_take_no_quotes() -> None:
    with pytest.raises(InvalidJobError, match="quoted names are not supported"):
        QualifiedName.parse('db."s".job', field="job_name", allow_quoted=False)


def test_too_long_a_name_is_refused() -> None:
    with pytest.raises(InvalidJobError, match="limit is 255"):
        Identifier.parse("a" * 256, field="compute_pool")


def test_a_plain_identifier_has_one_part() -> None:
    with pytest.raises(InvalidJobError, match="without database and schema"):
        Identifier.parse("db.pool", field="compute_pool")


@given(stored, stored, stored)
def test_sql_of_a_name_reads_back_as_the_same_name(database: str, schema: str, name: str) -> None:
    given_name = QualifiedName(name, schema, database)
    assert QualifiedName.parse(given_name.sql(), field="X") == given_name
    tokens = only_statement(given_name.sql())
    assert [token.value for token in tokens] == [database, ".", schema, ".", name]


@pytest.mark.parametrize("word", ["ORDER", "TABLE", "SELECT", "CURRENT_DATE"])
def test_reserved_words_stand_in_quotes(word: str) -> None:
    for text in (f'"{word}"', word.lower()):
        assert Identifier.parse(text, field="compute_pool").sql() == f'"{word}"'
        assert QualifiedName.parse(f"db.{text}.{text}", field="X").sql() == f'DB."{word}"."{word}"'
        assert str(StagePath.parse(f"@s.{text}/a", field="X")) == f"@S.{word}/a"
        # What is stored reads as before, and as Snowflake tells it.
        assert str(QualifiedName.parse(f"db.{text}.x", field="X")) == f"DB.{word}.X"
    assert Identifier.parse("orders", field="compute_pool").sql() == "ORDERS"


@given(st.text(max_size=40))
def test_any_text_is_a_name_or_refused(text: str) -> None:
    try:
        name = QualifiedName.parse(text, field="X")
    except InvalidJobError:
        return
    assert all(token.kind in ("word", "quoted", "symbol") for token in only_statement(name.sql()))
    assert QualifiedName.parse(name.sql(), field="X") == name


def test_qualify_fills_only_what_is_missing() -> None:
    assert QualifiedName("T").qualify("D", "S") == QualifiedName("T", "S", "D")
    assert QualifiedName("T", "X").qualify("D", "S") == QualifiedName("T", "X", "D")
    assert QualifiedName("T", "X", "Y").qualify("D", "S") == QualifiedName("T", "X", "Y")


@pytest.mark.parametrize(
    ("text", "stage", "path"),
    [
        ("@st", "ST", ""),
        ("@db.sch.st/", "DB.SCH.ST", ""),
        ("@db.sch.st/a/b", "DB.SCH.ST", "a/b"),
        ("@db.sch.st/a/b/", "DB.SCH.ST", "a/b/"),
        ('@db."my schema".st/day=2026-11-22/', 'DB."my schema".ST', "day=2026-11-22/"),
        ("@st/画像/1.png", "ST", "画像/1.png"),
    ],
)
def test_stage_locations(text: str, stage: str, path: str) -> None:
    location = StagePath.parse(text, field="stage_location")
    assert (str(location.stage), location.path) == (stage, path)


@pytest.mark.parametrize(
    "text",
    ["st/x", "@", "@~/x", "@%t/x", "@st/../x", "@st//x", "@st/./x", "@st/a'b", "@st/a;b", "@st/a\\b", "@a.b.c.d/x",
     "@st x", "s3://bucket/x", "@st/a\nb", '@"open/x', "@st/a\"b", "@st/$$"],
)  # fmt: skip
def test_malformed_stage_locations_are_refused(text: str) -> None:
    with pytest.raises(InvalidJobError, match="stage_location:"):
        StagePath.parse(text, field="stage_location")


def test_containment_is_by_whole_directories() -> None:
    def at(text: str) -> StagePath:
        return StagePath.parse(text, field="x")

    assert at("@s/a").contains(at("@s/a/b"))
    assert at("@s/a").contains(at("@s/a/"))
    assert at("@s").contains(at("@s/a"))
    assert not at("@s/a").contains(at("@s/ab"))
    assert not at("@s/a/b").contains(at("@s/a"))
    assert not at("@s/a").contains(at("@t/a/b"))


def test_the_bare_form_refuses_what_needs_quotes() -> None:
    assert StagePath.parse("@s/a/b=1/", field="X").bare_sql(field="X") == "@S/a/b=1/"
    with pytest.raises(InvalidJobError, match="needs quotes"):
        StagePath.parse("@s/a b/", field="X").bare_sql(field="X")
