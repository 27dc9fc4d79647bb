"""SQL that a user writes, and that must not leave the parentheses in which it is sent.

Only Snowflake knows where its comments, literals and stage paths end. So a text is refused if readers of SQL may
disagree on it, with a word on how to write it so that all agree. All readers then find the parentheses at the same
places. The tests hold this against other readers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import NOT_SENT, named

# Characters that a name may have. "$" is one of them, so "$$" right after such a character may be part of a name.
_WORD = r"[\w$\u0080-\U0010ffff]"
# Quantifiers are possessive: otherwise the expression might go back to an escaped quote and end the literal there.
_PART = re.compile(
    rf"""(?P<line_comment>(?:--|//)[^\n]*+)
      | (?P<block_comment>/\*(?:[^*]|\*(?!/))*+\*/)
      | (?P<dollars>\$\$(?:[^$]|\$(?!\$))*+\$\$)
      | (?P<string>'(?:[^'\\]|''|\\.)*+')
      | (?P<name>"(?:[^"]|"")*+")
      | (?P<stage>@(?:"(?:[^"]|"")*+"|[^\s(),;'"])*+)
      | (?P<unclosed>\$\$|'|"|/\*)
      | (?P<word>{_WORD}++)
      | (?P<open>\() | (?P<close>\)) | (?P<semicolon>;)
      | .""",
    re.VERBOSE | re.DOTALL,
)
# After one of these, "--", "//" or "/*" may also belong to an operator or to "https://".
_SIGNS = tuple(":|<>!&^~#?%")
_COMMENTS = ("line_comment", "block_comment")
# Some readers end a line at one of these, and a line comment with it.
_OTHER_LINE_ENDS = re.compile(r"\r(?!\n)|\r\Z|[\v\f\x1c-\x1e\x85\u2028\u2029]")
# A stage whose only quotes are those around its names.
_STAGE = re.compile(r'@[~%]?(?:"(?:[^"]|"")*+"|[^"./]*+)(?:\.(?:"(?:[^"]|"")*+"|[^"./]*+))*+(?:/[^"]*+)?')
_IN_PATH = re.compile(r'"(?:[^"]|"")*+"|(--|//|/\*|\$\$)')
_LEADING_COMMENTS = re.compile(r"\A(?:\s+|--[^\n]*(?:\n|\Z)|//[^\n]*(?:\n|\Z)|/\*.*?\*/)*", re.DOTALL)
_QUERY = re.compile(r"(?:select|with)\b|\(", re.IGNORECASE)


def looks_like_query(text: str) -> bool:
    """Whether a text begins as a query does, comments aside."""
    return _QUERY.match(_without_leading_comments(text)) is not None


def check_query(text: str, *, field: str) -> str:
    """One SELECT or WITH statement, returned without a semicolon at its end and without comments after that.

    :raises InvalidJobError: if it is something else, or could end the parentheses that it is sent in.
    """
    text = text.strip()
    if not looks_like_query(text):
        beginning = _without_leading_comments(text)[:40]
        raise InvalidJobError(field, f"a query must begin with SELECT or WITH; got {beginning!r}.")
    end = _check_enclosed(text, "query", field)
    return text[:end].rstrip()


def check_condition(text: str, *, field: str) -> str:
    """A condition as it stands after WHERE.

    :raises InvalidJobError: if it is empty, or could end the parentheses that it is sent in.
    """
    text = text.strip()
    if not _without_leading_comments(text):
        raise InvalidJobError(field, "expected a condition such as 'feature_1 > 100', got none.")
    end = _check_enclosed(text, "condition", field)
    if end < len(text):
        raise InvalidJobError(field, "the condition holds more than one statement (a ';' inside it).")
    return text


def _without_leading_comments(text: str) -> str:
    return text[_LEADING_COMMENTS.match(text).end() :]  # type: ignore[union-attr]


def _check_enclosed(text: str, kind: str, field: str) -> int:
    """Where the statement ends: at a semicolon that only comments follow, else at the text's end.

    :raises InvalidJobError: if what stands before could leave its parentheses.
    """
    if found := NOT_SENT.search(text):
        raise InvalidJobError(field, f"the {kind} has {named(found)}, which cannot be sent to Snowflake.")
    depth = 0
    parts = _parts(text)
    for part, match in parts:
        ambiguity = _ambiguity(part, match, text)
        if ambiguity is not None:
            what, instead = ambiguity
            raise InvalidJobError(field, f"the {kind} has {what} at character {match.start() + 1}{instead}.")
        if part == "semicolon":
            if depth or any(later not in (*_COMMENTS, "semicolon") for later, _ in parts):
                raise InvalidJobError(field, f"the {kind} holds more than one statement (a ';' inside it).")
            return match.start()
        depth += {"open": 1, "close": -1}.get(part, 0)
        if depth < 0:
            raise InvalidJobError(field, f"the {kind} closes a parenthesis too many at character {match.start() + 1}.")
    if depth:
        raise InvalidJobError(field, f"the {kind} leaves a parenthesis open.")
    return len(text)


def _parts(text: str) -> Iterator[tuple[str, re.Match[str]]]:
    """Kind and place of each part of a text but white space."""
    for match in _PART.finditer(text):
        if not match[0].isspace():
            yield match.lastgroup or "symbol", match


def _ambiguity(part: str, match: re.Match[str], text: str) -> tuple[str, str] | None:
    """What about a part might be read in more than one way, and how to write it instead; None if nothing."""
    found, start, end = match[0], match.start(), match.end()
    before, after = text[max(start - 1, 0) : start], text[end : end + 1]
    match part:
        case "unclosed":
            return f"an unclosed {found}", ""
        case "line_comment" | "block_comment" if before in _SIGNS:
            return f"{found[:2]} right after {before}", ", which may be no comment: put a space between, or quote it"
        case "line_comment" if _OTHER_LINE_ENDS.search(found + after):
            return "a comment", " with a line break that may not end it: end its line with a line feed"
        case "block_comment" if "/*" in found[2:]:
            return "a comment", " with another /* in it, which may need an end of its own: leave that out"
        case "dollars" if found[2:-2].startswith("$") or after == "$" or re.fullmatch(_WORD, after):
            return "$$", " beside a name or another $, of which it may be a part: put a space between, or use '…'"
        case "word" if "$$" in found:
            return "$$ inside a name", ": write the name in double quotes, or a space before the $$"
        case "string" if before in ("x", "X") and re.search(r"[^0-9A-Fa-f]", found[1:-1]):
            return "X'…'", " that holds other than hexadecimal digits"
        case "string" if re.fullmatch(_WORD, before) and re.search(r"\\|''", found[1:-1]):
            return "a literal with a prefix", " and an escaped character: put a space before the literal"
        case "stage":
            if after == "'" or not _STAGE.fullmatch(found):
                return "a quote inside a stage path", ": write the path in single quotes, '@…'"
            for inner in _IN_PATH.finditer(found):
                if inner[1]:
                    return f"{inner[1]} inside a stage path", ": write the path in single quotes, '@…'"
    return None
