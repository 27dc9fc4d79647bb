"""What CREATE TABLE and ALTER TABLE declare: columns, their comments, keys (kept and shown, not enforced), a template.

Sources: https://docs.snowflake.com/en/sql-reference/constraints-overview, https://docs.snowflake.com/en/sql-reference/sql/create-table
and https://docs.snowflake.com/en/sql-reference/sql/alter-table-column.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlglot
from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.errors import compilation_error
from airflow_provider_snowflake_batch.local.parsing import quoted
from airflow_provider_snowflake_batch.local.sql.translate import stored_name, table_parts
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
            found.append((stored_name(definition), declared_type(definition.args["kind"])))
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
            found.append((stored_name(action.this), stored_name(action.this), declared_type(action.args["dtype"])))
        elif isinstance(action, exp.RenameColumn):
            found.append((stored_name(action.this), stored_name(action.args["to"]), None))
        elif isinstance(action, exp.Drop) and str(action.args.get("kind")).upper() == "COLUMN":
            found += [(stored_name(column), None, None) for column in action.args.get("tables") or [action.this]]
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


def take_comments(tree: Expr) -> dict[str, str]:
    """Take the comments of columns out of a CREATE or ALTER: by the column's name, as it is stored."""
    found: dict[str, str] = {}
    if isinstance(tree, exp.Create) and isinstance(tree.this, exp.Schema):
        parts = tree.this.expressions
    elif isinstance(tree, exp.Alter):
        parts = tree.args.get("actions") or []
    else:
        return found
    for part in list(parts):
        if isinstance(part, exp.ColumnDef):
            constraints = part.args.get("constraints") or []
            kept = []
            for constraint in constraints:
                kind = constraint.args.get("kind")
                if isinstance(kind, exp.CommentColumnConstraint):
                    found[stored_name(part)] = kind.this.name
                else:
                    kept.append(constraint)
            part.set("constraints", kept)
        elif isinstance(part, exp.AlterColumn) and isinstance(comment := part.args.get("comment"), exp.Expr):
            found[stored_name(part)] = comment.name
            parts.remove(part)
    return found


def comment_statement(name: tuple[str, ...], column: str, comment: str) -> str:
    """The engine's statement that says a column's comment."""
    where = exp.column(*(exp.to_identifier(part, quoted=True) for part in reversed((*name, column))))
    return f"COMMENT ON COLUMN {where.sql(dialect='duckdb')} IS {exp.Literal.string(comment).sql(dialect='duckdb')}"


class Key(NamedTuple):
    """A column of a key, which has as many as there are of one constraint.

    :param kind: ``PRIMARY KEY`` or ``UNIQUE``.
    """

    kind: str
    column: str
    constraint: str


_COLUMN_KEYS = {exp.PrimaryKeyColumnConstraint: "PRIMARY KEY", exp.UniqueColumnConstraint: "UNIQUE"}


def take_keys(tree: Expr) -> list[Key]:
    """Take the keys out of a CREATE TABLE or ALTER TABLE ADD, which the engine would enforce.

    What is enforced of a primary key, that its columns are NOT NULL, stays.
    """
    if isinstance(tree, exp.Create) and isinstance(tree.this, exp.Schema):
        return _of_table(tree.this)
    if isinstance(tree, exp.Alter):
        return _of_alter(tree)
    return []


def _of_table(schema: exp.Schema) -> list[Key]:
    keys: list[Key] = []
    kept: list[Expr] = []
    for part in schema.expressions:
        if isinstance(part, exp.ColumnDef):
            keys += _of_column(part)
            kept.append(part)
        elif (found := _table_key(part)) is not None:
            keys += found
        else:
            kept.append(part)
    primary = {key.column for key in keys if key.kind == "PRIMARY KEY"}
    for part in kept:
        if isinstance(part, exp.ColumnDef) and _name_in(part.this) in primary:
            _require(part)
    schema.set("expressions", kept)
    return keys


def _of_alter(tree: exp.Alter) -> list[Key]:
    keys: list[Key] = []
    kept = []
    for action in tree.args.get("actions") or []:
        parts = action.expressions if isinstance(action, exp.AddConstraint) else []
        found = [key for part in parts if (key := _table_key(part)) is not None]
        if found and len(found) == len(parts):
            keys += [key for one in found for key in one]
        else:
            kept.append(action)
    tree.set("actions", kept)
    return keys


def _of_column(definition: exp.ColumnDef) -> list[Key]:
    keys = []
    kept = []
    for constraint in definition.args.get("constraints") or []:
        kind = _COLUMN_KEYS.get(type(constraint.args.get("kind")))
        if kind is None:
            kept.append(constraint)
        else:
            keys.append(Key(kind, _name_in(definition.this), _constraint(constraint.this)))
    definition.set("constraints", kept)
    return keys


def _table_key(part: Expr, given: Expr | None = None) -> list[Key] | None:
    """:param given: the name of the constraint, if the statement says one."""
    if isinstance(part, exp.Constraint):
        found = [_table_key(inner, part.this) for inner in part.expressions]
        return None if None in found else [key for one in found if one for key in one]
    constraint = _constraint(given)
    if isinstance(part, exp.PrimaryKey):
        return [Key("PRIMARY KEY", _name_in(column), constraint) for column in part.expressions]
    if isinstance(part, exp.UniqueColumnConstraint) and isinstance(part.this, exp.Schema):
        return [Key("UNIQUE", _name_in(column), constraint) for column in part.this.expressions]
    return None


def _constraint(given: Expr | None) -> str:
    return f"SYS_CONSTRAINT_{uuid.uuid4()}" if given is None else _name_in(given)


