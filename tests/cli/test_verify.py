"""``airflow snowflake-batch verify``, against the local Snowflake."""

from __future__ import annotations

import io
from argparse import Namespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_snowflake_batch.cli.verify import verify
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook

LOCATION = "@VERIFY_COMMAND/out/JOB"


@pytest.fixture
def connection(snowflake_connection: str) -> str:
    """Leads to three rows of results, as a runtime leaves them that writes no manifest."""
    with SnowflakeBatchHook(snowflake_connection) as hook:
        hook.run("CREATE OR REPLACE STAGE VERIFY_COMMAND ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')")
        for number, rows in enumerate(([1, 2], [3])):
            content = io.BytesIO()
            pq.write_table(pa.table({"ID": rows}), content)
            hook.write_file(f"{LOCATION}/part-{number}.parquet", content.getvalue())
        hook.write_file(f"{LOCATION}/_SUCCESS", b"")
    return snowflake_connection


def command(connection: str, **changes: Any) -> None:
    given = {
        "conn_id": connection, "location": LOCATION, "contents": False, "expected_rows": None, "min_rows": None,
        "require_manifest": False, "output": "json", "verbose": False,
    }  # fmt: skip
    verify(Namespace(**(given | changes)))


@pytest.mark.parametrize("contents", [False, True])
def test_what_is_verified_is_printed(connection: str, capsys: pytest.CaptureFixture[str], contents: bool) -> None:
    command(connection, contents=contents, expected_rows=3)
    assert '"rows": "3"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"min_rows": 4}, "has 3 rows, fewer than 4"),
        ({"require_manifest": True}, "manifest"),
        ({"conn_id": "no_such_connection"}, "verify: There is no Airflow connection no_such_connection, "),
    ],
)
def test_what_is_wrong_ends_it_with_a_sentence(connection: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SystemExit, match=message):
        command(connection, **changes)


def test_a_location_that_cannot_be_read(connection: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        command(connection, location="out")
    assert "location: 'out'" in capsys.readouterr().err
