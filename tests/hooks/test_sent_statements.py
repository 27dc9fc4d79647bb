"""What becomes of statements that were sent without waiting for them. With jobs: ``test_batch_inference.py``."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

import pytest
from snowflake.connector.cursor import SnowflakeCursor

from airflow_provider_snowflake_batch.exceptions import JobInputError, JobSubmissionError
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.jobs import statements


@pytest.fixture
def hook(snowflake_connection: str) -> Iterator[SnowflakeBatchHook]:
    with SnowflakeBatchHook(snowflake_connection) as opened:
        yield opened


def sent(hook: SnowflakeBatchHook, statement: str) -> str:
    def send(cursor: SnowflakeCursor) -> str:
        cursor.execute_async(statement)
        return str(cursor.sfqid)

    return hook.on_session(send)


def until_ended(hook: SnowflakeBatchHook, query_id: str) -> None:
    deadline = time.monotonic() + 60
    while not hook.check_submission(query_id):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_statement_that_somebody_cancels_may_be_tried_again(hook: SnowflakeBatchHook) -> None:
    query_id = sent(hook, "SELECT SYSTEM$WAIT(600)")
    assert not hook.check_submission(query_id)
    hook.rows(statements.cancel_query(query_id))
    with pytest.raises(JobSubmissionError, match=r"^Snowflake gave up submitting the job: .*canceled"):
        until_ended(hook, query_id)


def test_a_statement_that_snowflake_refuses_is_not_tried_again(hook: SnowflakeBatchHook) -> None:
    query_id = sent(hook, "SELECT * FROM NOWHERE")
    with pytest.raises(JobInputError, match=r"(?s)^Snowflake refused the job: .*NOWHERE"):
        until_ended(hook, query_id)


def test_a_statement_that_snowflake_never_hears_of_is_given_some_time(hook: SnowflakeBatchHook) -> None:
    query_id = str(uuid.uuid4())
    hook.transient_timeout = 0.5
    assert not hook.check_submission(query_id)
    with pytest.raises(JobSubmissionError, match=f"nothing of statement {query_id}.* for 0.5 seconds. It was lost"):
        until_ended(hook, query_id)
    # Asked again, it is given as much time again.
    assert not hook.check_submission(query_id)
