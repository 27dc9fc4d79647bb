from __future__ import annotations

import pytest

from airflow_provider_snowflake_batch.contract.file_names import folder_columns, is_no_data, is_something_else


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        *(
            (path, True)
            for path in ("README.md", "a/b.TXT", "rows.csv.gz", "rows.json.zst", "a.zip", "a.b/c.parquet.crc")
        ),
        *((path, False) for path in ("x.parquet", "x.parquet.gz", "x.PARQ.zst", "x.parquet.zip", "000000_0", "a.gz")),
        *((path, False) for path in ("x.csv/part", "x.parquet.tmp", "md", "x.")),
    ],
)
def test_what_a_name_tells(path: str, expected: bool) -> None:
    assert is_something_else(path) is expected


def test_markers_are_no_data_wherever_they_stand() -> None:
    assert [is_no_data(path) for path in ("_a", "a/.b/c", "a/_b", "a_/b.c", "day=_x/a")] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_folders_named_like_columns() -> None:
    paths = ["day=2024-01-01/a.parquet", "day=2024-01-02/hour=3/b.parquet", "c=1.parquet", "plain/=x/d.parquet"]
    assert folder_columns(paths) == ["day", "hour"]
    assert folder_columns(paths, ["DAY", "X"]) == ["hour"]
    assert folder_columns(["a.parquet", "b/c.parquet", "YWJj==/c.parquet", "a=/b", "=a/b", "2=1/b", "a-b=1/c"]) == []
