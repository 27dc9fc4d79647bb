from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_snowflake_batch.jobs.logs import GAP, PROGRESS_PREFIX, LogWindow, Progress

RECORD = (
    PROGRESS_PREFIX + '{"phase": "running", "replica": 1, "replicas": 2, "rows_done": 1200, "rows_total": 9000, '
    '"rows_per_second": 400.4, "eta_seconds": 19.5, "tasks_done": 1}'
)


@given(st.integers(2, 30), st.lists(st.integers(0, 29), min_size=1, max_size=8), st.integers(0, 40))
def test_windows_that_overlap_give_every_line_once(width: int, steps: list[int], written_before: int) -> None:
    window, end, read = LogWindow(), written_before + width, []
    first = end - width
    for step in [0, *(min(step, width - 1) for step in steps)]:
        end += step
        read += window.advance("".join(f"line {number}\n" for number in range(end - width, end)))
    assert read == [f"line {number}" for number in range(first, end)]


@given(st.integers(2, 60), st.lists(st.integers(0, 59), min_size=1, max_size=8), st.integers(0, 40))
def test_another_process_goes_on_at_the_same_line(width: int, steps: list[int], written_before: int) -> None:
    """Each window is read by a new process, which knows only the position that the one before has left."""
    position: list[int] | None = None
    begin, end, read = written_before, written_before + width, []
    for step in [0, *(min(step, width - 1) for step in steps)]:
        end += step
        window = LogWindow.resume(json.loads(json.dumps(position))) if position is not None else LogWindow()
        read += window.advance("".join(f"line {number}\n" for number in range(end - width, end)))
        position = window.position
    assert read == [f"line {number}" for number in range(begin, end)]


def test_a_whole_log_that_repeats_itself_is_told_apart_by_its_length() -> None:
    window = LogWindow()
    assert len(window.advance("tick\n" * 100)) == 100
    assert LogWindow.resume(window.position).advance("tick\n" * 130) == ["tick"] * 30
    assert LogWindow.resume(window.position).position == window.position


def test_a_new_process_says_what_it_missed() -> None:
    window = LogWindow()
    window.advance("a\nb\n")
    assert LogWindow.resume(window.position).advance("c\nd\n") == [GAP, "c", "d"]
    assert LogWindow.resume(LogWindow().position).advance("c\n") == ["c"]


def test_what_is_missed_is_said() -> None:
    window = LogWindow()
    assert window.advance("a\nb\n") == ["a", "b"]
    assert window.advance("c\nd\n") == [GAP, "c", "d"]


def test_repeated_lines_are_not_taken_for_new_ones() -> None:
    window = LogWindow()
    assert window.advance("x\nx\ny\n") == ["x", "x", "y"]
    assert window.advance("x\nx\ny\n") == []
    assert window.advance("x\ny\nx\n") == ["x"]
    assert window.advance("") == []


def test_a_line_that_is_being_written_waits_for_its_end() -> None:
    window = LogWindow()
    assert window.advance("a\nb\npar") == ["a", "b"]
    assert window.advance("a\nb\npartial\nc\n") == ["partial", "c"]
    assert window.advance("a\nb\npartial\nc\nend") == []
    assert window.advance("a\nb\npartial\nc\nend", last=True) == ["end"]


def test_progress_in_words() -> None:
    progress = Progress.parse(RECORD)
    assert progress == Progress(1, "running", 1200, 9000, 400.4, 19.5, replicas=2)
    assert progress.sentence() == "1,200 of 9,000 rows (13 %), 400 rows/s, about 20 s left"
    assert Progress(0, "planning", 0, 0).sentence() == "planning"
    assert Progress(0, "running", 1, 10, 1, 7200).sentence().endswith("about 2.0 h left")


def test_rows_kept_from_earlier_tries_are_those_of_all_replicas() -> None:
    values = json.loads(RECORD.removeprefix(PROGRESS_PREFIX))
    lines = [{**values, "rows_reused": 1000}, {**values, "replica": 0, "rows_reused": 8}, {**values, "replica": 2}]
    parts = [progress for each in lines if (progress := Progress.parse(PROGRESS_PREFIX + json.dumps(each)))]
    assert [part.rows_reused for part in parts] == [1000, 8, None], "an older worker does not tell"
    total = Progress.total(parts)
    assert total is not None
    assert total.to_dict()["rows_reused"] == 1008
    assert total.sentence().startswith("3,600 of 27,000 rows (13 %), 1,008 kept from earlier tries, ")


def test_rows_set_aside_are_those_of_all_replicas() -> None:
    values = json.loads(RECORD.removeprefix(PROGRESS_PREFIX))
    lines = [{**values, "quarantined_rows": 2}, {**values, "replica": 0, "quarantined_rows": 1}]
    parts = [progress for each in lines if (progress := Progress.parse(PROGRESS_PREFIX + json.dumps(each)))]
    total = Progress.total(parts)
    assert total is not None
    assert total.to_dict()["quarantined_rows"] == 3
    assert total.sentence().startswith("2,400 of 18,000 rows (13 %), 3 set aside as bad, ")
    untold = Progress.parse(RECORD)
    assert untold is not None
    assert "quarantined_rows" not in untold.to_dict()


@pytest.mark.parametrize("value", [None, True, -1, 2**63, 2.5, "many", [1]])
@pytest.mark.parametrize("name", ["rows_reused", "quarantined_rows", "batch_rows"])
def test_a_number_of_rows_that_is_none_is_left_out(name: str, value: object) -> None:
    values = json.loads(RECORD.removeprefix(PROGRESS_PREFIX)) | {name: value}
    assert Progress.parse(PROGRESS_PREFIX + json.dumps(values)) == Progress.parse(RECORD)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("replica", []),
        ("replica", True),
        ("replica", -1),
        ("phase", {"a": 1}),
        ("rows_done", "many"),
        ("rows_done", 2**63),
        ("rows_total", None),
        ("rows_total", 1.5),
    ],
)
def test_a_line_of_somebody_else_is_not_counted_with(field: str, value: object) -> None:
    values = json.loads(RECORD.removeprefix(PROGRESS_PREFIX))

    assert Progress.parse(PROGRESS_PREFIX + json.dumps({**values, field: value})) is None


@pytest.mark.parametrize("line", ["", "rows: 3", PROGRESS_PREFIX, PROGRESS_PREFIX + "[1]", PROGRESS_PREFIX + "{"])
def test_what_is_no_progress_is_left_alone(line: str) -> None:
    assert Progress.parse(line) is None
