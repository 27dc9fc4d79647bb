from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName, StagePath
from airflow_provider_snowflake_batch.jobs.input_files import EVERY_FILE, InputFiles, visible_parquet


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("a.parquet", "parquet"),
        ("day=1/x.snappy.parquet", "parquet"),
        ("day=__HIVE_DEFAULT_PARTITION__/a.parquet", "parquet"),
        *((name, "unclear") for name in ("000000_0", "DATA.PARQUET", "d/scores", "a.parquet.snappy", "a.parq", "b.pq")),
        *((name, "unclear") for name in ("a.parquet.gz", "a.parquet.tmp", "part-00000-0f.c000", "a.gz")),
        *((name, "others") for name in ("README.md", "d/notes.TXT", "rows.csv.gz", "a.json", ".d/x", "_SUCCESS")[:4]),
        ("_temporary/0/a.parquet", "hidden"),
        ("d/.a.parquet", "hidden"),
        ("_metadata.parquet", "hidden"),
        *((name, None) for name in ("_SUCCESS", "_metadata", "d/_committed_1", ".DS_Store", ".a.parquet.crc")),
    ],
)
def test_what_a_name_tells(name: str, where: str | None) -> None:
    found = InputFiles.of([(name, 1)])
    assert {kind: getattr(found, kind) for kind in InputFiles.__slots__ if getattr(found, kind)} == (
        {where: [name]} if where else {}
    )


def test_an_empty_file_holds_no_rows() -> None:
    assert InputFiles.of([("folder", 0), ("folder_$folder$", 0), ("sub/", 4)]) == InputFiles()


parts = st.lists(st.sampled_from(["a", "_b", ".c", "d.e", "f_", "x=_"]), max_size=3)


@given(parts, parts, st.sampled_from(["x.parquet", "_x.parquet", ".x.parquet", "x.PARQUET", "xparquet", "x"]))
def test_the_pattern_matches_what_is_read_however_much_of_the_path_it_sees(above, below, name) -> None:
    location = StagePath(QualifiedName("S"), "/".join(above)).directory()
    relative = "/".join((*below, name))
    read = InputFiles.of([(relative, 1)]).parquet == [relative]
    for seen in (relative, location.path + relative):
        matches = re.fullmatch(visible_parquet(location), seen) is not None
        # Below a hidden location a folder may be called the same, and nobody can tell which of them is seen.
        assert matches == read or (matches and set(above) & set(below))


def test_every_file_leaves_markers_out() -> None:
    names = ("000000_0", "a/b.pq", "a/_SUCCESS", "_SUCCESS", ".x")
    assert [name for name in names if re.fullmatch(EVERY_FILE, name)] == ["000000_0", "a/b.pq"]
