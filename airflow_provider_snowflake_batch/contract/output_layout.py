"""What a job's output directory holds, and what lies beside it.

::

    <stage_location>/<output directory>/
        part-<plan>-<task>.<attempt>.parquet     rows of one task
        _quarantine/<plan>-<task>.<attempt>.pq   rows of the task that were set aside as bad, if there are any
        _tasks/<plan>-<task>.<attempt>.json      the record that makes these files count, written after them
        _failures/<plan>-<replica>.json          word of a replica that cannot do its share; gone at the end
        _replicas/<plan>-<replica>               signs of life of a replica; gone at the end
        _manifest.json                           every part with rows, bytes and checksum
        _SUCCESS                                 empty; written last
    <stage_location>/_snowflake_temporary/       rows that clients put there for a job to read

Snowflake's own runtime writes ``_SUCCESS`` and the data files, under names of its own.
"""

from __future__ import annotations

SUCCESS = "_SUCCESS"
MANIFEST = "_manifest.json"
TASKS = "_tasks"
QUARANTINE = "_quarantine"
FAILURES = "_failures"
REPLICAS = "_replicas"
RECORDS = (TASKS, FAILURES, QUARANTINE, REPLICAS)
"""Folders of a batch's own records, in which every name begins with the batch's tag."""

STAGED_INPUT = "_snowflake_temporary"
CLIENT_FOLDERS = (STAGED_INPUT, "_temporary")
"""Clients stage rows there, under the output location (the second one before version 2 of snowflake-ml-python): these
are neither output nor forbidden input."""

PART_PREFIX = "part-"
PARQUET_ENDING = ".parquet"
BAD_ROWS_ENDING = ".pq"
"""Not the ending of results, so that the usual pattern for results does not match files of bad rows."""
RECORD_ENDING = ".json"

DATA_FILE_PATTERN = r"[^_/][^/]*\.parquet"
"""Regular expression for the name of a file that :func:`is_data_file` takes for one."""


def is_data_file(path: str) -> bool:
    """Whether a file of an output directory holds results; names that begin with ``_`` are not data."""
    return path.endswith(PARQUET_ENDING) and not path.rpartition("/")[2].startswith("_")
