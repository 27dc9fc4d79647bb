from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_snowflake_batch.doctor.facts import Asked, Privilege, Session
from airflow_provider_snowflake_batch.doctor.privileges import inherited, missing, needs, privilege
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName, StagePath

SESSION = Session("ORG", "ACC", "U", "R", "WH", "ML", "S", "9")


def row(privilege: str, on: str, name: str) -> dict[str, str]:
    return {"privilege": privilege, "granted_on": on, "name": name}


@pytest.mark.parametrize(
    ("shown", "read"),
    [
        (row("USAGE", "COMPUTE_POOL", "P"), Privilege("USAGE", "COMPUTE POOL", ("P",))),
        (row("USAGE", "MODULE", "ML.S.M"), Privilege("USAGE", "MODEL", ("ML", "S", "M"))),
        (row("READ", "STAGE", 'ML.S."my stage"'), Privilege("READ", "STAGE", ("ML", "S", "my stage"))),
        (
            row("USAGE", "FUNCTION", '"ML".S."F(A INT):INT"'),
            Privilege("USAGE", "FUNCTION", ("ML", "S", "F(A INT):INT")),
        ),
        (row("USAGE", "FUNCTION", "ML.S.F(NUMBER)"), Privilege("USAGE", "FUNCTION", ("ML.S.F(NUMBER)",))),
    ],
)
def test_a_row_of_show_grants(shown: dict[str, str], read: Privilege) -> None:
    assert privilege(shown) == read


def test_roles_are_inherited_by_usage_alone() -> None:
    rows = [
        row("USAGE", "ROLE", "LOWER"),
        row("USAGE", "DATABASE_ROLE", "ML.READER"),
        row("OWNERSHIP", "ROLE", "MADE_BY_IT"),
        row("USAGE", "DATABASE", "ML"),
    ]
    assert inherited(rows) == [QualifiedName("LOWER"), QualifiedName("READER", "ML")]


def test_each_need_is_named_once_with_its_source() -> None:
    asked = Asked(
        "c",
        "registry",
        Identifier("P"),
        StagePath.parse("@ML.S.RESULTS/x/", field="stage"),
        QualifiedName("M", "MODELS", "ML"),
    )
    wanted = needs(asked, SESSION)
    assert [(need.privilege, need.kind, str(need.name)) for need in wanted] == [
        ("USAGE", "WAREHOUSE", "WH"),
        ("USAGE", "DATABASE", "ML"),
        ("USAGE", "SCHEMA", "ML.S"),
        ("USAGE", "SCHEMA", "ML.MODELS"),
        ("CREATE SERVICE", "SCHEMA", "ML.S"),
        ("CREATE FILE FORMAT", "SCHEMA", "ML.S"),
        ("USAGE", "COMPUTE POOL", "P"),
        ("READ", "STAGE", "ML.S.RESULTS"),
        ("WRITE", "STAGE", "ML.S.RESULTS"),
        ("USAGE", "MODEL", "ML.MODELS.M"),
    ]
    assert all(need.source and need.why for need in wanted)


@pytest.mark.parametrize(
    ("held", "lacking"),
    [
        ({Privilege("OWNERSHIP", "SCHEMA", ("ML", "S"))}, ["DATABASE"]),
        ({Privilege("CREATE TABLE", "SCHEMA", ("ML", "S")), Privilege("MONITOR", "DATABASE", ("ML",))}, ["SCHEMA"]),
        ({Privilege("CREATE SERVICE", "SCHEMA", ("ML", "OTHER"))}, ["DATABASE", "SCHEMA", "SCHEMA"]),
    ],
)
def test_what_meets_a_need(held: set[Privilege], lacking: list[str]) -> None:
    """An owner may do all with an object; on databases and schemas, whoever may do anything may use them."""
    wanted = [need for need in needs(Asked("c", "worker"), SESSION) if need.kind != "WAREHOUSE" and not need.optional]
    assert [need.kind for need in missing(wanted, held)] == lacking


@pytest.mark.parametrize("runtime", ["registry", "worker"])
def test_the_page_names_every_privilege_with_its_source(runtime: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "first-run.md").read_text(encoding="utf-8")
    stage = StagePath.parse("@ML.S.RESULTS/", field="stage")
    asked = Asked("c", runtime, Identifier("P"), stage, QualifiedName("M", "S", "ML"))
    for need in needs(asked, SESSION, "/db/s/repo/worker:1" if runtime == "worker" else None):
        assert f"`{need.privilege}`" in page
        assert need.source.removeprefix("sql-reference/sql/") in page, need
