"""Functions of SQL that the server answers itself, wherever they stand in a query, and CALL of them.

A scalar function becomes its value, a table function becomes its rows, before the SQL engine sees the statement.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from airflow_provider_snowflake_batch.local.errors import SnowflakeError
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.snowflake_names import has_function
from airflow_provider_snowflake_batch.local.statements import Column, Result, Statement, statement
from airflow_provider_snowflake_batch.local.wiring import Function, Parts, Registrations


@dataclass(slots=True)
class Arguments:
    """The arguments of a call, as plain values: strings, numbers, booleans, None."""

    positional: list[Any] = field(default_factory=list)
    named: dict[str, Any] = field(default_factory=dict)
    """``NAME => value``, by upper-case name."""
    known: set[str] = field(default_factory=set)
    """The names that the function has asked for."""

    def get(self, position: int, name: str = "", default: Any = None) -> Any:
        self.known.add(name.upper())
        if position < len(self.positional):
            return self.positional[position]
        return self.named.get(name.upper(), default)

    def refuse_others(self, function: str) -> None:
        """:raises SnowflakeError: 1003 for a name that the function has not asked for, which says nothing to it."""
        for name in self.named:
            if name not in self.known:
                known = ", ".join(sorted(self.known - {""})) or "no names"
                raise SnowflakeError(
                    f"SQL compilation error:\nInvalid argument name '{name}' for {function}: the local Snowflake knows "
                    f"{known}.",
                    errno=1003,
                    sqlstate="42000",
                )


ScalarFunction = Callable[..., Any]
TableFunction = Callable[..., Result]
Method = Callable[..., Result]
View = Callable[..., Result]
ExpressionFunction = Callable[..., Any]

# Each is called with the statement and what the decorator says; further parameters are parts of the server.
_SCALAR: Registrations[ScalarFunction] = Registrations(called_with=2)
_TABLE: Registrations[TableFunction] = Registrations(called_with=2)
_METHODS: Registrations[Method] = Registrations(called_with=3)
_VIEWS: Registrations[View] = Registrations(called_with=2)
_EXPRESSION: Registrations[ExpressionFunction] = Registrations(called_with=2)


class Functions:
    """The functions, by upper-case name, once they are wired.

    ``scalar`` ones are called with the statement and :class:`Arguments`, ``table`` ones too; ``methods`` with the
    statement, the object's name in parts and the arguments; ``views`` with the statement and the database's name;
    ``expression`` ones with the statement and the arguments as expressions of the engine.
    """

    def __init__(self) -> None:
        self.scalar: dict[str, ScalarFunction] = {}
        self.table: dict[str, TableFunction] = {}
        self.methods: dict[str, Method] = {}
        self.views: dict[str, View] = {}
        self.expression: dict[str, ExpressionFunction] = {}

    def answers(self, name: str) -> bool:
        """Whether the server has a scalar function of this name."""
        return name in self.scalar or name in self.expression

    def wire(self, modules: Iterable[ModuleType], parts: Parts) -> None:
        """Take the functions of these modules, with the parts that they ask for.

        :raises TypeError: when a function asks for what is no part.
        """
        modules = list(modules)
        self.scalar |= _SCALAR.of(modules, parts)
        self.table |= _TABLE.of(modules, parts)
        self.methods |= _METHODS.of(modules, parts)
        self.views |= _VIEWS.of(modules, parts)
        self.expression |= _EXPRESSION.of(modules, parts)


def scalar_function(*names: str) -> Callable[[Function], Function]:
    """Register the function for ``NAME(…)`` in any expression: it returns a string, number, boolean or None.

    >>> @scalar_function("SYSTEM$GET_SERVICE_LOGS")
    ... def logs(statement: Statement, arguments: Arguments, spcs: SpcsControlPlane) -> str: ...
    """

    def register(function: Function) -> Function:
        _SCALAR.add(names, function)
        return function

    return register


def expression_function(name: str) -> Callable[[Function], Function]:
    """Register the function for ``NAME(…)`` whose value differs from row to row.

    It gets the arguments as expressions of the SQL engine, a stage among them as text, and returns one.
    """

    def register(function: Function) -> Function:
        _EXPRESSION.add([name], function)
        return function

    return register


def table_function(name: str) -> Callable[[Function], Function]:
    """Register the function for ``TABLE(NAME(…))`` in any FROM; ``name`` as written, dots included.

    >>> @table_function("SNOWFLAKE.SPCS.GET_JOB_HISTORY")
    ... def history(statement: Statement, arguments: Arguments, spcs: SpcsControlPlane) -> Result: ...
    """

    def register(function: Function) -> Function:
        @functools.wraps(function)
        def called(statement: Statement, arguments: Arguments, **parts: Any) -> Any:
            result = function(statement, arguments, **parts)
            arguments.refuse_others(name)
            return result

        _TABLE.add([name], called)
        return function

    return register


def method(name: str) -> Callable[[Function], Function]:
    """Register the function for ``TABLE(<object>!NAME(…))``; it gets the object's name in parts."""

    def register(function: Function) -> Function:
        @functools.wraps(function)
        def called(statement: Statement, name_parts: tuple[str, ...], arguments: Arguments, **parts: Any) -> Any:
            result = function(statement, name_parts, arguments, **parts)
            arguments.refuse_others(name)
            return result

        _METHODS.add([name], called)
        return function

    return register


