"""What others see of a statement with a secret in it."""

from __future__ import annotations

import pytest

from airflow_provider_snowflake_batch.local.parsing import without_secrets


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "create or replace secret s TYPE = PASSWORD USERNAME = 'u' PASSWORD = 'p''q' COMMENT = 'c'",
            "create or replace secret s TYPE = PASSWORD USERNAME = '***' PASSWORD = '***' COMMENT = '***'",
        ),
        ("ALTER SECRET s SET SECRET_STRING = $$a'b$$;", "ALTER SECRET s SET SECRET_STRING = '***';"),
        (
            "SELECT 'a;b'; CREATE /* of */ SECRET s TYPE = GENERIC_STRING SECRET_STRING = 'x'; SELECT 'c'",
            "SELECT 'a;b'; CREATE /* of */ SECRET s TYPE = GENERIC_STRING SECRET_STRING = '***'; SELECT 'c'",
        ),
        ("CREATE TABLE t AS SELECT 'it is no SECRET'", "CREATE TABLE t AS SELECT 'it is no SECRET'"),
        ("SELECT 'CREATE SECRET', 'x'", "SELECT 'CREATE SECRET', 'x'"),
    ],
)
def test_literals_of_secrets_are_masked_and_no_others(text: str, shown: str) -> None:
    assert without_secrets(text) == shown
