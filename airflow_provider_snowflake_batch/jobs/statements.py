"""The text of every statement that is sent to Snowflake about jobs, models, stages and tables. With
:mod:`~airflow_provider_snowflake_batch.jobs.account_statements`, nothing else builds SQL.

Identifiers are validated or quoted, literals escaped, specifications serialised by a library. Syntax:
https://docs.snowflake.com/en/sql-reference/sql/execute-inference-job-service and …/execute-job-service
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import yaml

from airflow_provider_snowflake_batch.jobs.column_types import LoadedColumn
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName, StagePath
from airflow_provider_snowflake_batch.jobs.sources import (
    Query,
    Source,
    StageParquet,
    StagePaths,
    StageQuery,
    Table,
)
from airflow_provider_snowflake_batch.jobs.text_forms import form_of

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.jobs.job import ContainerJob, RegistryJob

# The limit of the FILES option (https://docs.snowflake.com/en/sql-reference/sql/copy-into-table).
MOST_COPIED_FILES = 1000
# The limit of the FILES argument (https://docs.snowflake.com/en/sql-reference/functions/infer_schema).
MOST_INFERRED_FILES = 1000
# Few large files: each is read in pieces by as many replicas as there are. A stage volume is slow with small ones.
UNLOADED_FILE_BYTES = 128 * 2**20

# What Parquet files are read by, whatever an account's defaults are, now or after a change of behaviour: bytes stay
# bytes, times and decimals are what they are, and the scanner is the one whose types INFER_SCHEMA reports (the other
# one takes INT96 for TIMESTAMP_LTZ).
# https://docs.snowflake.com/en/sql-reference/sql/create-file-format#type-parquet
_PARQUET = "TYPE = PARQUET BINARY_AS_TEXT = FALSE USE_LOGICAL_TYPE = TRUE USE_VECTORIZED_SCANNER = FALSE"
_TYPE = re.compile(r"[A-Z_]+( ?\(\d+(, ?\d+)?\))?")
_JOB_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")


def literal(value: str) -> str:
    """A string literal: backslashes are escapes in Snowflake's single-quoted strings, so both are doubled."""
    if "\x00" in value:
        raise InvalidJobError("text", "a NUL character cannot be sent to Snowflake.")
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def current_account() -> str:
    """The names that the session's account goes by; answered without a warehouse."""
    return "SELECT CURRENT_ORGANIZATION_NAME() AS ORGANIZATION, CURRENT_ACCOUNT_NAME() AS ACCOUNT"


def execute_inference_job(job: RegistryJob) -> str:
    """``EXECUTE INFERENCE JOB SERVICE``; the order of its clauses is fixed."""
    clauses = [
        "EXECUTE INFERENCE JOB SERVICE",
        f"IN COMPUTE POOL {job.compute_pool.sql()}",
        f"WITH SPECIFICATION {literal(inference_specification(job))}",
        f"FROM {_source(job.source)}",
        f"MODEL = {job.model.sql()}",
    ]
    if job.version is not None:
        clauses.append(f"VERSION = {job.version.sql()}")
    if job.settings.function_name is not None:
        clauses.append(f"FUNCTION = {literal(job.settings.function_name)}")
    clauses += [f"NAME = {_job(job.name)}", "ASYNC = TRUE"]
    if job.settings.replicas is not None:
        clauses.append(f"REPLICAS = {int(job.settings.replicas)}")
    return "\n".join(clauses)


def inference_specification(job: RegistryJob) -> str:
    """The YAML of ``WITH SPECIFICATION``. It repeats nothing that has a clause of its own, and holds no secret."""
    settings = job.settings
    engine = job.engine.to_dict()
    if job.engine.engine is not None:
        # The statement wants the member's upper-case name, unlike every other value of the specification.
        engine["engine"] = job.engine.engine.name
    blocks: dict[str, dict[str, Any]] = {
        "input": job.input.to_dict(),
        "output": {"stage_location": str(job.output.location), "mode": job.output.mode.value},
        "resources": _present(settings, "cpu_requests", "memory_requests", "gpu_requests"),
        "inference": _present(settings, "num_workers", "max_batch_rows")
        | ({"engine_options": engine} if engine else {}),
        "image_build": _present(settings, "image_repo") | ({"force_rebuild": True} if settings.force_rebuild else {}),
    }
    return _yaml({name: block for name, block in blocks.items() if block})


