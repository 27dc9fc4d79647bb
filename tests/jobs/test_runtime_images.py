from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_snowflake_batch.jobs.runtime_images import fallback_image, image_told


@pytest.mark.parametrize(
    ("rows", "image"),
    [
        ([("/snowflake/images/repo/cpu_x86_64:2.10.0",)], "/snowflake/images/repo/cpu_x86_64:2.10.0"),
        ([("host:5000/db/s/repo/image:1.0",)], "host:5000/db/s/repo/image:1.0"),
        ([("host:5000/db/s/repo/image",)], None),
        ([("cre@MINE",)], None),
        ([("CRE@db.s.MINE:1",)], None),
        ([("",)], None),
        ([(None,)], None),
        ([()], None),
        ([], None),
    ],
)
def test_the_image_of_an_answer(rows: list[tuple[Any, ...]], image: str | None) -> None:
    assert image_told(rows) == image


def test_the_fallback_has_a_tag_of_three_numbers() -> None:
    for gpu in (True, False):
        path, _, tag = fallback_image(gpu=gpu).rpartition(":")
        assert path.endswith("gpu_x86_64" if gpu else "cpu_x86_64")
        assert len(tag.split(".")) == 3
