"""The Python of the README and of the documentation runs, and the links between the pages lead somewhere."""

from __future__ import annotations

import ast
import json
import re
from importlib.metadata import version
from pathlib import Path

import pytest

from airflow_provider_snowflake_batch.jobs.sources import parse_source
from benchmarks import document, report, table

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("[CS]*.md")), *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(((?!https?:|#|mailto:)[^)#]+)(?:#[^)]*)?\)")


def blocks(language: str) -> list[object]:
    return [
        pytest.param(match[2], id=f"{page.name}-{number}")
        for page in PAGES
        for number, match in enumerate(_BLOCK.finditer(page.read_text(encoding="utf-8")), start=1)
        if match[1] == language
    ]


@pytest.mark.parametrize("code", blocks("python"))
def test_python_runs_as_a_dag_file_would(code: str, tmp_path: Path) -> None:
    names = {"__name__": "documentation"}
    file = tmp_path / "dag.py"
    file.write_text(code, encoding="utf-8")
    try:
        exec(compile(code, file, "exec", dont_inherit=True), names)
    except ImportError as missing:
        if missing.name != "airflow.sdk" or not version("apache-airflow-core").startswith("3.2."):
            raise
        pytest.skip(f"new in Airflow 3.3: {missing}")
    if "X" in names:
        parse_source(names["X"])


@pytest.mark.parametrize("text", blocks("json"))
def test_json_is_json(text: str) -> None:
    json.loads(text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    links = _LINK.findall(_BLOCK.sub("", page.read_text(encoding="utf-8")))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_readme_names_every_make_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    public = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE)) - {"help", "constraints", "clean", "format"}
    assert {target for target in public if f"`make {target}`" not in readme} == set()
    assert set(re.findall(r"`make ([a-z-]+)`", readme)) <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))


def test_the_how_to_leads_to_every_example_dag() -> None:
    page = (ROOT / "docs" / "howto.md").read_text(encoding="utf-8")
    examples = {path.name for path in (ROOT / "example_dags").glob("*.py")}
    assert set(re.findall(r"\(\.\./example_dags/([\w.]+)\)", page)) == examples


def test_the_how_tos_table_leads_to_every_recipe_and_its_example() -> None:
    page = (ROOT / "docs" / "howto.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[[^]]+\]\(#([\w-]+)\) \|(.*)\|$", page, re.MULTILINE)
    leads = {anchor: set(re.findall(r"example_dags/([\w.]+)\)", examples)) for anchor, examples in rows}
    recipes: dict[str, set[str]] = {}
    for text in page.split("\n## ")[1:]:
        title, _, rest = text.partition("\n")
        anchor = re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-")
        recipes[anchor] = set(re.findall(r"^A whole Dag: \[`example_dags/([\w.]+)`", rest, re.MULTILINE))
    assert len(rows) == len(leads)
    assert leads == recipes


def texts_of_the_package() -> str:
    """Every text in the package's code, with … where a value is put in."""
    found = []
    for path in sorted((ROOT / "airflow_provider_snowflake_batch").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values]
                found.append("".join(parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
            elif isinstance(node, ast.ClassDef):
                found.append(node.name)
    return "\n".join(found)


def test_messages_that_the_troubleshooting_page_explains_exist() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.*?) \|", page, re.MULTILINE)
    quoted = {text for row in rows for text in re.findall(r"`([^`]+)`", row)}
    # What Airflow, Python or the names of a file's constants say.
    others = {
        "Terminating process",
        "Cannot serialize object of type",
        "No module named",
        "deferred",
        "has no _SUCCESS",
        "603",
        "FAILED",
        "RUNNING",
        "PENDING",
    }
    texts = texts_of_the_package()
    assert {text for text in quoted - others if text not in texts} == set()
    assert "has no …: its output is not" in texts


@pytest.mark.parametrize("page", document.pages(), ids=lambda page: page.name)
def test_figures_are_those_that_were_measured(page: Path) -> None:
    assert page.read_text(encoding="utf-8") == document.pages()[page]


def test_each_row_of_a_measurement_of_many_parts_says_when_and_where_it_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part that is measured alone renews its own rows."""
    for module in (report, document, table):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    monkeypatch.setattr(report, "find_spec", lambda _: None)
    goals, limits = {"times the rows/s": 3.7}, {"seconds": 20.0, "of another part": 1.0}
    for day, figures in (("2026-11-29", {"times the rows/s": 3.9, "seconds": 7.4}), ("2026-11-30", {"seconds": 8.0})):
        here = {"processor": "A", "cores": 2, "memory_gb": 25, "measured": f"{day}T10:00:00+00:00"}
        monkeypatch.setattr(report, "machine", lambda here=here: here)
        report.add("parts", "Nodes on one machine", figures, goals, limits, quick=day == "2026-11-30")

    page = document.benchmarks_page(document.results())
    assert page.split("## Parts\n")[1].splitlines() == [
        "",
        "Nodes on one machine.",
        "",
        "`python -m benchmarks.parts`",
        "",
        "| Measure | Figure | Goal | Measured |",
        "|---|---|---|---|",
        "| times the rows/s | 3.90 | 3.70 | A, 2 cores, 25 GB, 2026-11-29 |",
        "| seconds | 8.00 | at most 20.00 | A, 2 cores, 25 GB, 2026-11-30, with `--quick` |",
    ]
    assert table.rows() == ["| Nodes on one machine | times the rows/s | 3.90 | 3.70 | A, 2 cores, 25 GB, 2026-11-29 |"]
