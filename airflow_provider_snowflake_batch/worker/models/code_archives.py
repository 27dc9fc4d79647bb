"""A model's code, or its folder, as a zip file or wheel: copied from where it lies, and unpacked in temporary space.

Nothing is imported from a mounted stage: there each of the many small, scattered reads of an import asks a server, and
Python may use an older ``__pycache__``. The archive is read once, from its beginning to its end. Its files are the
model's code as if they lay in a folder, and by them the worker tells whether two models are the same.
"""

from __future__ import annotations

import importlib
import shutil
import stat
import sys
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Protocol, TypeVar

from airflow_provider_snowflake_batch.contract.zip_archive import WHEEL_ENDING, installed_names
from airflow_provider_snowflake_batch.worker.errors import Refused
from airflow_provider_snowflake_batch.worker.input.content import BLOCK_BYTES
from airflow_provider_snowflake_batch.worker.models import wheels


class HasCode(Protocol):
    """What of a model is needed here; it is a dataclass."""

    @property
    def python_path(self) -> tuple[Path, ...]: ...


Model = TypeVar("Model", bound=HasCode)


def unpacked(model: Model, folder: Path) -> Model:
    """The model with folders in the place of archives in ``python_path``, and those of the wheels that lie in folders.

    :param folder: for temporary files; whoever owns it removes it.
    :raises Refused: a file in ``python_path`` is no such archive, is damaged, or does not fit in there; or a folder's
        wheels are for another Python, or of several versions.
    """
    places: list[Path] = []
    for number, place in enumerate(model.python_path):
        if place.is_file():
            target = folder / f"code-{number}"
            unpack(place, target, "model.python_path")
            place = target
        places.append(place)
        for wheel in wheels.fitting(place.glob(f"*{WHEEL_ENDING}"), "model.python_path"):
            target = folder / f"code-{number}-{wheel.stem}"
            unpack(wheel, target, "model.python_path")
            places.append(target)
    return replace(model, python_path=tuple(places))  # type: ignore[type-var]


def import_from(python_path: Sequence[Path]) -> None:
    """Have this process look into folders for modules, before all others.

    :raises Refused: one does not exist.
    """
    for folder in reversed(python_path):
        if not folder.is_dir():
            raise Refused(f"model.python_path: {folder} does not exist")
        sys.path.insert(0, str(folder))
    importlib.invalidate_caches()


def unpack(archive: Path, folder: Path, field: str) -> None:
    """Unpack an archive in local temporary space.

    :param folder: where; it is made.
    :param field: of the job file, for errors.
    :raises Refused: it is no zip archive, is damaged, or does not fit in there.
    """
    folder.mkdir()
    local = folder.with_name(f"{folder.name}.zip")
    try:
        with open(archive, "rb", buffering=0) as source, open(local, "wb") as copy:
            shutil.copyfileobj(source, copy, BLOCK_BYTES)
        if not zipfile.is_zipfile(local):
            raise Refused(f"{field}: {archive} is neither a directory nor a whole zip file or wheel")
        with zipfile.ZipFile(local) as opened:
            for member, name in _members(opened, archive, field):
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(member) as source, open(target, "xb") as copy:
                    shutil.copyfileobj(source, copy, BLOCK_BYTES)
        local.unlink()
    except OSError as error:
        where = f" ({error.filename})" if error.filename not in (None, str(archive)) else ""
        reason = error.strerror or error
        raise Refused(f"{field}: {archive} cannot be unpacked into {folder}: {reason}{where}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise Refused(f"{field}: {archive} is a damaged zip file: {error}") from None
    except (NotImplementedError, RuntimeError) as error:
        # A compression that this Python lacks, or a password.
        raise Refused(f"{field}: {archive} cannot be unpacked: {error}") from None


def _members(opened: zipfile.ZipFile, archive: Path, field: str) -> list[tuple[zipfile.ZipInfo, str]]:
    """The files of an archive, each with its name below the folder."""
    installed = installed_names(opened.namelist())
    found = []
    for member in opened.infolist():
        name = installed.get(member.filename)
        if name is None or member.is_dir() or "__pycache__" in PurePosixPath(name).parts:
            continue
        if stat.S_ISLNK(member.external_attr >> 16):
            raise Refused(f"{field}: {archive} holds a link, {name!r}; pack what it leads to")
        if name.startswith("/") or ".." in PurePosixPath(name).parts:
            raise Refused(f"{field}: {archive} holds a file outside of itself, {member.filename!r}")
        found.append((member, name))
    return found
