"""What is written to a column, as a value of the column's type: text as Snowflake writes it and no longer than
declared, BINARY from hexadecimal digits, text into a VARIANT as text and not as JSON.

Works on statements that are already in the engine's SQL.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.sql.casts import cut, moment, no_longer
from airflow_provider_snowflake_batch.local.sql.expressions import call, either, number, string
from airflow_provider_snowflake_batch.local.sql.macros import (
    BINARY,
    DATE_TEXT,
    SEMI_STRUCTURED,
    SHORT_TEXT,
    WHOLE_MICROSECONDS,
    to_json,
)
from airflow_provider_snowflake_batch.local.sql.texts import as_text, is_of_type, plain_text
from airflow_provider_snowflake_batch.local.sql.types import BINARY_LENGTH, TEXT_LENGTH

Writer = Callable[[Expr], Expr]
"""What is written to a column in place of a value."""
WRONG_TYPE = "Expression type does not match column data type"
_TEXT = re.compile(r"VARCHAR\((\d+)\)")
_TIME = re.compile(r"(TIME|TIMESTAMP_NTZ)\((\d)\)")
_BINARY = re.compile(r"BINARY(?:\((\d+)\))?")


def limits(declared: Mapping[str, str]) -> dict[str, int]:
    """The columns whose text may have only so many characters."""
    return {name: length for name, length in text_columns(declared).items() if length < TEXT_LENGTH}


def text_columns(declared: Mapping[str, str]) -> dict[str, int]:
    """The columns of text with their lengths, the longest possible among them."""
    return {name: int(match[1]) for name, kind in declared.items() if (match := _TEXT.fullmatch(kind))}


def writers(declared: Mapping[str, str], *, of_literals: bool = False, cut: bool = False) -> dict[str, Writer]:
    """The columns that take values in their own way.

    :param declared: the declared types of a table's columns.
    :param of_literals: whether only literals are written: of text only what is too long can be wrong then.
    :param cut: whether text that is too long is cut instead of refused.
    """
    found: dict[str, Writer] = {}
    for name, length in (limits if of_literals else text_columns)(declared).items():
        found[name] = partial(_fitted, length=length, cut=cut)
    for name, kind in declared.items():
        if kind == "VARIANT":
            found[name] = to_json
        elif kind in ("ARRAY", "OBJECT"):
            found[name] = partial(_semi_structured, kind=kind)
        elif kind == "DATE":
            found[name] = _date
        elif kind.startswith(("TIMESTAMP_TZ", "TIMESTAMP_LTZ")):
            found[name] = moment
        elif match := _TIME.fullmatch(kind):
            found[name] = partial(_clock, kind=match[1], digits=int(match[2]))
        elif match := _BINARY.fullmatch(kind):
            found[name] = partial(_binary, length=int(match[1] or BINARY_LENGTH))
    return found


def _clock(value: Expr, kind: str, digits: int) -> Expr:
    """A time of day or a TIMESTAMP_NTZ with so many digits of a second."""
    whole = call(WHOLE_MICROSECONDS, value.copy())
    return cut(whole, digits, is_time=kind == "TIME") if digits < 6 else whole


def _date(value: Expr) -> Expr:
    """Text as a cast reads it; the engine's own takes less."""
    read = exp.cast(call(DATE_TEXT, plain_text(value)), exp.DataType.Type.DATE)
    return either(is_of_type(value, "VARCHAR"), read, exp.cast(value.copy(), exp.DataType.Type.DATE))


def _binary(value: Expr, length: int) -> Expr:
    return no_longer(call(BINARY, value.copy()), length)


def _semi_structured(value: Expr, kind: str) -> Expr:
    """A value of an ARRAY or OBJECT column, which takes no text."""
    words = f"{WRONG_TYPE}, expecting {kind} but got VARCHAR. Use PARSE_JSON, TO_ARRAY or TO_OBJECT"
    return call(SEMI_STRUCTURED, value.copy(), string(words))