def _require(definition: exp.ColumnDef) -> None:
    constraints = definition.args.get("constraints") or []
    if not any(isinstance(one.args.get("kind"), exp.NotNullColumnConstraint) for one in constraints):
        definition.append("constraints", exp.ColumnConstraint(kind=exp.NotNullColumnConstraint()))


def _name_in(node: Expr) -> str:
    identifier = node.find(exp.Identifier)
    assert identifier is not None
    name: str = identifier.name
    return name if identifier.args.get("quoted") else name.upper()


Name = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key as a statement says it.

    :param table: the name of the table that it refers to, in parts.
    :param referenced: the columns there; those of its primary key if there are none.
    """

    name: str | None
    columns: tuple[str, ...]
    table: tuple[str, ...]
    referenced: tuple[str, ...]
    update_rule: str = "NO ACTION"
    delete_rule: str = "NO ACTION"


def take_foreign_keys(tree: Expr) -> list[ForeignKey]:
    """Take the foreign keys out of a CREATE TABLE or ALTER TABLE ADD, which the engine would enforce."""
    found: list[ForeignKey] = []
    if isinstance(tree, exp.Create) and isinstance(tree.this, exp.Schema):
        tree.this.set("expressions", [one for one in tree.this.expressions if not _taken(one, found)])
        for definition in tree.this.find_all(exp.ColumnDef):
            kept = [one for one in definition.args.get("constraints") or [] if not _taken_of_column(one, found)]
            definition.set("constraints", kept)
    elif isinstance(tree, exp.Alter):
        actions = tree.args.get("actions") or []
        for action in actions:
            if isinstance(action, exp.AddConstraint):
                action.set("expressions", [one for one in action.expressions if not _taken(one, found)])
        kept_actions = [one for one in actions if not isinstance(one, exp.AddConstraint) or one.expressions]
        tree.set("actions", kept_actions)
    return found


def _taken(part: Expr, found: list[ForeignKey]) -> bool:
    """Whether a part of a table's definition is a foreign key, which is among those found then."""
    key = part.expressions[0] if isinstance(part, exp.Constraint) and len(part.expressions) == 1 else part
    if not isinstance(key, exp.ForeignKey):
        return False
    name = stored_name(part.this) if isinstance(part, exp.Constraint) else None
    found.append(_key(name, [stored_name(column) for column in key.expressions], key.args["reference"]))
    return True


def _taken_of_column(constraint: exp.ColumnConstraint, found: list[ForeignKey]) -> bool:
    kind = constraint.args["kind"]
    if isinstance(kind, exp.Reference):
        definition = constraint.parent
        assert definition is not None
        name = stored_name(constraint.this) if constraint.args.get("this") is not None else None
        found.append(_key(name, [stored_name(definition.this)], kind))
    return isinstance(kind, (exp.Reference, exp.ForeignKey))


def _key(name: str | None, columns: list[str], reference: exp.Reference) -> ForeignKey:
    target = reference.this
    listed = target.expressions if isinstance(target, exp.Schema) else []
    table = target.this if isinstance(target, exp.Schema) else target
    rules = {"UPDATE": "NO ACTION", "DELETE": "NO ACTION"}
    for option in reference.args.get("options") or []:
        words = str(option).upper().split()
        if words[:1] == ["ON"] and len(words) > 2 and words[1] in rules:
            rules[words[1]] = " ".join(words[2:])
    referenced = tuple(stored_name(column) for column in listed)
    return ForeignKey(name, tuple(columns), table_parts(table), referenced, rules["UPDATE"], rules["DELETE"])


def template_of(tree: Expr) -> exp.Query | None:
    """The query of a USING TEMPLATE clause."""
    found = tree.find(exp.UsingTemplateProperty) if isinstance(tree, exp.Create) else None
    if found is None:
        return None
    query = found.this.unnest() if isinstance(found.this, exp.Subquery) else found.this
    return query if isinstance(query, exp.Query) else None


def fill_template(tree: exp.Create, run: Callable[[exp.Query], Any]) -> None:
    """Give a CREATE TABLE the columns that its template's query returns instead of the clause.

    :param run: runs the query; the value of its one cell.
    :raises SnowflakeError: 1003 when that is no array of objects with COLUMN_NAME and TYPE.
    """
    query = template_of(tree)
    assert query is not None
    value = run(query)
    columns = json.loads(value) if isinstance(value, str) else value
    if not isinstance(columns, list) or not columns or not all(isinstance(one, dict) for one in columns):
        raise compilation_error("USING TEMPLATE needs an array of at least one object with COLUMN_NAME and TYPE.")
    definitions = []
    for column in sorted(columns, key=lambda one: one.get("ORDER_ID") or 0):
        if not column.get("COLUMN_NAME") or not column.get("TYPE"):
            raise compilation_error("USING TEMPLATE: COLUMN_NAME or TYPE is missing in an object of the array.")
        name = quoted(str(column["COLUMN_NAME"]))
        definitions.append(f"{name} {column['TYPE']}{'' if column.get('NULLABLE', True) else ' NOT NULL'}")
    made = sqlglot.parse_one(f"CREATE TABLE X ({', '.join(definitions)})", read="snowflake")
    schema = made.this
    assert isinstance(schema, exp.Schema)
    table = tree.this
    tree.set("this", exp.Schema(this=table, expressions=[definition.copy() for definition in schema.expressions]))
    properties = tree.args["properties"]
    left = [one for one in properties.expressions if not isinstance(one, exp.UsingTemplateProperty)]
    tree.set("properties", exp.Properties(expressions=left) if left else None)
