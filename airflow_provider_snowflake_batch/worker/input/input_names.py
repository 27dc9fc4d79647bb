"""Which files below the input directory are the input."""

from __future__ import annotations

import re
from pathlib import Path

from airflow_provider_snowflake_batch.contract.job_file import DEFAULT_PATTERN
from airflow_provider_snowflake_batch.worker.errors import Refused

# The second one is that of files whose footer is encrypted: they are input, and refused with their name.
_MAGIC = (b"PAR1", b"PARE")
_MOST_NAMED = 5


class InputNames:
    """Tells of each file whether it is input.

    With a pattern of the job's own, its name decides. Without, Parquet files are input whatever they are called: Hive
    and ``COPY INTO … SINGLE = TRUE`` write names without an ending, others ``.PARQUET`` or ``.parq``.

    :param root: the input directory.
    """

    def __init__(self, root: Path, pattern: str) -> None:
        self._root = root
        self._pattern = pattern
        self._named = re.compile(pattern).fullmatch
        self._any = False
        self._others: list[str] = []

    def __call__(self, path: str) -> object | None:
        """Something true for an input file, else None.

        :param path: below the input directory, with ``/`` as separator.
        """
        found = self._named(path) is not None or (self._pattern == DEFAULT_PATTERN and self._holds_parquet(path))
        self._any |= found
        if not found and len(self._others) <= _MOST_NAMED and self._size(path):
            self._others.append(path)
        return path if found else None

    def refuse_nothing(self) -> None:
        """:raises Refused: there are files, and none of them is input: no rows would be scored without a word."""
        if self._any or not self._others:
            return
        wanted = "Parquet file" if self._pattern == DEFAULT_PATTERN else f"file that matches {self._pattern!r}"
        more = ", …" if len(self._others) > _MOST_NAMED else ""
        raise Refused(f"the input {self._root} has no {wanted}; it has {', '.join(self._others[:_MOST_NAMED])}{more}")

    def _size(self, path: str) -> int:
        try:
            return (self._root / path).stat().st_size
        except OSError:
            return 0

    def _holds_parquet(self, path: str) -> bool:
        try:
            with (self._root / path).open("rb") as file:
                # Not the end as well: of a file that was cut off, rows would be missing without a word.
                return file.read(4) in _MAGIC
        except OSError as error:
            raise Refused(f"cannot read {path}, which may be input: {error.strerror or error}") from None
