"""FOREIGN KEY: kept and shown, not enforced, as with Snowflake's standard tables.

Source: https://docs.snowflake.com/en/sql-reference/constraints-overview
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.sql.translate import table_parts

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
    name = _stored(part.this) if isinstance(part, exp.Constraint) else None
    found.append(_key(name, [_stored(column) for column in key.expressions], key.args["reference"]))
    return True


def _taken_of_column(constraint: exp.ColumnConstraint, found: list[ForeignKey]) -> bool:
    kind = constraint.args["kind"]
    if isinstance(kind, exp.Reference):
        definition = constraint.parent
        assert definition is not None
        name = _stored(constraint.this) if constraint.args.get("this") is not None else None
        found.append(_key(name, [_stored(definition.this)], kind))
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
    referenced = tuple(_stored(column) for column in listed)
    return ForeignKey(name, tuple(columns), table_parts(table), referenced, rules["UPDATE"], rules["DELETE"])


def _stored(identifier: Expr) -> str:
    name: str = identifier.name
    return name if identifier.args.get("quoted") else name.upper()
