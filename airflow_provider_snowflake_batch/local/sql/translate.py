"""From Snowflake's SQL text to a tree that the engine's own translation can take.

What only this server knows is filled in here: session functions, session variables, table functions, temporary
tables, ``VALUES`` columns by number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlglot
from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.clauses import Namespaces
from airflow_provider_snowflake_batch.local.errors import SnowflakeError, does_not_exist, not_supported
from airflow_provider_snowflake_batch.local.functions import (
    Arguments,
    Functions,
    View,
    read_arguments,
    unknown_function,
    unknown_table_function,
)
from airflow_provider_snowflake_batch.local.parsing import Cursor, Token, tokenize
from airflow_provider_snowflake_batch.local.sql.binary import is_binary_cast, read_hexadecimal
from airflow_provider_snowflake_batch.local.sql.date_formats import write_formatted
from airflow_provider_snowflake_batch.local.sql.guard import TABLE_FUNCTIONS_OF_THE_ENGINE, function_name
from airflow_provider_snowflake_batch.local.sql.macros import ARRAY_TO_STRING, DIVISION_BY_ZERO
from airflow_provider_snowflake_batch.local.sql.random_numbers import DRAWS, draw
from airflow_provider_snowflake_batch.local.sql.sequences import is_next_value, next_value
from airflow_provider_snowflake_batch.local.statements import Result, Statement

REGISTERED = "_registered_"
"""How the names of relations begin that exist for one statement."""
_SEMI_STRUCTURED = {exp.DataType.Type.VARIANT, exp.DataType.Type.ARRAY, exp.DataType.Type.OBJECT}
_SEQUENCES = {"SEQ1", "SEQ2", "SEQ4", "SEQ8"}


def normalize(
    statement: Statement, relation: Callable[[Result], str], functions: Functions, databases: Namespaces
) -> str:
    """The statement's text with variables and the server's table functions resolved.

    :param relation: makes a result readable by the engine; returns the text that stands for it in a FROM.
    :param functions: those that the server answers itself.
    :param databases: those whose INFORMATION_SCHEMA there is.
    :raises SnowflakeError: for an unknown variable or table function.
    """
    text = statement.text
    upper = text.upper()
    if not any(word in upper for word in ("$", "!", "TABLE", "SCOPED", "DIRECTORY", "INFORMATION_SCHEMA", "@")):
        return text
    tokens = tokenize(text)
    pieces: list[str] = []
    copied = 0
    index = 0
    while index < len(tokens):
        token = tokens[index]
        replacement: tuple[str, int] | None = None
        if token.text == "$" and _follows_at_once(tokens, index, "word"):
            replacement = _variable(statement, tokens[index + 1]), tokens[index + 1].end
            index += 1
        elif token.value == "SCOPED" and token.kind == "word" and _is_word(tokens, index + 1, "TEMP", "TEMPORARY"):
            replacement = "", tokens[index + 1].start
        elif token.value in ("TABLE", "DIRECTORY") and token.kind == "word" and _is_symbol(tokens, index + 1, "("):
            called = _table_function(statement, functions, text, token.start)
            if called is not None:
                result, end = called
                replacement = relation(result), end
                while index + 1 < len(tokens) and tokens[index + 1].start < end:
                    index += 1
        elif token.kind == "stage" and index > 1 and tokens[index - 1].text in ("(", ","):
            # An argument of a function: sqlglot knows stages in a FROM only.
            replacement = "'" + token.value.replace("'", "''") + "'", token.end
        elif token.text == "!" and _follows_at_once(tokens, index, "word") and _is_symbol(tokens, index + 2, "("):
            raise not_supported(f"The method {tokens[index + 1].value} in a query")
        elif (view := _view(tokens, index, functions)) is not None:
            in_database = token.value if view[1] > index + 2 else str(statement.session.database)
            if in_database not in databases.names():
                raise does_not_exist("Database", in_database)
            replacement = relation(view[0](statement, in_database)), tokens[view[1]].end
            index = view[1]
        if replacement is not None:
            pieces += [text[copied : token.start], replacement[0]]
            copied = replacement[1]
        index += 1
    return "".join(pieces) + text[copied:]


def _view(tokens: list[Token], index: int, functions: Functions) -> tuple[View, int] | None:
    """The server's own view that begins at this token, perhaps with its database, and the view's last token."""
    for start in (index, index + 2):
        if _is_word(tokens, start, "INFORMATION_SCHEMA") and _is_symbol(tokens, start + 1, "."):
            if (index > 0 and _is_symbol(tokens, index - 1, ".")) or start + 2 >= len(tokens):
                return None
            view = functions.views.get(tokens[start + 2].value)
            return None if view is None else (view, start + 2)
        if not _is_symbol(tokens, index + 1, "."):
            return None
    return None


def _follows_at_once(tokens: list[Token], index: int, kind: str) -> bool:
    return index + 1 < len(tokens) and tokens[index + 1].kind == kind and tokens[index].end == tokens[index + 1].start


def _is_word(tokens: list[Token], index: int, *words: str) -> bool:
    return index < len(tokens) and tokens[index].kind == "word" and tokens[index].value in words


def _is_symbol(tokens: list[Token], index: int, symbol: str) -> bool:
    return index < len(tokens) and tokens[index].text == symbol


def _variable(statement: Statement, token: Token) -> str:
    value = statement.session.variables.get(token.value)
    if value is None:
        raise SnowflakeError(
            f"SQL compilation error: error line 1 at position {token.start}\n"
            f"Session variable '${token.value}' does not exist",
            errno=2211,
            sqlstate="02000",
        )
    return value


def _table_function(statement: Statement, functions: Functions, text: str, start: int) -> tuple[Result, int] | None:
    """The rows of ``TABLE(…)`` at this offset and the offset after it; None for what the engine knows itself."""
    cursor = Cursor(text)
    while (token := cursor.peek()) is not None and token.start < start:
        cursor.next()
    if cursor.looking_at("DIRECTORY"):
        # DIRECTORY(@stage) is a table function without TABLE().
        cursor.next()
        return functions.table["DIRECTORY"](statement, read_arguments(cursor)), cursor.tokens[cursor.at - 1].end
    cursor.expect("TABLE", "(")
    head = cursor.peek()
    if head is None or head.kind not in ("word", "quoted"):
        return None
    name = cursor.name()
    if cursor.accept("!"):
        called = cursor.name()[0]
        function = functions.methods.get(called)
        if function is None:
            raise unknown_table_function(called)
        result = function(statement, name, _call_arguments(statement, functions, cursor))
    else:
        # A database before INFORMATION_SCHEMA says nothing that the function would not know.
        dotted = ".".join(name[-2:] if name[-2:-1] == ("INFORMATION_SCHEMA",) else name)
        table_function = functions.table.get(dotted)
        if table_function is None:
            if not cursor.looking_at("(") or dotted in TABLE_FUNCTIONS_OF_THE_ENGINE:
                return None
            raise unknown_table_function(dotted)
        result = table_function(statement, _call_arguments(statement, functions, cursor))
    cursor.expect(")")
    return result, cursor.tokens[cursor.at - 1].end


def _call_arguments(statement: Statement, functions: Functions, cursor: Cursor) -> Arguments:
    """The arguments; ``LAST_QUERY_ID()`` may stand for a constant, as in ``RESULT_SCAN(LAST_QUERY_ID())``."""
    if cursor.looking_at("(", "LAST_QUERY_ID", "("):
        cursor.expect("(", "LAST_QUERY_ID")
        inner = read_arguments(cursor)
        cursor.expect(")")
        return Arguments([functions.scalar["LAST_QUERY_ID"](statement, inner)])
    return read_arguments(cursor)


def parse(text: str) -> Expr:
    """The tree of one statement.

    :raises sqlglot.errors.ParseError: when it is not Snowflake's SQL.
    """
    trees = [
        tree
        for tree in sqlglot.parse(text, read="snowflake")
        if tree is not None and not isinstance(tree, exp.Semicolon)
    ]
    if len(trees) != 1:
        raise SnowflakeError("SQL compilation error:\nEmpty SQL statement.", errno=900, sqlstate="42601")
    return trees[0]


def fill_in(statement: Statement, tree: Expr, functions: Functions) -> Expr:
    """Scalar functions of the server by their values, and ``$1`` of a VALUES by its column."""

    def one(node: Expr) -> Expr:
        if isinstance(node, exp.Update):
            # DuckDB takes no table's name before a column that is SET.
            for assignment in node.expressions:
                if isinstance(assignment, exp.EQ) and isinstance(assignment.this, exp.Column):
                    assignment.this.set("table", None)
        elif isinstance(node, exp.Mul) and _is_whole(node.this) and _is_whole(node.expression):
            # DuckDB's whole numbers in SQL text have 32 bits.
            node.set("this", exp.cast(node.this, "BIGINT"))
        elif isinstance(node, exp.Div) and not _is_nonzero(node.expression):
            _refuse_zero(node)
        elif isinstance(node, exp.Array) and (
            len({_kind(element) for element in node.expressions}) > 1 or isinstance(node.parent, exp.PropertyEQ)
        ):
            # An ARRAY holds values of any type; DuckDB's lists hold one, which JSON is.
            node.set("expressions", [exp.Anonymous(this="to_json", expressions=[e]) for e in node.expressions])
        elif isinstance(node, exp.ToChar):
            given = node.args.get("format")
            return exp.cast(node.this, "VARCHAR") if given is None else write_formatted(node.this, given)
        elif isinstance(node, exp.Trim) and node.expression is not None:
            # The engine's own translation would lose the characters.
            name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(node.args.get("position") or ""), "trim")
            return exp.Anonymous(this=name, expressions=[exp.cast(node.this, "VARCHAR"), node.expression])
        elif isinstance(node, exp.RegexpReplace):
            # Snowpark says all of them; the engine's own translation takes none.
            for option, default in (("position", "1"), ("occurrence", "0"), ("modifiers", "c")):
                given = node.args.get(option)
                if isinstance(given, exp.Literal) and given.this == default:
                    node.set(option, None)
        elif isinstance(node, (exp.ArrayAgg, exp.GroupConcat, exp.WithinGroup, exp.Window, exp.Filter)):
            if isinstance(node, exp.Window) and node.args.get("order") is not None and _orders_by_sequence(node):
                # SEQ8() numbers the rows as they come, which is also their order without any.
                node.set("order", None)
            return _of_nothing(node)
        elif isinstance(node, DRAWS):
            return draw(node)
        elif isinstance(node, exp.ArrayToString):
            return exp.Anonymous(this=ARRAY_TO_STRING, expressions=[node.this, node.expression])
        elif isinstance(node, exp.Typeof):
            return _type_of_variant(node.this)
        elif isinstance(node, exp.GetExtract) and isinstance(node.expression, exp.Literal):
            # The one of DuckDB's lists gives their own type, this one VARIANT.
            return exp.Anonymous(
                this="json_extract",
                expressions=[exp.Anonymous(this="to_json", expressions=[node.this]), _json_key(node.expression)],
            )
        elif is_binary_cast(node):
            read_hexadecimal(node)
        elif isinstance(node, (exp.Cast, exp.TryCast)) and node.args["to"].this in _SEMI_STRUCTURED:
            return _as_semi_structured(node)
        elif isinstance(node, exp.ToBinary) and node.args.get("format") is None:
            node.set("format", exp.Literal.string("HEX"))
        elif isinstance(node, exp.Func):
            name = function_name(node)
            if isinstance(node, exp.Anonymous) and not isinstance(node.this, str):
                # A quoted name, which the engine's own translation does not expect.
                node.set("this", node.name)
            if name in functions.expression:
                made: Expr = functions.expression[name](statement, _arguments(node))
                return made
            function = functions.scalar.get(name)
            if function is not None:
                return _value(function(statement, Arguments([_constant(argument) for argument in _arguments(node)])))
            if name.startswith("SYSTEM$"):
                raise unknown_function(name)
        elif isinstance(node, exp.Column) and is_next_value(node):
            return next_value(node, statement.session)
        elif isinstance(node, exp.PropertyEQ) and isinstance(node.this, exp.Identifier):
            # The key of {'a': 1} is text, not a name to be read in upper case.
            node.this.set("quoted", True)
        elif isinstance(node, exp.Parameter) and isinstance(node.this, exp.Literal) and not node.this.is_string:
            return exp.column(exp.to_identifier(f"COLUMN{node.this.name}", quoted=True))
        return node

    # Inner ones first, so that what is filled in has been filled in itself.
    for node in reversed(list(tree.walk())):
        filled = one(node)
        if filled is not node:
            if node is tree:
                tree = filled
            else:
                node.replace(filled)
    return tree


def _as_semi_structured(cast: exp.Cast | exp.TryCast) -> Expr:
    """A cast to VARIANT keeps what it is given: text is not parsed. An ARRAY or OBJECT is made of VARIANT only."""
    kind = cast.args["to"]
    if kind.this == exp.DataType.Type.VARIANT:
        return exp.ToVariant(this=cast.this)
    if isinstance(cast.this, exp.Literal):
        raise not_supported(f"A literal cast to {kind.sql(dialect='snowflake')}, which needs PARSE_JSON,")
    return cast


def _json_key(key: exp.Literal) -> Expr:
    """The key of an object, or the position in an array, as DuckDB takes it."""
    if key.is_string:
        return exp.Literal.string('$."' + key.this.replace('"', '""') + '"')
    return key.copy()


def _type_of_variant(value: Expr) -> Expr:
    """``TYPEOF``: what a VARIANT holds, in Snowflake's words."""
    kind = exp.Anonymous(this="json_type", expressions=[exp.Anonymous(this="to_json", expressions=[value])])
    names = {"UBIGINT": "INTEGER", "BIGINT": "INTEGER", "DOUBLE": "DECIMAL", "NULL": "NULL_VALUE"}
    ifs = [exp.If(this=exp.Literal.string(one), true=exp.Literal.string(other)) for one, other in names.items()]
    return exp.paren(exp.Case(this=kind, ifs=ifs, default=kind.copy()))


