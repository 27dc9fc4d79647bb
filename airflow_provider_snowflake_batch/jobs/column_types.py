"""The types of columns that several Parquet files have in common, as ``INFER_SCHEMA`` names them.

A column gets a type that holds the values of every file as they are; where there is none, it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.text_forms import created_type, digits, form_of, is_text, takes

_DIGITS = 38
_MOST_OF_A_SECOND = 9
_NUMBER = re.compile(r"(?:NUMBER|DECIMAL|NUMERIC|FIXED) ?\( ?(\d+) ?, ?(\d+) ?\)")
# A decimal number of up to so many digits stays the same when it becomes a floating-point number and decimal again.
_FLOAT_DIGITS = 15
FLOATS = ("REAL", "FLOAT", "DOUBLE")
_CUTS_TIMES = re.compile(r"DATE|VARCHAR ?\(.*|TIME(?:STAMP_(?:NTZ|LTZ|TZ))? ?\([0-8]\)")
_ARGUMENTS = re.compile(r" ?\(.*")
_WITHOUT_ZONE = ("TIMESTAMP_NTZ", "DATETIME", "DATE")
_WITH_ZONE = ("TIMESTAMP_LTZ", "TIMESTAMP_TZ")
_TIMES_OF_DAY_ADDED = re.compile(r"(?:TIMESTAMP_NTZ|DATETIME)(?: ?\(\d\))?")


@dataclass(frozen=True, slots=True)
class FileColumn:
    """A column of some files, under one name.

    :param name: as the files spell it.
    :param kind: its type.
    :param file: one of the files.
    :param spellings: every spelling, where names that differ in case only count as one.
    :param original: the SQL type that its values had before they became what is in the files; empty if not known.
    :param whole: a file that has whole numbers where others have floating-point ones; empty if there is none.
    """

    name: str
    kind: str
    file: str
    spellings: tuple[str, ...] = ()
    original: str = ""
    whole: str = ""

    @property
    def created_kind(self) -> str:
        """The type of a table's column that is made for it."""
        return created_type(self.original) or self.kind


@dataclass(frozen=True, slots=True)
class LoadedColumn:
    """A column of the files, and the column of a table that takes it.

    :param target: the table's column.
    :param spellings: what the files call it.
    :param kind: the values' type.
    :param type: the column's.
    :param original: the type that texts of the files are turned into again; empty if they are taken as they are.
    :param has_whole: whether some of the files have whole numbers where others have floating-point ones.
    """

    target: str
    spellings: tuple[str, ...]
    kind: str
    type: str = ""
    original: str = ""
    has_whole: bool = False

    @property
    def may_lack_zone(self) -> bool:
        """Whether some texts would become moments by the session's TIMEZONE, having no zone of their own."""
        return self.kind == "TEXT" and _ARGUMENTS.sub("", self.type) in _WITH_ZONE

    @property
    def digits_kept(self) -> int | None:
        """The digits of a second that the column keeps of texts; None if it keeps all, or holds no times."""
        kept = digits(self.type) if self.kind == "TEXT" else None
        return None if kept == _MOST_OF_A_SECOND else kept

    @property
    def may_change(self) -> bool:
        """Whether the column would round or cut some values of the type, and Snowflake would not say so.

        Floating-point numbers may go into a column with decimal places: whoever gave it those wants the rounding. A
        column without decimal places may only have got its type from its first values. A moment as text has three
        digits of a second (TIMESTAMP_OUTPUT_FORMAT), a time of day none (TIME_OUTPUT_FORMAT), and how many a
        floating-point number has is not documented.
        """
        if self.has_whole:
            return True
        number, target = _NUMBER.fullmatch(self.kind), _NUMBER.fullmatch(self.type)
        if self.type in FLOATS:
            return self.kind == "TEXT" or (number is not None and int(number[1]) > _FLOAT_DIGITS)
        if self.type == "BOOLEAN":
            return number is not None or self.kind in FLOATS
        if (self.kind in FLOATS and is_text(self.type)) or (self.kind == "TEXT" and self.type == "DATE"):
            return True
        if self.may_lack_zone or self.digits_kept is not None:
            return True
        if target is not None:
            if number is not None:
                return int(number[2]) > int(target[2])
            return int(target[2]) == 0 and (self.kind in FLOATS or self.kind == "TEXT")
        have, kept = digits(self.kind), digits(self.type)
        if have is not None and kept is not None:
            return kept < have
        return self.kind.startswith("TIME") and _CUTS_TIMES.fullmatch(self.type) is not None

    @property
    def refusal(self) -> str:
        """Why the column takes no value of the type, or nothing.

        One of type TIME loses the dates. What a moment is without a zone, and the other way round, Snowflake decides by
        the session's TIMEZONE, which is the account's or the user's affair: the same files would be other values.
        """
        have, into = (_ARGUMENTS.sub("", kind) for kind in (self.kind, self.type))
        if have.startswith("TIMESTAMP") and into == "TIME":
            return f"which no value of the type {self.kind} fits."
        if have == "TIMESTAMP_LTZ" and (into in _WITHOUT_ZONE or is_text(self.type)):
            return (
                f"and the results hold moments ({self.kind}), which would become what they are in the session's "
                "TIMEZONE. Nothing was loaded. Give the column the type TIMESTAMP_LTZ, or have the model return times "
                "without a zone."
            )
        if have in _WITHOUT_ZONE and into in _WITH_ZONE:
            return (
                f"and the results hold {self.kind}, without a zone, which would become moments by the session's "
                f"TIMEZONE. Nothing was loaded. Give the column the type {have}, or have the model return times with a "
                "zone."
            )
        return ""


