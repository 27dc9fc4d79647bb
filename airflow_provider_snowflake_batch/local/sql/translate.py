"""From Snowflake's SQL text to a tree that the engine's own translation can take.

What only this server knows is filled in here: session functions, session variables, table functions, temporary
tables, ``VALUES`` columns by number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import sqlglot
from sqlglot import Expr, exp

from airflow_provider_snowflake_batch.local.clauses import Namespaces
from airflow_provider_snowflake_batch.local.errors import SnowflakeError, does_not_exist, not_supported, syntax_error
from airflow_provider_snowflake_batch.local.functions import (
    Arguments,
    Functions,
    View,
    read_arguments,
    unknown_table_function,
    unknown_view,
)
from airflow_provider_snowflake_batch.local.parsing import Cursor, Token, tokenize
from airflow_provider_snowflake_batch.local.sql.binds import variable
from airflow_provider_snowflake_batch.local.sql.guard import TABLE_FUNCTIONS_OF_THE_ENGINE
from airflow_provider_snowflake_batch.local.statements import Result, Statement

_AFTER_PROJECTIONS = {
    "FROM", "WHERE", "GROUP", "HAVING", "QUALIFY", "ORDER", "LIMIT", "UNION", "EXCEPT", "MINUS", "INTERSECT", "FETCH",
    "OFFSET", "INTO",
}  # fmt: skip
_LITERALS = re.compile(r"'\s+'")
"""What stands between two literals, or is one."""
_FROM_FIRST = re.compile(r"(?:^|\()\s*FROM\b", re.IGNORECASE)
_START = re.compile(r"^\s*START\s+TRANSACTION\b", re.IGNORECASE)
_CAST_LITERAL = re.compile(r"\b(DATE|TIME|TIMESTAMP\w*)\s*'(?:[^']|'')*'\s*::", re.IGNORECASE)
_NAMED_OTHERWISE = (exp.Parameter, exp.CurrentDate)
REGISTERED = "_registered_"
"""How the names of relations begin that exist for one statement."""


def normalize(
    statement: Statement, relation: Callable[[Result], str], functions: Functions, databases: Namespaces
) -> str:
    """The statement's text with variables and the server's table functions resolved.

    :param relation: makes a result readable by the engine; returns the text that stands for it in a FROM.
    :param functions: those that the server answers itself.
    :param databases: those whose INFORMATION_SCHEMA there is.
    :raises SnowflakeError: for an unknown variable or table function.
    """
    text = _without_clustering(statement.text)
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
            replacement = variable(statement.session.variables, tokens[index + 1]), tokens[index + 1].end
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
            name = tokens[start + 2].value
            if (view := functions.views.get(name)) is None:
                if _is_symbol(tokens, start + 3, "("):
                    return None
                raise unknown_view(f"INFORMATION_SCHEMA.{name}")
            return view, start + 2
        if not _is_symbol(tokens, index + 1, "."):
            return None
    return None


def _follows_at_once(tokens: list[Token], index: int, kind: str) -> bool:
    return index + 1 < len(tokens) and tokens[index + 1].kind == kind and tokens[index].end == tokens[index + 1].start


def _is_word(tokens: list[Token], index: int, *words: str) -> bool:
    return index < len(tokens) and tokens[index].kind == "word" and tokens[index].value in words


def _is_symbol(tokens: list[Token], index: int, symbol: str) -> bool:
    return index < len(tokens) and tokens[index].text == symbol


def _without_clustering(text: str) -> str:
    """A definition without its CLUSTER BY: nothing comes of it, and sqlglot takes no comparisons in it."""
    if "CLUSTER" not in text.upper():
        return text
    tokens = tokenize(text)
    for index, token in enumerate(tokens):
        if tokens[0].value == "CREATE" and token.value == "CLUSTER" and _is_word(tokens, index + 1, "BY"):
            return text[: token.start] + text[tokens[_closing(tokens, index + 2)].end :]
    return text


def _closing(tokens: list[Token], opening: int) -> int:
    """The position of the bracket that ends what this one begins, or of the last token."""
    depth = 0
    for index in range(opening, len(tokens)):
        depth += (tokens[index].text == "(") - (tokens[index].text == ")")
        if depth <= 0:
            return index
    return len(tokens) - 1


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
    text = _START.sub("BEGIN", text, count=1)
    if _FROM_FIRST.search(text):
        _refuse_from_first(text)
    if _LITERALS.search(text):
        tokens = tokenize(text)
        for before, after in pairwise(tokens):
            if before.kind == after.kind == "string" and before.text[-1] == after.text[0] == "'":
                # sqlglot would join them.
                raise not_supported(f"Two literals in a row ({before.text[:40]} {after.text[:40]}; || joins them)")
    trees = [
        tree
        for tree in sqlglot.parse(_with_literals_apart(text), read="snowflake")
        if tree is not None and not isinstance(tree, exp.Semicolon)
    ]
    if len(trees) != 1:
        raise SnowflakeError("SQL compilation error:\nEmpty SQL statement.", errno=900, sqlstate="42601")
    tree = trees[0]
    return exp.select("*").from_(tree) if isinstance(tree, exp.Values) else tree


def _refuse_from_first(text: str) -> None:
    """:raises SnowflakeError: 1003 for a FROM without a SELECT, which the engine would take for ``SELECT *``."""
    before = ""
    for token in tokenize(text):
        if token.kind == "word" and token.value == "FROM" and before in ("", "("):
            raise syntax_error(f"line 1 at position {token.start} unexpected '{token.text}'.")
        before = token.text


def _with_literals_apart(text: str) -> str:
    """The text with each ``DATE '…'::…`` as ``(DATE '…')::…``, of which sqlglot would cast the text first."""
    if not _CAST_LITERAL.search(text):
        return text
    tokens = tokenize(text)
    for before, literal, after in reversed(list(zip(tokens, tokens[1:], tokens[2:], strict=False))):
        if literal.kind == "string" and after.text == "::" and _CAST_LITERAL.match(text, before.start):
            text = f"{text[: before.start]}({text[before.start : literal.end]}){text[literal.end :]}"
    return text


def list_stars(tree: Expr) -> None:
    """Let ``CREATE TABLE (A INT, …) AS SELECT *`` select by name: the engine's own translation would ask what * is."""
    query = tree.expression if isinstance(tree, exp.Create) else None
    if not isinstance(query, exp.Query) or not isinstance(tree.this, exp.Schema):
        return
    select = query.unnest()
    columns_of_table = [part for part in tree.this.expressions if isinstance(part, (exp.ColumnDef, exp.Identifier))]
    is_untyped = all(isinstance(part, exp.Identifier) for part in tree.this.expressions)
    if isinstance(select, exp.Select) and not any(one.is_star for one in select.expressions) and not is_untyped:
        return
    names = [exp.to_identifier(f"_c{number}", quoted=True) for number in range(len(columns_of_table))]
    if is_untyped:
        # The types are those of the query.
        if isinstance(select, exp.Select) and len(names) < len(select.expressions):
            raise SnowflakeError("SQL compilation error:\nInvalid column definition list", errno=2026, sqlstate="42601")
        names = [exp.to_identifier(stored_name(part), quoted=True) for part in columns_of_table]
        tree.set("this", tree.this.this)
    alias = exp.TableAlias(this=exp.to_identifier("_selected", quoted=True), columns=names)
    source = exp.Subquery(this=query.unnest().copy(), alias=alias)
    columns = [exp.column(name.copy()) for name in names]
    tree.set("expression", exp.Select(expressions=columns, from_=exp.From(this=source)))