def _of_nothing(node: Expr) -> Expr:
    """ARRAY_AGG and LISTAGG of no values, which are an empty array and an empty text, where DuckDB has NULL."""
    if isinstance(node, exp.WithinGroup) and isinstance(node.this, exp.ArrayAgg):
        # The engine's own translation of it would keep NULLs.
        ordered = exp.Order(this=node.this.this.copy(), expressions=[one.copy() for one in node.expression.expressions])
        aggregate = exp.ArrayAgg(this=ordered, nulls_excluded=True)
        if isinstance(node.parent, (exp.Window, exp.Filter)) and node.arg_key == "this":
            return aggregate
        return exp.Coalesce(this=aggregate, expressions=[exp.ParseJSON(this=exp.Literal.string("[]"))])
    if isinstance(node.parent, (exp.WithinGroup, exp.Window, exp.Filter)) and node.arg_key == "this":
        return node
    inner = node
    while isinstance(inner, (exp.WithinGroup, exp.Window, exp.Filter)):
        inner = inner.this
    if isinstance(inner, exp.ArrayAgg):
        empty: Expr = exp.ParseJSON(this=exp.Literal.string("[]"))
    elif isinstance(inner, exp.GroupConcat):
        empty = exp.Literal.string("")
    else:
        return node
    return exp.Coalesce(this=node.copy(), expressions=[empty])


