"""Models that are a folder as ``transformers`` writes it, beside the Dag or on a stage."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Self

from airflow_provider_snowflake_batch.contract import transformer_sources
from airflow_provider_snowflake_batch.contract.model_sources import ModelSource
from airflow_provider_snowflake_batch.contract.transformer_sources import COLUMNS, ENGINES
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.models.base import ModelSpec, check_code, check_place
from airflow_provider_snowflake_batch.jobs.spec_fields import check_json, is_template


@dataclass(frozen=True)
class _FolderModel(ModelSpec):
    """Base of these kinds. A job cannot choose the function: there is one."""

    function: ClassVar[str] = "__call__"  # type: ignore[misc]

    path: str

    @property
    def file(self) -> str:
        return self.path

    @property
    def file_is_folder(self) -> bool:
        return True

    def at(self, code: Sequence[str], file: str | None) -> Self:
        return replace(super().at(code, file), path=file or self.path)

    def __str__(self) -> str:
        return self.path

    __hash__ = ModelSpec.__hash__

    def _check(self, batch_tokens: Any) -> None:
        check_place("model.path", self.path)
        check_code(self)
        # A template makes a text of the number.
        whole = re.fullmatch(r"0*[1-9][0-9]*", batch_tokens if isinstance(batch_tokens, str) else repr(batch_tokens))
        if batch_tokens is not None and not whole and not is_template(batch_tokens):
            raise InvalidJobError("model.batch_tokens", f"expected a whole number above 0, got {batch_tokens!r}.")


@dataclass(frozen=True)
class HuggingFaceModel(_FolderModel):
    """A pipeline of Hugging Face, as ``save_pretrained`` has written it.

    :param path: of the folder, or of a zip archive of it: beside the Dag's file (relative to its folder), or
        ``@database.schema.stage/path``.
    :param task: ``text-classification``, ``feature-extraction``, ``image-classification`` or
        ``automatic-speech-recognition``.
    :param column: the input column that holds texts or files. Default: TEXT, IMAGE or AUDIO.
    :param batch_tokens: most tokens, padding counted, that go through the model at once. Default: 8192 on a processor,
        65536 on a GPU.
    :param code: where modules are that the model needs: as of ``PythonModel``.
    :raises InvalidJobError: if a value is malformed.
    """

    kind: ClassVar[str] = "huggingface"

    task: str
    column: str | None = None
    batch_tokens: int | None = None
    code: str | Sequence[str] | None = None

    def __post_init__(self) -> None:
        self._check(self.batch_tokens)
        if self.task not in COLUMNS and not is_template(self.task):
            raise InvalidJobError("model.task", f"expected one of {', '.join(COLUMNS)}, got {self.task!r}.")
        if self.column is not None and (not isinstance(self.column, str) or not self.column):
            raise InvalidJobError("model.column", f"expected the name of an input column, got {self.column!r}.")

    def source(self, python_path: tuple[Path, ...], file: Path | None) -> ModelSource:
        assert file is not None
        column = self.column or COLUMNS[self.task]
        return transformer_sources.HuggingFaceModel(
            file, self.function, self.task, column, _whole(self.batch_tokens), python_path
        )

    __hash__ = ModelSpec.__hash__


@dataclass(frozen=True)
class ChatModel(_FolderModel):
    """A chat model, as ``save_pretrained`` has written it with its tokenizer. The rows have a column MESSAGES of chats.

    :param path: as of ``HuggingFaceModel``, as is ``code``.
    :param name: the model's name in the answers. Default: the last part of the path.
    :param engine: ``vllm``, ``transformers``, or ``auto`` for vLLM where it is installed.
    :param engine_arguments: keyword arguments of what loads the model: vLLM's ``LLM``, or ``from_pretrained``.
    :param batch_tokens: most tokens, those to come and padding counted, that ``transformers`` works on at once.
    :raises InvalidJobError: if a value is malformed.
    """

    kind: ClassVar[str] = "chat"

    name: str | None = None
    engine: str = "auto"
    engine_arguments: Mapping[str, Any] | None = None
    batch_tokens: int | None = None
    code: str | Sequence[str] | None = None

    def __post_init__(self) -> None:
        self._check(self.batch_tokens)
        if self.engine not in ENGINES and not is_template(self.engine):
            raise InvalidJobError("model.engine", f"expected one of {', '.join(ENGINES)}, got {self.engine!r}.")
        if self.name is not None and (not isinstance(self.name, str) or not self.name):
            raise InvalidJobError("model.name", f"expected a name, got {self.name!r}.")
        given = self.engine_arguments
        if given is not None:
            if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
                raise InvalidJobError("model.engine_arguments", "expected a dict from argument names to values.")
            check_json("model.engine_arguments", given)
            object.__setattr__(self, "engine_arguments", MappingProxyType(dict(given)))

    def source(self, python_path: tuple[Path, ...], file: Path | None) -> ModelSource:
        assert file is not None
        return transformer_sources.ChatModel(
            file,
            self.function,
            self.name or self.path.rstrip("/").rpartition("/")[2].removesuffix(".zip"),
            self.engine,
            self.to_dict().get("engine_arguments", {}),
            _whole(self.batch_tokens),
            python_path,
        )

    __hash__ = ModelSpec.__hash__


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)
