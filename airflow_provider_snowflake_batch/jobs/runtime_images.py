"""Which image the worker runs in: Snowflake's own container runtime, unless a task names another.

The image's path, and the three numbers of its tag, are from
https://docs.snowflake.com/en/developer-guide/snowflake-ml/container-runtime/custom-runtime-images. The function
``SYSTEM$GET_ML_JOB_RUNTIME``, which tells an account's image, is not documented; snowflake-ml-python calls it
(``ml/jobs/_utils/runtime_env_utils.py`` of 2.6).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from airflow_provider_snowflake_batch.jobs.identifiers import QualifiedName

REPOSITORY = "/snowflake/images/snowflake_images/container_runtime"
# Releases that are known to have run jobs. They are for accounts that do not tell their image. A release that Snowflake
# lists no longer runs until its end of life.
FALLBACK_CPU_IMAGE = f"{REPOSITORY}/cpu_x86_64:2.7.2"
FALLBACK_GPU_IMAGE = f"{REPOSITORY}/gpu_x86_64:2.9.0"
RELEASE = re.compile(r"\d+\.\d+\.\d+(-[\w.]+)?")
"""A tag of the container runtime. One without the patch number names no image."""


def fallback_image(*, gpu: bool) -> str:
    """The image for an account that does not tell its own.

    :param gpu: for a pool whose nodes have GPUs.
    """
    return FALLBACK_GPU_IMAGE if gpu else FALLBACK_CPU_IMAGE


def image_in_answer(rows: Sequence[Sequence[Any]]) -> str | None:
    """The image in an answer of ``SYSTEM$GET_ML_JOB_RUNTIME``.

    :param rows: of the answer; its first cell is a reference to an image, with a tag.
    :returns: None for an answer that names none: an empty one, and a custom runtime environment (``cre@…``), which only
        Snowflake's own ML jobs can resolve.
    """
    cell = rows[0][0] if rows and rows[0] else None
    if not isinstance(cell, str) or cell.lower().startswith("cre@"):
        return None
    name, _, tag = cell.strip().rpartition(":")
    return cell.strip() if "/" in name and tag and "/" not in tag else None


def problem_with_image(image: str) -> str | None:
    """What keeps a reference to an image from naming one, or None.

    :param image: ``/database/schema/repository/name:tag``, with or without the registry's host before it, or with a
        digest (``@sha256:…``) for the tag.
    """
    name, _, digest = image.partition("@")
    path, _, tag = name.rpartition(":") if ":" in name.rpartition("/")[2] else (name, "", "")
    if path.count("/") < 3:
        return "an image is written /database/schema/repository/name:tag"
    if not tag and not digest:
        return "it has no tag"
    if "/container_runtime/" in path and not digest and not RELEASE.fullmatch(tag):
        return "a tag of the container runtime has three numbers, such as 2.10.0"
    return None


def repository(image: str) -> QualifiedName | None:
    """The image repository of an account that an image lies in; None for Snowflake's own images.

    :param image: as :func:`problem_with_image` accepts it. Paths of images are in lower case, whatever the names are.
    """
    if problem_with_image(image) is not None:
        return None
    database, schema, name = image.partition("@")[0].split("/")[1:4]
    return None if database == "snowflake" else QualifiedName(name.upper(), schema.upper(), database.upper())
