"""A model's own file or folder beside the Dag, as the file that is uploaded."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_snowflake_batch.contract.zip_archive import zip_archive
from airflow_provider_snowflake_batch.exceptions import JobInputError
from airflow_provider_snowflake_batch.jobs.models import ModelSpec

MOST_BYTES = 100 * 2**20
"""The largest file or folder that is uploaded. What is larger belongs on a stage."""

_NOT_MODEL = frozenset({"__pycache__", ".git", ".ipynb_checkpoints"})


@dataclass(frozen=True)
class ModelUpload:
    """A file as it is uploaded. :param ending: of its name."""

    content: bytes
    ending: str

    @property
    def name(self) -> str:
        """A file name that is another for each content."""
        return f"model-{hashlib.sha256(self.content).hexdigest()[:12]}{self.ending}"


@dataclass(frozen=True)
class FoundModel:
    """A file, or a folder with the files in it, of which nothing was read yet."""

    path: Path
    files: tuple[Path, ...] = ()

    def packed(self) -> ModelUpload:
        if not self.files:
            return ModelUpload(self.path.read_bytes(), self.path.suffix)
        members = {path.relative_to(self.path).as_posix(): path.read_bytes() for path in self.files}
        return ModelUpload(zip_archive(members), ".zip")


def find_model_file(model: ModelSpec, folder: str | None) -> FoundModel | None:
    """The model's own file or folder; None if it has none, or if that lies on a stage.

    :param folder: where relative paths begin; None for the current folder.
    :raises JobInputError: if it does not exist, is empty or too large, or is a folder where a file is meant.
    """
    if model.file is None or model.file.startswith("@"):
        return None
    path = (Path(folder or ".") / model.file).absolute()
    if not path.exists():
        raise JobInputError(f"model.path: there is no file or folder {path}.")
    if path.is_dir():
        if not model.file_is_folder:
            raise JobInputError(f"model.path: {path} is a folder, the model is one file.")
        files = tuple(_files(path))
        if not files:
            raise JobInputError(f"model.path: the folder {path} is empty.")
    elif model.file_is_folder and path.suffix != ".zip":
        raise JobInputError(f"model.path: {path} is neither a folder nor a zip archive of one.")
    else:
        files = ()
    size = sum(one.stat().st_size for one in files or (path,))
    if size > MOST_BYTES:
        raise JobInputError(
            f"model.path: {model.file} has more than {MOST_BYTES // 2**20} MiB. Put it on a stage, and name that place "
            "as '@database.schema.stage/path'."
        )
    if not size:
        raise JobInputError(f"model.path: {path} is empty.")
    return FoundModel(path, files)


def _files(folder: Path) -> Iterator[Path]:
    """Every file of a folder, links followed, each folder once."""
    seen: set[str] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if name not in _NOT_MODEL)
        yield from (path for name in sorted(names) if (path := Path(parent, name)).is_file())
