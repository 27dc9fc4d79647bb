"""Bind variables: from the wire into the statement's text, or into columns for a batch.

Source of the encodings: ``SnowflakeConverter.to_snowflake_bindings`` of the Python connector.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from airflow_provider_snowflake_batch.local.errors import SnowflakeError, compilation_error, not_supported
from airflow_provider_snowflake_batch.local.parsing import Cursor, Token, tokenize

_EPOCH = datetime.datetime(1970, 1, 1)


def is_batch(bindings: Mapping[str, Any]) -> bool:
    """Whether the bindings carry one list of values per variable: one row each, of one INSERT."""
    return any(isinstance(binding.get("value"), list) for binding in bindings.values())


def takes_batches(text: str) -> bool:
    """Whether a statement may be sent with a list of values for each variable."""
    tokens = tokenize(text)
    return bool(tokens) and tokens[0].value == "INSERT"


def write_in(text: str, bindings: Mapping[str, Any] | None, variables: Mapping[str, str]) -> str:
    """The statement with ``?`` and ``:1`` replaced by literals, and ``IDENTIFIER('x')`` by the name x.

    :param variables: the literals of the session's variables, which an IDENTIFIER may name: ``IDENTIFIER($v)``.
    :raises SnowflakeError: 1003 when a variable has no value or an identifier is not one.
    """
    if not bindings and "IDENTIFIER" not in text.upper():
        return text
    pieces: list[str] = []
    copied = 0
    position = 0
    tokens = tokenize(text)
    index = 0
    while index < len(tokens):
        token = tokens[index]
        replacement: tuple[str, int] | None = None
        if token.kind == "bind" and bindings:
            position += 1
            key = str(position) if token.text == "?" else token.text[1:]
            replacement = literal(_binding(bindings, key)), token.end
        elif token.value == "IDENTIFIER" and token.kind == "word" and (end := _end_of_call(tokens, index)):
            argument = tokens[index + 2]
            if argument.kind == "bind":
                position += 1
                key = str(position) if argument.text == "?" else argument.text[1:]
                value = _binding(bindings or {}, key)["value"]
            elif argument.text == "$":
                value = tokenize(variable(variables, tokens[index + 3]))[0].value
            else:
                value = argument.value
            replacement = identifier(value), tokens[end].end
            index = end
        if replacement is not None:
            pieces += [text[copied : token.start], replacement[0]]
            copied = replacement[1]
        index += 1
    return "".join(pieces) + text[copied:]


def _end_of_call(tokens: list[Token], index: int) -> int | None:
    """The bracket that ends a call with one text, bind variable or session variable; None of any other."""
    following = tokens[index + 1 : index + 5]
    if len(following) < 3 or following[0].text != "(":
        return None
    if following[1].kind in ("string", "bind") and following[2].text == ")":
        return index + 3
    return index + 4 if following[1].text == "$" and following[3:] and following[3].text == ")" else None


def variable(variables: Mapping[str, str], token: Token) -> str:
    """The literal of a session variable.

    :raises SnowflakeError: 2211 when it has not been set.
    """
    value = variables.get(token.value)
    if value is None:
        raise SnowflakeError(
            f"SQL compilation error: error line 1 at position {token.start}\n"
            f"Session variable '${token.value}' does not exist",
            errno=2211,
            sqlstate="02000",
        )
    return value


def _binding(bindings: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    binding = bindings.get(key)
    if binding is None:
        raise SnowflakeError(f"SQL compilation error:\nBind variable :{key} not set.", errno=2049, sqlstate="42601")
    return binding  # type: ignore[no-any-return]


def identifier(value: str) -> str:
    """The text of ``IDENTIFIER(…)``'s argument, refused unless it is a name or a stage."""
    cursor = Cursor(value)
    first = cursor.peek()
    if first is not None and first.kind == "stage":
        cursor.next()
    else:
        cursor.name()
    cursor.end()
    if ";" in value or "--" in value or "/*" in value:
        raise compilation_error(f"Invalid identifier {value}.")
    return value


def literal(binding: Mapping[str, Any]) -> str:
    kind, value = str(binding.get("type", "TEXT")).upper(), binding.get("value")
    if value is None:
        return "NULL"
    if kind == "FIXED":
        text = format(Decimal(value), "f")
        # After another minus, its own would begin a comment.
        return f" {text}" if text.startswith("-") else text
    if kind == "REAL":
        return f"'{float(value)}'::FLOAT"
    if kind == "BOOLEAN":
        return "TRUE" if str(value).lower() in ("true", "1") else "FALSE"
    if kind == "BINARY":
        return f"TO_BINARY('{bytes.fromhex(value).hex()}', 'HEX')"
    if kind in ("DATE", "TIME", "TIMESTAMP_NTZ", "TIMESTAMP_LTZ", "TIMESTAMP_TZ"):
        return f"'{python_value(binding)}'::{kind}"
    return "'" + str(value).replace("\\", "\\\\").replace("'", "''") + "'"


def python_value(binding: Mapping[str, Any]) -> Any:
    """One bound value as Python has it."""
    kind, value = str(binding.get("type", "TEXT")).upper(), binding.get("value")
    if value is None or kind in ("TEXT", "ANY", "VARIANT"):
        return value
    if kind == "FIXED":
        number = Decimal(value)
        return int(number) if number == number.to_integral_value() else number
    if kind == "REAL":
        return float(value) if not math.isnan(float(value)) else math.nan
    if kind == "BOOLEAN":
        return str(value).lower() in ("true", "1")
    if kind == "BINARY":
        return bytes.fromhex(value)
    if kind == "DATE":
        return (_EPOCH + datetime.timedelta(milliseconds=int(value))).date()
    if kind == "TIME":
        return (_EPOCH + datetime.timedelta(microseconds=int(value) // 1000)).time()
    if kind == "TIMESTAMP_NTZ":
        return _EPOCH + datetime.timedelta(microseconds=int(value) // 1000)
    if kind in ("TIMESTAMP_LTZ", "TIMESTAMP_TZ"):
        nanoseconds, _, offset = str(value).partition(" ")
        moment = (_EPOCH + datetime.timedelta(microseconds=int(nanoseconds) // 1000)).replace(tzinfo=datetime.UTC)
        return (
            moment.astimezone(datetime.timezone(datetime.timedelta(minutes=int(offset) - 1440))) if offset else moment
        )
    raise not_supported(f"A bind variable of type {kind}")


def batch_columns(bindings: Mapping[str, Any]) -> list[list[Any]]:
    """The columns of a batch, in the order of the variables."""
    return [
        [
            python_value({"type": bindings[str(number)].get("type"), "value": value})
            for value in bindings[str(number)]["value"]
        ]
        for number in range(1, len(bindings) + 1)
    ]
