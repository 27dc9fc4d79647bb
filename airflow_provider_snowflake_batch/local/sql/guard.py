"""What must not reach the SQL engine: statements, options and functions that would be ignored or reach files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import Expr, exp
from sqlglot.dialects.snowflake import Snowflake
from sqlglot.parser import Parser

from airflow_provider_snowflake_batch.local.errors import SnowflakeError, compilation_error, not_supported
from airflow_provider_snowflake_batch.local.functions import Functions, unknown_function, unknown_table_function
from airflow_provider_snowflake_batch.local.snowflake_names import has_function, refuse_clauses, refused_statement
from airflow_provider_snowflake_batch.local.sql.expressions import function_name

_RUNNABLE = (
    exp.Query,
    exp.Values,
    exp.Insert,
    exp.MultitableInserts,
    exp.Update,
    exp.Delete,
    exp.Merge,
    exp.Create,
    exp.Drop,
    exp.Alter,
    exp.TruncateTable,
    exp.Comment,
    exp.Transaction,
    exp.Commit,
    exp.Rollback,
)
_COMMENTED = {"COLUMN", "TABLE", "VIEW"}
_CREATED = {"TABLE", "VIEW", "SEQUENCE"}
# Options of CREATE that are honoured, or that say nothing of what a table holds or a query returns.
_PROPERTIES = (
    exp.ClusterProperty,
    exp.CopyGrantsProperty,
    exp.LikeProperty,
    exp.SchemaCommentProperty,
    exp.SecureProperty,
    exp.SequenceProperties,
    exp.TemporaryProperty,
    exp.TransientProperty,
)
_NAMED_PROPERTIES = {"CHANGE_TRACKING", "DATA_RETENTION_TIME_IN_DAYS", "MAX_DATA_EXTENSION_TIME_IN_DAYS"}
# These are read like functions, but are no names of functions.
_GRAMMAR = {"AND", "CASE", "EXISTS", "OR"}


def _forget_names_of_others() -> None:
    """Let sqlglot read a function that Snowflake has not, such as ``DATE_DIFF``, as any unknown one: it would take it
    for the one of another dialect, which the engine then answers.
    """
    known = Snowflake.Parser.FUNCTIONS
    for name in [name for name in known if known[name] is Parser.FUNCTIONS.get(name)]:
        if not has_function(name) and name not in _GRAMMAR:
            del known[name]


_forget_names_of_others()
TABLE_FUNCTIONS_OF_THE_ENGINE = {
    "FLATTEN", "EXPLODE", "GENERATOR", "SPLIT_TO_TABLE", "STRTOK_SPLIT_TO_TABLE", "RANGE",
}  # fmt: skip
"""Those that the engine answers; EXPLODE is what FLATTEN is called once parsed, RANGE is DuckDB's and harmless."""
_FILE_FUNCTIONS = (
    "READ_", "PARQUET_", "SNIFF_", "DUCKDB_", "PRAGMA_", "ARROW_SCAN", "PANDAS_SCAN", "PYTHON_MAP", "SQLITE_",
    "POSTGRES_", "MYSQL_", "ICEBERG_", "DELTA_", "JSON_EXECUTE", "QUERY_TABLE",
)  # fmt: skip
_FILE_FUNCTION_NAMES = {
    "GLOB", "WRITE_LOG", "GETVARIABLE", "QUERY", "GETENV", "TEST_ALL_TYPES", "SEQ_SCAN", "WHICH_SECRET",
    "CURRENT_SETTING",
}  # fmt: skip

# Source: https://docs.snowflake.com/en/sql-reference/functions-window-syntax
_OF_AN_ORDER = (
    exp.CumeDist, exp.DenseRank, exp.FirstValue, exp.Lag, exp.LastValue, exp.Lead, exp.NthValue, exp.Ntile,
    exp.PercentRank, exp.Rank, exp.RowNumber,
)  # fmt: skip

