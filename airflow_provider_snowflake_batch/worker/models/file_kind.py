"""What the kinds have in common whose models are a file of a library's own format."""

from __future__ import annotations

import hashlib
import importlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
import pandas as pd

from airflow_provider_snowflake_batch.contract.file_sources import FileModel
from airflow_provider_snowflake_batch.contract.job_file import JobInput
from airflow_provider_snowflake_batch.worker.errors import Refused
from airflow_provider_snowflake_batch.worker.input.content import BLOCK_BYTES, file_digest
from airflow_provider_snowflake_batch.worker.models.base import ColumnChoice, Description, ModelKind
from airflow_provider_snowflake_batch.worker.models.code_archives import unpack, unpacked
from airflow_provider_snowflake_batch.worker.models.columns import match_columns

Source = TypeVar("Source", bound=FileModel)


class FileKind(ModelKind[Source]):
    """A kind whose model is one file.

    :cvar library: the library's name for people.
    :cvar functions: those that there are.
    :cvar has_params: whether functions take params of the job.
    """

    library: ClassVar[str]
    functions: ClassVar[Sequence[str]]
    has_params: ClassVar[bool] = False

    def prepare(self, model: Source, folder: Path) -> Source:
        return replace(unpacked(model, folder), path=copied(model.path, folder / "model"))

    def describe(self, model: Source, input_files: JobInput) -> Description:
        if model.function not in self.functions:
            raise Refused(f"{self.library} models have no function {model.function!r}: {', '.join(self.functions)}")
        if input_files.params and not self.has_params:
            raise Refused(f"functions of {self.library} models take no params, got {', '.join(input_files.params)}")
        stated = {name: value for name, value in model.fields().items() if name not in ("path", "python_path")}
        digest = hashlib.sha256(json.dumps([model.function, stated], sort_keys=True).encode())
        files = sorted(one for one in self.own_folder(model).rglob("*") if one.is_file())
        for path in files:
            digest.update(file_digest(path))
        return Description(f"{model.KIND}:{digest.hexdigest()}")

    def own_folder(self, model: Source) -> Path:
        """The folder that holds what was copied, and nothing else."""
        return model.path.parent

    def folders(self, model: Source) -> Sequence[Path]:
        return [self.own_folder(model), *model.python_path]


def copied(path: Path, folder: Path) -> Path:
    """A copy of a file in local temporary space: libraries read scattered pieces, which is slow on a mounted stage.

    :param folder: it is made.
    :raises Refused: there is no such file, or it does not fit in there.
    """
    folder.mkdir()
    target = folder / path.name
    try:
        with open(path, "rb", buffering=0) as source, open(target, "wb") as copy:
            shutil.copyfileobj(source, copy, BLOCK_BYTES)
    except FileNotFoundError:
        raise Refused(f"model.path: {path} does not exist") from None
    except OSError as error:
        raise Refused(f"model.path: {path} cannot be copied to {folder}: {error.strerror or error}") from None
    return target


def copied_folder(path: Path, folder: Path) -> Path:
    """A copy of a folder, or of what a zip file of one holds, in local temporary space.

    :param folder: it is made, and is the copy.
    :raises Refused: it does not exist, is something else, or does not fit in there.
    """
    if path.is_dir():
        try:
            shutil.copytree(path, folder, copy_function=shutil.copyfile)
        except (OSError, shutil.Error) as error:
            raise Refused(f"model.path: {path} cannot be copied to {folder}: {error}") from None
    elif path.exists():
        unpack(path, folder, "model.path")
    else:
        raise Refused(f"model.path: {path} does not exist")
    return folder


def import_library(module: str, package: str, extra: str = "") -> Any:
    """A library that a kind of model needs.

    :param package: what brings it.
    :param extra: more about where it is missing, as a sentence.
    :raises Refused: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
    where = f" {extra}" if extra else ""
    raise Refused(
        f"the package {package} is not installed here, which the model needs.{where} Take an image that has it, or "
        "give its wheel, unpacked or not, as code of the model (python_path)"
    )


def chosen_columns(
    library: str,
    names: Sequence[str],
    count: int | None,
    given: Sequence[str],
    spelled: Any = str,
) -> ColumnChoice:
    """Which input columns a model gets: those that the job names, else the model's own by name, else all.

    :param names: of the columns that the model was trained with; empty if it does not know them.
    :param count: how many these are, if that is known.
    :param given: ``model.columns``.
    :param spelled: how the library spells a column's name.
    :raises Refused: not as many are given as the model was trained with.
    """
    count = len(names) or count
    if given and count is not None and len(given) != count:
        raise Refused(f"model.columns names {len(given)} columns, the {library} model was trained with {count}")

    def choose(columns: Sequence[str]) -> Mapping[str, str]:
        if given:
            found = match_columns(given, columns, "model column")
            return dict(zip(names or given, found, strict=True))
        if names:
            texts = [spelled(column) for column in columns]
            places = [texts.index(text) for text in match_columns(names, texts, "model column")]
            return dict(zip(names, (columns[place] for place in places), strict=True))
        if count is not None and len(columns) != count:
            raise Refused(
                f"the {library} model was trained with {count} columns and does not know their names, the input has "
                f"{len(columns)}: name those that it gets in model.columns, in the order of the training"
            )
        return {name: name for name in columns}

    return choose


def without_names(frame: pd.DataFrame) -> np.ndarray:
    """Rows for a model that was trained without names of columns."""
    if any(pd.api.types.is_extension_array_dtype(kind) for kind in frame.dtypes) and all(
        pd.api.types.is_numeric_dtype(kind) for kind in frame.dtypes
    ):
        return frame.to_numpy(dtype=np.float64, na_value=np.nan)
    return frame.to_numpy()


def named_outputs(word: str, values: Any, names: Sequence[Any] = ()) -> dict[str, Any]:
    """What a model returned as columns: ``WORD``, or ``WORD_<name>`` for each index of a second dimension.

    :param names: for these indexes, such as the classes of probabilities; numbers if there are not as many.
    """
    array = values if isinstance(values, np.ndarray) else np.asarray(values)
    if array.ndim != 2:
        return {word: array}
    labels = list(names) if len(names) == array.shape[1] else list(range(array.shape[1]))
    return {f"{word}_{label}": array[:, index] for index, label in enumerate(labels)}
