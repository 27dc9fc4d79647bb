"""Bad input, and which failures of a statement are worth another try."""

from __future__ import annotations

import re
from collections.abc import Iterable


class InvalidJobError(ValueError):
    """A job description that Snowflake would refuse, found before anything is sent.

    :param field: where, as the user wrote it, for example ``output_spec.stage_location``.
    :param problem: what is wrong and what to do.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


# Numbers as the drivers document them (snowflake/connector/errorcode.py and network.py of the 4.x line,
# snowflake/connector/_internal/error_kinds.py of the 5.x line). 390104 and 390111 stand in the Node.js
# driver's gs_errors.js.
SESSION_GONE = frozenset({390104, 390110, 390111, 390112, 390113, 390114, 390115, 390195, 390318, 390400, 252007})
_CONNECTION_FAULTS = frozenset({250001, 250002, 250003, 250005, 251011, 251012, 253002, 253003})
# Errors that the driver itself raises. Unless one is a connection fault, repeating the statement does not help: for
# example when the file for GET is missing.
_DRIVER_NUMBERS = range(250000, 256000)
_FILE_DOES_NOT_EXIST = 253006
_DOES_NOT_EXIST = frozenset({2003, 2043})
# Cancelled; statement timeout; internal errors.
_INTERRUPTED = frozenset({604, 630, 603, 300002, 300005})
_LACKS_PRIVILEGE = (3001, 3003)
_ALREADY_EXISTS = frozenset({2002, 1998})

# An HTTP status is told as 290000 + status (errorcode.py, ER_HTTP_GENERAL_ERROR). When the 4.x line has given up its
# own tries it wraps that error in another of the same class, whose constructor adds the 290000 once more.
_HTTP_NUMBERS = range(290000, 291000)
_HTTP_NUMBERS_AGAIN = range(580000, 581000)
# The driver of the 4.x line aborts a statement whose answer has not come within network_timeout (cursor.py). If these
# words are missing, somebody else has cancelled it.
_CANCELLED = 604
_BY_CLIENT_TIMEOUT = "cancelled by the client due to a timeout"
_TRANSIENT_HTTP = frozenset({408, 429, 500, 502, 503, 504})
_TRANSIENT_TEXT = re.compile(
    r"connection (?:reset|refused|aborted|closed)|timed? ?out|temporarily unavailable|service unavailable"
    r"|too many requests|bad gateway|gateway time-?out|broken pipe|remote end closed|max retries exceeded",
    re.IGNORECASE,
)


def some(names: Iterable[str], most: int = 12) -> str:
    """The first of some names, in alphabetical order, and how many more there are."""
    listed = sorted(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return (", ".join(listed[:most]) or "none") + more


def error_number(error: BaseException) -> int | None:
    """Snowflake's number of an error, from the driver's ``errno`` (an int, or digits in the 5.x line)."""
    # The errno of an OSError is the operating system's number, not Snowflake's.
    number = getattr(error, "errno", None) if not isinstance(error, OSError) else None
    if isinstance(number, int) and number >= 0:
        return number
    if isinstance(number, str) and number.isdigit():
        return int(number)
    return None


def does_not_exist(error: BaseException) -> bool:
    """Whether the object is missing, or hidden from this role: Snowflake does not tell these apart."""
    return error_number(error) in _DOES_NOT_EXIST


def file_does_not_exist(error: BaseException) -> bool:
    """Whether a GET found nothing to fetch."""
    return error_number(error) == _FILE_DOES_NOT_EXIST


def lacks_privilege(error: BaseException) -> bool:
    """Whether the role may not do this (SQL access control error)."""
    return error_number(error) in _LACKS_PRIVILEGE


def already_exists(error: BaseException) -> bool:
    return error_number(error) in _ALREADY_EXISTS


def is_interrupted(error: BaseException) -> bool:
    """Whether a statement ended for a reason that is not its own: cancelled, timed out, an internal error."""
    return error_number(error) in _INTERRUPTED


def is_cancelled(error: BaseException) -> bool:
    """Whether somebody, or the driver's own timer, has cancelled a statement."""
    return error_number(error) == _CANCELLED


def is_session_gone(error: BaseException) -> bool:
    """Whether only a new login can help: the session or its tokens have expired."""
    return error_number(error) in SESSION_GONE


def is_transient(error: BaseException) -> bool:
    """Whether the same statement may well succeed later.

    The number decides first, then the class (by name, so that the driver need not be imported), then the text:
    the 4.x and 5.x lines of the driver agree only that far.
    """
    number = error_number(error)
    if number is not None:
        if number in SESSION_GONE or number in _CONNECTION_FAULTS:
            return True
        if number in _DRIVER_NUMBERS:
            return False
        if is_cancelled(error):
            return _BY_CLIENT_TIMEOUT in str(error)
        if number in _HTTP_NUMBERS or number in _HTTP_NUMBERS_AGAIN:
            return number % 1000 in _TRANSIENT_HTTP
    names = {cls.__name__ for cls in type(error).__mro__}
    if names & {"ConnectionError", "TimeoutError", "Timeout"}:
        return True
    if names & {"ProgrammingError", "IntegrityError", "DataError", "NotSupportedError"}:
        return False
    if names & {"OperationalError", "InterfaceError", "DatabaseError"}:
        return bool(names & {"OperationalError", "InterfaceError"}) or bool(_TRANSIENT_TEXT.search(str(error)))
    return False


def error_text(error: BaseException) -> str:
    """Snowflake's own sentence, without the driver's prefix of number and query id."""
    return str(getattr(error, "raw_msg", None) or getattr(error, "msg", None) or error).strip()
