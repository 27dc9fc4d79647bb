from __future__ import annotations

import pytest

from airflow_provider_snowflake_batch.exceptions import JobInputError
from airflow_provider_snowflake_batch.hooks.stage_files import path_in_stage


@pytest.mark.parametrize(
    ("name", "url", "path"),
    [
        ("stage/dir/a.png", "", "dir/a.png"),
        ("s3://bucket/base/dir/a.png", "s3://bucket/base/", "dir/a.png"),
        ("azure://account.blob.core.windows.net/c/a.png", "azure://account.blob.core.windows.net/c/", "a.png"),
    ],
)
def test_where_a_listed_file_lies_in_its_stage(name: str, url: str, path: str) -> None:
    assert path_in_stage(name, url) == path


@pytest.mark.parametrize("url", ["", "s3://other/"])
def test_a_file_from_elsewhere_is_no_path(url: str) -> None:
    with pytest.raises(JobInputError, match="does not lie under its stage's URL"):
        path_in_stage("s3://bucket/a.png", url)
