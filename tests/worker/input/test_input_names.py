from __future__ import annotations

import gzip
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_snowflake_batch.contract.job_file import DEFAULT_PATTERN
from airflow_provider_snowflake_batch.worker.errors import DataError, Refused
from airflow_provider_snowflake_batch.worker.input import plan


def parquet() -> bytes:
    written = io.BytesIO()
    pq.write_table(pa.table({"v": [1]}), written)
    return written.getvalue()


def write(root: Path, **files: bytes) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(exist_ok=True, parents=True)
        (root / name).write_bytes(content)


NAMES = ["000000_0", "DATA.PARQUET", "a.parquet", "b.parquet.snappy", "c.parq", "day=1/scores", "notes.txt"]


def test_parquet_is_input_whatever_it_is_called(tmp_path: Path) -> None:
    write(tmp_path, **dict.fromkeys(NAMES, parquet()), **{"_x": parquet(), "d/README.md": b"read", "e": b""})
    assert plan.list_files(tmp_path, DEFAULT_PATTERN) == NAMES
    assert plan.make_plan(tmp_path, DEFAULT_PATTERN).rows == len(NAMES)
    assert plan.list_files(tmp_path, r".*\.PARQUET") == ["DATA.PARQUET"]


def test_a_directory_without_input_is_no_batch_of_no_rows(tmp_path: Path) -> None:
    assert plan.list_files(tmp_path, DEFAULT_PATTERN) == []
    write(tmp_path, **{"_SUCCESS": b"", ".crc": b"1", "empty": b""})
    assert plan.list_files(tmp_path, DEFAULT_PATTERN) == []
    write(tmp_path, **{"rows.csv": b"1"})
    with pytest.raises(Refused, match=r"has no Parquet file; it has rows\.csv"):
        plan.list_files(tmp_path, DEFAULT_PATTERN)
    with pytest.raises(Refused, match=r"has no file that matches '.\*x'; it has rows\.csv"):
        plan.list_files(tmp_path, ".*x")


def test_a_file_that_was_cut_off_is_not_left_out(tmp_path: Path) -> None:
    write(tmp_path, a=parquet(), cut=parquet()[:-4])
    with pytest.raises(DataError, match="input file cut"):
        plan.make_plan(tmp_path, DEFAULT_PATTERN)


@pytest.mark.parametrize(
    "name",
    ["x.parquet.gz", "x.parquet.zst", "X.PARQUET.ZIP", "x.pq.lz4", "000000_0.gz", "part-0", "x.parq", "x.parquet.tmp"],
)
def test_what_may_hold_rows_beside_the_input_is_refused_by_name(tmp_path: Path, name: str) -> None:
    write(tmp_path, **{"a.parquet": parquet(), f"d/{name}": gzip.compress(parquet())})
    with pytest.raises(Refused, match=f"rows might be left out: d/{name}. Unpack or remove them, or set input.pattern"):
        plan.make_plan(tmp_path, DEFAULT_PATTERN)
    assert plan.make_plan(tmp_path, ".*[.]parquet").rows == 1


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    write(tmp_path, **{"a.parquet": parquet(), **{f"{number}.csv": b"v" for number in range(7)}})
    left_out = plan.make_plan(tmp_path, DEFAULT_PATTERN).left_out
    assert left_out == f"no input in {tmp_path}: 0.csv, 1.csv, 2.csv, 3.csv, 4.csv and 2 more"


def test_parquet_that_is_no_data_is_told(tmp_path: Path) -> None:
    write(tmp_path, **{"d/_x.parquet": parquet(), ".y.parquet": parquet(), "_metadata": parquet(), "_z/a.parquet": b""})
    with pytest.raises(Refused, match=r"has no Parquet file; it has \.y\.parquet, d/_x\.parquet$"):
        plan.make_plan(tmp_path, DEFAULT_PATTERN)
    write(tmp_path, **{"a.parquet": parquet(), "b.csv": b"v"})
    left_out = plan.make_plan(tmp_path, DEFAULT_PATTERN).left_out
    assert left_out == f"no input in {tmp_path}: b.csv, .y.parquet, d/_x.parquet"
    assert plan.make_plan(tmp_path, ".*[.]parquet").left_out is None


def test_many_files_that_are_unclear_are_counted(tmp_path: Path) -> None:
    write(tmp_path, **{"a.parquet": parquet(), **{f"{number}": b"v" for number in range(7)}})
    with pytest.raises(Refused, match=r": 0, 1, 2, 3, 4 and 2 more\. Unpack"):
        plan.make_plan(tmp_path, DEFAULT_PATTERN)
