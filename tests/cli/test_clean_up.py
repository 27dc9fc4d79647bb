"""``airflow snowflake-batch clean-up``, against the local Snowflake."""

from __future__ import annotations

import json

import pytest
import yaml

from airflow_provider_snowflake_batch.cli.clean_up import clean_up
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.hooks.worker_files import Found
from tests.cli.command_lines import arguments


def test_it_removes_what_is_left_only_if_told_to(
    snowflake_connection: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*given: str) -> str:
        capsys.readouterr()
        clean_up(arguments("clean-up", "@CLEAN_UP/out", "--conn-id", snowflake_connection, *given))
        return capsys.readouterr().out

    with SnowflakeBatchHook(snowflake_connection) as hook:
        hook.run("CREATE OR REPLACE STAGE CLEAN_UP ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')")
        for name in ("_batch_worker/code-1a.zip", "JOB/part-0.parquet"):
            hook.write_file(f"@CLEAN_UP/out/{name}", b"1")
        assert run() == "No data found\n0 file(s) would be removed with --yes\n"
        assert run("-o", "json") == "[]\n"
        monkeypatch.setattr(Found, "of", lambda path, _: Found(path, 50.0))
        file = "@LOCAL.PUBLIC.CLEAN_UP/out/_batch_worker/code-1a.zip"
        assert run("--days", "50", "-o", "plain").split() == ["file", "removed", file, "False"]
        assert yaml.safe_load(run("--days", "50", "-o", "yaml")) == [{"file": file, "removed": "False"}]
        *table, end = run("--days", "50").splitlines()
        assert any(line.split("|")[0].strip() == file for line in table)
        assert end == "1 file(s) would be removed with --yes"
        assert json.loads(run("--days", "50", "--yes", "-o", "json")) == [{"file": file, "removed": "True"}]
        assert run("--days", "50", "--yes").endswith("\n0 file(s) were removed\n")
        assert [file.path for file in hook.list_files("@CLEAN_UP/")] == ["out/JOB/part-0.parquet"]
        with pytest.raises(SystemExit) as caught:
            run("--days", "3")
        assert caught.value.code == 2
