"""Column types as DDL declares them."""

from __future__ import annotations

import re

from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.sql.types import BINARY_LENGTH, TEXT_LENGTH

_Type = exp.DataType.Type
_INTEGERS = {_Type.TINYINT, _Type.SMALLINT, _Type.MEDIUMINT, _Type.INT, _Type.BIGINT, _Type.INT128}
_SIMPLE = {
    _Type.FLOAT: "FLOAT",
    _Type.DOUBLE: "FLOAT",
    _Type.BOOLEAN: "BOOLEAN",
    _Type.DATE: "DATE",
    _Type.VARIANT: "VARIANT",
    _Type.OBJECT: "OBJECT",
    _Type.STRUCT: "OBJECT",
    _Type.MAP: "OBJECT",
    _Type.ARRAY: "ARRAY",
    _Type.LIST: "ARRAY",
    _Type.JSON: "VARIANT",
}
_TIMES = {
    _Type.TIME: "TIME",
    _Type.TIMESTAMP: "TIMESTAMP_NTZ",
    _Type.TIMESTAMPNTZ: "TIMESTAMP_NTZ",
    _Type.DATETIME: "TIMESTAMP_NTZ",
    _Type.TIMESTAMPTZ: "TIMESTAMP_TZ",
    _Type.TIMESTAMPLTZ: "TIMESTAMP_LTZ",
}


def declarations(tree: Expr) -> list[tuple[str, str]]:
    """Names and Snowflake types of the columns that CREATE TABLE or ALTER TABLE ADD COLUMN declares."""
    if isinstance(tree, exp.Create) and isinstance(tree.this, exp.Schema):
        definitions = tree.this.expressions
    elif isinstance(tree, exp.Alter):
        definitions = tree.args.get("actions") or []
    else:
        return []
    found = []
    for definition in definitions:
        if isinstance(definition, exp.ColumnDef) and isinstance(definition.args.get("kind"), exp.DataType):
            name = definition.this
            found.append((name.name if name.quoted else name.name.upper(), declared_type(definition.args["kind"])))
    return found


def declared_type(kind: exp.DataType) -> str:
    """The type as DESCRIBE TABLE prints it."""
    sizes = [parameter.name for parameter in kind.expressions]
    if kind.this in _INTEGERS:
        return "NUMBER(38,0)"
    if kind.this == _Type.DECIMAL:
        return f"NUMBER({sizes[0] if sizes else 38},{sizes[1] if len(sizes) > 1 else 0})"
    if kind.this in (_Type.VARCHAR, _Type.TEXT, _Type.NVARCHAR):
        return f"VARCHAR({sizes[0] if sizes else TEXT_LENGTH})"
    if kind.this in (_Type.CHAR, _Type.NCHAR):
        return f"VARCHAR({sizes[0] if sizes else 1})"
    if kind.this in (_Type.BINARY, _Type.VARBINARY):
        return f"BINARY({sizes[0] if sizes else BINARY_LENGTH})"
    if kind.this in _TIMES:
        return f"{_TIMES[kind.this]}({sizes[0] if sizes else 9})"
    return _SIMPLE.get(kind.this, kind.sql(dialect="snowflake").upper())


def changed_columns(tree: Expr) -> list[tuple[str, str | None, str | None]]:
    """Columns that ALTER TABLE changes: the name, the new name (None if it is dropped), the new type if it has one."""
    found: list[tuple[str, str | None, str | None]] = []
    for action in tree.args.get("actions") or []:
        if isinstance(action, exp.AlterColumn) and isinstance(action.args.get("dtype"), exp.DataType):
            found.append((_stored(action.this), _stored(action.this), declared_type(action.args["dtype"])))
        elif isinstance(action, exp.RenameColumn):
            found.append((_stored(action.this), _stored(action.args["to"]), None))
        elif isinstance(action, exp.Drop) and str(action.args.get("kind")).upper() == "COLUMN":
            found += [(_stored(column), None, None) for column in action.args.get("tables") or [action.this]]
    return found


def is_wider(before: str, after: str) -> bool:
    """Whether a column's type can become another one: the same with more digits before the point, or longer text.

    Source: https://docs.snowflake.com/en/sql-reference/sql/alter-table-column
    """
    old, new = (re.fullmatch(r"(\w+)(?:\((\d+)(?:,(\d+))?\))?", kind) for kind in (before, after))
    if before == after:
        return True
    if old is None or new is None or old[1] != new[1] or old[3] != new[3]:
        return False
    return old[1] in ("NUMBER", "VARCHAR") and int(new[2]) >= int(old[2])


def _stored(name: Expr) -> str:
    identifier = name.this if isinstance(name, exp.Column) else name
    return identifier.name if identifier.args.get("quoted") else identifier.name.upper()
