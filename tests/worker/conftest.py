"""A batch of its own for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.worker.batches import Batch


@pytest.fixture
def make_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Batch]]:
    # The driver sets it in the process of other tests (snowflake/connector/options.py); a container has none.
    monkeypatch.delenv("ARROW_DEFAULT_MEMORY_POOL", raising=False)
    made: list[Batch] = []

    def make(name: str) -> Batch:
        root = tmp_path / name
        root.mkdir()
        made.append(Batch(root))
        return made[-1]

    yield make
    for batch in made:
        for process in batch.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()


@pytest.fixture
def batch(make_batch: Callable[[str], Batch]) -> Batch:
    return make_batch("batch")
