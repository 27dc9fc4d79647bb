"""The files of a folder beside the Dag's file, and the archive that is made of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from airflow_provider_snowflake_batch.contract.zip_archive import zip_archive
from airflow_provider_snowflake_batch.exceptions import JobInputError

MOST_BYTES = 100 * 2**20
"""The largest code, file or folder that is uploaded. Larger ones, such as weights, belong on a stage."""


def files_of(folder: Path, wanted: Callable[[str], bool], field: str) -> Iterator[Path]:
    """Every file of a folder, also behind links, except links that lead to a folder above.

    :param wanted: whether a file or folder of this name belongs to it.
    :param field: which names the folder, for errors.
    :raises JobInputError: if a folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise _unreadable(error, field) from None

    above: dict[Path, frozenset[str]] = {}
    for parent, folders, names in os.walk(folder, followlinks=True, onerror=refuse):
        way = above.get(Path(parent).parent, frozenset())
        real = os.path.realpath(parent)
        if real in way:
            folders.clear()
            continue
        above[Path(parent)] = way | {real}
        folders[:] = sorted(name for name in folders if wanted(name))
        yield from (path for name in sorted(names) if wanted(name) and (path := Path(parent, name)).is_file())


def packed(files: Mapping[str, Path | bytes], field: str) -> bytes:
    """One archive of files.

    :param files: by their names in it: where each is, or its content.
    :raises JobInputError: if a file cannot be read, or its name is no text.
    """
    with refusing(field):
        return zip_archive({name: one if isinstance(one, bytes) else one.read_bytes() for name, one in files.items()})


@contextmanager
def refusing(field: str) -> Iterator[None]:
    """:raises JobInputError: if a file cannot be read, or its name is no text."""
    try:
        yield
    except OSError as error:
        raise _unreadable(error, field) from None
    except UnicodeEncodeError as error:
        raise JobInputError(f"{field}: the name of the file {error.object!r} is no text: rename it.") from None


def _unreadable(error: OSError, field: str) -> JobInputError:
    return JobInputError(f"{field}: {error.filename} cannot be read: {error.strerror or error}.")
