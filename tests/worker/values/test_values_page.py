"""The page about types says what the worker does."""

from __future__ import annotations

import pytest


def test_the_page_is_what_the_worker_does() -> None:
    pytest.importorskip("duckdb")
    from scripts.values_table import BEGIN, END, PAGE, tables, versions

    _, _, rest = PAGE.read_text().partition(BEGIN)
    generated, _, _ = rest.partition(END)
    if not generated.startswith(versions()):
        pytest.skip("the page is of other versions of pyarrow, pandas, NumPy or DuckDB")

    assert generated == versions() + tables()