# Parts of dates that the engine has. Source: https://docs.snowflake.com/en/sql-reference/functions-date-time
_NO_PARTS = {
    "CENTURIES", "CENTURY", "DECADE", "DECADES", "ERA", "ISODOW", "ISOYEAR", "JULIAN", "MILLENNIA", "MILLENNIUM",
    "MILLENNIUMS", "TIMEZONE", "YEARWEEK",
}  # fmt: skip
_NO_PART = "This part of a date (an account lacks it, too)"


def _is_no_part(node: Expr) -> bool:
    unit = node.this if isinstance(node, exp.Extract) else node.args.get("unit")
    return isinstance(unit, Expr) and unit.name.upper() in _NO_PARTS


_LACKING: tuple[tuple[type[Expr], Callable[[Any], bool], str], ...] = (
    (exp.Connect, lambda node: True, "CONNECT BY (WITH RECURSIVE may do instead)"),
    (
        exp.Generator,
        lambda node: bool(node.args.get("timelimit")),
        "The option TIMELIMIT of GENERATOR (ROWCOUNT may do instead)",
    ),
    (
        exp.DateAdd,
        lambda node: node.text("unit").upper().startswith("NANO") and not _is_of_thousands(node.expression),
        "DATEADD of nanoseconds (times have microseconds here)",
    ),
    (
        exp.AlterColumn,
        lambda node: node.args.get("default") is not None and node.args["default"].name.upper() != "NEXTVAL",
        "ALTER COLUMN … SET DEFAULT of anything but a sequence (an account lacks it, too)",
    ),
    (
        exp.When,
        lambda node: bool(node.args.get("source")),
        "WHEN NOT MATCHED BY SOURCE (an account lacks it, too; a DELETE with NOT EXISTS does the same)",
    ),
    (
        exp.DataType,
        lambda node: node.this in (exp.DataType.Type.GEOGRAPHY, exp.DataType.Type.GEOMETRY),
        "A type of places (GEOGRAPHY, GEOMETRY; text or numbers may do instead)",
    ),
    (exp.Drop, lambda node: str(node.args.get("kind")).upper() == "CONSTRAINT", "DROP CONSTRAINT"),
    (exp.TimeUnit, _is_no_part, _NO_PART),
    (exp.DateTrunc, _is_no_part, _NO_PART),
    (exp.Extract, _is_no_part, _NO_PART),
    (exp.IntDiv, lambda node: True, "The operator DIV (an account lacks it, too; TRUNC(a / b) does the same)"),
    (exp.CollateColumnConstraint, lambda node: True, "COLLATE"),
    (exp.Collate, lambda node: bool(node.expression.name), "COLLATE (a comparison of LOWER(…) knows no case)"),
    (
        exp.DataType,
        lambda node: node.this == exp.DataType.Type.DECFLOAT,
        "The type DECFLOAT (NUMBER or FLOAT may do instead)",
    ),
)
"""What is refused wherever it stands."""


def _is_of_thousands(node: Expr) -> bool:
    given = node.this if isinstance(node, (exp.Neg, exp.Paren)) else node
    return _is_of_thousands(given) if given is not node else isinstance(node, exp.Literal) and node.name.endswith("000")


def guard(tree: Expr, text: str, functions: Functions) -> None:
    """
    :param text: the statement.
    :param functions: what the server answers itself.
    :raises SnowflakeError: for statements and functions that Snowflake lacks or this server does.
    """
    if isinstance(tree, exp.Command) or not isinstance(tree, _RUNNABLE):
        raise refused_statement(text)
    refuse_clauses(text)
    if isinstance(tree, (exp.Create, exp.Drop)) and (kind := str(tree.args.get("kind")).upper()) not in _CREATED:
        raise not_supported(f"{tree.key.upper()} {kind}")
    if isinstance(tree, exp.Create):
        _guard_create(tree)
    if isinstance(tree, exp.Comment) and (kind := str(tree.args.get("kind")).upper()) not in _COMMENTED:
        raise not_supported(f"COMMENT ON {kind}")
    for wherever, is_lacking, what in _LACKING:
        if any(is_lacking(node) for node in tree.find_all(wherever)):
            raise not_supported(what)
    for values in tree.find_all(exp.Values):
        _guard_values(values)
    for window in tree.find_all(exp.Window):
        _guard_window(window)
    for flatten in tree.find_all(exp.Explode):
        _guard_flatten(flatten)
    for node in tree.find_all(exp.Func, exp.Table, exp.Lateral, exp.TableFromRows):
        if isinstance(node, (exp.Table, exp.Lateral, exp.TableFromRows)):
            _guard_table(node)
        elif isinstance(node, exp.Func):
            _guard_function(node, functions)


