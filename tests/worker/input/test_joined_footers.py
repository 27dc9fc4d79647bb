"""Footers that are parsed as one say what each says alone, and one that is damaged is found as it is alone."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_snowflake_batch.worker.errors import DataError
from airflow_provider_snowflake_batch.worker.input import footers
from airflow_provider_snowflake_batch.worker.input.footers import SourceFile, read_footer, read_footers
from airflow_provider_snowflake_batch.worker.input.joined_footers import Alike

FILES = 40
DAMAGED = 17


def rows(count: int) -> pa.Table:
    return pa.table(
        {
            "ID": pa.array(range(count), pa.int64()),
            "TEXT": pa.array([f"é{number}" for number in range(count)], pa.dictionary(pa.int32(), pa.string())),
            "PRICE": pa.array([Decimal(number) / 4 for number in range(count)], pa.decimal128(20, 4)),
            "TAGS": pa.array(
                [[{"KEY": "a", "VALUE": number}] for number in range(count)],
                pa.list_(pa.struct({"KEY": pa.string(), "VALUE": pa.int32()})),
            ),
            "FLAGS": pa.array([[("on", number % 2 == 0)] for number in range(count)], pa.map_(pa.string(), pa.bool_())),
        }
    )


def file_names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


def alone(root: Path) -> list[SourceFile]:
    return [read_footer(name, f"{root}/{name}") for name in file_names(root)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Files of no row at all, of one row group, and of so many that their number takes more bytes."""
    for number in range(FILES):
        pq.write_table(rows(number * 5), tmp_path / f"{number:03d}.parquet", row_group_size=1 + number % 9)
    return tmp_path


def thrift(path: Path) -> bytes:
    content = path.read_bytes()
    return content[-int.from_bytes(content[-8:-4], "little") - 8 :]


def test_each_file_has_what_its_own_footer_says(root: Path) -> None:
    found = read_footers(root, file_names(root))

    assert found == alone(root)
    assert [sum(rows for rows, _ in file.row_groups) for file in found] == [5 * number for number in range(FILES)]
    assert max(len(file.row_groups) for file in found) > 15


def test_they_are_parsed_together(root: Path) -> None:
    stored = [thrift(root / name) for name in file_names(root)]
    reader, found = Alike(stored[0]).parse(stored)

    assert reader is not None
    assert reader.metadata.num_row_groups == sum(len(groups or ()) for groups in found)
    assert found == [file.row_groups for file in alone(root)]


def test_another_schema_other_metadata_and_a_footer_of_another_kind_are_no_part_of_it(root: Path) -> None:
    table = rows(3)
    others = {
        "500": table.drop_columns(["ID"]),
        "501": table.replace_schema_metadata({"from": "elsewhere"}),
        "502": table.rename_columns(["id", *table.column_names[1:]]),
    }
    for name, other in others.items():
        pq.write_table(other, root / f"{name}.parquet")
    stored = [thrift(root / name) for name in file_names(root)]
    _, found = Alike(stored[0]).parse([*stored, b"no footer", stored[0][:100]])

    assert [groups is None for groups in found] == [False] * FILES + [True] * 5
    assert read_footers(root, file_names(root)) == alone(root)


def test_large_footers_and_small_ones_keep_their_order(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = sorted(len(thrift(path)) for path in root.iterdir())
    monkeypatch.setattr(footers, "SMALL_BYTES", sizes[FILES // 2])
    monkeypatch.setattr(footers, "JOINED_FILES", 3)

    assert read_footers(root, file_names(root)) == alone(root)


def test_files_come_in_runs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footers, "FILES_AT_ONCE", 12)
    monkeypatch.setattr(footers, "FEWEST_JOINED", 5)

    assert read_footers(root, file_names(root)) == alone(root)


def outcome(root: Path, *, together: bool) -> list[SourceFile] | str:
    try:
        return read_footers(root, file_names(root)) if together else alone(root)
    except DataError as error:
        return str(error)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_damaged_in_one_footer_comes_out_as_it_does_alone(root: Path, seed: int) -> None:
    victim = root / f"{DAMAGED:03d}.parquet"
    good, chance, outcomes = victim.read_bytes(), random.Random(seed), set[bool]()
    for _ in range(25):
        content = bytearray(good)
        content[chance.randrange(len(good) - len(thrift(victim)), len(good) - 8)] = chance.randrange(256)
        victim.write_bytes(content)

        expected = outcome(root, together=False)
        assert outcome(root, together=True) == expected
        outcomes.add(isinstance(expected, str))
    assert outcomes == {True, False}


@pytest.mark.parametrize(("broken", "missing"), [(3, 20), (20, 3)])
def test_the_first_file_that_cannot_be_read_is_named(root: Path, broken: int, missing: int) -> None:
    path = root / f"{broken:03d}.parquet"
    names, stored = file_names(root), thrift(path)
    path.write_bytes(b"PAR1" + b"\x15" * (len(stored) - 8) + stored[-8:])
    (root / f"{missing:03d}.parquet").unlink()

    with pytest.raises(DataError, match=f"{min(broken, missing):03d}.parquet"):
        read_footers(root, names)


# The last two have a list of very many truth values, or of numbers with a fraction, which are passed over unread.
@pytest.mark.parametrize(
    "footer",
    [
        b"",
        bytes(8),
        bytes(20),
        b"\x1c" * 5000 + bytes(8),
        b"\x15\xff" + bytes(8),
        b"\x19\xf1" + b"\xff" * 8 + b"\x7f" + bytes(16),
        b"\x19\xf7" + b"\xff" * 8 + b"\x7f" + bytes(16),
    ],
)
def test_what_is_no_footer_is_no_example(footer: bytes) -> None:
    with pytest.raises(ValueError, match="a footer"):
        Alike(footer)
