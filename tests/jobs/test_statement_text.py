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


@pytest.mark.parametrize(("text", "named"), [("a\x00b", "NUL"), ("a\udc80", r"half of a surrogate pair \('.udc80'\)")])
def test_what_no_text_can_have_is_refused(text: str, named: str) -> None:
    with pytest.raises(InvalidJobError, match=named):
        statement_text.literal(text)
