"""The quickstart's own Dag, as its page has it pasted."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.example_dags.quickstart_page import run_page


@pytest.mark.slow
def test_the_page_runs_as_pasted(tmp_path: Path) -> None:
    """With the package as it lies here; tests/test_distribution.py installs it as the page says."""
    (tmp_path / ".venv").symlink_to(sys.prefix)
    run_page(tmp_path)
