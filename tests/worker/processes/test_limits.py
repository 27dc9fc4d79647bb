"""What the processes of the worker allow themselves."""

from __future__ import annotations

import ctypes
import sys
from types import SimpleNamespace

import pytest

from airflow_provider_snowflake_batch.worker.processes import limits

STATED = [("MALLOC_TRIM_THRESHOLD_", "1"), ("GLIBC_TUNABLES", "glibc.malloc.arena_max=2")]


@pytest.fixture
def set_options(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """What glibc's allocator is told."""
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("ARROW_DEFAULT_MEMORY_POOL", "system")
    for name in ("GLIBC_TUNABLES", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(mallopt=lambda *option: told.append(option)))
    return told


def test_memory_that_a_model_frees_is_kept_for_its_next_batch(set_options: list[tuple[int, int]]) -> None:
    limits.choose_allocator()

    # M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of malloc.h.
    assert set_options == [(-3, 8 * 2**20), (-1, 64 * 2**20)]


@pytest.mark.parametrize(("name", "value"), STATED)
def test_an_allocator_that_the_environment_sets_stays_as_it_is(
    set_options: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    limits.choose_allocator()

    assert set_options == []


def test_a_c_library_without_such_options_is_left_alone(
    set_options: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())

    limits.choose_allocator()

    assert set_options == []


@pytest.mark.parametrize(
    ("cores", "devices", "asked", "threads"),
    [(4, [], 1, 4), (4, [], 2, None), (4, [], None, None), (4, ["0"], None, 4), (1, [], None, 1), (1, [], 8, 1)],
)
def test_threads_are_sure_where_the_number_of_tasks_does_not_matter(
    monkeypatch: pytest.MonkeyPatch, cores: int, devices: list[str], asked: int | None, threads: int | None
) -> None:
    monkeypatch.setattr(limits, "cores", lambda: cores)
    monkeypatch.setattr(limits, "devices", lambda: devices)

    assert limits.sure_threads(asked) == threads
    for tasks in range(1, 10):
        assert threads in (None, limits.threads_per_process(limits.process_count(asked, tasks)))