def _kind(node: Expr) -> str:
    if isinstance(node, exp.Literal):
        return "string" if node.is_string else "number"
    return "number" if isinstance(node, exp.Neg) else type(node).__name__


def _is_whole(node: Expr) -> bool:
    if isinstance(node, (exp.Paren, exp.Neg)):
        return _is_whole(node.this)
    if isinstance(node, exp.Mul):
        return _is_whole(node.this) and _is_whole(node.expression)
    return isinstance(node, exp.Literal) and not node.is_string and node.this.isdigit()


def _is_nonzero(node: Expr) -> bool:
    return isinstance(node, exp.Literal) and not node.is_string and float(node.this) != 0


def _refuse_zero(division: exp.Div) -> None:
    """Let a division by zero fail, as with Snowflake; DuckDB would make it infinite."""
    divisor = division.expression
    failure = exp.Anonymous(this="error", expressions=[exp.Literal.string(DIVISION_BY_ZERO)])
    is_zero = exp.EQ(this=exp.paren(divisor.copy()), expression=exp.Literal.number(0))
    division.set("expression", exp.paren(exp.Case(ifs=[exp.If(this=is_zero, true=failure)], default=divisor.copy())))


def _orders_by_sequence(window: exp.Window) -> bool:
    return any(function_name(node) in _SEQUENCES for node in window.args["order"].find_all(exp.Func))