def name_projections(tree: Expr, text: str) -> None:
    """Give each unnamed column of a SELECT the name Snowflake gives it: its text in upper case.

    :param text: what the tree was parsed from.
    """
    outermost = _first_select(tree)
    selects = list(_selects_as_written(tree))
    texts = projection_texts(text) if selects else []
    if len(texts) != len(selects):
        texts = [[] for _ in selects]
    for select, given in zip(selects, texts, strict=True):
        if len(given) != len(select.expressions):
            given = [projection_name(projection) for projection in select.expressions]
        named = []
        for projection, name in zip(select.expressions, given, strict=True):
            is_numbered = isinstance(projection, exp.Parameter) and select is not outermost
            if (
                is_numbered
                or isinstance(projection, (exp.Alias, exp.Star, exp.Aliases))
                or (isinstance(projection, (exp.Column, exp.Dot)) and not isinstance(projection.this, exp.Parameter))
            ):
                named.append(projection)
            else:
                shown = projection_name(projection) if isinstance(projection, _NAMED_OTHERWISE) else name
                named.append(exp.alias_(projection, shown, quoted=True))
        select.set("expressions", named)


def _selects_as_written(tree: Expr) -> Iterator[exp.Select]:
    """Every SELECT of a tree in the order of its first word in the text."""
    waiting = [(tree, False)]
    while waiting:
        node, has_begun = waiting.pop()
        ctes = node.args.get("with_")
        if isinstance(ctes, Expr) and not has_begun:
            waiting += [(node, True), (ctes, False)]
            continue
        if isinstance(node, exp.Select):
            yield node
        parts = [value if isinstance(value, list) else [value] for key, value in node.args.items() if key != "with_"]
        waiting += [(one, False) for part in reversed(parts) for one in reversed(part) if isinstance(one, Expr)]


