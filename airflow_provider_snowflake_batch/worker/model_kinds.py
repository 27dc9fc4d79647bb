"""The table of the kinds of models: by the word that a job file has in ``model.kind``.

Those of this package have their part of the job file in ``contract/model_sources.py``, and the rest in the module of
their name in ``models``. Others come from packages that are installed beside the worker, which name their `ModelKind`
under the entry-point group `GROUP`. Entry points are looked for only where a job names a kind that is not built in:
that costs a search through all installed packages. Imports nothing heavy, because the job file is read before the
process that loads the model is started.
"""

from __future__ import annotations

import importlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from airflow_provider_snowflake_batch.contract.model_sources import MODEL_SOURCES, ModelSource, built_in_source
from airflow_provider_snowflake_batch.worker.errors import Refused

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from airflow_provider_snowflake_batch.worker.models.base import ModelKind

GROUP = "airflow_provider_snowflake_batch.models"
_MODULES = "airflow_provider_snowflake_batch.worker.models"


def find_source(word: str) -> type[ModelSource]:
    """What reads the part of the job file that is of a kind's own.

    :raises JobFileError: there is no such kind.
    :raises Refused: the package that brings it cannot be loaded.
    """
    if word in MODEL_SOURCES:
        return MODEL_SOURCES[word]
    if not _brought(word):
        return built_in_source(word, tuple(sorted({entry.name for entry in _installed()})))
    return find_kind(word).source


@lru_cache
def find_kind(word: str) -> ModelKind[Any]:
    """How models of a kind are described and loaded.

    :param word: of a kind for which `find_source` has found a source.
    :raises Refused: the package that brings it cannot be loaded, or brings something else.
    """
    if word in MODEL_SOURCES:
        return importlib.import_module(f"{_MODULES}.{word}").Kind()  # type: ignore[no-any-return]
    (entry,) = _brought(word)
    from airflow_provider_snowflake_batch.worker.models.base import ModelKind

    try:
        found = entry.load()
    except Exception as error:
        raise Refused(f"model.kind {word!r} of {_package(entry)} cannot be loaded: {_in_words(error)}") from None
    if not (isinstance(found, type) and issubclass(found, ModelKind)) or word != found.source.KIND:
        raise Refused(
            f"model.kind {word!r} of {_package(entry)}: {entry.value} is no ModelKind whose source is {word!r}"
        )
    return found()


def _brought(word: str) -> list[EntryPoint]:
    """The entry point of a kind, if one is installed.

    :raises Refused: several packages bring it.
    """
    # A package may be found in two places on the path.
    found = list({entry.value: entry for entry in _installed() if entry.name == word}.values())
    if len(found) > 1:
        raise Refused(f"model.kind {word!r} is brought by several packages: {', '.join(sorted(map(_package, found)))}")
    return found


def _installed() -> list[EntryPoint]:
    from importlib.metadata import entry_points

    return list(entry_points(group=GROUP))


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else entry.value


def _in_words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
