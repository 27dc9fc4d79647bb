"""Tasks are pulled from a backlog, the largest first."""

from __future__ import annotations

from airflow_provider_snowflake_batch.worker.input.backlog import Backlog
from airflow_provider_snowflake_batch.worker.input.plan import Task


def task(index: int, size: int = 1) -> Task:
    return Task(index, (), 1, size)


def taken(backlog: Backlog) -> list[int]:
    found = []
    while (one := backlog.take()) is not None:
        found.append(one.index)
    return found


def test_the_largest_is_first_and_equal_ones_are_in_order() -> None:
    assert taken(Backlog([task(2), task(0), task(1, size=5)])) == [1, 0, 2]


def test_what_is_given_back_is_next() -> None:
    backlog = Backlog([task(0, 3), task(1, 2), task(2, 1)])
    first, second = backlog.take(), backlog.take()
    assert first is not None
    assert second is not None

    backlog.give_back([first, second])

    assert len(backlog) == 3
    assert taken(backlog) == [0, 1, 2]


def test_it_is_open_until_no_more_will_come_and_nothing_is_left() -> None:
    answers = iter([[], [task(1)], None])
    backlog = Backlog([], lambda: next(answers))

    assert backlog.open
    assert not backlog.look()
    assert backlog.open
    assert backlog.look()
    assert not backlog.look()
    assert backlog.open
    assert taken(backlog) == [1]
    assert not backlog.open
    # Nobody is asked again.
    assert not backlog.look()


def test_nothing_is_begun_once_it_is_cleared() -> None:
    backlog = Backlog([task(0)], lambda: [task(1)])

    backlog.clear()

    assert not backlog.open
    assert backlog.take() is None
    assert not backlog.look()
