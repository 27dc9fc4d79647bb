"""What every kind of model gives to the pipeline."""

from __future__ import annotations

import copy
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar

from airflow_provider_snowflake_batch.contract.job_file import JobInput
from airflow_provider_snowflake_batch.contract.model_sources import ModelSource
from airflow_provider_snowflake_batch.worker.models.signature import Signature

DataForm = Literal["pandas", "arrow"]
#: Takes the input's columns, and returns which of them the model gets: the name that it gets, and the column.
#: Raises Refused where they do not fit.
ColumnChoice = Callable[[Sequence[str]], Mapping[str, str]]
Source = TypeVar("Source", bound=ModelSource)
#: Tokens that go through a model at once by default: on a processor, more are hardly faster.
DEFAULT_BATCH_TOKENS = 8192


@dataclass(frozen=True)
class Description:
    """What is known of a model before it is loaded.

    :param signature: inputs, outputs and parameters, or None where the kind of model has none.
    :param partitioned: it takes a whole group and returns any number of rows for it.
    :param identity: changes when the model does; a finished task counts only for the model that did it.
    """

    identity: str
    signature: Signature | None = None
    partitioned: bool = False


@dataclass
class LoadedModel:
    """A model in memory, ready to be called.

    :param call: takes the rows and returns the predictions, in any of the forms that `results` understands.
    :param form: in which form the rows are given.
    :param partitioned: it takes a whole group and returns any number of rows for it.
    :param columns: the input columns that are given, in this order and so named, or what chooses them of those that
        there are; None for those of the signature, else for all.
    :param sorts: it works faster on rows of like lengths, and looks for them among those that it is given.
    :param lengths: how long each row is, in tokens: rows of like lengths are given together, of at most
        ``batch_tokens`` in a call, padding counted.
    """

    call: Callable[[Any], Any]
    form: DataForm = "pandas"
    columns: Sequence[str] | ColumnChoice | None = None
    signature: Signature | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    partitioned: bool = False
    sorts: bool = False
    lengths: Callable[[Any], Sequence[int]] | None = None
    batch_tokens: int = DEFAULT_BATCH_TOKENS


class ModelKind(ABC, Generic[Source]):
    """A kind of model: what is known of its models, which files are theirs, and how they are loaded.

    :cvar source: what the job file states of such a model, and reads and checks it.
    """

    source: ClassVar[type[ModelSource]]

    def prepare(self, model: Source, folder: Path) -> Source:
        """The model as it can be used: files that cannot be used where they lie are copied. Called once, and first.

        :param folder: for temporary files, which other processes of the job see as well; it is removed with the job.
        :raises Refused: it cannot be had.
        """
        return model

    @abstractmethod
    def describe(self, model: Source, input_files: JobInput) -> Description:
        """What is known of a model without loading it. Called once, by the process that plans the batch.

        :raises Refused: the model does not exist, has no such function, or does not take the job's parameters.
        """

    @abstractmethod
    def load(self, model: Source, input_files: JobInput) -> LoadedModel:
        """Load a model into this process.

        :raises Refused: as `describe`.
        :raises Exception: whatever the model's own code raises.
        """

    def folders(self, model: Source) -> Sequence[Path]:
        """The folders below which every file may be read by the model: a finished task counts as long as none changes.

        :raises Refused: the model does not exist.
        """
        return [path for paths in model.places().values() for path in paths]


def bind(function: Callable[..., Any], params: Mapping[str, Any]) -> Callable[[Any], Any]:
    """A call with the rows only; a coroutine function is run to its end.

    Each call has lists and objects of the params to itself: what it does with them changes no other call.
    """
    if inspect.iscoroutinefunction(function):
        import asyncio

        return lambda rows: asyncio.run(function(rows, **copy.deepcopy(dict(params))))
    if params:
        return lambda rows: function(rows, **copy.deepcopy(dict(params)))
    return function