def match_columns(found: Iterable[FileColumn], table: Mapping[str, str]) -> tuple[list[LoadedColumn], list[str]]:
    """Which columns of files go into which of a table: those of the same name, whatever its case.

    :param found: each column once, names that differ in case only counting as one.
    :param table: the table's columns and their types.
    :returns: these, and the files' columns that the table does not have.
    :raises InvalidJobError: if a column may be any of several of the table, cannot hold the values, or none matches.
    """
    by_name: dict[str, list[str]] = {}
    for name in table:
        by_name.setdefault(name.upper(), []).append(name)
    loaded, left_out = [], []
    for column in found:
        targets = by_name.get(column.name.upper(), [])
        if len(targets) > 1:
            targets = [name for name in targets if name in column.spellings]
            if len(targets) != 1:
                raise InvalidJobError("table", f"the files' column {column.name} may be any of {', '.join(targets)}.")
        if targets:
            into = _loaded(column, targets[0], table[targets[0]])
            if refusal := into.refusal:
                raise InvalidJobError("table", f"its column {into.target} is {into.type}, {refusal}")
            loaded.append(into)
        else:
            left_out.append(column.name)
    if not loaded:
        raise InvalidJobError(
            "table",
            f"it has none of the files' columns, which are {', '.join(left_out)}; it has "
            f"{', '.join(name for names in by_name.values() for name in names)}.",
        )
    return loaded, left_out


def _loaded(column: FileColumn, target: str, kind: str) -> LoadedColumn:
    if form_of(column.original) is None or is_text(kind):
        return LoadedColumn(target, column.spellings, column.kind, kind, has_whole=bool(column.whole))
    if not takes(kind, column.original):
        raise InvalidJobError(
            "table",
            f"its column {target} is {kind}, and the values of the results were {column.original}, which are text in "
            f"the files: give the column the type {column.created_kind}, or VARCHAR for that text.",
        )
    return LoadedColumn(target, column.spellings, column.original, kind, column.original)


def with_original_types(found: Iterable[FileColumn], originals: Mapping[str, str]) -> list[FileColumn]:
    """The columns with the types that a manifest remembers, where the files hold what those become.

    :param originals: by the files' spelling; a type that this version does not know counts for nothing.
    """

    def original(column: FileColumn) -> str:
        told = {originals.get(name, "") for name in column.spellings or (column.name,)}
        kind = told.pop() if len(told) == 1 else ""
        if form_of(kind) is not None:
            return kind if column.kind == "TEXT" else ""
        return kind if created_type(kind) and _NUMBER.fullmatch(column.kind) else ""

    return [replace(column, original=original(column)) for column in found]


def merge_columns(
    found: Iterable[FileColumn], *, field: str, key: Callable[[str], str] = lambda name: name
) -> list[FileColumn]:
    """Each column once, in the order of first sight, with a type for all its files.

    :param found: the same column may come several times, once for each group of files.
    :param field: what an error is about.
    :param key: names with the same key are one column.
    :raises InvalidJobError: if the types of a column do not go together; it names column, types and files.
    """
    merged: dict[str, FileColumn] = {}
    for column in found:
        known = merged.get(key(column.name))
        if known is None:
            merged[key(column.name)] = FileColumn(column.name, column.kind, column.file, (column.name,))
            continue
        kind = common_type(known.kind, column.kind)
        if kind is None:
            raise InvalidJobError(
                field,
                f"column {column.name} is {known.kind} in {known.file} and {column.kind} in {column.file}: no type "
                "holds the values of both as they are. Write the files with one type, or read some of them only.",
            )
        file = known.file if kind == known.kind else column.file
        spellings = tuple(dict.fromkeys((*known.spellings, column.name)))
        whole = known.whole
        if kind in FLOATS and not whole:
            whole = next((one.file for one in (known, column) if _NUMBER.fullmatch(one.kind)), "")
        merged[key(column.name)] = FileColumn(known.name, kind, file, spellings, whole=whole)
    return list(merged.values())


def common_type(one: str, other: str) -> str | None:
    """The type that holds the values of both types, or None if there is none.

    Whole numbers beside floating-point ones become floating-point: exact up to 2⁵³, so that larger ones have to be
    looked for (:attr:`FileColumn.whole`). Whole numbers are reported as NUMBER(38, 0) whatever their width, so beside
    decimals they keep as many digits as fit; one that does not fit is Snowflake's error, not a changed value.
    """
    if one == other:
        return one
    for first, second in ((one, other), (other, one)):
        number = _NUMBER.fullmatch(first)
        if number and second in FLOATS:
            return second if int(number[2]) == 0 else None
        if first in FLOATS and second in FLOATS:
            return FLOATS[0]
        if first == "DATE" and _TIMES_OF_DAY_ADDED.fullmatch(second):
            return second
    numbers = _NUMBER.fullmatch(one), _NUMBER.fullmatch(other)
    if numbers[0] and numbers[1]:
        scale = max(int(number[2]) for number in numbers if number)
        whole = max(int(number[1]) - int(number[2]) for number in numbers if number)
        return f"NUMBER({min(whole + scale, _DIGITS)}, {scale})"
    return None