def numbered(query: exp.Query) -> exp.Query:
    """The query with a name for each of its columns that has none."""
    query = query.copy()
    if (select := _first_select(query)) is not None:
        named = [
            one if isinstance(one, (exp.Alias, exp.Star, exp.Column)) else exp.alias_(one, f"_c{number}", quoted=True)
            for number, one in enumerate(select.expressions)
        ]
        select.set("expressions", named)
    return query


def _first_select(tree: Expr) -> exp.Select | None:
    """The SELECT that names the columns of a query."""
    while isinstance(tree, (exp.SetOperation, exp.Subquery)):
        tree = tree.this
    return tree if isinstance(tree, exp.Select) else None


def projection_texts(text: str) -> list[list[str]]:
    """Of every SELECT, in the order of the text, its columns as they are written, in upper case."""
    tokens = tokenize(text)
    levels = list(_levels(tokens))
    starts = [at for at, token in enumerate(tokens) if token.kind == "word" and token.value == "SELECT"]
    return [_projections(text, tokens, levels, start) for start in starts]


def _projections(text: str, tokens: list[Token], levels: Sequence[int], start: int) -> list[str]:
    found: list[list[Token]] = [[]]
    at = start + 1
    while at < len(tokens) and (token := tokens[at]).text != ";":
        if levels[at] == levels[start]:
            is_within = token.value == "GROUP" and tokens[at - 1].value == "WITHIN"
            is_after = token.kind == "word" and token.value in _AFTER_PROJECTIONS and not is_within
            if is_after or (token.kind == "symbol" and token.text in ")]}"):
                break
        if levels[at] == levels[start] and token.text == ",":
            found.append([])
        elif found != [[]] or token.value not in ("DISTINCT", "ALL", "TOP"):
            found[-1].append(token)
        elif token.value == "TOP":
            # The number after it.
            at += 1
        at += 1
    return ["".join(_upper_case(text, tokens)) for tokens in found if tokens]


def _levels(tokens: list[Token]) -> Iterator[int]:
    """For each token, the number of brackets that are open before or at it."""
    level = 0
    for token in tokens:
        if token.kind == "symbol" and token.text in ")]}":
            level -= 1
            yield level + 1
            continue
        if token.kind == "symbol" and token.text in "([{":
            level += 1
        yield level


def _upper_case(text: str, tokens: list[Token]) -> Iterator[str]:
    end = tokens[0].start
    for token in tokens:
        yield text[end : token.start] if text[end : token.start].isspace() else " " * (token.start > end)
        yield token.text.upper()
        end = token.end


def projection_name(node: Expr) -> str:
    if isinstance(node, exp.Parameter):
        return f"${node.this.name}"
    if isinstance(node, exp.CurrentDate):
        # DuckDB would take CURRENT_DATE in the query for this name.
        return "CURRENT_DATE()"
    return str(node.sql(dialect="snowflake")).upper()


def table_parts(table: exp.Table) -> tuple[str, ...]:
    """The name as Snowflake stores it: unquoted parts in upper case."""
    return tuple(stored_name(part) for part in table.parts if isinstance(part, exp.Identifier))


def stored_name(node: Expr) -> str:
    """The name of a column or of anything else as Snowflake stores it: unquoted in upper case."""
    identifier = node.find(exp.Identifier) or node
    name: str = identifier.name
    return name if identifier.args.get("quoted") else name.upper()
