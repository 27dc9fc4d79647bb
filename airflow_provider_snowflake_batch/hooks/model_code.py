"""The code of a model as one archive that the worker can import from: a folder, a file, a zip archive or a wheel."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_snowflake_batch.exceptions import JobInputError
from airflow_provider_snowflake_batch.jobs.models import PythonModel

MOST_BYTES = 100 * 2**20
"""The largest code that is uploaded. Weights and the like belong on a stage."""

_ARCHIVES = (".zip", ".whl")
_NOT_CODE = frozenset({"__pycache__", "venv", "node_modules"})
# The earliest date that a zip archive can state.
_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class CodeArchive:
    """:param members: the paths in it. :param ending: ``.zip`` or ``.whl``."""

    content: bytes
    members: frozenset[str]
    ending: str = ".zip"

    @property
    def name(self) -> str:
        """A file name that is another for each content."""
        return f"code-{hashlib.sha256(self.content).hexdigest()[:12]}{self.ending}"


def pack_code(model: PythonModel, folder: str | None) -> list[CodeArchive | None]:
    """An archive for each place of a model's code; None for one on a stage.

    :param folder: where relative paths begin; None for the current folder.
    :raises JobInputError: if a place does not exist or is too large, or none has the model's module.
    """
    root = model.target.partition(":")[0].partition(".")[0]
    archives = [_pack(place, Path(folder or "."), root) if place[0] != "@" else None for place in model.places]
    known = [archive for archive in archives if archive is not None]
    if known and len(known) == len(archives):
        _check_module(model, set().union(*(archive.members for archive in known)))
    return archives


def _pack(place: str, folder: Path, root: str) -> CodeArchive:
    path = (folder / place).absolute()
    if path.is_dir():
        # `code` may be the package itself, or the folder that it lies in.
        is_package = path.name == root and not (path / root).exists() and not (path / f"{root}.py").exists()
        return _archive_of(_files(path), path.parent if is_package else path, place)
    if not path.is_file():
        raise JobInputError(f"model.code: there is no file or folder {path}.")
    if path.suffix in _ARCHIVES:
        return _read_archive(path, place)
    if path.suffix != ".py":
        raise JobInputError(f"model.code: {path} is no folder, Python file, zip archive or wheel.")
    return _archive_of([path], path.parent, place)


def _files(folder: Path) -> Iterator[Path]:
    """Every file of a folder, links followed, each folder once. Names that begin with a dot are no code."""
    seen: set[str] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if _is_code(name))
        for name in sorted(names):
            if _is_code(name) and not name.endswith(".pyc") and (path := Path(parent, name)).is_file():
                yield path


def _is_code(name: str) -> bool:
    return not name.startswith(".") and name not in _NOT_CODE


def _archive_of(files: Iterable[Path], root: Path, place: str) -> CodeArchive:
    members: dict[str, bytes] = {}
    size = 0
    for path in files:
        size += path.stat().st_size
        _check_size(size, place)
        members[path.relative_to(root).as_posix()] = path.read_bytes()
    return CodeArchive(_zip(members), frozenset(members))


def _zip(members: Mapping[str, bytes]) -> bytes:
    """Equal files give equal bytes on every machine: in order, with one date, not compressed."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, _DATE)
            # The permissions rw-r--r--, made on Unix, whatever system this is.
            info.create_system, info.external_attr = 3, 0o644 << 16
            archive.writestr(info, members[name])
    return file.getvalue()


def _read_archive(path: Path, place: str) -> CodeArchive:
    _check_size(path.stat().st_size, place)
    content = path.read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return CodeArchive(content, frozenset(archive.namelist()), path.suffix)
    except zipfile.BadZipFile as error:
        raise JobInputError(f"model.code: {path} is no zip archive: {error}.") from None


def _check_size(size: int, place: str) -> None:
    if size > MOST_BYTES:
        raise JobInputError(
            f"model.code: {place} has more than {MOST_BYTES // 2**20} MiB. Put weights and other large files on a "
            "stage, and name that place as '@database.schema.stage/path'."
        )


def _check_module(model: PythonModel, members: set[str]) -> None:
    module = model.target.partition(":")[0]
    path = module.replace(".", "/")
    compiled = any(name.startswith(f"{path}.") and name.endswith((".so", ".pyd")) for name in members)
    if f"{path}.py" in members or f"{path}/__init__.py" in members or compiled:
        return
    sources = sorted(name for name in members if name.endswith(".py"))
    shown = ", ".join(sources[:12]) + (" …" if len(sources) > 12 else "") if sources else "no Python file"
    raise JobInputError(
        f"model.code: there is no module {module} in {', '.join(model.places)}, which has {shown}. Give the package's "
        "folder or the one that it lies in; leave code out for a module that the image has."
    )
