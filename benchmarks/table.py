"""Write the figures in ``benchmarks/results`` into the table of docs/worker.md.

python -m benchmarks.table
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.report import RESULTS

DOCUMENT = Path(__file__).parent.parent / "docs" / "worker.md"
BEGIN, END = "<!-- figures: python -m benchmarks.table -->\n", "<!-- end of figures -->\n"


def rows() -> list[str]:
    """A row for each figure that has a goal, and for what other engines are measured at."""
    lines = []
    for path in sorted(RESULTS.glob("*.json")):
        summary = json.loads(path.read_text())
        goals = summary.get("goals", {})
        for key, figure in summary.get("figures", {}).items():
            if key in goals or "share" in key or "/ this worker" in key:
                goal = number(goals[key]) if key in goals else "–"
                where = machine(summary.get("measured", {}).get(key, summary))
                lines.append(f"| {summary['what']} | {key} | {number(figure)} | {goal} | {where} |")
    return lines


def number(value: float) -> str:
    return f"{value:,.2f}" if value < 1000 else f"{value:,.0f}"


def machine(summary: dict[str, Any]) -> str:
    found = summary["machine"]
    return f"{found['processor']}, {found['cores']} cores, {found['memory_gb']} GB, {found['measured'][:10]}"


def main() -> int:
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    table = ["", "| Work | Measure | Figure | Goal | Machine |", "|---|---|---|---|---|", *rows(), ""]
    DOCUMENT.write_text(before + BEGIN + "\n".join(table) + "\n" + END + after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
