"""Short words for the expressions that the rooms of SQL write most."""

from __future__ import annotations

from typing import Any

from sqlglot import Expr, exp


def call(name: str, *arguments: Expr) -> exp.Anonymous:
    """A function of the engine, or one of its macros, by name."""
    return exp.Anonymous(this=name, expressions=list(arguments))


def string(value: str) -> exp.Literal:
    return exp.Literal.string(value)


def number(value: Any) -> Expr:
    return exp.Literal.number(value)


def either(condition: Expr, then: Expr, otherwise: Expr) -> exp.Case:
    """``CASE WHEN condition THEN then ELSE otherwise END``."""
    return exp.Case(ifs=[exp.If(this=condition, true=then)], default=otherwise)
