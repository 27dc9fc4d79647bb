"""The code of a model as one archive that the worker can import from: a folder, a file, a zip archive or a wheel."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_snowflake_batch.contract.zip_archive import WHEEL_ENDING, installed_names
from airflow_provider_snowflake_batch.exceptions import JobInputError
from airflow_provider_snowflake_batch.hooks.folder_files import MOST_BYTES, files_of, packed, refusing
from airflow_provider_snowflake_batch.jobs.models import ModelSpec

_FIELD = "model.code"
_ARCHIVES = (".zip", WHEEL_ENDING)
_NOT_CODE = frozenset({"__pycache__", "venv", "node_modules"})


@dataclass(frozen=True)
class CodeArchive:
    """Code as it is uploaded. :param ending: ``.zip`` or ``.whl``."""

    content: bytes
    ending: str = ".zip"

    @property
    def name(self) -> str:
        """A file name that is another for each content."""
        return f"code-{hashlib.sha256(self.content).hexdigest()[:12]}{self.ending}"


@dataclass(frozen=True)
class FoundCode:
    """The code at one place, of which nothing was read yet but an archive's list.

    :param members: the paths that its archive has.
    :param files: the file for each of them, or its content; None for an archive that is there already.
    :param archive: that archive.
    """

    members: frozenset[str]
    files: Mapping[str, Path | bytes] | None = None
    archive: Path | None = None

    def packed(self) -> CodeArchive:
        """:raises JobInputError: if a file cannot be read, or its name is no text."""
        if self.archive is not None:
            with refusing(_FIELD):
                return CodeArchive(self.archive.read_bytes(), self.archive.suffix)
        assert self.files is not None
        return CodeArchive(packed(self.files, _FIELD))


def find_code(model: ModelSpec, folder: str | None) -> list[FoundCode | None]:
    """The code at each place of a model's code; None for one on a stage.

    :param folder: where relative paths begin; None for the current folder.
    :raises JobInputError: if a place does not exist or is too large, or none has the model's module.
    """
    module = model.module or ""
    found = [
        _find(model, place, Path(folder or "."), module) if place[0] != "@" else None for place in model.code_places
    ]
    known = [code for code in found if code is not None]
    if module and known and len(known) == len(found):
        _check_module(model, module, set().union(*(code.members for code in known)))
    return found


def pack_code(model: ModelSpec, folder: str | None) -> list[CodeArchive | None]:
    """An archive for each place of a model's code, as :func:`find_code` finds it.

    :raises JobInputError: as there.
    """
    return [code.packed() if code is not None else None for code in find_code(model, folder)]


def _find(model: ModelSpec, place: str, folder: Path, module: str) -> FoundCode:
    if place in model.own_code:
        return FoundCode(frozenset({place}), files={place: model.own_code[place].encode()})
    path = (folder / place).absolute()
    if path.is_dir():
        files = list(files_of(path, _is_code, _FIELD))
        # `code` may be the package itself or the folder that holds it. A package may hold a module of its own name.
        is_package = path.name == module.partition(".")[0] and not _has_module(_members(files, path), module)
        return _found(files, path.parent if is_package else path, place)
    if not path.is_file():
        raise JobInputError(f"model.code: there is no file or folder {path}.")
    if path.suffix in _ARCHIVES:
        return _found_archive(path, place)
    if path.suffix != ".py":
        raise JobInputError(f"model.code: {path} is no folder, Python file, zip archive or wheel.")
    return _found([path], path.parent, place)


def _members(files: Iterable[Path], root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in files}


def _is_code(name: str) -> bool:
    """Whether a file or folder of this name is code: not if it begins with a dot."""
    return not name.startswith(".") and name not in _NOT_CODE and not name.endswith(".pyc")


def _found(files: Iterable[Path], root: Path, place: str) -> FoundCode:
    members: dict[str, Path | bytes] = {}
    size = 0
    for path in files:
        size += path.stat().st_size
        _check_size(size, place)
        members[path.relative_to(root).as_posix()] = path
    # The worker imports from wheels that lie directly in the folder.
    wheels = [one for name, one in members.items() if name.endswith(WHEEL_ENDING) and "/" not in name]
    inside = (_found_archive(wheel, place).members for wheel in wheels if isinstance(wheel, Path))
    return FoundCode(frozenset(members).union(*inside), files=members)


def _found_archive(path: Path, place: str) -> FoundCode:
    _check_size(path.stat().st_size, place)
    try:
        with zipfile.ZipFile(path) as archive:
            return FoundCode(frozenset(installed_names(archive.namelist()).values()), archive=path)
    except zipfile.BadZipFile as error:
        raise JobInputError(f"model.code: {path} is no zip archive: {error}.") from None


def _check_size(size: int, place: str) -> None:
    if size > MOST_BYTES:
        raise JobInputError(
            f"model.code: {place} has more than {MOST_BYTES // 2**20} MiB. Put weights and other large files on a "
            "stage, and name that place as '@database.schema.stage/path'."
        )


def _has_module(members: set[str], module: str) -> bool:
    path = module.replace(".", "/")
    compiled = any(name.startswith(f"{path}.") and name.endswith((".so", ".pyd")) for name in members)
    return f"{path}.py" in members or f"{path}/__init__.py" in members or compiled


def _check_module(model: ModelSpec, module: str, members: set[str]) -> None:
    if _has_module(members, module):
        return
    sources = sorted(name for name in members if name.endswith(".py"))
    shown = ", ".join(sources[:12]) + (" …" if len(sources) > 12 else "") if sources else "no Python file"
    raise JobInputError(
        f"model.code: there is no module {module} in {', '.join(model.code_places)}, which has {shown}. Give the "
        "package's folder or the one that it lies in; leave code out for a module that the image has."
    )
