"""Zip archives that Python imports from, named after their content: the worker itself, and a model's code."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

# The earliest date that a zip archive can state.
_DATE = (1980, 1, 1, 0, 0, 0)


def zip_archive(members: Mapping[str, bytes]) -> bytes:
    """An archive whose bytes depend on its members only: in order, with one date, not compressed.

    So equal files give equal bytes on every machine, and a digest tells two archives apart.

    :param members: path in the archive, with ``/`` between folders, and content.
    """
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, _DATE)
            # The permissions rw-r--r--, made on Unix, whatever system this is.
            info.create_system, info.external_attr = 3, 0o644 << 16
            archive.writestr(info, members[name])
    return file.getvalue()
