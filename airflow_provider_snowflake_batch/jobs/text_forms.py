"""Types whose values Parquet files cannot hold as they are: how they become text, and how the text becomes the value.

What ``COPY INTO <location>`` makes of types:
https://docs.snowflake.com/en/user-guide/data-unload-considerations (TIMESTAMP_NTZ loses what is below a millisecond;
TIMESTAMP_LTZ, TIMESTAMP_TZ, ARRAY, OBJECT and MAP are refused) and
…/sql-reference/data-types-vector (VECTOR is refused). Text is ISO 8601 with nine digits for times, and JSON for
semi-structured values.

The SQL that makes values of texts stands in ``COPY INTO <table>``, which has only some of the functions:
https://docs.snowflake.com/en/user-guide/data-load-transform#supported-functions
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TIME = "HH24:MI:SS.FF9"
_TIMESTAMP = f"YYYY-MM-DD {_TIME}"
_WITH_OFFSET = f"{_TIMESTAMP} TZHTZM"
_TYPE = re.compile(r"([A-Z_]+)(?:\((\d+)(?:,(\d+))?\))?")
_TEXT = re.compile(r"(?:VARCHAR|TEXT|STRING|CHAR)\b.*")


@dataclass(frozen=True, slots=True)
class TextForm:
    """How values of a type become text, and text becomes these values. Both are SQL with a ``{}``.

    :param written: the text, of a column.
    :param read: the value, of its text.
    :param into: the types of columns that take the value as it is, or as Snowflake can be asked whether they do.
    :param created: the type of a column that is made for it, if its own needs more than is known of it.
    """

    written: str
    read: str
    into: tuple[str, ...]
    created: str = ""


# By the driver's name of the type.
FORMS = {
    "TIME": TextForm(
        f"TO_VARCHAR(TIMESTAMP_NTZ_FROM_PARTS('1970-01-01'::DATE, {{}}), '{_TIME}')",
        f"TO_TIME({{}}, '{_TIME}')",
        ("TIME",),
    ),
    "TIMESTAMP_NTZ": TextForm(
        f"TO_VARCHAR({{}}, '{_TIMESTAMP}')", f"TO_TIMESTAMP_NTZ({{}}, '{_TIMESTAMP}')", ("TIMESTAMP_NTZ", "DATE")
    ),
    # Its values are moments; a value has no zone of its own.
    "TIMESTAMP_LTZ": TextForm(
        f"TO_VARCHAR(CONVERT_TIMEZONE('UTC', {{}})::TIMESTAMP_NTZ, '{_TIMESTAMP}') || 'Z'",
        f"TO_TIMESTAMP_TZ(RTRIM({{}}, 'Z') || ' +0000', '{_WITH_OFFSET}')::TIMESTAMP_LTZ",
        ("TIMESTAMP_LTZ", "TIMESTAMP_TZ"),
    ),
    "TIMESTAMP_TZ": TextForm(
        f"TO_VARCHAR({{}}, '{_WITH_OFFSET}')",
        f"TO_TIMESTAMP_TZ({{}}, '{_WITH_OFFSET}')",
        ("TIMESTAMP_TZ", "TIMESTAMP_LTZ"),
    ),
    "VARIANT": TextForm("TO_JSON({})", "PARSE_JSON({})", ("VARIANT",)),
    "OBJECT": TextForm("TO_JSON({}::VARIANT)", "PARSE_JSON({})::OBJECT", ("OBJECT", "VARIANT")),
    "ARRAY": TextForm("TO_JSON({}::VARIANT)", "PARSE_JSON({})::ARRAY", ("ARRAY", "VARIANT")),
    # The driver does not tell the types of keys, values and elements, nor how many elements a vector has.
    "MAP": TextForm("TO_JSON({}::VARIANT)", "PARSE_JSON({})::OBJECT", ("OBJECT", "VARIANT"), "OBJECT"),
    "VECTOR": TextForm("TO_JSON(TO_ARRAY({})::VARIANT)", "PARSE_JSON({})::ARRAY", ("ARRAY", "VARIANT"), "ARRAY"),
}


def form_of(original: str) -> TextForm | None:
    """The form of a type as a manifest names it, or None for one whose values are no text in the files."""
    match = _TYPE.fullmatch(original)
    return FORMS.get(match[1]) if match is not None else None


def created_type(original: str) -> str | None:
    """The type of a column that is made for an original one, or None for one that this version does not know."""
    form = form_of(original)
    if form is not None:
        return form.created or original
    match = _TYPE.fullmatch(original)
    return original if match is not None and match[1] == "NUMBER" else None


def takes(column: str, original: str) -> bool:
    """Whether a table's column of some type takes the values that an original one had."""
    form = form_of(original)
    return form is not None and re.split(r"[ (]", column, maxsplit=1)[0] in form.into


def is_text(column: str) -> bool:
    """Whether a table's column holds text."""
    return _TEXT.fullmatch(column) is not None


def digits(kind: str) -> int | None:
    """The digits of a second that a type of times has, if it states them."""
    match = _TYPE.fullmatch(kind)
    return int(match[2]) if match is not None and match[2] and match[1].startswith("TIME") else None
