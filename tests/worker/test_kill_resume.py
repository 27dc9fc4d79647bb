"""The proof of `benchmarks.kill_resume`, short: its figures are all zero, and they can be other than zero."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from benchmarks import kill_resume
from benchmarks.watched_model import Watched
from tests.worker.batches import ON_STAGES
from tests.worker.stage_volume import StageVolume


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    stages = [tmp_path / f"batch-{number}" / name for number in range(30) for name in ("input", "output")]
    volume = StageVolume(tmp_path / "stage volume", stages) if ON_STAGES else None
    figures = kill_resume.measure(30, seed=7, tasks=80, folder=tmp_path, volume=volume)

    assert figures.kills.total() >= 30
    assert figures.starts > figures.batches
    assert (figures.lost, figures.doubled, figures.stale, figures.wrong, figures.again) == (0, 0, 0, 0, 0)
    # Each batch is read twice.
    assert figures.rows == 2 * figures.batches * 80 * kill_resume.TASK_ROWS


def test_a_task_that_is_computed_again_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "marks").mkdir()
    (tmp_path / "0123456789ab-000001.json").write_text(json.dumps({}))
    (tmp_path / "0123456789ab-000002.json").write_text("{")
    model = Watched(str(tmp_path), str(tmp_path / "marks"), task_rows=10, bad_every=1000, seconds=0.0)

    for first in (10, 20, 30):
        model.predict(pd.DataFrame({"ID": [first], "X": [1.0]}))

    (marks,) = (tmp_path / "marks").iterdir()
    assert marks.read_text().splitlines() == ["again 1 1", "called 2 1", "called 3 1"]
