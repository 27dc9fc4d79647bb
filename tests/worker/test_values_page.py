"""The page about types says what the worker does."""

from __future__ import annotations

import pytest

from scripts.values_table import BEGIN, END, PAGE, tables, versions


def test_the_page_is_what_the_worker_does() -> None:
    _, _, rest = PAGE.read_text().partition(BEGIN)
    generated, _, _ = rest.partition(END)
    if not generated.startswith(versions()):
        pytest.skip("the page is of other versions of pyarrow, pandas, NumPy or DuckDB")

    assert generated == versions() + tables()
