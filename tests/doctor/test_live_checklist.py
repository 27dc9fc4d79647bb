from __future__ import annotations

from pathlib import Path

from airflow_provider_snowflake_batch.doctor.live_checklist import CHECKLIST

PAGE = Path(__file__).parents[2] / "docs" / "first-run.md"


def test_the_page_repeats_the_checklist() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("| | What has to be so"))
    rows = [f"| {number} | {one.what} | {one.how} | {one.otherwise} |" for number, one in enumerate(CHECKLIST, 1)]
    assert lines[at + 2 :] == rows


def test_no_cell_breaks_the_pages_table() -> None:
    assert not [one for one in CHECKLIST if "|" in one.what + one.how + one.otherwise]
