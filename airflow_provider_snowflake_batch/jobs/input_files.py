"""Which files under a stage location are a job's Parquet input, as far as their names tell.

Which files of a location Snowflake's own runtime reads is not documented. Every runtime reads files whose names end in
``.parquet``. Of other files a runtime might leave out rows without a word, so a job with such files is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from airflow_provider_snowflake_batch.contract.file_names import is_no_data, is_something_else
from airflow_provider_snowflake_batch.jobs.identifiers import StagePath

PARQUET_FILES = r".*\.parquet"
"""The files that a query reads if no pattern says otherwise."""
EVERY_FILE = r"(.*/)?[^_.][^/]*"
"""All files but such as ``_SUCCESS``."""


@dataclass(frozen=True, slots=True)
class InputFiles:
    """The files under a location, by name relative to it.

    :param parquet: those that are read.
    :param unclear: those that may be Parquet, and that it is not sure a job reads.
    :param others: those that are something else.
    :param hidden: Parquet files that are no data, since a name on their path begins with ``_`` or ``.``.
    """

    parquet: list[str] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, files: Iterable[tuple[str, int]]) -> InputFiles:
        """:param files: names relative to the location, and sizes in bytes."""
        found = cls()
        for name, size in files:
            if is_no_data(name):
                if name.endswith(".parquet"):
                    found.hidden.append(name)
            elif name.endswith(".parquet"):
                found.parquet.append(name)
            elif is_something_else(name):
                found.others.append(name)
            elif size and not name.endswith("/"):
                # Some tools write an empty file for a folder. It holds no rows.
                found.unclear.append(name)
        return found


def visible_parquet(location: StagePath) -> str:
    """A pattern for :attr:`InputFiles.parquet`, for queries and ``LIST``.

    These differ in how much of the path before the name they match.
    """
    path = location.directory().path
    before = f"(.*{re.escape(path)})?" if is_no_data(path) else ""
    return rf"/?{before}([^_./][^/]*/)*[^_./][^/]*\.parquet"
