"""What `kill_resume` does to a batch besides killing it: damage, other inputs, other weights."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.watched_model import WEIGHTS

# Without these, two files of as many rows have the same size and the same footer, whatever is in them.
PLAIN = {"compression": "none", "use_dictionary": False, "write_statistics": False}


class Content:
    """The input files and the weights of a batch, as they should be seen in its result.

    :param folder: the batch's own. :param rows: of the input. :param task_rows: of a row group.
    """

    def __init__(self, folder: Path, rows: int, task_rows: int) -> None:
        self._folder, self._task_rows = folder, task_rows
        half = rows // 2 // task_rows * task_rows
        self._parts = (np.arange(0, half), np.arange(half, rows))
        self.x = np.arange(rows) * 3.0
        self.weight = 2.0
        for number in (0, 1):
            self._write_input(number)
        self._write_weights()

    def _write_input(self, number: int) -> None:
        ids = self._parts[number]
        table = pa.table({"ID": ids, "X": self.x[ids], "FILE": pa.nulls(len(ids), pa.string())})
        path = self._folder / "input" / f"{number}.parquet"
        new = path.with_name(f"_{path.name}")
        pq.write_table(table, new, row_group_size=self._task_rows, **PLAIN)
        new.replace(path)

    def _write_weights(self) -> None:
        path = self._folder / "model" / WEIGHTS
        new = path.with_name(f"{WEIGHTS}.new")
        new.write_text(json.dumps(self.weight))
        new.replace(path)

    def replace_some_rows(self, choice: random.Random) -> str:
        """Replace an input file by one of the same size and footer, in which some row groups have other values."""
        number = choice.randrange(2)
        ids = self._parts[number]
        first = ids[0] + choice.randrange(len(ids))
        self.x[first : ids[-1] + 1 : choice.randrange(1, 400)] += 1.0
        self._write_input(number)
        return "input replaced"

    def replace_weights(self, choice: random.Random) -> str:
        """Give the model other weights in a file of the same size."""
        self.weight = choice.choice([one for one in (2.0, 3.0, 5.0, 7.0) if one != self.weight])
        self._write_weights()
        return "weights replaced"


def damage_part(output: Path, choice: random.Random) -> str | None:
    """Do to a part, whose size stays, what a loss of power or a bad disk does.

    :return: what was done; None if there is no part.
    """
    parts = sorted([*output.glob("part-*.parquet"), *output.glob("_quarantine/*.pq")])
    if not parts:
        return None
    path = choice.choice(parts)
    data = bytearray(path.read_bytes())
    if not data:
        return None
    if choice.random() < 0.5:
        data[choice.randrange(len(data))] ^= 1 << choice.randrange(8)
        what = "part: a bit flipped"
    else:
        start = choice.randrange(len(data))
        data[start:] = bytes(len(data) - start)
        what = "part: zeroes"
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.pwrite(descriptor, data, 0)
    finally:
        os.close(descriptor)
    return what