def fit_writes(tree: Expr, writers: Mapping[str, Writer], columns: Sequence[str]) -> None:
    """Let an INSERT, UPDATE or MERGE write each value in its column's way.

    :param writers: the columns to care for.
    :param columns: all columns of the table, in order.
    """
    if isinstance(tree, exp.Insert):
        _fit_insert(tree, writers, columns)
    elif isinstance(tree, exp.Update):
        _fit_assignments(tree.expressions, writers)
    elif isinstance(tree, exp.Merge):
        for when in tree.args["whens"].expressions:
            then = when.args["then"]
            if isinstance(then, exp.Update):
                _fit_assignments(then.expressions, writers)
            elif isinstance(then, exp.Insert) and isinstance(then.expression, exp.Tuple):
                named = then.this.expressions if isinstance(then.this, exp.Tuple) else []
                names = [one.name for one in named] or list(columns)
                values = then.expression.expressions
                fitted = [
                    writers[name](value) if name in writers and not isinstance(value, exp.Var) else value
                    for name, value in zip(names, values, strict=False)
                ]
                then.expression.set("expressions", fitted)


def _fit_assignments(assignments: Sequence[Expr], writers: Mapping[str, Writer]) -> None:
    for assignment in assignments:
        if isinstance(assignment, exp.EQ) and assignment.this.name in writers:
            assignment.set("expression", writers[assignment.this.name](assignment.expression))


def _fit_insert(tree: exp.Insert, writers: Mapping[str, Writer], columns: Sequence[str]) -> None:
    schema, source = tree.this, tree.expression
    names = [one.name for one in schema.expressions] if isinstance(schema, exp.Schema) else list(columns)
    if not set(names) & set(writers) or not isinstance(source, (exp.Values, exp.Query)):
        return
    if isinstance(source, exp.Values):
        if source.find(exp.Var) is not None or _is_mixed(source):
            # DEFAULT stands in a VALUES of an INSERT only, and there alone each value has a type of its own.
            for row in source.expressions:
                fitted = [
                    _fitted_alone(value, writers[name]) if name in writers else value
                    for name, value in zip(names, row.expressions, strict=False)
                ]
                row.set("expressions", fitted)
            return
        names = names[: len(source.expressions[0].expressions)]
    elif isinstance(source, exp.Select) and not any(one.is_star for one in source.expressions):
        names = names[: len(source.expressions)]
    inner = [exp.to_identifier(f"_c{number}", quoted=True) for number in range(len(names))]
    alias = exp.TableAlias(this=exp.to_identifier("_written", quoted=True), columns=inner)
    if isinstance(source, exp.Values):
        relation: Expr = source.copy()
        relation.set("alias", alias)
    else:
        relation = exp.Subquery(this=source.unnest().copy(), alias=alias)
    projections: list[Expr] = []
    for name, identifier in zip(names, inner, strict=True):
        column = exp.column(identifier.copy())
        projections.append(writers[name](column) if name in writers else column)
    tree.set("expression", exp.Select(expressions=projections, from_=exp.From(this=relation)))


def _fitted_alone(value: Expr, writer: Writer) -> Expr:
    """A value of VALUES as its column takes it, asked for once: a writer repeats it, and a sequence would go on."""
    if isinstance(value, exp.Var):
        return value
    if isinstance(value, (exp.Literal, exp.Null)):
        return writer(value)
    name = exp.to_identifier("_c0", quoted=True)
    alias = exp.TableAlias(this=exp.to_identifier("_written", quoted=True), columns=[name])
    relation = exp.Subquery(this=exp.Select(expressions=[value.copy()]), alias=alias)
    return exp.Subquery(this=exp.Select(expressions=[writer(exp.column(name.copy()))], from_=exp.From(this=relation)))


def _is_mixed(values: exp.Values) -> bool:
    """Whether a column of VALUES has expressions of several kinds: as a relation they would get one type, or none."""
    rows = [row.expressions for row in values.expressions]
    for column in zip(*rows, strict=False):
        kinds = {(type(one), one.args.get("is_string")) for one in column if not isinstance(one, exp.Null)}
        if len(kinds) > 1:
            return True
    return False


def _fitted(value: Expr, length: int, cut: bool) -> Expr:
    text = as_text(value)
    if length >= TEXT_LENGTH:
        return text
    return call("left", text, number(length)) if cut else call(SHORT_TEXT, text, number(length), exp.false())
