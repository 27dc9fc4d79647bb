"""Where the paths of a job file begin: a platform says in environment variables where it has mounted what.

Whoever writes the job file knows the mount points of an account's containers, not the folders that stand for them where
a job is a plain process. So a path may begin with a variable, which the container's specification sets.
"""

from __future__ import annotations

import os
import re

from airflow_provider_snowflake_batch.worker.errors import Refused

_LEADING_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)\}(?=/|$)", re.ASCII)


def with_variable(value: str, where: str) -> str:
    """A path whose leading ``${NAME}`` is the value of that environment variable; any other path as it is.

    :param where: the field of the job file, for the refusal.
    :raises Refused: the variable is not set, or is empty, which would be the root of the file system.
    """
    match = _LEADING_VARIABLE.match(value)
    if match is None:
        return value
    found = os.environ.get(match[1])
    if not found:
        raise Refused(
            f"JOB.json: {where} begins with ${{{match[1]}}}, but the environment variable {match[1]} is "
            f"{'not set' if found is None else 'empty'}; the container's specification sets it to where it is mounted"
        )
    return found + value[match.end() :]
