"""Comments of columns in CREATE and ALTER, which the engine has in a statement of their own only."""

from __future__ import annotations

from sqlglot import Expr, exp


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
                    found[_name(part)] = kind.this.name
                else:
                    kept.append(constraint)
            part.set("constraints", kept)
        elif isinstance(part, exp.AlterColumn) and isinstance(comment := part.args.get("comment"), exp.Expr):
            found[_name(part)] = comment.name
            parts.remove(part)
    return found


def comment_statement(name: tuple[str, ...], column: str, comment: str) -> str:
    """The engine's statement that says a column's comment."""
    where = exp.column(*(exp.to_identifier(part, quoted=True) for part in reversed((*name, column))))
    return f"COMMENT ON COLUMN {where.sql(dialect='duckdb')} IS {exp.Literal.string(comment).sql(dialect='duckdb')}"


def _name(part: Expr) -> str:
    identifier = part.this if isinstance(part.this, exp.Identifier) else part.this.find(exp.Identifier)
    name: str = identifier.name
    return name if identifier.args.get("quoted") else name.upper()
