"""Every file below a folder once, whatever links there are."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from airflow_provider_snowflake_batch.worker.errors import Refused
from airflow_provider_snowflake_batch.worker.input.listing import files_below, holds, overlap


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_a_link_to_what_is_there_already_adds_nothing(tmp_path: Path) -> None:
    root = tmp_path / "input"
    put(root, "b/1", "b/c/2", "3")
    (root / "a").symlink_to("b")
    (root / "b" / "c" / "z").symlink_to(root / "b" / "1")
    (root / "again").symlink_to(root / "3")

    found, _ = files_below(root)

    assert found == ["3", "b/1", "b/c/2"]


def test_what_only_a_link_leads_to_is_found_by_it_once(tmp_path: Path) -> None:
    root = tmp_path / "input"
    put(root, ".versions/3/x", "y")
    put(tmp_path, "elsewhere/deep/1", "alone")
    (root / "current").symlink_to(".versions/3")
    (root / "other").symlink_to(tmp_path / "elsewhere")
    (root / "second").symlink_to(tmp_path / "elsewhere")
    (root / "file").symlink_to(tmp_path / "alone")
    (root / "file2").symlink_to(tmp_path / "alone")

    found, led_to = files_below(root, lambda name: not name.startswith("."))

    assert found == ["current/x", "file", "other/deep/1", "y"]
    assert str(tmp_path / "alone") in led_to


def test_a_hard_link_is_a_file_of_its_own(tmp_path: Path) -> None:
    put(tmp_path, "day=1/a")
    (tmp_path / "day=2").mkdir()
    (tmp_path / "day=2" / "a").hardlink_to(tmp_path / "day=1" / "a")
    (tmp_path / "link").symlink_to("day=2/a")

    assert files_below(tmp_path)[0] == ["day=1/a", "day=2/a"]


def test_links_in_a_circle_below_another_end(tmp_path: Path) -> None:
    root = tmp_path / "input"
    put(root, "1")
    put(tmp_path, "elsewhere/2")
    (root / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "loop").symlink_to(tmp_path / "elsewhere")

    assert files_below(root)[0] == ["1", "link/2"]


def test_a_link_to_the_folder_itself_adds_nothing_and_one_to_a_parent_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "input"
    put(root, "sub/1")
    (root / "sub" / "loop").symlink_to("..")
    assert files_below(root)[0] == ["sub/1"]

    (root / "up").symlink_to(tmp_path)
    with pytest.raises(Refused, match=r"up is a link to .*, which holds .*input itself: a loop"):
        files_below(root)


def test_a_file_may_count_by_a_links_path_alone(tmp_path: Path) -> None:
    root = tmp_path / "input"
    put(root, "2024/1", "2025/2", "2025/deep/3")
    put(tmp_path, "elsewhere/4")
    (root / "latest").symlink_to("2025")
    (root / "current").symlink_to("latest")
    (root / "2025" / "deep" / "more").symlink_to(tmp_path / "elsewhere")
    (root / "2025" / "deep" / "loop").symlink_to("..")
    (root / "2025" / "again").hardlink_to(root / "2025" / "2")

    def found(pattern: str) -> list[str]:
        return files_below(root, take=re.compile(pattern).fullmatch, by_path=True)[0]  # type: ignore[arg-type]

    assert found("(2024|latest)/.") == ["2024/1", "latest/2"]
    assert found("latest/.*") == ["latest/2", "latest/again", "latest/deep/3", "latest/deep/more/4"]
    assert found("current/deep/loop/.*") == []
    assert found("2025/deep/loop/2") == ["2025/deep/loop/2"]
    assert found(".*") == ["2024/1", "2025/2", "2025/again", "2025/deep/3", "2025/deep/more/4"]
    assert found("(2025|latest)/.*") == ["2025/2", "2025/again", "2025/deep/3", "2025/deep/more/4"]


def test_a_link_that_leads_nowhere_is_listed_for_whoever_reads_it(tmp_path: Path) -> None:
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / "self").symlink_to("self")

    assert files_below(tmp_path)[0] == ["gone", "self"]


@pytest.mark.parametrize("link", [False, True], ids=["itself", "a link to it"])
def test_a_pipe_is_refused_before_anybody_waits_for_it(tmp_path: Path, link: bool) -> None:
    root = tmp_path / "input"
    root.mkdir()
    os.mkfifo(tmp_path / "pipe" if link else root / "pipe")
    if link:
        (root / "link").symlink_to(tmp_path / "pipe")

    with pytest.raises(Refused, match="a pipe, a socket or a device"):
        files_below(root)
    assert files_below(root, take=lambda path: False)[0] == []


def test_places_are_compared_where_they_really_are(tmp_path: Path) -> None:
    put(tmp_path, "real/inner/1")
    (tmp_path / "link").symlink_to("real")

    assert overlap(tmp_path / "link" / "inner", tmp_path / "real")
    assert holds(tmp_path / "link", tmp_path / "real" / "inner")
    assert not holds(tmp_path / "real" / "inner", tmp_path / "real")
    assert not overlap(tmp_path / "real", tmp_path / "realm")
