from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName
from airflow_provider_snowflake_batch.jobs.runtime_images import (
    fallback_image,
    image_in_answer,
    problem_with_image,
    repository,
)


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
    assert image_in_answer(rows) == image


def test_the_fallback_has_a_tag_of_three_numbers() -> None:
    for gpu in (True, False):
        path, _, tag = fallback_image(gpu=gpu).rpartition(":")
        assert path.endswith("gpu_x86_64" if gpu else "cpu_x86_64")
        assert len(tag.split(".")) == 3


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        ("/db/schema/repo/worker:1", None),
        ("host.example:5000/db/schema/repo/worker:1", None),
        ("/db/schema/repo/worker@sha256:00ff", None),
        (fallback_image(gpu=True), None),
        ("worker:1", "is written /database/schema/repository/name:tag"),
        ("/db/schema/repo/worker", "no tag"),
        ("host.example:5000/db/schema/repo/worker", "no tag"),
        ("/snowflake/images/snowflake_images/container_runtime/cpu_x86_64:2.10", "three numbers"),
    ],
)
def test_what_keeps_a_text_from_being_an_image(image: str, problem: str | None) -> None:
    found = problem_with_image(image)
    assert found is None if problem is None else found is not None and problem in found


@pytest.mark.parametrize(
    ("image", "found"),
    [
        ("/db/schema/repo/worker:1", QualifiedName("REPO", "SCHEMA", "DB")),
        ("org-acc.registry.snowflakecomputing.com/db/schema/repo/a/b@sha256:00", QualifiedName("REPO", "SCHEMA", "DB")),
        (fallback_image(gpu=False), None),
        ("worker:1", None),
    ],
)
def test_the_repository_of_an_image_of_ones_own(image: str, found: QualifiedName | None) -> None:
    assert repository(image) == found