def _arguments(node: exp.Func) -> list[Expr]:
    if isinstance(node, exp.Anonymous):
        return list(node.expressions)
    return [value for value in node.args.values() if isinstance(value, Expr)]


def _constant(node: Expr) -> Any:
    if isinstance(node, exp.Literal):
        if node.is_string:
            return node.this
        return float(node.this) if any(sign in node.this for sign in ".eE") else int(node.this)
    if isinstance(node, exp.RawString):
        return node.this
    if isinstance(node, exp.Boolean):
        return bool(node.this)
    if isinstance(node, exp.Null):
        return None
    if isinstance(node, exp.Neg):
        return -_constant(node.this)
    if isinstance(node, (exp.Cast, exp.Paren)):
        return _constant(node.this)
    raise not_supported(f"The argument {node.sql(dialect='snowflake')} of a system function, not a constant,")


def _value(value: Any) -> Expr:
    if value is None:
        return exp.Null()
    if isinstance(value, bool):
        return exp.Boolean(this=value)
    if isinstance(value, (int, float)):
        return exp.Literal.number(value)
    return exp.Literal.string(str(value))


def list_stars(tree: Expr) -> None:
    """Let ``CREATE TABLE (A INT, …) AS SELECT *`` select by name: the engine's own translation would ask what * is."""
    query = tree.expression if isinstance(tree, exp.Create) else None
    if not isinstance(query, exp.Query) or not isinstance(tree.this, exp.Schema):
        return
    select = query.unnest()
    if isinstance(select, exp.Select) and not any(one.is_star for one in select.expressions):
        return
    names = [exp.to_identifier(f"_c{number}", quoted=True) for number in range(len(tree.this.expressions))]
    alias = exp.TableAlias(this=exp.to_identifier("_selected", quoted=True), columns=names)
    source = exp.Subquery(this=query.unnest().copy(), alias=alias)
    columns = [exp.column(name.copy()) for name in names]
    tree.set("expression", exp.Select(expressions=columns, from_=exp.From(this=source)))