def execute_job(job: ContainerJob) -> str:
    """``EXECUTE JOB SERVICE``, always asynchronous, properties before the specification."""
    clauses = [
        "EXECUTE JOB SERVICE",
        f"IN COMPUTE POOL {job.compute_pool.sql()}",
        f"NAME = {_job(job.name)}",
        "ASYNC = TRUE",
    ]
    if job.replicas != 1:
        clauses.append(f"REPLICAS = {int(job.replicas)}")
    if job.query_warehouse is not None:
        clauses.append(f"QUERY_WAREHOUSE = {job.query_warehouse.sql()}")
    if job.external_access_integrations:
        names = ", ".join(name.sql() for name in job.external_access_integrations)
        clauses.append(f"EXTERNAL_ACCESS_INTEGRATIONS = ({names})")
    if job.comment is not None:
        clauses.append(f"COMMENT = {literal(job.comment)}")
    clauses.append(f"FROM SPECIFICATION $$\n{_json_in_dollars(job.specification)}\n$$")
    return "\n".join(clauses)


def before_inference_job(job: RegistryJob) -> list[str]:
    """What has to run first in the session that sends :func:`execute_inference_job`; harmless when repeated."""
    source = job.source
    if isinstance(source, StageQuery) and source.temporary:
        return [create_parquet_format(source.file_format)]
    return []


def describe_job(name: QualifiedName) -> str:
    return f"DESCRIBE SERVICE {_job(name)}"


def show_jobs(
    database: str | None = None,
    schema: str | None = None,
    *,
    compute_pool: Identifier | None = None,
    like: str | None = None,
    starts_with: str | None = None,
    limit: int | None = None,
) -> str:
    """``SHOW JOB SERVICES``: at most 10,000 rows; LIKE ignores case, STARTS WITH does not."""
    text = "SHOW JOB SERVICES"
    if like is not None:
        text += f" LIKE {literal(like)}"
    if compute_pool is not None:
        text += f" IN COMPUTE POOL {compute_pool.sql()}"
    elif schema is not None:
        text += f" IN SCHEMA {QualifiedName(schema, database).sql()}"
    elif database is not None:
        text += f" IN DATABASE {Identifier(database).sql()}"
    if starts_with is not None:
        text += f" STARTS WITH {literal(starts_with)}"
    if limit is not None:
        text += f" LIMIT {int(limit)}"
    return text


def show_containers(name: QualifiedName) -> str:
    return f"SHOW SERVICE CONTAINERS IN SERVICE {_job(name)}"


def show_instances(name: QualifiedName) -> str:
    return f"SHOW SERVICE INSTANCES IN SERVICE {_job(name)}"


def service_logs(
    name: QualifiedName, instance_id: int, container: str, *, lines: int | None = None, since: datetime | None = None
) -> str:
    """``SYSTEM$GET_SERVICE_LOGS``: at most 100 KB, the newest lines.

    :param since: only lines after this time, each then beginning with its own timestamp (the two arguments that
        Snowflake's own command line uses).
    """
    arguments = [literal(_job(name)), literal(str(int(instance_id))), literal(container)]
    if lines is not None or since is not None:
        arguments.append(str(int(lines if lines is not None else 1000)))
    if since is not None:
        arguments += ["FALSE", literal(since.isoformat()), "TRUE"]
    return f"CALL SYSTEM$GET_SERVICE_LOGS({', '.join(arguments)})"


def cancel_job(name: QualifiedName) -> str:
    return f"CALL {_job(name)}!SPCS_CANCEL_JOB()"


def cancel_query(query_id: str) -> str:
    """``SYSTEM$CANCEL_QUERY``: stops a statement that is still at work."""
    return f"SELECT SYSTEM$CANCEL_QUERY({literal(query_id)})"


def drop_job(name: QualifiedName, *, if_exists: bool = True) -> str:
    return f"DROP SERVICE {'IF EXISTS ' if if_exists else ''}{_job(name)}"


def describe_compute_pool(pool: Identifier) -> str:
    return f"DESCRIBE COMPUTE POOL {pool.sql()}"


def describe_stage(stage: QualifiedName) -> str:
    return f"DESCRIBE STAGE {stage.sql()}"


