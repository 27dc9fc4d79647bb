"""The manifest keeps the types that input columns had, of those that are written as they came."""

from __future__ import annotations

from typing import Any

import pytest

from tests.worker.batches import Batch

MODELS = """
class Ranks:
    partitioned = True
    def predict(self, rows):
        return {"STORE": rows["STORE"], "RANK": rows["ID"]}

class Sometimes:
    def predict(self, rows):
        return {"Y": rows["ID"]} | ({"AT": rows["STORE"]} if rows["ID"].iloc[0] else {})

class Otherwise:
    def predict(self, rows):
        return {"Y": rows["ID"]} | ({"at": rows["STORE"]} if rows["ID"].iloc[0] else {})

class Always:
    def predict(self, rows):
        return {"Y": rows["ID"], "at": rows["ID"]}

class Plain:
    def predict(self, rows):
        return {"Y": rows["ID"]}
"""
TYPES = {"ID": "NUMBER(9,0)", "AT": "TIMESTAMP_TZ(9)", "STORE": "VARIANT", "GONE": "DATE"}
ROWS: dict[str, list[Any]] = {"ID": [0, 1, 2], "AT": ["a", None, "b"], "STORE": ["x", "y", "x"]}


@pytest.mark.parametrize(
    ("model", "changes", "kept"),
    [
        ("Plain", {}, ["ID", "AT", "STORE"]),
        ("Plain", {"output": {"columns": ["at"]}}, ["AT"]),
        # One task returned a column of that name.
        ("Sometimes", {}, ["ID", "STORE"]),
        # Whatever its case.
        ("Always", {}, ["ID", "STORE"]),
        # Of groups, the partition column alone is written; a column of another one's name is the model's.
        ("Ranks", {"input": {"partition_column": "AT"}}, ["AT"]),
    ],
)
def test_of_columns_that_are_written_as_they_came(
    batch: Batch, model: str, changes: dict[str, Any], kept: list[str]
) -> None:
    (batch.root / "typed_models.py").write_text(MODELS)
    batch.rows(ROWS, row_group_size=1)
    given = {"input": {}, "inference": {"max_batch_rows": 1}} | changes
    batch.job(
        {"kind": "python", "target": f"typed_models:{model}", "python_path": [str(batch.root)]},
        **(given | {"input": given["input"] | {"types": TYPES}}),
    )
    outcome = batch.run()
    assert outcome.code == 0, outcome.last
    assert batch.manifest()["original_types"] == {name: TYPES[name] for name in kept}


def test_an_output_that_sometimes_takes_the_place_of_an_input_column_in_another_spelling(batch: Batch) -> None:
    """Results would have two columns with gaps, of which loading into a table makes one."""
    (batch.root / "typed_models.py").write_text(MODELS)
    batch.rows(ROWS, row_group_size=1)
    model = {"kind": "python", "target": "typed_models:Otherwise", "python_path": [str(batch.root)]}
    batch.job(model, input={"types": TYPES}, inference={"max_batch_rows": 1})
    outcome = batch.run()
    assert outcome.code == 1
    assert (
        "some batches have a column 'AT' and others 'at': name it alike in all; where one of them is an" in outcome.last
    )


def test_without_types_the_manifest_tells_none(batch: Batch) -> None:
    batch.ids(3)
    batch.job()
    assert batch.run().code == 0
    assert "original_types" not in batch.manifest()