def name_projections(tree: Expr) -> None:
    """Give each unnamed column of the outermost SELECT the name Snowflake gives it: its text in upper case."""
    select = tree
    while isinstance(select, (exp.SetOperation, exp.Subquery)):
        select = select.this
    if not isinstance(select, exp.Select):
        return
    named: list[Expr] = []
    for projection in select.expressions:
        if isinstance(projection, (exp.Alias, exp.Star, exp.Aliases)) or (
            isinstance(projection, (exp.Column, exp.Dot)) and not isinstance(projection.this, exp.Parameter)
        ):
            named.append(projection)
        else:
            named.append(exp.alias_(projection, projection_name(projection), quoted=True))
    select.set("expressions", named)


def projection_name(node: Expr) -> str:
    if isinstance(node, exp.Parameter):
        return f"${node.this.name}"
    if isinstance(node, exp.CurrentDate):
        # DuckDB would take CURRENT_DATE in the query for this name.
        return "CURRENT_DATE()"
    name: str = node.sql(dialect="snowflake")
    pieces = name.split("'")
    return "'".join(piece if index % 2 else piece.upper() for index, piece in enumerate(pieces))


def table_parts(table: exp.Table) -> tuple[str, ...]:
    """The name as Snowflake stores it: unquoted parts in upper case."""
    return tuple(
        part.name if part.quoted else part.name.upper() for part in table.parts if isinstance(part, exp.Identifier)
    )
