"""Where replicas on one machine listen."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from airflow_provider_snowflake_batch.contract.cluster import ADDRESS_VARIABLE, PORT_COUNT
from airflow_provider_snowflake_batch.worker.cluster import place
from airflow_provider_snowflake_batch.worker.errors import Refused


@pytest.fixture(autouse=True)
def loopback(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(ADDRESS_VARIABLE, "127.0.0.2")
    monkeypatch.setattr(place, "_HOLDS", [])
    yield
    for hold in place._HOLDS:
        hold.close()


@pytest.fixture
def free() -> tuple[int, int]:
    """Where two ranges of free ports begin."""
    found = place._free_ports().start, place._free_ports().start
    while place._HOLDS:
        place._HOLDS.pop().close()
    return found


def draw(monkeypatch: pytest.MonkeyPatch, *firsts: int) -> None:
    """What is drawn, one after the other."""
    left = iter(firsts)
    monkeypatch.setattr(place.random, "randrange", lambda *_: next(left))


def test_a_second_replica_does_not_draw_the_ports_of_one_that_has_not_used_them_yet(
    monkeypatch: pytest.MonkeyPatch, free: tuple[int, int]
) -> None:
    first, other = free
    draw(monkeypatch, first, first, other)
    assert place.place_from_environment().ports == range(first, first + PORT_COUNT)
    assert place.place_from_environment().ports == range(other, other + PORT_COUNT)


def test_ports_that_are_taken_are_passed_over(monkeypatch: pytest.MonkeyPatch, free: tuple[int, int]) -> None:
    draw(monkeypatch, *free)
    with socket.socket() as taken:
        taken.bind(("", free[0] + 7))
        assert place.place_from_environment().ports.start == free[1]
    assert len(place._HOLDS) == 1


def test_the_ports_that_are_held_can_be_listened_at() -> None:
    ports = place.place_from_environment().ports
    with socket.socket() as listener:
        listener.bind(("127.0.0.2", ports[0]))
        listener.listen()


def test_no_ports_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "_is_free", lambda port: False)
    with pytest.raises(Refused, match=f"no {PORT_COUNT} free ports in a row"):
        place.place_from_environment()
    assert place._HOLDS == []