def show_stages(stage: QualifiedName) -> str:
    """``SHOW STAGES`` of one name, and of those that it matches as a pattern; its ``type`` tells the encryption."""
    schema = QualifiedName(stage.schema or "", stage.database)
    return f"SHOW STAGES LIKE {literal(stage.name)} IN SCHEMA {schema.sql()}"


def show_model_versions(model: QualifiedName, *, like: str | None = None) -> str:
    """``SHOW VERSIONS``.

    :param like: pattern with ``%`` and ``_``, case-insensitive; a name as it is also matches itself.
    """
    chosen = f" LIKE {literal(like)}" if like is not None else ""
    return f"SHOW VERSIONS{chosen} IN MODEL {model.sql()}"


def model_version_url(model: QualifiedName, version: Identifier) -> str:
    """Where the files of a version are, for `list_url` and `get_url`."""
    return f"snow://model/{model.sql()}/versions/{version.sql()}/"


def list_url(url: str) -> str:
    """``LIST`` of files that are on no stage."""
    return f"LIST {literal(url)}"


def get_url(url: str, local_directory: str) -> str:
    """``GET`` of a file that is on no stage into a directory of this machine."""
    return f"GET {literal(url)} {literal('file://' + local_directory.rstrip('/') + '/')}"


def show_model_functions(model: QualifiedName, version: Identifier) -> str:
    return f"SHOW FUNCTIONS IN MODEL {model.sql()} VERSION {version.sql()}"


def list_stage(location: StagePath, *, pattern: str | None = None) -> str:
    """``LIST``: name, size in bytes, md5, last_modified. It matches by prefix, so a directory ends with a slash."""
    return f"LIST {_stage(location)}" + (f" PATTERN = {literal(pattern)}" if pattern is not None else "")


def remove_stage_files(location: StagePath) -> str:
    return f"REMOVE {_stage(location)}"


def get_stage_file(location: StagePath, local_directory: str) -> str:
    """``GET`` of one file into a directory of this machine."""
    return f"GET {_stage(location)} {literal('file://' + local_directory.rstrip('/') + '/')}"


def put_stage_file(local_file: str, directory: StagePath) -> str:
    """``PUT`` of one file as it is, over whatever has its name."""
    return (
        f"PUT {literal('file://' + local_file)} {_stage(directory)} AUTO_COMPRESS = FALSE OVERWRITE = TRUE PARALLEL = 1"
    )


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
        "LOCATION": _stage(location),
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
        into, origin, matching = table.sql(), _stage(location), " MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE"
    else:
        into = f"{table.sql()} ({', '.join(Identifier(column.target).quoted() for column in columns)})"
        origin, matching = f"(SELECT {', '.join(map(_loaded, columns))} FROM {_stage(location)})", ""
    return (
        f"COPY INTO {into} FROM {origin} FILES = ({', '.join(literal(file) for file in files)}) "
        f"FILE_FORMAT = ({_PARQUET}){matching} FORCE = {'TRUE' if force else 'FALSE'}"
    )


def select_unloaded(query: str, columns: Sequence[str]) -> str:
    """What of a query's rows is unloaded. :param columns: as they stand after SELECT."""
    return f"SELECT {', '.join(columns)} FROM (\n{query}\n)"


def copy_into_stage(directory: StagePath, query: str, columns: Sequence[str]) -> str:
    """``COPY INTO`` a directory of a stage: a query's rows as Parquet files; a row for each file, with its rows.

    The statement's id in the files' names keeps a repetition inside Snowflake from doubling rows.
    https://docs.snowflake.com/en/sql-reference/sql/copy-into-location

    :param columns: what of the query is written, as it stands after SELECT.
    """
    return (
        f"COPY INTO {_stage(directory)} FROM ({select_unloaded(query, columns)}) "
        "FILE_FORMAT = (TYPE = PARQUET) HEADER = TRUE INCLUDE_QUERY_ID = TRUE DETAILED_OUTPUT = TRUE "
        f"MAX_FILE_SIZE = {UNLOADED_FILE_BYTES}"
    )


def ml_job_runtime(pool: Identifier) -> str:
    """``SYSTEM$GET_ML_JOB_RUNTIME``: the image that the account runs ML jobs of a pool in."""
    return f"CALL SYSTEM$GET_ML_JOB_RUNTIME({literal(pool.sql())}, '')"


