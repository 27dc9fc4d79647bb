"""Zip archives that Python imports from, named after their content: the worker itself, and a model's code."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

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


def _member(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _DATE)
    # The permissions rw-r--r--, made on Unix, whatever system this is.
    info.create_system, info.external_attr = 3, 0o644 << 16
    return info
