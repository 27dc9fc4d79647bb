"""Tokens of a Snowflake statement, and a cursor over them for the statements this server answers itself.

sqlglot's own tokenizer takes the ``/*`` of a stage path such as ``@stage/*.csv`` and the ``//`` of a file's URL
for comments, and the word EXECUTE for the beginning of one long text, so it cannot read these statements. The tests
hold what both can read against it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from airflow_provider_snowflake_batch.local.errors import SnowflakeError, compilation_error, not_supported

Kind = Literal["word", "quoted", "string", "number", "stage", "symbol", "bind"]

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|--[^\n]*|(?<!:)//[^\n]*|/\*.*?\*/)
  | (?P<dollar>\$\$.*?\$\$)
  | (?P<string>'(?:[^'\\]|''|\\.)*')
  | (?P<quoted>"(?:[^"]|"")*")
  | (?P<stage>@(?:"(?:[^"]|"")*"|[\w$.~%/=:+*{}\[\]^!&|-])+)
  | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
  | (?P<word>[A-Za-z_][\w$]*)
  | (?P<bind>\?|:\d+)
  | (?P<symbol>=>|::|<>|!=|<=|>=|\|\||.)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "f": "\f"}


@dataclass(frozen=True, slots=True)
class Token:
    """One token.

    :param kind: ``string`` covers both ``'…'`` and ``$$…$$``; ``stage`` an unquoted ``@path``.
    :param text: as written.
    :param value: unquoted and unescaped; unquoted identifiers upper-cased.
    :param start: offset of the token's first character in the statement.
    :param end: offset after its last character.
    """

    kind: Kind
    text: str
    value: str
    start: int
    end: int


def unescape(body: str) -> str:
    """The value of the text between the quotes of a single-quoted literal."""

    def one(match: re.Match[str]) -> str:
        if match[0] == "''":
            return "'"
        code = match[0][1:]
        if code[0] in "xu" and len(code) > 1:
            return chr(int(code[1:], 16))
        return _ESCAPES.get(code, code)

    return re.sub(r"''|\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.", one, body, flags=re.DOTALL)


def tokenize(sql: str) -> list[Token]:
    tokens = []
    for match in _TOKEN.finditer(sql):
        kind, text = match.lastgroup, match[0]
        if kind == "space":
            continue
        if kind == "dollar":
            kind, value = "string", text[2:-2]
        elif kind == "string":
            value = unescape(text[1:-1])
        elif kind == "quoted":
            value = text[1:-1].replace('""', '"')
        elif kind == "word":
            value = text.upper()
        else:
            value = text
        tokens.append(Token(kind, text, value, match.start(), match.end()))  # type: ignore[arg-type]
    return tokens


class Cursor:
    """Reads a statement from left to right; every mismatch is a compilation error that names the place."""

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self.tokens = [token for token in tokenize(sql) if token.text != ";"]
        self.at = 0

    def peek(self, ahead: int = 0) -> Token | None:
        index = self.at + ahead
        return self.tokens[index] if index < len(self.tokens) else None

    @property
    def done(self) -> bool:
        return self.at >= len(self.tokens)

    def next(self) -> Token:
        token = self.peek()
        if token is None:
            raise compilation_error("syntax error: unexpected end of statement.")
        self.at += 1
        return token

    def looking_at(self, *words: str) -> bool:
        """Whether the next tokens are these keywords or symbols."""
        for offset, word in enumerate(words):
            token = self.peek(offset)
            if token is None or token.kind not in ("word", "symbol") or token.value != word:
                return False
        return True

    def accept(self, *words: str) -> bool:
        if self.looking_at(*words):
            self.at += len(words)
            return True
        return False

    def expect(self, *words: str) -> None:
        if not self.accept(*words):
            raise self.unexpected(" ".join(words))

    def unexpected(self, wanted: str) -> SnowflakeError:
        token = self.peek()
        if token is None:
            return compilation_error(f"syntax error: expected {wanted} at the end of the statement.")
        line = self.sql.count("\n", 0, token.start) + 1
        position = token.start - (self.sql.rfind("\n", 0, token.start) + 1)
        return compilation_error(
            f"syntax error line {line} at position {position} unexpected '{token.text}', expected {wanted}."
        )

    def string(self) -> str:
        token = self.next()
        if token.kind != "string":
            self.at -= 1
            raise self.unexpected("a string literal")
        return token.value

    def integer(self) -> int:
        token = self.next()
        if token.kind != "number" or not token.value.isdigit():
            self.at -= 1
            raise self.unexpected("an integer")
        return int(token.value)

    def boolean(self) -> bool:
        if self.accept("TRUE"):
            return True
        if self.accept("FALSE"):
            return False
        raise self.unexpected("TRUE or FALSE")

    def name(self) -> tuple[str, ...]:
        """A possibly qualified name, at most three parts, each as Snowflake stores it."""
        parts = [self._part()]
        while len(parts) < 3 and self.accept("."):
            parts.append(self._part())
        return tuple(parts)

    def _part(self) -> str:
        token = self.next()
        if token.kind not in ("word", "quoted"):
            self.at -= 1
            raise self.unexpected("an identifier")
        return token.value

    def stage(self) -> str:
        """A stage location with its ``@``, written ``@…`` or ``'@…'``."""
        token = self.next()
        if token.kind == "stage" or (token.kind == "string" and token.value.startswith("@")):
            return token.value
        if token.kind == "string" and "://" in token.value:
            raise not_supported(f"The external location {token.value} (a stage with its files does the same)")
        self.at -= 1
        raise self.unexpected("a stage location")

    def parenthesised(self) -> str:
        """The text between the next ``(`` and its matching ``)``."""
        opening = self.peek()
        self.expect("(")
        assert opening is not None
        depth = 1
        while depth:
            token = self.next()
            depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind == "symbol" else 0
        return self.sql[opening.end : token.start]

    def text_until(self, ends: Callable[[Cursor], bool], what: str) -> str:
        """The text from here to where something ends it; what is in parentheses does not.

        :param what: what it is, for the error if there is none.
        """
        first, last = self.peek(), None
        while not self.done and not ends(self):
            if self.looking_at("("):
                self.parenthesised()
                last = self.tokens[self.at - 1]
            else:
                last = self.next()
        if first is None or last is None:
            raise self.unexpected(what)
        return self.sql[first.start : last.end]

    def rest(self) -> str:
        token = self.peek()
        return "" if token is None else self.sql[token.start :]

    def end(self) -> None:
        if not self.done:
            raise self.unexpected("the end of the statement")


def quoted(*parts: str) -> str:
    """A name, part by part as it is, so that case and every sign count: ``"My db"."T"``."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


_MASK = "'***'"
_MAY_SET_SECRET = re.compile(r"\b(?:CREATE|ALTER)\b.*\bSECRET\b", re.IGNORECASE | re.DOTALL)


def without_secrets(text: str) -> str:
    """The text of one statement or several, each literal of a ``CREATE SECRET`` or ``ALTER SECRET`` masked.

    >>> without_secrets("CREATE SECRET S TYPE = GENERIC_STRING SECRET_STRING = 'abc'")
    "CREATE SECRET S TYPE = GENERIC_STRING SECRET_STRING = '***'"
    """
    if _MAY_SET_SECRET.search(text) is None:
        return text
    shown, end, words, in_secret = [], 0, 0, False
    for token in tokenize(text):
        if token.text == ";":
            words, in_secret = 0, False
            continue
        words += 1
        # CREATE OR REPLACE SECRET has the most words before it.
        in_secret = in_secret or (token.kind == "word" and token.value == "SECRET" and words <= 4)
        if in_secret and token.kind == "string":
            shown += [text[end : token.start], _MASK]
            end = token.end
    return "".join([*shown, text[end:]])