def _guard_create(tree: exp.Create) -> None:
    properties = tree.args.get("properties")
    for option in properties.expressions if properties is not None else ():
        if isinstance(option, exp.Property) and type(option) is exp.Property:
            if option.name.upper() not in _NAMED_PROPERTIES:
                raise not_supported(f"The option {option.name.upper()} of CREATE {tree.kind}")
        elif not isinstance(option, _PROPERTIES):
            words = option.sql(dialect="snowflake").split()
            raise not_supported(f"CREATE {tree.kind} with {' '.join(words[:2])}")


def _guard_values(values: exp.Values) -> None:
    """:raises SnowflakeError: 2014 for what makes a semi-structured value, which VALUES takes none of."""
    made = next((one for row in values.expressions for one in row.find_all(exp.Array, exp.Struct, exp.ParseJSON)), None)
    if made is not None and made.find_ancestor(exp.Query, exp.Values) is values:
        words = f"Invalid expression [{made.sql(dialect='snowflake')}] in VALUES clause"
        raise SnowflakeError(f"SQL compilation error:\n{words}", errno=2014, sqlstate="22000")


def _guard_window(window: exp.Window) -> None:
    """:raises SnowflakeError: 1003 for a function of a row's place among others that says no order."""
    function = window.this.this if isinstance(window.this, (exp.IgnoreNulls, exp.RespectNulls)) else window.this
    if isinstance(function, _OF_AN_ORDER) and window.args.get("order") is None:
        name = function.sql_name()
        raise compilation_error(f"Window function type [{name}] requires ORDER BY in window specification.")


def _guard_flatten(flatten: exp.Explode) -> None:
    """Refuse options of FLATTEN that the engine cannot follow."""
    possible = {"OUTER": {"FALSE", "TRUE"}, "RECURSIVE": {"FALSE"}, "MODE": {"BOTH", "OBJECT", "ARRAY"}}
    for option in (flatten.this, *flatten.expressions):
        if isinstance(option, exp.Kwarg) and (name := option.this.name.upper()) != "INPUT":
            value = option.expression
            given = value.name if isinstance(value, exp.Literal) else value.sql()
            if name != "PATH" and given.upper() not in possible.get(name, ()):
                raise not_supported(f"The option {name} of FLATTEN")


def _guard_function(node: exp.Func, functions: Functions) -> None:
    name = function_name(node)
    known = has_function(name) or functions.answers(name) or name in TABLE_FUNCTIONS_OF_THE_ENGINE
    if isinstance(node, exp.Anonymous) and not known:
        # The engine has many that Snowflake has not.
        raise unknown_function(name)
    if name.startswith(_FILE_FUNCTIONS) or name in _FILE_FUNCTION_NAMES:
        raise unknown_function(name)


def _guard_table(node: exp.Table | exp.Lateral | exp.TableFromRows) -> None:
    if isinstance(node.this, exp.Func) and function_name(node.this) not in TABLE_FUNCTIONS_OF_THE_ENGINE:
        # One of DuckDB's own: some of them change the server, and one ends its process.
        raise unknown_table_function(function_name(node.this))
    if isinstance(node.this, exp.Literal) and not node.this.this.startswith("@"):
        raise not_supported(f"{node.this} as a table (its name without the quotes does the same)")
