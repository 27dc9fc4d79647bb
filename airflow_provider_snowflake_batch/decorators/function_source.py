"""The text of a function in a Dag, which runs elsewhere by itself. If it needs names from around it, it is refused.

The rules are those of Airflow's ``@task.virtualenv``: decorators are left out, the function imports what it uses, and
values are passed to it as arguments. There a mistake shows when the task runs, here when the Dag is parsed.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import itertools
import symtable
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

from airflow.sdk.definitions.context import KNOWN_CONTEXT_KEYS

from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError

DECORATOR = "@task.snowflake_batch"
# What every module has.
_OF_MODULES = frozenset({"__name__", "__file__", "__doc__", "__package__", "__spec__", "__loader__", "__builtins__"})
_KNOWN = frozenset(dir(builtins)) | _OF_MODULES


def read_function(function: Callable[..., Any]) -> str:
    """The function's text from ``def`` on, without decorators and without indentation.

    :raises InvalidJobError: naming what the function needs and would lack where it runs.
    """
    if not isinstance(function, FunctionType) or function.__name__ == "<lambda>":
        shown = "a class" if isinstance(function, type) else getattr(function, "__name__", type(function).__name__)
        raise InvalidJobError(
            DECORATOR,
            f"it takes a function that is written with def, got {shown}. A class is given to "
            "RunBatchOperator(model=PythonModel(…)).",
        )
    name = function.__name__
    if hasattr(function, "__wrapped__"):
        raise _refused(name, "has a decorator of its own, which is not taken along: call what it does inside")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise _refused(name, "yields: return the predictions of all of its rows")
    called_signature(function)
    source = _without_decorators(function)
    if outside := _names_outside(source, name):
        shown = ", ".join(repr(one) for one in outside)
        raise _refused(
            name,
            f"uses {shown} from around it, but runs in a container by itself: import what it needs inside of it, and "
            "pass values as arguments",
        )
    return source


def called_signature(function: Callable[..., Any]) -> inspect.Signature:
    """What the function is called with in the Dag: all parameters but the first, which gets the rows.

    :raises InvalidJobError: its parameters cannot be given by name, or one is named like something of Airflow's.
    """
    name, kinds = function.__name__, inspect.Parameter
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())
    if not parameters or parameters[0].kind not in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD):
        raise _refused(name, "has no parameter for the rows, which come first: def score(rows, …)")
    for parameter in parameters:
        if parameter.name in KNOWN_CONTEXT_KEYS:
            raise _refused(
                name,
                f"has a parameter {parameter.name!r}, which is Airflow's context and not in the container: give it "
                f"another name and a template, as in {name}(day='{{{{ ds }}}}')",
            )
    for parameter in parameters[1:]:
        if parameter.kind in (kinds.POSITIONAL_ONLY, kinds.VAR_POSITIONAL):
            raise _refused(name, f"has a parameter {parameter.name!r} that cannot be given by name")
    return signature.replace(parameters=parameters[1:])


def _without_decorators(function: FunctionType) -> str:
    try:
        # From Python 3.13 on, the text of `python -c` has this name, too, and would be taken for the function's.
        lines = [] if function.__code__.co_filename == "<string>" else inspect.getsourcelines(function)[0]
    except (OSError, TypeError):
        lines = []
    if not lines:
        raise _refused(function.__name__, "has no source file, so its text cannot be had")
    if not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    indentation = len(lines[0]) - len(lines[0].lstrip())
    try:
        # Parsed below an `if`, since it is indented: without the indentation, texts in it might change.
        tree = ast.parse("if True:\n" + "".join(lines)) if indentation else ast.parse("\n" + "".join(lines))
    except SyntaxError:
        raise _refused(function.__name__, "does not stand on lines of its own") from None
    node = next((one for one in ast.walk(tree) if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef))), None)
    if node is None or node.name != function.__name__:
        raise _refused(function.__name__, "is another function than the one that is written there")
    assert node.end_lineno is not None
    within_texts = set(_lines_within_texts(node))
    return "".join(
        line if number in within_texts else _dedented(line, indentation)
        for number, line in enumerate(lines, start=2)
        if node.lineno <= number <= node.end_lineno
    )


def _lines_within_texts(tree: ast.AST) -> Iterator[int]:
    """The lines that begin inside a text that goes over several."""
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.JoinedStr) or (
            isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes))
        )
        if is_text and node.end_lineno is not None:  # type: ignore[attr-defined]
            yield from range(node.lineno + 1, node.end_lineno + 1)  # type: ignore[attr-defined]


def _dedented(line: str, indentation: int) -> str:
    spaces = len(list(itertools.takewhile(str.isspace, line.rstrip("\r\n"))))
    return line[min(indentation, spaces) :]


class _WithoutAnnotations(ast.NodeTransformer):
    """They are not evaluated where the function runs."""

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)


def _names_outside(source: str, name: str) -> list[str]:
    """The names that a function's text uses and does not define: those around it, and misspelled ones."""
    plain = ast.unparse(_WithoutAnnotations().visit(ast.parse(source)))
    try:
        tables = list(_tables(symtable.symtable(plain, name, "exec")))
    except SyntaxError as error:
        raise _refused(name, f"cannot stand alone: {error.msg}") from None
    symbols = [(table, symbol) for table in tables for symbol in table.get_symbols()]
    defined = {
        symbol.get_name()
        for table, symbol in symbols
        if (symbol.is_assigned() or symbol.is_imported())
        and (symbol.is_declared_global() or table.get_type() == "module")
    }
    used = {
        symbol.get_name()
        for table, symbol in symbols
        if symbol.is_referenced() and (symbol.is_global() or table.get_type() == "module")
    }
    return sorted(used - defined - _KNOWN)


def _tables(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _tables(child)


def _refused(name: str, problem: str) -> InvalidJobError:
    return InvalidJobError(DECORATOR, f"{name} {problem}.")
