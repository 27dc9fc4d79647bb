"""Any Python class or function: ``module:Class``, made once, its method called with a batch of rows.

The class is made with ``init`` as keyword arguments. Its method takes the rows as first argument, a pandas DataFrame
unless the class sets ``input_format = "arrow"`` (then a ``pyarrow.Table``), and the job's params as keyword arguments.
A function is called as such a method is; what a class says by its attributes, it may say by its own.
The rows have all input columns, or those that the class lists in ``input_columns``, in that order and so named.
With ``length_of`` (a method that tells how long each row is, or the name of a column of texts), rows of like lengths go
into a call together, at most ``batch_tokens`` with their padding.
With ``input.partition_column``, a class that sets ``partitioned = True`` may return any number of rows for a group.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa

from airflow_provider_snowflake_batch.contract.job_file import DEFAULT_FUNCTION, JobInput
from airflow_provider_snowflake_batch.contract.model_sources import PythonModel
from airflow_provider_snowflake_batch.worker.errors import Refused
from airflow_provider_snowflake_batch.worker.models.base import (
    DEFAULT_BATCH_TOKENS,
    DataForm,
    Description,
    LoadedModel,
    ModelKind,
    bind,
)
from airflow_provider_snowflake_batch.worker.models.code_archives import import_from, unpacked


class Kind(ModelKind[PythonModel]):
    source = PythonModel

    def prepare(self, model: PythonModel, folder: Path) -> PythonModel:
        return unpacked(model, folder)

    def describe(self, model: PythonModel, input_files: JobInput) -> Description:
        return describe(model)

    def load(self, model: PythonModel, input_files: JobInput) -> LoadedModel:
        return load(model, input_files)


def describe(model: PythonModel) -> Description:
    """The target, its arguments and the source files beside it.

    :raises Refused: a directory of ``python_path`` does not exist, or a source file cannot be read.
    """
    digest = hashlib.sha256(json.dumps([model.target, model.function, dict(model.init)], sort_keys=True).encode())
    for folder in model.python_path:
        if not folder.is_dir():
            raise Refused(f"model.python_path: {folder} does not exist")
        for path in sorted(folder.rglob("*.py")):
            # A folder may have such a name, and a link may lead nowhere, as an editor's lock does.
            if not path.is_file():
                continue
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
            try:
                digest.update(path.read_bytes())
            except OSError as error:
                raise Refused(f"model.python_path: cannot read {path}: {error.strerror or error}") from None
    return Description(identity=f"python:{digest.hexdigest()}")


def load(model: PythonModel, input_files: JobInput) -> LoadedModel:
    """Import the module and make the class.

    :raises Refused: there is no such class or function, or the function does not take the job's params.
    """
    import_from(model.python_path)
    module_name, _, qualified_name = model.target.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None:
            raise
        if not (module_name + ".").startswith(error.name + "."):
            raise ModuleNotFoundError(
                f"{error}; module {module_name!r} needs it, and it is neither in the model's code (python_path) nor "
                "installed here: give it as code, too, or take an image that has it",
                name=error.name,
            ) from error
        raise Refused(
            f"model.target: there is no module {error.name!r}, neither in the model's code (python_path) nor installed "
            "here: give the file or folder that has it as code"
        ) from None
    for name in qualified_name.split("."):
        if not hasattr(found, name):
            raise Refused(f"model.target: module {module_name!r} has no {qualified_name!r}")
        found = getattr(found, name)
    instance, function = _function_of(found, model) if inspect.isfunction(found) else _method_of(found, model)
    called = model.target if inspect.isfunction(found) else f"{model.target}.{model.function}"
    check_params(function, called, input_files.params)
    form: Any = getattr(instance, "input_format", "pandas")
    if form not in get_args(DataForm):
        raise Refused(f"{model.target}.input_format is {form!r}; supported: {', '.join(get_args(DataForm))}")
    columns: Any = getattr(instance, "input_columns", None)
    lengths, batch_tokens = _lengths_of(instance, model.target)
    return LoadedModel(
        call=bind(function, input_files.params),
        form=form,
        columns=None if columns is None else [str(name) for name in columns],
        params=input_files.params,
        partitioned=bool(getattr(instance, "partitioned", False)),
        sorts=lengths is not None,
        lengths=lengths,
        batch_tokens=batch_tokens,
    )


def _lengths_of(instance: Any, target: str) -> tuple[Callable[[Any], Sequence[int]] | None, int]:
    """How long rows are, as the model says, and how many tokens it takes in a call.

    :raises Refused: it says something else.
    """
    length_of: Any = getattr(instance, "length_of", None)
    tokens: Any = getattr(instance, "batch_tokens", DEFAULT_BATCH_TOKENS)
    if length_of is None:
        return None, DEFAULT_BATCH_TOKENS
    if isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < 1:
        raise Refused(f"{target}.batch_tokens is {tokens!r}; it is the most tokens of a call, at least 1")
    if getattr(instance, "partitioned", False):
        raise Refused(f"{target} takes a group in one call (partitioned), so it cannot have length_of as well")
    if isinstance(length_of, str):
        return partial(_characters, length_of), tokens
    if not callable(length_of):
        raise Refused(f"{target}.length_of is {length_of!r}; it is a method, or the name of a column of texts")
    return length_of, tokens


def _characters(column: str, rows: Any) -> list[int]:
    """The lengths of texts; NULL has none."""
    texts = rows[column].to_pylist() if isinstance(rows, pa.Table) else rows[column].tolist()
    return [len(text) if isinstance(text, (str, bytes)) else 0 for text in texts]


def _method_of(found: Any, model: PythonModel) -> tuple[Any, Callable[..., Any]]:
    instance = found(**model.init)
    method = getattr(instance, model.function, None)
    if not callable(method):
        raise Refused(f"{model.target} has no function {model.function!r}")
    return instance, method


def _function_of(found: Callable[..., Any], model: PythonModel) -> tuple[Any, Callable[..., Any]]:
    if model.function not in (DEFAULT_FUNCTION, "__call__"):
        raise Refused(f"{model.target} is a function, which has no function {model.function!r}")
    if model.init:
        raise Refused(f"{model.target} is a function, which is not made with init: give its arguments as params")
    return found, found


def check_params(function: Callable[..., Any], name: str, params: Mapping[str, Any]) -> None:
    """Hold that a function takes the job's params beside the rows.

    :param name: the function's, for errors.
    :raises Refused: it does not know one, or needs another.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())[1:]
    except (TypeError, ValueError):
        return
    kinds = inspect.Parameter
    known = {item.name for item in parameters if item.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)}
    if any(item.kind is kinds.VAR_KEYWORD for item in parameters):
        return
    unknown = sorted(set(params) - known)
    if unknown:
        hint = f"it takes {', '.join(sorted(known))}" if known else "it takes none"
        raise Refused(f"{name} has no parameter {unknown[0]!r}; {hint}")
    needed = [item.name for item in parameters if item.name in known and item.default is kinds.empty]
    missing = [one for one in needed if one not in params]
    if missing:
        raise Refused(f"{name} needs the parameter {missing[0]!r}")
