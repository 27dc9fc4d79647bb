"""The ways to name a job's input rows.

Each has a class here and a plain form, a dict of JSON values, which Dags, XComs and YAML files use:
:func:`parse_source` reads it, :func:`plain_source` writes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from airflow_provider_snowflake_batch.contract.output_layout import DATA_FILE_PATTERN
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName, StagePath
from airflow_provider_snowflake_batch.jobs.spec_fields import is_template
from airflow_provider_snowflake_batch.jobs.sql_text import check_condition, check_query, looks_like_query

DEFAULT_COLUMN = Identifier("FILE_PATH")
"""What ``list_stage_files`` of snowflake-ml-python calls its column."""


@contextmanager
def _before_rendering(text: str, instead: str) -> Iterator[None]:
    """The check of a text that may not have been rendered: if so, its failure says how to have it checked afterwards.

    :param instead: how to give such a text.
    """
    try:
        yield
    except InvalidJobError as error:
        if not is_template(text):
            raise
        template = f"It holds a Jinja template: give it as {instead}, which is checked when it is rendered."
        raise InvalidJobError(error.field, f"{error.problem} {template}") from None


@dataclass(frozen=True, slots=True)
class Query:
    """The rows of a query.

    :param sql: one SELECT or WITH statement, without a semicolon. It is checked as it stands: one that Jinja has to
        render first is given as plain text (``X="SELECT …"``), and checked when the task runs.
    :raises InvalidJobError: if it is something else, or could break out of the parentheses it is sent in.
    """

    sql: str

    def __post_init__(self) -> None:
        with _before_rendering(self.sql, 'X="SELECT …"'):
            object.__setattr__(self, "sql", check_query(self.sql, field="X"))

    def __str__(self) -> str:
        return self.sql


@dataclass(frozen=True, slots=True)
class Table:
    """All rows of a table or view."""

    name: QualifiedName

    def __str__(self) -> str:
        return str(self.name)


@dataclass(frozen=True, slots=True)
class SelectedColumn:
    """:param name: a column of the files. :param alias: what it is called in the input; default: as in the files."""

    name: Identifier
    alias: Identifier | None = None


@dataclass(frozen=True, slots=True)
class StageParquet:
    """The rows of the Parquet files under a stage location.

    With the location alone, the job reads the files itself. With any of the others, the job's statement reads them by a
    query (https://docs.snowflake.com/en/user-guide/querying-stage), which needs a warehouse.

    :param pattern: regular expression for the files, matched as ``LIST`` and the query's ``PATTERN`` do; the query's
        default: those that end in ``.parquet``.
    :param select: the columns to read, in this order; default: all.
    :param filter: condition on the files' columns, whether selected or not, as after WHERE. A column whose name has
        lower-case letters answers to its name in any case, unless two differ in nothing else.
    :param file_format: a named file format of type PARQUET; default: a temporary one, which needs CREATE FILE FORMAT on
        the job's schema.
    :raises InvalidJobError: if select is empty or gives two columns one name, or the filter is no condition.
    """

    location: StagePath
    pattern: str | None = None
    select: tuple[SelectedColumn, ...] | None = None
    filter: str | None = None
    file_format: QualifiedName | None = None

    def __post_init__(self) -> None:
        if self.filter is not None:
            with _before_rendering(self.filter, 'X={"stage_location": …, "filter": …}'):
                object.__setattr__(self, "filter", check_condition(self.filter, field="X.filter"))
        if self.select is not None:
            if not self.select:
                raise InvalidJobError("X.select", "it names no column; leave it out to read all of them.")
            names = [column.alias or column.name for column in self.select]
            for column in self.select:
                if names.count(column.alias or column.name) > 1:
                    raise InvalidJobError(
                        "X.select", f"two columns would be called {column.alias or column.name}: rename one of them."
                    )
                if [one.name for one in self.select].count(column.name) > 1:
                    raise InvalidJobError("X.select", f"{column.name} stands there twice.")

    @property
    def needs_query(self) -> bool:
        """Whether the statement has to read the files by a query: its FROM takes a bare location or a query."""
        return any(value is not None for value in (self.pattern, self.select, self.filter, self.file_format))

    def __str__(self) -> str:
        return str(self.location) + (f" (pattern {self.pattern})" if self.pattern is not None else "")


@dataclass(frozen=True, slots=True)
class StagePaths:
    """One row for each file, with the file's full stage path in its one column.

    :param paths: the files.
    :param column_name: the column; default: the one that the job's ``column_handling`` names, else FILE_PATH.
    :raises InvalidJobError: if there is no path.
    """

    paths: tuple[StagePath, ...]
    column_name: Identifier | None = None

    def __post_init__(self) -> None:
        if not self.paths:
            raise InvalidJobError("X", "the list of stage paths is empty: there is nothing to score.")

    def __str__(self) -> str:
        return f"{len(self.paths)} stage paths"


@dataclass(frozen=True, slots=True)
class StageListing:
    """One row for each file that ``LIST`` finds when the job is submitted, as :class:`StagePaths`.

    It does what ``snowflake.ml.utils.stage_file.list_stage_files`` does, and takes the same arguments.

    :param location: every file whose path begins so, in folders below as well.
    :param pattern: regular expression that the file's name, with its path, has to match.
    :param column_name: as for :class:`StagePaths`.
    """

    location: StagePath
    pattern: str | None = None
    column_name: Identifier | None = None

    def __str__(self) -> str:
        return f"the files of {self.location}" + (f" (pattern {self.pattern})" if self.pattern is not None else "")


@dataclass(frozen=True, slots=True)
class JobOutput:
    """The results of another job, once it has written ``_SUCCESS``; its other files are left out.

    :param location: the job's own output directory.
    """

    location: StagePath

    @property
    def files(self) -> StageParquet:
        # Results lie in the job's directory itself, under names that do not begin with "_". LIST and queries differ in
        # how much of the path before the name they match.
        directory = re.escape(self.location.path.rstrip("/").rpartition("/")[2])
        return StageParquet(self.location, pattern=rf"(.*{directory}/|/)?{DATA_FILE_PATTERN}")

    def __str__(self) -> str:
        return f"the results in {self.location}"


@dataclass(frozen=True, slots=True)
class StageQuery:
    """:class:`StageParquet` with what only its files tell.

    :param columns: name and Snowflake type of each of the files' columns.
    :param file_format: the named file format.
    :param temporary: whether the format has to be created before the query can be sent.
    :param originals: columns whose values are text in the files, or may be, and the SQL types that they had before.
    """

    files: StageParquet
    columns: tuple[tuple[str, str], ...]
    file_format: QualifiedName
    temporary: bool
    originals: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return str(self.files)


Source = Query | Table | StageParquet | StagePaths | StageListing | JobOutput | StageQuery

_CLASSES = (Query, Table, StageParquet, StagePaths, StageListing, JobOutput, StageQuery)
# Each plain form by its key, and the keys that may stand beside it.
_FORMS: dict[str, tuple[str, ...]] = {
    "query": (),
    "table": (),
    "stage_location": ("pattern", "select", "filter", "file_format"),
    "paths": ("column_name",),
    "list_stage_files": ("pattern", "column_name"),
    # The task result of RunBatchOperator, or of VerifyBatchResultsOperator.
    "output_location": (
        *("job_name", "status", "rows", "files", "seconds", "attempt", "warnings", "model", "version", "rows_reused"),
        *("quarantined_rows", "bytes", "has_manifest", "contents"),
    ),
}


def parse_source(X: Any, *, field: str = "X") -> Source:
    """Understand what a user gave as input.

    :param X: a query (``SELECT …`` or ``WITH …``), a table's name, a stage location of Parquet files (``@…``), a list
        of full stage paths, one of this module's objects, or a dict with exactly one of the keys ``query``, ``table``,
        ``stage_location``, ``paths``, ``list_stage_files``, ``output_location``, and that form's options.
    :raises InvalidJobError: if it is none of these.
    """
    if isinstance(X, _CLASSES):
        return X
    if isinstance(X, Mapping):
        return _from_mapping(X, field)
    if isinstance(X, (list, tuple)):
        return StagePaths(_paths(X, field))
    if not isinstance(X, str) or not X.strip():
        raise InvalidJobError(
            field,
            f"expected a query, a table's name, a stage location of Parquet files or a list of stage paths, got {X!r}.",
        )
    text = X.strip()
    if text.startswith("@"):
        return StageParquet(StagePath.parse(text, field=field).directory())
    if looks_like_query(text):
        return Query(text)
    if text.startswith(("[", "{")):
        raise InvalidJobError(
            field,
            f"{text[:80]!r} is a list or dict that a template has turned into text: pass the other task's output "
            "itself (X=other_task.output), or set render_template_as_native_obj=True on the Dag.",
        )
    try:
        return Table(QualifiedName.parse(text, field=field))
    except InvalidJobError:
        raise InvalidJobError(
            field,
            f"{text[:80]!r} is neither a query (SELECT … or WITH …), nor a table's name, nor a stage location (@…).",
        ) from None


def plain_source(X: Any) -> Any:
    """The same input as plain JSON values, so that Airflow can render and show it; anything unknown as it is."""
    match X:
        case Query(sql):
            return {"query": sql}
        case Table(name):
            return {"table": str(name)}
        case StageParquet():
            plain = _given(pattern=X.pattern, filter=X.filter, file_format=X.file_format)
            if X.select is not None:
                plain["select"] = {str(one.name): str(one.alias) if one.alias else None for one in X.select}
            return {"stage_location": str(X.location)} | plain
        case StagePaths(paths, column_name):
            return {"paths": [str(path) for path in paths]} | _given(column_name=column_name)
        case StageListing(location, pattern, column_name):
            return {"list_stage_files": str(location)} | _given(pattern=pattern, column_name=column_name)
        case JobOutput(location):
            return {"output_location": str(location)}
        case StageQuery(files):
            return plain_source(files)
    return X


def _given(**options: object) -> dict[str, Any]:
    return {name: str(value) for name, value in options.items() if value is not None}


def _from_mapping(X: Mapping[str, Any], field: str) -> Source:
    given = [form for form in _FORMS if X.get(form) is not None]
    known = {*_FORMS, *(option for options in _FORMS.values() for option in options)}
    for key in X:
        if key not in known:
            raise InvalidJobError(field, f"unknown field {key!r}; give one of {', '.join(_FORMS)}.")
    if len(given) != 1:
        named = " and ".join(given) if given else "none of them"
        raise InvalidJobError(field, f"give exactly one of {', '.join(_FORMS)}; got {named}.")
    (form,) = given
    for key in X:
        if X[key] is not None and key != form and key not in _FORMS[form]:
            options = ", ".join(_FORMS[form]) or "nothing else"
            raise InvalidJobError(field, f"{key!r} does not go with {form}, which takes {options}.")
    where = f"{field}.{form}"
    column = _column(X, field)
    if form == "paths":
        return StagePaths(_paths(X[form], where), column)
    value = _text(X, form, field)
    assert value is not None
    match form:
        case "query":
            return Query(value)
        case "table":
            return Table(QualifiedName.parse(value, field=where))
        case "stage_location":
            file_format = _text(X, "file_format", field)
            return StageParquet(
                StagePath.parse(value, field=where).directory(),
                pattern=_text(X, "pattern", field),
                select=_select(X.get("select"), f"{field}.select"),
                filter=_text(X, "filter", field),
                file_format=QualifiedName.parse(file_format, field=f"{field}.file_format") if file_format else None,
            )
        case "list_stage_files":
            return StageListing(StagePath.parse(value, field=where), _text(X, "pattern", field), column)
    return JobOutput(StagePath.parse(value, field=where).directory())


def _text(X: Mapping[str, Any], key: str, field: str) -> str | None:
    value = X.get(key)
    if value is not None and (not isinstance(value, str) or not value):
        raise InvalidJobError(f"{field}.{key}", f"expected a text, got {value!r}.")
    return value


def _column(X: Mapping[str, Any], field: str) -> Identifier | None:
    name = _text(X, "column_name", field)
    return Identifier.column(name, field=f"{field}.column_name") if name is not None else None


def _select(given: Any, field: str) -> tuple[SelectedColumn, ...] | None:
    """Columns as a list of names, or as a dict from name to new name (None: as it is)."""
    if given is None:
        return None
    if isinstance(given, Mapping):
        renamed = dict(given)
    elif isinstance(given, (list, tuple)):
        renamed = {}
        for name in given:
            Identifier.column(name, field=field)
            if name in renamed:
                raise InvalidJobError(field, f"{name!r} stands there twice.")
            renamed[name] = None
    else:
        raise InvalidJobError(field, f"expected a list of columns, or a dict from column to new name, got {given!r}.")
    return tuple(
        SelectedColumn(
            Identifier.column(name, field=field),
            Identifier.column(alias, field=f"{field}[{name!r}]") if alias is not None else None,
        )
        for name, alias in renamed.items()
    )


def _paths(given: Any, field: str) -> tuple[StagePath, ...]:
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise InvalidJobError(field, f"expected a list of full stage paths, got {given!r:.80}.")
    return tuple(StagePath.file(path, field=f"{field}[{number}]") for number, path in enumerate(given))
