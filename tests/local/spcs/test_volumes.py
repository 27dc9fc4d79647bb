from __future__ import annotations

import pytest

from airflow_provider_snowflake_batch.local.spcs.processes import rewrite

MOUNTS = {"/data": "/stage/data", "/data/deep": "/stage/other", "/out": "/stage/out"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/data", "/stage/data"),
        ("/data/x.parquet", "/stage/data/x.parquet"),
        ("/data/deep/x", "/stage/other/x"),
        ("--input=/data/x", "--input=/stage/data/x"),
        ("/data:/out", "/stage/data:/stage/out"),
        ("open('/data/x')", "open('/stage/data/x')"),
        ("cat /data/a > /out/b", "cat /stage/data/a > /stage/out/b"),
        ("file:///data/x", "file:///data/x"),
        ("https://host/data/x", "https://host/data/x"),
        ("/database/x", "/database/x"),
        ("/data-2/x", "/data-2/x"),
        ("/data.bak", "/data.bak"),
        ("/mnt/data/x", "/mnt/data/x"),
        ("~/data", "~/data"),
        ("nothing", "nothing"),
    ],
)
def test_rewriting_mount_paths(text: str, expected: str) -> None:
    assert rewrite(text, MOUNTS) == expected


def test_without_mounts_nothing_changes() -> None:
    assert rewrite("/data", {}) == "/data"
