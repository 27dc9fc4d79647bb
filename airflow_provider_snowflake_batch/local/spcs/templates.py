"""Specification templates: ``{{ name }}`` and ``{{ name | default('x') }}``, filled from the USING clause.

They are Jinja's, of which no more than this is documented; all else is refused. So Jinja reads them, and nothing of
them is run. https://docs.snowflake.com/en/developer-guide/snowpark-container-services/working-with-services
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from airflow_provider_snowflake_batch.local.errors import SnowflakeError, invalid_specification, not_supported
from airflow_provider_snowflake_batch.local.parsing import Cursor

if TYPE_CHECKING:
    from jinja2 import nodes


def fill(template: str, values: Mapping[str, str]) -> str:
    """The template with its variables by their values, whose names are found without regard to case.

    :raises SnowflakeError: 395018 for a variable without a value, or what is no template; "not supported" for more than
        variables.
    """
    # Loaded by the few statements that have a template, not by the server's start.
    from jinja2 import Environment, TemplateSyntaxError
    from jinja2.nodes import Output

    # A shell's ${#name} is no comment.
    environment = Environment(keep_trailing_newline=True, comment_start_string="{#\0", comment_end_string="\0#}")
    known = {name.upper(): value for name, value in values.items()}
    try:
        for line, kind, text in environment.lex(template):
            if kind == "block_begin":
                raise not_supported(f"A template's {text} (line {line})")
        tree = environment.parse(template)
    except TemplateSyntaxError as error:
        raise invalid_specification(f"no valid template in line {error.lineno}: {error.message}.") from error
    outputs = [node for node in tree.body if isinstance(node, Output)]
    return "".join(_filled(piece, known) for output in outputs for piece in output.nodes)


def _filled(piece: nodes.Expr, known: Mapping[str, str]) -> str:
    from jinja2.nodes import Filter, Name, TemplateData

    if isinstance(piece, TemplateData):
        return str(piece.data)
    default: str | None = None
    variable: nodes.Expr | None = piece
    if isinstance(piece, Filter) and piece.name in ("default", "d") and len(piece.args) == 1 and not piece.kwargs:
        default, variable = _constant(piece.args[0]), piece.node
    if not isinstance(variable, Name):
        raise _more_than_a_variable(piece)
    value = known.get(variable.name.upper(), default)
    if value is None:
        raise invalid_specification(f"template variable '{variable.name}' has no value and no default.")
    return value


def _constant(node: nodes.Expr) -> str:
    """A default's text; it may stand without quotes."""
    from jinja2.nodes import Const, Name

    if isinstance(node, Name):
        return str(node.name)
    if not isinstance(node, Const):
        raise _more_than_a_variable(node)
    return str(node.value).lower() if isinstance(node.value, bool) else str(node.value)


def _more_than_a_variable(node: nodes.Expr) -> SnowflakeError:
    return not_supported(f"In a template, more than a variable and its default (line {node.lineno}),")


def using(cursor: Cursor) -> dict[str, str]:
    """The USING clause, cursor placed after the keyword: ``( key => value [, …] )``."""
    values: dict[str, str] = {}
    cursor.expect("(")
    while True:
        key = cursor.next()
        if key.kind not in ("word", "quoted", "string"):
            raise cursor.unexpected("a template variable")
        cursor.expect("=>")
        token = cursor.next()
        if token.kind not in ("string", "number", "word"):
            raise cursor.unexpected("a template value")
        values[key.value] = token.value if token.kind == "string" else token.text
        if cursor.accept(")"):
            return values
        cursor.expect(",")
