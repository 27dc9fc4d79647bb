"""The kinds of models that are a folder as ``transformers`` writes it: what a job file states of each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from airflow_provider_snowflake_batch.contract.job_fields import Fields, JobFileError

COLUMNS: Mapping[str, str] = {
    "text-classification": "TEXT",
    "feature-extraction": "TEXT",
    "image-classification": "IMAGE",
    "automatic-speech-recognition": "AUDIO",
}
"""The tasks of pipelines that there are, and the input column that each reads unless it is told another."""

ENGINES = ("auto", "vllm", "transformers")
"""What can run a chat model; ``auto`` is vLLM where it is installed."""


@dataclass(frozen=True)
class HuggingFaceModel:
    """A pipeline: the folder that ``save_pretrained`` has written, or a zip archive of it.

    :param task: one of `COLUMNS`.
    :param column: the input column that it reads.
    :param batch_tokens: most tokens, padding counted, that go through the model at once; None for a default.
    :param python_path: folders, zip files and wheels with modules that the model needs.
    """

    KIND: ClassVar[str] = "huggingface"

    path: Path
    function: str
    task: str
    column: str
    batch_tokens: int | None = None
    python_path: tuple[Path, ...] = ()

    @classmethod
    def read(cls, fields: Fields, function: str) -> HuggingFaceModel:
        task = fields.get("task", str, required=True)
        if task not in COLUMNS:
            raise JobFileError(f"model.task {task!r} is not one of {', '.join(COLUMNS)}")
        return cls(
            fields.path("path"),
            function,
            task,
            fields.get("column", str, COLUMNS[task]),
            fields.count("batch_tokens"),
            fields.paths("python_path", "directories, zip files and wheels"),
        )

    def fields(self) -> dict[str, Any]:
        given = {"batch_tokens": self.batch_tokens, "python_path": [str(path) for path in self.python_path]}
        stated = {"path": str(self.path), "task": self.task, "column": self.column}
        return stated | {name: value for name, value in given.items() if value}

    def places(self) -> dict[str, tuple[Path, ...]]:
        return {"path": (self.path,), "python_path": self.python_path}


@dataclass(frozen=True)
class ChatModel:
    """A chat model: the folder that ``save_pretrained`` has written, with its tokenizer, or a zip archive of it.

    :param name: the model's name, for the answers.
    :param engine: one of `ENGINES`.
    :param engine_arguments: keyword arguments of what loads the model: vLLM's ``LLM``, or ``from_pretrained``.
    :param batch_tokens: most tokens, those to come and padding counted, that ``transformers`` works on at once.
    :param python_path: folders, zip files and wheels with modules that the model needs.
    """

    KIND: ClassVar[str] = "chat"

    path: Path
    function: str
    name: str
    engine: str = "auto"
    engine_arguments: Mapping[str, Any] = field(default_factory=dict)
    batch_tokens: int | None = None
    python_path: tuple[Path, ...] = ()

    @classmethod
    def read(cls, fields: Fields, function: str) -> ChatModel:
        path = fields.path("path")
        engine = fields.get("engine", str, "auto")
        if engine not in ENGINES:
            raise JobFileError(f"model.engine {engine!r} is not one of {', '.join(ENGINES)}")
        return cls(
            path,
            function,
            fields.get("name", str, path.name),
            engine,
            fields.get("engine_arguments", dict, {}),
            fields.count("batch_tokens"),
            fields.paths("python_path", "directories, zip files and wheels"),
        )

    def fields(self) -> dict[str, Any]:
        given = {
            "engine": self.engine if self.engine != "auto" else None,
            "engine_arguments": dict(self.engine_arguments),
            "batch_tokens": self.batch_tokens,
            "python_path": [str(path) for path in self.python_path],
        }
        stated = {"path": str(self.path), "name": self.name}
        return stated | {name: value for name, value in given.items() if value}

    def places(self) -> dict[str, tuple[Path, ...]]:
        return {"path": (self.path,), "python_path": self.python_path}

    def __hash__(self) -> int:
        return hash(json.dumps([str(self.path), self.fields()], sort_keys=True))


TRANSFORMER_SOURCES: Mapping[str, type[HuggingFaceModel] | type[ChatModel]] = {
    source.KIND: source for source in (HuggingFaceModel, ChatModel)
}
