"""Snowflake's container runtime: the images that it provides for ML jobs, and which of them a compute pool gets.

Paths: https://docs.snowflake.com/en/developer-guide/snowflake-ml/container-runtime/custom-runtime-images, releases:
…/container-runtime/releases/cpu/2_10. ``SYSTEM$GET_ML_JOB_RUNTIME`` is not documented; snowflake-ml-python
(``ml/jobs/_utils/runtime_env_utils.py``) shows its arguments and how its answer is read.
"""

from __future__ import annotations

import json
import re

from airflow_provider_snowflake_batch.jobs.instance_families import has_arm_processors
from airflow_provider_snowflake_batch.jobs.runtime_images import RELEASE, REPOSITORY
from airflow_provider_snowflake_batch.local.errors import SnowflakeError, not_supported
from airflow_provider_snowflake_batch.local.functions import Arguments, scalar_function
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.spcs import instance_families, service_clauses
from airflow_provider_snowflake_batch.local.spcs.compute_pools import ComputePools
from airflow_provider_snowflake_batch.local.statements import Statement

TAG = "2.10.0"
PYTHON_VERSIONS = ("3.10", "3.11", "3.12")
_IMAGE = re.compile(r"(?:.*/)?container_runtime/[cg]pu_x86_64(?::(?P<tag>[^/:@]*))?")


def is_container_runtime(image: str) -> bool:
    """Whether an image is one of the container runtime, whatever registry its path begins with.

    >>> is_container_runtime("/snowflake/images/snowflake_images/container_runtime/cpu_x86_64:2.10.0")
    True
    """
    return _IMAGE.fullmatch(image) is not None


def check_image(image: str) -> None:
    """:raises SnowflakeError: an image of the container runtime whose tag names none, as an account says it at once."""
    match = _IMAGE.fullmatch(image)
    if match is not None and not RELEASE.fullmatch(match["tag"] or ""):
        raise SnowflakeError(
            f"Image {image} not found. A tag of the container runtime has three numbers, such as {TAG}.",
            errno=395018,
            sqlstate="22023",
        )


@scalar_function("SYSTEM$GET_ML_JOB_RUNTIME")
def get_ml_job_runtime(statement: Statement, arguments: Arguments, pools: ComputePools) -> str:
    """The image for ML jobs on a compute pool: ``SYSTEM$GET_ML_JOB_RUNTIME('<pool>', '<environment>')``."""
    cursor = Cursor(str(arguments.get(0) or ""))
    pool = pools.get(service_clauses.pool_name(cursor))
    cursor.end()
    family = instance_families.find(pool.instance_family)
    if has_arm_processors(family.name):
        raise _none_available(f"instance family {family.name} of compute pool {pool.name}, whose processors are arm64")
    return _image(str(arguments.get(1) or ""), "gpu_x86_64" if family.gpu else "cpu_x86_64")


def _image(environment: str, variant: str) -> str:
    """What the second argument asks for: nothing, a tag, an image, or both a Python version and one of these."""
    asked = environment.strip()
    if asked.startswith("{"):
        try:
            document = json.loads(asked)
        except ValueError:
            raise _none_available(f"runtime environment {environment!r}, which is no JSON object") from None
        version = document.get("pythonVersion")
        if version is not None and version not in PYTHON_VERSIONS:
            raise _none_available(f"Python {version}; there are {', '.join(PYTHON_VERSIONS)}")
        asked = str(document.get("runtimeEnvironment") or "")
    if asked.lower().startswith("cre@"):
        raise not_supported(f"The custom runtime environment {asked!r}")
    if "/" in asked:
        return asked
    if asked and not RELEASE.fullmatch(asked):
        raise _none_available(f"runtime environment {asked!r}; a tag has three numbers, such as {TAG}")
    return f"{REPOSITORY}/{variant}:{asked or TAG}"


def _none_available(what: str) -> SnowflakeError:
    return SnowflakeError(f"No container runtime image is available for {what}.", errno=395018, sqlstate="22023")