def information_schema_view(name: str) -> Callable[[Function], Function]:
    """Register the function for ``[<database>.]INFORMATION_SCHEMA.NAME`` in any FROM; it gets the database's name."""

    def register(function: Function) -> Function:
        _VIEWS.add([name], function)  # type: ignore[arg-type]
        return function

    return register


def read_arguments(cursor: Cursor) -> Arguments:
    """The arguments between the next ``(`` and its ``)``, which are constants.

    :raises SnowflakeError: 1003 for anything but literals, signs, TRUE, FALSE, NULL and lists of them.
    """
    cursor.expect("(")
    arguments = Arguments()
    while not cursor.accept(")"):
        name_token, arrow = cursor.peek(), cursor.peek(1)
        if name_token is not None and name_token.kind == "word" and arrow is not None and arrow.text == "=>":
            cursor.at += 2
            arguments.named[name_token.value] = read_constant(cursor)
        else:
            arguments.positional.append(read_constant(cursor))
        if not cursor.looking_at(")"):
            cursor.expect(",")
    return arguments


def read_constant(cursor: Cursor) -> Any:
    if cursor.accept("("):
        listed = []
        while not cursor.accept(")"):
            listed.append(read_constant(cursor))
            cursor.accept(",")
        return listed
    negative = cursor.accept("-")
    token = cursor.next()
    if token.kind == "number":
        value = float(token.value) if any(sign in token.value for sign in ".eE") else int(token.value)
        return -value if negative else value
    if token.kind in ("string", "stage") and not negative:
        value_text = token.value
        if cursor.accept("::"):
            # A cast of a literal says nothing that the function does not know: it reads text.
            cursor.name()
            if cursor.looking_at("("):
                cursor.parenthesised()
        return value_text
    if token.kind == "word" and token.value in ("TRUE", "FALSE", "NULL") and not negative:
        return {"TRUE": True, "FALSE": False, "NULL": None}[token.value]
    cursor.at -= 1
    raise cursor.unexpected("a constant")


def unknown_function(name: str, kind: str = "function") -> SnowflakeError:
    """A function that this server lacks, with the number that tells clients so, wherever an account has it or not."""
    is_table_function = kind != "function"
    if has_function(name.rpartition(".")[2]):
        what = f"The {kind} {name} is not supported by the local Snowflake."
    else:
        what = f"Unknown {kind} {name}. If an account has it: it is not supported by the local Snowflake."
    return SnowflakeError(
        f"SQL compilation error:\n{what}",
        errno=2143 if is_table_function else 2140,
        sqlstate="42601",
    )


def unknown_table_function(name: str) -> SnowflakeError:
    return unknown_function(name, "user-defined table function")


def unknown_view(name: str) -> SnowflakeError:
    """A view of INFORMATION_SCHEMA that this server lacks, with the number of one that is not there."""
    return SnowflakeError(
        f"SQL compilation error:\nObject '{name}' does not exist or not authorized. If an account has this view: it is "
        "not supported by the local Snowflake. SHOW may tell what it would.",
        errno=2003,
        sqlstate="42S02",
    )


@statement("CALL")
def call(statement: Statement, cursor: Cursor, functions: Functions) -> Result:
    parts = cursor.name()
    if cursor.accept("!"):
        called = cursor.next().value
        method = functions.methods.get(called)
        if method is None:
            raise unknown_function(f"{'.'.join(parts)}!{called}")
        arguments = read_arguments(cursor)
        cursor.end()
        return method(statement, parts, arguments)
    function = functions.scalar.get(parts[0]) if len(parts) == 1 else None
    if function is None:
        raise unknown_function(".".join(parts))
    arguments = read_arguments(cursor)
    cursor.end()
    return Result([Column(parts[0])], [(function(statement, arguments),)])
