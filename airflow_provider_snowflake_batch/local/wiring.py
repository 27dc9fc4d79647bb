"""How a function that answers a statement gets the parts of the server that it works with: by its own signature.

A parameter beyond those of each call names, as its annotation, the class of a part: ``registry: ModelRegistry``.
:mod:`~airflow_provider_snowflake_batch.local.server` says which parts there are.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Generic, TypeVar, get_type_hints

Function = TypeVar("Function", bound=Callable[..., object])


class Parts:
    """The parts of one server, each the only one of its class.

    :raises TypeError: for two of one class, which a signature could not tell apart.
    """

    def __init__(self, parts: Iterable[object]) -> None:
        self._by_class: dict[type, object] = {}
        for part in parts:
            if self._by_class.setdefault(type(part), part) is not part:
                raise TypeError(f"two parts of the server are a {type(part).__qualname__}.")

    def give(self, function: Function, called_with: int) -> Function:
        """The function with the parts that it asks for.

        :param called_with: how many parameters, the first ones, each call gives.
        :raises TypeError: for a parameter that is none of them and names no part.
        """
        asked = list(inspect.signature(function).parameters)[called_with:]
        if not asked:
            return function
        classes = get_type_hints(function)
        given = {}
        for name in asked:
            part = self._by_class.get(classes.get(name, type(None)))
            if part is None:
                raise TypeError(
                    f"{function.__module__}.{function.__qualname__} asks for {name}: {classes.get(name)}, "
                    "which is no part of the server (local/server.py)."
                )
            given[name] = part
        return functools.partial(function, **given)  # type: ignore[return-value]


class Registrations(Generic[Function]):
    """The functions of one kind, as the decorators in the modules have registered them.

    :param called_with: how many arguments each call gives.
    """

    def __init__(self, called_with: int) -> None:
        self._called_with = called_with
        self._found: list[tuple[str, str, Function]] = []

    def add(self, names: Iterable[str], function: Function) -> Function:
        self._found += [(function.__module__, name.upper(), function) for name in names]
        return function

    def of(self, modules: Iterable[ModuleType], parts: Parts) -> dict[str, Function]:
        """Those of these modules by name, with the parts that they ask for.

        :raises TypeError: for a part that is not there, or two functions of one name.
        """
        wanted = {module.__name__ for module in modules}
        given: dict[str, Function] = {}
        for module, name, function in self._found:
            if module in wanted:
                if name in given:
                    raise TypeError(f"{name} has two functions; one is in {module}.")
                given[name] = parts.give(function, self._called_with)
        return given
