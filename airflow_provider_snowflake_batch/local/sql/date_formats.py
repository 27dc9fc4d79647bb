"""``TO_CHAR`` and ``TO_VARCHAR`` with a format, in the words of DuckDB's ``strftime``.

Sources: https://docs.snowflake.com/en/sql-reference/date-time-input-output and
https://docs.snowflake.com/en/sql-reference/sql-format-models.
"""

from __future__ import annotations

import re

from sqlglot import Expr, exp
from sqlglot.dialects.snowflake import Snowflake
from sqlglot.optimizer.simplify import simplify

from airflow_provider_snowflake_batch.local.errors import not_supported

# For a value whose type it can tell, the parser would read the format itself, and elements in lower case wrongly.
for _name in ("TO_CHAR", "TO_VARCHAR"):
    Snowflake.Parser.FUNCTIONS[_name] = exp.ToChar.from_arg_list

_ELEMENTS = {
    "YYYY": "%Y", "YY": "%y", "MMMM": "%B", "MON": "%b", "MM": "%m", "DD": "%d", "DY": "%a", "HH24": "%H",
    "HH12": "%I", "HH": "%H", "AM": "%p", "PM": "%p", "MI": "%M", "SS": "%S", "FF": "%n", "FF3": "%g", "FF6": "%f",
    "FF9": "%n",
}  # fmt: skip
# Longest first. A quoted text stands for itself, and so does what is no letter; T, Z and UTC are common unquoted.
_TOKEN = re.compile(
    '"(?P<quoted>[^"]*)"|(?P<element>' + "|".join(sorted(_ELEMENTS, key=len, reverse=True)) + r")|(?P<other>UTC|.)",
    re.IGNORECASE | re.DOTALL,
)


def write_formatted(value: Expr, given: Expr) -> Expr:
    """The value as text in a date or time format.

    :raises SnowflakeError: for number formats, for elements that DuckDB lacks and for a format that is no constant.
    """
    given = simplify(given.copy())  # dbt says 'yyyy-mm-dd HH24:MI'||'UTC'
    if not isinstance(given, exp.Literal) or not given.is_string:
        raise not_supported("A format of TO_CHAR that is no constant")
    format_ = exp.Literal.string(to_strftime(given.this))
    return exp.Anonymous(this="strftime", expressions=[exp.cast(value.copy(), "TIMESTAMP"), format_])


def to_strftime(text: str) -> str:
    """A Snowflake date or time format for ``strftime``.

    >>> to_strftime('YYYY-MM-DD"T"HH24:MI')
    '%Y-%m-%dT%H:%M'
    """
    pieces = []
    elements = 0
    for match in _TOKEN.finditer(text):
        if match["quoted"] is not None:
            pieces.append(match["quoted"].replace("%", "%%"))
        elif match["element"] is not None:
            elements += 1
            pieces.append(_ELEMENTS[match["element"].upper()])
        elif match["other"].isalnum() and match["other"] not in ("T", "Z", "UTC"):
            raise not_supported(f"The format '{text}'")
        else:
            pieces.append(match["other"].replace("%", "%%"))
    if not elements:
        raise not_supported(f"The format '{text}'")
    return "".join(pieces)
