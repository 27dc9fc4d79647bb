"""Which files below the input directory are the input."""

from __future__ import annotations

import bisect
import re
from pathlib import Path

from airflow_provider_snowflake_batch.contract.file_names import is_something_else
from airflow_provider_snowflake_batch.contract.job_file import DEFAULT_PATTERN
from airflow_provider_snowflake_batch.worker.errors import Refused

# PARE begins files whose footer is encrypted. They count as input, so that they are refused by name.
_MAGIC = (b"PAR1", b"PARE")
_MOST_NAMED = 5


class InputNames:
    """Tells of each file whether it is input.

    With a pattern of the job's own, its name decides. Without, Parquet files are input whatever they are called: Hive
    and ``COPY INTO … SINGLE = TRUE`` write names without an ending, others ``.PARQUET`` or ``.parq``. Of other files
    only those are left out whose names say that they are something else; ``x.parquet.gz`` holds rows, too.

    :param root: the input directory.
    """

    def __init__(self, root: Path, pattern: str) -> None:
        self._root = root
        self._by_content = pattern == DEFAULT_PATTERN
        self._pattern = pattern
        self._named = re.compile(pattern).fullmatch
        self._any = False
        self._unclear = _Some()
        self._others = _Some()
        self._hidden = _Some()

    def pass_over(self, path: str) -> None:
        """Note a file that is no data, whatever it holds, since its name begins with ``_`` or ``.``."""
        if self._by_content and path.endswith(".parquet"):
            self._hidden.add(path)

    def __call__(self, path: str) -> object | None:
        """Something true for an input file, else None.

        :param path: below the input directory, with ``/`` as separator.
        """
        if self._named(path) is not None or (self._by_content and self._holds_parquet(path)):
            self._any = True
            return path
        # Some tools write an empty file for a folder. It holds no rows.
        if self._size(path):
            unclear = self._by_content and not is_something_else(path)
            (self._unclear if unclear else self._others).add(path)
        return None

    def left_out(self) -> str | None:
        """The files that are no input, in words; None if none is, or with a pattern of the job's own.

        :raises Refused: a file beside the input may hold rows that nobody reads, or there are files and none of them is
            input: rows would be missing without a word.
        """
        wanted = "Parquet file" if self._by_content else f"file that matches {self._pattern!r}"
        if not self._any and (seen := self._unclear.merged_with(self._others).merged_with(self._hidden)):
            raise Refused(f"the input {self._root} has no {wanted}; it has {seen}")
        if self._unclear:
            raise Refused(
                f"the input {self._root} has files beside its Parquet files that are none, and whose names do not say "
                f"what they are, so that rows might be left out: {self._unclear}. Unpack or remove them, or set "
                f"input.pattern to what the input files' paths match, such as '.*[.]parquet'"
            )
        told = self._others.merged_with(self._hidden)
        return f"no input in {self._root}: {told}" if self._by_content and told else None

    def _size(self, path: str) -> int:
        try:
            return (self._root / path).stat().st_size
        except OSError:
            return 0

    def _holds_parquet(self, path: str) -> bool:
        try:
            with (self._root / path).open("rb") as file:
                # The file's end is not looked at: a file that was cut off is input, and fails when it is read.
                return file.read(4) in _MAGIC
        except OSError as error:
            raise Refused(f"cannot read {path}, which may be input: {error.strerror or error}") from None


class _Some:
    """Names, of which the first few are kept, since there may be hundreds of thousands: as sorted, not as met."""

    def __init__(self, first: list[str] | None = None, count: int = 0) -> None:
        self._first = first or []
        self._count = count

    def add(self, name: str) -> None:
        self._count += 1
        bisect.insort(self._first, name)
        del self._first[_MOST_NAMED:]

    def merged_with(self, other: _Some) -> _Some:
        return _Some([*self._first, *other._first][:_MOST_NAMED], self._count + other._count)

    def __bool__(self) -> bool:
        return self._count > 0

    def __str__(self) -> str:
        more = self._count - len(self._first)
        # A name may hold bytes that no text does.
        names = ", ".join(self._first).encode("utf-8", "backslashreplace").decode()
        return names + (f" and {more} more" if more else "")
