from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_snowflake_batch.jobs.batch_job import other_sizing


@pytest.mark.parametrize(
    ("recorded", "wanted", "told"),
    [
        ({"replicas": 1}, {"replicas": 1}, ""),
        ({"replicas": 2}, {"replicas": 4}, "replicas 2 instead of 4"),
        (
            {"replicas": 2, "compute_pool": "A"},
            {"replicas": 2, "compute_pool": "B", "memory_requests": "8GiB"},
            "compute_pool A instead of B, memory_requests unset instead of 8GiB",
        ),
    ],
)
def test_how_two_sizes_differ(recorded: dict[str, Any], wanted: dict[str, Any], told: str) -> None:
    assert other_sizing(recorded, wanted) == told
