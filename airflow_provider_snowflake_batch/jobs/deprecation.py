"""How public names are given up: an old name goes on working, and warns until when it does and what replaces it."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import ParamSpec, TypeVar

# Airflow puts another `warnings` into the module of an operator's `__init__`, which shifts stack levels.
from warnings import warn

from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError

P = ParamSpec("P")
R = TypeVar("R")

_PACKAGE = f"{Path(__file__).parents[1]}{os.sep}"


class SnowflakeBatchDeprecationWarning(DeprecationWarning):
    """Something of this package will be gone in a later version."""


def deprecated(what: str, *, gone_in: str, instead: str) -> None:
    """Warn, at the line that has called into this package.

    :param what: for example ``RunBatchOperator(model_version=…)``.
    :param gone_in: the version that will be without it.
    :param instead: what to write.
    """
    message = f"{what} will be gone in version {gone_in}: write {instead}."
    warn(message, SnowflakeBatchDeprecationWarning, stacklevel=_callers_level())


def renamed_parameters(*, gone_in: str, **names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function or an ``__init__`` take parameters by their earlier names, with a warning.

    :param gone_in: the version that will be without them.
    :param names: each earlier name, and the one that it has now.
    :raises InvalidJobError: in the function, if both names are given.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        owner = function.__qualname__.removesuffix(".__init__")

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            for old in names.keys() & kwargs.keys():
                new = names[old]
                if new in kwargs:
                    raise InvalidJobError(old, f"is the earlier name of {new}: give {new} only.")
                deprecated(f"{owner}({old}=…)", gone_in=gone_in, instead=f"{new}=…")
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        call.__signature__ = _with_optional(inspect.signature(function), names.values())  # type: ignore[attr-defined]
        return call

    return decorate


def _with_optional(signature: inspect.Signature, names: Collection[str]) -> inspect.Signature:
    """Airflow looks for missing parameters of operators by the signature, and they may be there by the earlier name."""
    return signature.replace(
        parameters=[
            each.replace(default=None)
            if each.name in names and each.kind is each.KEYWORD_ONLY and each.default is each.empty
            else each
            for each in signature.parameters.values()
        ]
    )


def _callers_level() -> int:
    """The stack level, for whoever calls this function's caller, of the first line that is not this package's.

    Airflow calls an operator's ``__init__`` through functions of its own.
    """
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and _is_between(frame.f_code.co_filename, frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back
    return level


def _is_between(file: str, module: str) -> bool:
    return file.startswith(_PACKAGE) or module.partition(".")[0] == "airflow"
