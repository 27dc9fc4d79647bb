"""The text of statements about rows: the query that an input stands for, and ``COPY`` into files and into tables.

https://docs.snowflake.com/en/sql-reference/sql/copy-into-location and …/copy-into-table
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from airflow_provider_snowflake_batch.jobs.column_types import FLOATS, FileColumn, LoadedColumn
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName, StagePath
from airflow_provider_snowflake_batch.jobs.sources import (
    Query,
    Source,
    StagePaths,
    StageQuery,
    Table,
)
from airflow_provider_snowflake_batch.jobs.statement_text import literal, stage_sql
from airflow_provider_snowflake_batch.jobs.text_forms import form_of

# The limit of the FILES option (https://docs.snowflake.com/en/sql-reference/sql/copy-into-table).
MOST_COPIED_FILES = 1000
# The limit of the FILES argument (https://docs.snowflake.com/en/sql-reference/functions/infer_schema).
MOST_INFERRED_FILES = 1000
# A stage volume is slow with many small files. Several replicas can read parts of one large file.
UNLOADED_FILE_BYTES = 128 * 2**20
# Each option is stated, so that neither an account's defaults nor a change of behaviour has an effect: bytes stay
# bytes, times and decimals keep their types, and the scanner is the one whose types INFER_SCHEMA reports (the other one
# takes INT96 for TIMESTAMP_LTZ).
# https://docs.snowflake.com/en/sql-reference/sql/create-file-format#type-parquet
_PARQUET = "TYPE = PARQUET BINARY_AS_TEXT = FALSE USE_LOGICAL_TYPE = TRUE USE_VECTORIZED_SCANNER = FALSE"
# From here on, some whole numbers are no floating-point numbers of 64 bits.
_EXACT_IN_FLOAT = 2**53
_MOST_IN_NUMBER = 10**37
_TYPE = re.compile(r"[A-Z_]+( ?\(\d+(, ?\d+)?\))?")
# A time of day with an offset at its end, in each of the forms that AUTO detects, or seconds since 1970.
# https://docs.snowflake.com/en/sql-reference/date-time-input-output#supported-formats-for-auto-detection
_HAS_ZONE = "^-?[0-9]+$|^.*:[0-9][0-9]([.][0-9]+)? ?(Z|[+-][0-9][0-9](:?[0-9][0-9])?)$"


def describe_table(table: QualifiedName) -> str:
    return f"DESCRIBE TABLE {table.sql()}"


def create_parquet_format(name: QualifiedName) -> str:
    """A file format that goes with the session; INFER_SCHEMA and queries take no other description of the files."""
    return f"CREATE TEMPORARY FILE FORMAT IF NOT EXISTS {name.sql()} {_PARQUET}"


def infer_schema(location: StagePath, files: Sequence[str], file_format: QualifiedName) -> str:
    """The columns of some files.

    :param files: names relative to the location, at most :data:`MOST_INFERRED_FILES`.
    """
    listed_files = ", ".join(literal(file) for file in files)
    arguments = {
        "LOCATION": stage_sql(location),
        "FILES": f"({listed_files})",
        "FILE_FORMAT": literal(file_format.sql()),
    }
    listed = ", ".join(f"{name} => {value}" for name, value in arguments.items())
    return f"SELECT * FROM TABLE(INFER_SCHEMA({listed}))"


def create_table(table: QualifiedName, columns: Sequence[tuple[Identifier, str]]) -> str:
    """``CREATE TABLE IF NOT EXISTS``.

    :param columns: names and types, the types as INFER_SCHEMA reports them.
    """
    for name, kind in columns:
        if not _TYPE.fullmatch(kind):
            raise InvalidJobError(str(name), f"{kind!r} is not a type of a table's column.")
    listed = ", ".join(f"{name.quoted()} {kind}" for name, kind in columns)
    return f"CREATE TABLE IF NOT EXISTS {table.sql()} ({listed})"


def delete_rows(table: QualifiedName) -> str:
    return f"DELETE FROM {table.sql()}"


def copy_into_table(
    table: QualifiedName,
    location: StagePath,
    files: Sequence[str],
    *,
    force: bool,
    columns: Sequence[LoadedColumn] | None = None,
) -> str:
    """``COPY INTO`` a table from Parquet files of one directory.

    :param files: names relative to the location, at most :data:`MOST_COPIED_FILES`.
    :param force: also load files that Snowflake remembers having loaded into this table.
    :param columns: what goes into which column. None has Snowflake match the names itself, which fails on an empty text
        (https://docs.snowflake.com/en/sql-reference/sql/copy-into-table, MATCH_BY_COLUMN_NAME).
    """
    if columns is None:
        into, origin, matching = table.sql(), stage_sql(location), " MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE"
    else:
        into = f"{table.sql()} ({', '.join(Identifier(column.target).quoted() for column in columns)})"
        origin, matching = f"(SELECT {', '.join(map(_loaded, columns))} FROM {stage_sql(location)})", ""
    return (
        f"COPY INTO {into} FROM {origin} FILES = ({', '.join(literal(file) for file in files)}) "
        f"FILE_FORMAT = ({_PARQUET}){matching} FORCE = {'TRUE' if force else 'FALSE'}"
    )


def select_unloaded(query: str, columns: Sequence[str]) -> str:
    """The rows of a query as they are unloaded. :param columns: as they stand after SELECT."""
    return f"SELECT {', '.join(columns)} FROM (\n{query}\n)"


def copy_into_stage(directory: StagePath, query: str, columns: Sequence[str]) -> str:
    """``COPY INTO`` a directory of a stage: a query's rows as Parquet files; a row for each file, with its rows.

    The statement's id in the files' names keeps a repetition inside Snowflake from doubling rows.
    https://docs.snowflake.com/en/sql-reference/sql/copy-into-location

    :param columns: what is written of each row, as it stands after SELECT.
    """
    return (
        f"COPY INTO {stage_sql(directory)} FROM ({select_unloaded(query, columns)}) "
        "FILE_FORMAT = (TYPE = PARQUET) HEADER = TRUE INCLUDE_QUERY_ID = TRUE DETAILED_OUTPUT = TRUE "
        f"MAX_FILE_SIZE = {UNLOADED_FILE_BYTES}"
    )


def count_changed(
    location: StagePath, pattern: str, file_format: QualifiedName, columns: Sequence[LoadedColumn]
) -> str:
    """How many values of each of some columns would change if they were loaded: one row, a number for each column."""
    counts = ", ".join(f"COUNT_IF({_is_changed(column)}) AS {Identifier(column.target).quoted()}" for column in columns)
    within = f"FILE_FORMAT => {literal(file_format.sql())}, PATTERN => {literal(pattern)}"
    return f"SELECT {counts} FROM {stage_sql(location)} ({within})"


def count_rounded(location: StagePath, pattern: str, file_format: QualifiedName, columns: Sequence[FileColumn]) -> str:
    """How many whole numbers of each of some columns no floating-point number is: one row, a number for each column."""
    counts = ", ".join(f"COUNT_IF({_is_rounded((one.name,))}) AS {Identifier(one.name).quoted()}" for one in columns)
    within = f"FILE_FORMAT => {literal(file_format.sql())}, PATTERN => {literal(pattern)}"
    return f"SELECT {counts} FROM {stage_sql(location)} ({within})"


def count_file_rows(location: StagePath, pattern: str, file_format: QualifiedName) -> str:
    """How many rows some files have together: one row, one number."""
    within = f"FILE_FORMAT => {literal(file_format.sql())}, PATTERN => {literal(pattern)}"
    return f"SELECT COUNT(*) AS ROW_COUNT FROM {stage_sql(location)} ({within})"


def select_example_rows(
    file: StagePath, file_format: QualifiedName, columns: Sequence[tuple[str, str]], *, count: int, longest: int
) -> str:
    """Some rows of one Parquet file, each value as text.

    https://docs.snowflake.com/en/user-guide/querying-stage

    :param columns: names and types, the types as INFER_SCHEMA reports them; no name holds a double quote.
    :param count: most rows.
    :param longest: characters of a value.
    """
    values = (
        f"LEFT({_read(name, kind)}::VARCHAR, {longest:d}) AS C{number}" for number, (name, kind) in enumerate(columns)
    )
    return (
        f"SELECT {', '.join(values)} FROM {stage_sql(file)} (FILE_FORMAT => {literal(file_format.sql())}) "
        f"LIMIT {count:d}"
    )


def _is_rounded(spellings: Sequence[str]) -> str:
    # Only where whole numbers are not all floating-point ones, and not where NUMBER has no room for one of those.
    number, whole = _first(spellings, "FLOAT"), _first(spellings, "NUMBER(38, 0)")
    changes = f"{whole} <> {number}::NUMBER(38, 0)"
    return f"IFF(ABS({number}) BETWEEN {_EXACT_IN_FLOAT} AND {_MOST_IN_NUMBER}, {changes}, FALSE)"


def _first(spellings: Sequence[str], kind: str) -> str:
    """The values of a column. No file has it under two spellings."""
    values = [_read(name, kind) for name in spellings]
    return values[0] if len(values) == 1 else f"COALESCE({', '.join(values)})"


def _is_changed(column: LoadedColumn) -> str:
    if column.has_whole:
        rest = replace(column, has_whole=False)
        rounded = _is_rounded(column.spellings)
        return f"{rounded} OR ({_is_changed(rest)})" if rest.may_change else rounded
    value = _loaded(column)
    if column.type in FLOATS and column.kind == "TEXT":
        # Of a fraction, the nearest floating-point number is meant; of a whole number, that number.
        whole = f"TRY_TO_NUMBER({value}, 38, 0)"
        return f"REGEXP_LIKE({value}, '^[+-]?[0-9]+$') AND {whole} <> {whole}::FLOAT::NUMBER(38, 0)"
    if column.type in FLOATS:
        # Cast back: compared with a floating-point number, the value would become one itself, and be equal to it.
        return f"{value} <> {value}::FLOAT::{column.kind}"
    if column.type == "BOOLEAN":
        return f"{value} <> {value}::BOOLEAN::NUMBER"
    if column.type == "DATE" and column.kind == "TEXT":
        # A text that is no date gives NULL here, and an error in COPY.
        return f"TRY_TO_TIMESTAMP_NTZ({value}) <> TRY_TO_DATE({value})"
    conditions = []
    if column.may_lack_zone:
        conditions.append(f"NOT REGEXP_LIKE(TRIM({value}), {literal(_HAS_ZONE)})")
    if column.digits_kept is not None:
        more = f"^.*:[0-9][0-9][.]{'[0-9]' * column.digits_kept}[0-9]*[1-9].*$"
        conditions.append(f"REGEXP_LIKE({value}, {literal(more)})")
    if conditions:
        return " OR ".join(conditions)
    if column.kind == "TEXT":
        # Compared with a number without decimal places, Snowflake may read the text as one without them.
        return f"{value}::FLOAT <> {value}::{column.type}"
    if column.type.startswith("VARCHAR"):
        return f"{value} <> {value}::VARCHAR::{column.kind}"
    return f"{value} <> {value}::{column.type}"


def _loaded(column: LoadedColumn) -> str:
    form = form_of(column.original)
    value = _first(column.spellings, column.kind if form is None else "VARCHAR")
    return value if form is None else form.read.format(value)


def select_source(source: Source) -> str:
    """The query whose rows a source stands for.

    :raises TypeError: for a source that has to be looked up on its stage first.
    """
    match source:
        case Query(sql):
            return sql
        case Table(name):
            return f"SELECT * FROM {name.sql()}"
        case StagePaths(paths, Identifier() as column_name):
            rows = ",\n".join(f"({literal(str(path))})" for path in paths)
            return f"SELECT COLUMN1 AS {column_name.quoted()} FROM (VALUES\n{rows}\n)"
        case StageQuery():
            return _select_files(source)
    raise TypeError(f"{source} is not known well enough to be queried.")


def _select_files(source: StageQuery) -> str:
    files = source.files
    within = f"FILE_FORMAT => {literal(source.file_format.sql())}"
    if files.pattern is not None:
        within += f", PATTERN => {literal(files.pattern)}"
    origin = f"FROM {stage_sql(files.location)} ({within})"
    chosen = _chosen_columns(source)
    if files.filter is None:
        listed = ", ".join(f"{_read(name, kind)} AS {called.quoted()}" for (name, kind), called in chosen)
        return f"SELECT {listed} {origin}"
    # The condition sees every column of the files, under a name that needs no quotes where that is possible.
    upper = [name.upper() for name, _ in source.columns]
    known = {
        name: Identifier(name.upper() if upper.count(name.upper()) == 1 else name)
        for name, _ in source.columns
        if '"' not in name
    }
    inner = ", ".join(
        f"{_read(name, kind)} AS {known[name].quoted()}" for name, kind in source.columns if name in known
    )
    outer = ", ".join(f"{known[name].quoted()} AS {called.quoted()}" for (name, _), called in chosen)
    return f"SELECT {outer} FROM (\nSELECT {inner} {origin}\n) WHERE (\n{files.filter}\n)"


def _chosen_columns(source: StageQuery) -> list[tuple[tuple[str, str], Identifier]]:
    """Each column to read, with its name and type in the files, and what it is to be called."""
    if source.files.select is None:
        chosen = [(column, Identifier(column[0])) for column in source.columns]
    else:
        chosen = []
        for selected in source.files.select:
            column = _find_column(source.columns, selected.name.value)
            chosen.append((column, selected.alias or Identifier(column[0])))
    counts = Counter(called.value for _, called in chosen)
    for (name, _), called in chosen:
        if '"' in name:
            raise InvalidJobError("X.select", f"the column {name!r} cannot be read: its name holds a double quote.")
        if counts[called.value] > 1:
            # A column that is not renamed is called what the files call it, which only they tell.
            raise InvalidJobError("X.select", f"two columns would be called {called}: rename one of them.")
    return chosen


def _find_column(columns: Sequence[tuple[str, str]], wanted: str) -> tuple[str, str]:
    exact = [column for column in columns if column[0] == wanted]
    found = exact or [column for column in columns if column[0].upper() == wanted.upper()]
    if len(found) == 1:
        return found[0]
    names = ", ".join(name for name, _ in columns[:20]) + (" …" if len(columns) > 20 else "")
    if found:
        raise InvalidJobError("X.select", f"{wanted} may be any of {', '.join(n for n, _ in found)}: quote the one.")
    raise InvalidJobError("X.select", f"the files have no column {wanted!r}; they have {names}.")


def _read(name: str, kind: str) -> str:
    if '"' in name:
        raise InvalidJobError("X", f"the column {name!r} of the files cannot be read: its name holds a double quote.")
    # Columns of other types are semi-structured. A VARIANT holds them without loss.
    return f'$1:"{name}"::{kind if _TYPE.fullmatch(kind) else "VARIANT"}'