def count_changed(
    location: StagePath, pattern: str, file_format: QualifiedName, columns: Sequence[LoadedColumn]
) -> str:
    """How many values of some columns of files would be others in a table: one row, a number for each column."""
    counts = ", ".join(f"COUNT_IF({_is_changed(column)}) AS {Identifier(column.target).quoted()}" for column in columns)
    within = f"FILE_FORMAT => {literal(file_format.sql())}, PATTERN => {literal(pattern)}"
    return f"SELECT {counts} FROM {_stage(location)} ({within})"


def count_file_rows(location: StagePath, pattern: str, file_format: QualifiedName) -> str:
    """How many rows some files have together: one row, one number."""
    within = f"FILE_FORMAT => {literal(file_format.sql())}, PATTERN => {literal(pattern)}"
    return f"SELECT COUNT(*) AS ROW_COUNT FROM {_stage(location)} ({within})"


def _is_changed(column: LoadedColumn) -> str:
    value = _loaded(column)
    if column.type == "BOOLEAN":
        return f"{value} <> {value}::BOOLEAN::NUMBER"
    if column.kind == "TEXT":
        # Beside a number of no decimal places, Snowflake may read the text as one of none.
        return f"{value}::FLOAT <> {value}::{column.type}"
    if column.type.startswith("VARCHAR"):
        return f"{value} <> {value}::VARCHAR::{column.kind}"
    return f"{value} <> {value}::{column.type}"


def _loaded(column: LoadedColumn) -> str:
    # A file has one of the spellings, if any.
    form = form_of(column.original)
    values = [_read(name, column.kind if form is None else "VARCHAR") for name in column.spellings]
    value = values[0] if len(values) == 1 else f"COALESCE({', '.join(values)})"
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
    origin = f"FROM {_stage(files.location)} ({within})"
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
    for (name, _), _ in chosen:
        if '"' in name:
            raise InvalidJobError("X.select", f"the column {name!r} cannot be read: its name holds a double quote.")
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
    # What has no plain type is semi-structured, and VARIANT loses nothing of it.
    return f'$1:"{name}"::{kind if _TYPE.fullmatch(kind) else "VARIANT"}'


def _source(source: Source) -> str:
    if isinstance(source, StageParquet) and not source.needs_query:
        return source.location.directory().bare_sql(field="X")
    # A trailing line comment would swallow the parenthesis, hence the line breaks.
    return f"(\n{select_source(source)}\n)"


def _stage(location: StagePath) -> str:
    return literal(str(location))


def _job(name: QualifiedName) -> str:
    """A job's name as it may stand in a statement: services and jobs take no quoted names at any level."""
    for part in (name.database, name.schema, name.name):
        if part is not None and (not _JOB_NAME.fullmatch(part) or part != part.upper()):
            raise InvalidJobError("job_spec.job_name", f"{part!r} would need quotes, which job names cannot have.")
    return name.sql()


def _present(block: Any, *names: str) -> dict[str, Any]:
    return {name: getattr(block, name) for name in names if getattr(block, name) is not None}


# Line breaks of YAML 1.1, what it does not take as it stands, and halves of characters.
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


def _json_in_dollars(document: Any) -> str:
    """A document as JSON that is YAML as well, without a ``$$``, which would end the literal that it stands in.

    Snowflake reads specifications as YAML 1.1, of which JSON is nearly a part.
    """
    return _json(document, "\n").replace("$$", r"$\u0024")


def _json(value: Any, line: str) -> str:
    """:param line: the line break, and how far the value is indented."""
    deeper = f"{line}  "
    if isinstance(value, Mapping) and value:
        inner = [f"{_json(str(name), line)}: {_json(item, deeper)}" for name, item in value.items()]
        return f"{{{deeper}{f',{deeper}'.join(inner)}{line}}}"
    if isinstance(value, (list, tuple)) and value:
        return f"[{', '.join(_json(item, line) for item in value)}]"
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if isinstance(value, float) and "e" in text and "." not in text:
        # Without the point it is a text in YAML 1.1.
        return text.replace("e", ".0e")
    return _NOT_IN_YAML.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _yaml(document: Any) -> str:
    def dump(allow_unicode: bool) -> str:
        return yaml.safe_dump(
            document, sort_keys=False, allow_unicode=allow_unicode, default_flow_style=False, width=2**20
        )

    text = dump(allow_unicode=True)
    # YAML 1.1 takes NEL and its like for line breaks, which the library writes as they are: escape those.
    return text if yaml.safe_load(text) == document else dump(allow_unicode=False)
