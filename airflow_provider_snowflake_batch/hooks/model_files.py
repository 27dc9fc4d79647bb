"""A model's own file or folder beside the Dag, as the file that is uploaded."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_snowflake_batch.exceptions import JobInputError
from airflow_provider_snowflake_batch.hooks.folder_files import MOST_BYTES, files_of, packed, refusing
from airflow_provider_snowflake_batch.jobs.models import ModelSpec

_FIELD = "model.path"
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
        """:raises JobInputError: if a file cannot be read, or its name is no text."""
        if not self.files:
            with refusing(_FIELD):
                return ModelUpload(self.path.read_bytes(), self.path.suffix)
        members = {path.relative_to(self.path).as_posix(): path for path in self.files}
        return ModelUpload(packed(members, _FIELD), ".zip")


def find_model_file(model: ModelSpec, folder: str | None) -> FoundModel | None:
    """The model's own file or folder; None if it has none, or if that lies on a stage.

    :param folder: where relative paths begin; None for the current folder.
    :raises JobInputError: if it does not exist, is empty or too large, cannot be read, or is a folder where a file is
        meant.
    """
    if model.file is None or model.file.startswith("@"):
        return None
    path = (Path(folder or ".") / model.file).absolute()
    if not path.exists():
        raise JobInputError(f"model.path: there is no file or folder {path}.")
    if path.is_dir():
        if not model.file_is_folder:
            raise JobInputError(f"model.path: {path} is a folder, the model is one file.")
        files = tuple(files_of(path, lambda name: name not in _NOT_MODEL, _FIELD))
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
