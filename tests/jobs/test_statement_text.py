from __future__ import annotations

import pytest
from hypothesis import given

from airflow_provider_snowflake_batch.jobs import statement_text
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from tests.jobs.statement_tokens import only_statement, text


@given(text)
def test_every_literal_reads_back(value: str) -> None:
    (token,) = only_statement(statement_text.literal(value))
    assert (token.kind, token.value) == ("string", value)


def test_nul_is_refused() -> None:
    with pytest.raises(InvalidJobError, match="NUL"):
        statement_text.literal("a\x00b")
