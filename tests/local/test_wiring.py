"""Functions get the parts that their signatures name.

Also tests ``local/server.py``, ``local/statements.py``.
"""

from __future__ import annotations

import sys

import pytest

from airflow_provider_snowflake_batch.local.account_objects import AccountObjects
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.sessions import Session, Sessions
from airflow_provider_snowflake_batch.local.statements import Result, Statement, Statements, statement
from airflow_provider_snowflake_batch.local.wiring import Parts, Registrations

HERE = sys.modules[__name__]


@statement("TELL SESSIONS", "TELL ALL SESSIONS")
def tell_sessions(statement: Statement, cursor: Cursor, sessions: Sessions) -> Result:
    return Result.message(f"{len(sessions)} {cursor.rest()}")


@statement("TELL")
def tell(statement: Statement, cursor: Cursor) -> Result:
    return Result.message(cursor.rest())


def wired() -> Statements:
    statements = Statements()
    statements.wire([HERE], Parts([Sessions()]))
    return statements


@pytest.mark.parametrize(
    ("text", "answer"),
    [("tell sessions now", "0 now"), ("TELL ALL SESSIONS", "0 "), ("TELL all", "all"), ("TELL", "")],
)
def test_the_longest_beginning_answers_with_the_parts_that_it_asks_for(text: str, answer: str) -> None:
    found = wired().find(text)
    assert found is not None
    function, cursor = found
    result = function(Statement(text, Session(1, "U", "R"), "id"), cursor)
    assert result.rows == [(answer,)]


@pytest.mark.parametrize("text", ["SELECT 1", "", "SHOW"])
def test_what_nothing_claims_is_the_engines(text: str) -> None:
    assert wired().find(text) is None


def test_modules_that_are_not_listed_answer_nothing() -> None:
    statements = Statements()
    statements.wire([], Parts([Sessions()]))
    assert statements.find("TELL") is None


def wants_objects(statement: Statement, objects: AccountObjects) -> None:
    pass


def wants_something(statement: Statement, something) -> None:  # type: ignore[no-untyped-def]
    pass


@pytest.mark.parametrize(
    ("function", "asked"), [(wants_objects, "objects: .*AccountObjects"), (wants_something, "something: None")]
)
def test_asking_for_what_is_no_part_fails_the_start(function: object, asked: str) -> None:
    registrations: Registrations = Registrations(called_with=1)  # type: ignore[type-arg]
    registrations.add(["X"], function)  # type: ignore[type-var]
    with pytest.raises(TypeError, match=f"{function.__name__} asks for {asked}"):  # type: ignore[attr-defined]
        registrations.of([HERE], Parts([Sessions()]))


def test_what_a_name_or_a_class_does_not_tell_apart_fails_the_start() -> None:
    with pytest.raises(TypeError, match="two parts of the server are a Sessions"):
        Parts([Sessions(), Sessions()])
    registrations: Registrations = Registrations(called_with=2)  # type: ignore[type-arg]
    registrations.add(["TELL"], tell)
    registrations.add(["Tell"], tell)
    with pytest.raises(TypeError, match="TELL has two functions"):
        registrations.of([HERE], Parts([]))
