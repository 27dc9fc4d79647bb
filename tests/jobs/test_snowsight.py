"""Addresses in Snowsight."""

from __future__ import annotations

import pytest

from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName
from airflow_provider_snowflake_batch.jobs.snowsight import Snowsight, site_of

PAGES = Snowsight("https://app.snowflake.com", "MYORG", "MY_ACCOUNT")


def name(text: str) -> QualifiedName:
    return QualifiedName.parse(text, field="name")


def test_the_pages_of_an_account() -> None:
    root = "https://app.snowflake.com/myorg/my_account/#"
    assert PAGES.job(name("db.ml.batch_1")) == f"{root}/compute/job/DB/ML/BATCH_1"
    assert PAGES.stage(name("db.ml.results")) == f"{root}/data/databases/DB/schemas/ML/stage/RESULTS"
    assert PAGES.table(name("db.ml.scores")) == f"{root}/data/databases/DB/schemas/ML/table/SCORES"


def test_a_quoted_name_cannot_leave_its_place() -> None:
    assert PAGES.table(name('db."a/b"."c?d#e %"')).endswith("/DB/schemas/a%2Fb/table/c%3Fd%23e%20%25")


@pytest.mark.parametrize(
    ("host", "site"),
    [
        ("myorg-my-account.snowflakecomputing.com", "https://app.snowflake.com"),
        ("XY12345.eu-central-1.SnowflakeComputing.com", "https://app.snowflake.com"),
        ("xy12345.cn-northwest-1.snowflakecomputing.cn", "https://app.snowflake.cn"),
        ("127.0.0.1", None),
        ("localhost", None),
        ("snowflakecomputing.com.example.org", None),
        ("notsnowflakecomputing.com", None),
    ],
)
def test_only_snowflakes_own_hosts_have_pages(host: str, site: str | None) -> None:
    assert site_of(host) == site
