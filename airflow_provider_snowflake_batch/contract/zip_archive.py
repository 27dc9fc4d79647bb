"""Zip archives that Python imports from, named after their content: the worker itself, and a model's code."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

# https://packaging.python.org/en/latest/specifications/binary-distribution-format/: an installer puts the folders below
# NAME.data into different places of the system. Of these, purelib and platlib are where modules are imported from.
_WHEEL_MARK = re.compile(r"[^/]+\.dist-info/WHEEL")
_WHEEL_LIBRARY = re.compile(r"[^/]+\.data/(?:purelib|platlib)/")
_WHEEL_DATA = re.compile(r"[^/]+\.data/")

WHEEL_ENDING = ".whl"

# The earliest date that a zip archive can state.
_DATE = (1980, 1, 1, 0, 0, 0)
_BLOCK_BYTES = 2**20


def zip_archive(members: Mapping[str, bytes]) -> bytes:
    """An archive whose bytes depend on its members only: in order, with one date, not compressed.

    So equal files give equal bytes on every machine, and a digest tells two archives apart.

    :param members: path in the archive, with ``/`` between folders, and content.
    """
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            archive.writestr(_member(name), members[name])
    return file.getvalue()


def add_file(archive: zipfile.ZipFile, name: str, path: Path) -> None:
    """Add a file that may be large, as a member with the same properties."""
    info = _member(name)
    info.file_size = path.stat().st_size
    with path.open("rb") as source, archive.open(info, "w") as target:
        while block := source.read(_BLOCK_BYTES):
            target.write(block)


def installed_names(members: Iterable[str]) -> dict[str, str]:
    """The files of a zip archive or wheel by their names in it, each with its path once it is unpacked for importing.

    :returns: without a wheel's scripts and other files that are not imported.
    """
    names = list(members)
    is_wheel = any(_WHEEL_MARK.fullmatch(name) for name in names)
    found = {}
    for name in names:
        if is_wheel and _WHEEL_DATA.match(name):
            if match := _WHEEL_LIBRARY.match(name):
                found[name] = name[match.end() :]
        else:
            found[name] = name
    return found


def _member(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _DATE)
    # The permissions rw-r--r--, made on Unix, whatever system this is.
    info.create_system, info.external_attr = 3, 0o644 << 16
    return info
