"""Which _SUCCESS files are news."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_snowflake_batch.jobs.identifiers import StagePath
from airflow_provider_snowflake_batch.jobs.successes import OVERLAP_SECONDS, SeenSuccesses, Success

LOCATION = StagePath.parse("@D.S.STAGE/scores/", field="location")


def success(directory: str, written: float, md5: str | None = "d41d8") -> Success:
    found = Success.of(f"{directory}/_SUCCESS", written, md5)
    assert found is not None
    return found


def test_only_the_marker_itself_counts() -> None:
    assert Success.of("scores/job/_SUCCESS_NOT", 1, None) is None
    assert Success.of("scores/job/NOT_SUCCESS", 1, None) is None
    assert Success.of("_SUCCESS", 1, None) == Success("", 1, "1 ")


def test_a_watcher_sees_its_own_directories() -> None:
    job = success("scores/NIGHTLY_1", 1)
    assert job.lies_in(LOCATION, None)
    assert job.lies_in(LOCATION, "NIGHTLY_*")
    assert not job.lies_in(LOCATION, "HOURLY_*")
    assert not job.lies_in(StagePath.parse("@D.S.STAGE/score", field="location"), None)
    assert success("scores", 1).lies_in(LOCATION, None), "the location may be the directory itself"
    assert job.lies_in(StagePath.parse("@D.S.STAGE", field="location"), "scores/*")


def test_what_is_there_at_first_is_no_news_unless_asked_for() -> None:
    old, new = success("a", 100), success("b", 200)
    assert SeenSuccesses.at_first([old, new]).news([old, new]) == []
    assert SeenSuccesses.at_first([old, new], newer_than=100).news([old, new]) == [new]
    assert SeenSuccesses.at_first([]).news([old]) == [old]


def test_written_again_it_is_news_again() -> None:
    seen = SeenSuccesses.at_first([success("a", 100)])
    again = success("a", 101)
    assert seen.news([again]) == [again]
    assert seen.with_([again]).news([again]) == []
    assert seen.with_([again]).news([]) == [], "while it is being overwritten"
    same_second = success("a", 101, "other content")
    assert seen.with_([again]).news([same_second]) == [same_second]


def test_a_file_that_shows_late_is_not_lost() -> None:
    seen = SeenSuccesses.at_first([success("a", 1000)]).with_([success("b", 2000)])
    late = success("c", 2000 - OVERLAP_SECONDS)
    assert seen.news([late]) == [late]
    assert seen.news([success("c", 1)]) == []


def test_two_memories_together_know_what_either_knows() -> None:
    first = SeenSuccesses.at_first([]).with_([success("a", 100)])
    second = SeenSuccesses.at_first([]).with_([success("a", 101), success("b", 102)])
    for both in (first.merged_with(second), second.merged_with(first)):
        assert both.news([success("a", 101), success("b", 102)]) == []


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 5)), max_size=40), st.lists(st.booleans()))
def test_each_is_told_once_whatever_the_restarts(writes: list[tuple[str, int]], restarts: list[bool]) -> None:
    """Directories are written again and again, seconds apart; a restart brings back only what was stored."""
    stage: dict[str, Success] = {}
    seen, told, now = SeenSuccesses.at_first([]), [], 1000
    for index, (directory, pause) in enumerate(writes):
        now += pause + 1
        stage[directory] = success(directory, now)
        news = seen.news(stage.values())
        told += news
        seen = seen.with_(news)
        if index < len(restarts) and restarts[index]:
            seen = SeenSuccesses.from_dict(seen.to_dict())
    assert [each.directory for each in told] == [f"{directory}/" for directory, _ in writes]


def test_the_memory_stays_small() -> None:
    seen = SeenSuccesses.at_first([])
    for number in range(5000):
        seen = seen.with_([success(f"job{number}", number)])
    assert len(seen.recent) <= OVERLAP_SECONDS + 1
