"""PRIMARY KEY and UNIQUE: kept and shown, not enforced, as with Snowflake's standard tables.

Source: https://docs.snowflake.com/en/sql-reference/constraints-overview
"""

from __future__ import annotations

import uuid
from typing import NamedTuple

from sqlglot import Expr, exp


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
        if isinstance(part, exp.ColumnDef) and _name(part.this) in primary:
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
            keys.append(Key(kind, _name(definition.this), _constraint(constraint.this)))
    definition.set("constraints", kept)
    return keys


def _table_key(part: Expr, given: Expr | None = None) -> list[Key] | None:
    """:param given: the name of the constraint, if the statement says one."""
    if isinstance(part, exp.Constraint):
        found = [_table_key(inner, part.this) for inner in part.expressions]
        return None if None in found else [key for one in found if one for key in one]
    constraint = _constraint(given)
    if isinstance(part, exp.PrimaryKey):
        return [Key("PRIMARY KEY", _name(column), constraint) for column in part.expressions]
    if isinstance(part, exp.UniqueColumnConstraint) and isinstance(part.this, exp.Schema):
        return [Key("UNIQUE", _name(column), constraint) for column in part.this.expressions]
    return None


def _constraint(given: Expr | None) -> str:
    return f"SYS_CONSTRAINT_{uuid.uuid4()}" if given is None else _name(given)


def _require(definition: exp.ColumnDef) -> None:
    constraints = definition.args.get("constraints") or []
    if not any(isinstance(one.args.get("kind"), exp.NotNullColumnConstraint) for one in constraints):
        definition.append("constraints", exp.ColumnConstraint(kind=exp.NotNullColumnConstraint()))


def _name(node: Expr) -> str:
    identifier = node.find(exp.Identifier)
    assert identifier is not None
    name: str = identifier.name
    return name if identifier.args.get("quoted") else name.upper()
