"""What all measurements report alike: the machine, a JSON file, a plot."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, Any]:
    """The machine that a figure was measured on."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9),
        "python": platform.python_version(),
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def median(values: Iterable[float]) -> float:
    return statistics.median(values)


def rounded(run: Mapping[str, float]) -> dict[str, float]:
    return {key: round(value, 3) for key, value in run.items()}


def save(name: str, what: str, figures: Mapping[str, float], goals: Mapping[str, float], **more: Any) -> None:
    """Print figures beside their goals, and write them as JSON and as a plot into ``benchmarks/results``.

    :param figures: what was measured, the larger the better. :param goals: what some of them should reach.
    """
    summary = {"what": what, "figures": rounded(figures), "goals": dict(goals), **more, "machine": machine()}
    _write(name, summary)
    print(what)
    for key, value in figures.items():
        goal = f"   goal {goals[key]:,.2f}" if key in goals else ""
        print(f"  {key:44}{value:>14,.2f}{goal}")


def add(
    name: str,
    what: str,
    figures: Mapping[str, float],
    goals: Mapping[str, float],
    limits: Mapping[str, float],
    *,
    quick: bool,
) -> None:
    """Write some figures of a measurement of many parts, and keep the others as they were measured before.

    :param goals: what some of all figures should reach. :param limits: what some should not exceed.
    :param quick: these were measured with less work. With each figure stands that, and its machine and time.
    """
    path = RESULTS / f"{name}.json"
    earlier: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    here = machine()
    measured = earlier.get("measured", {}) | {key: {"quick": quick, "machine": here} for key in figures}
    found = earlier.get("figures", {}) | rounded(figures)
    summary = {
        "what": what,
        "figures": found,
        "goals": {key: goal for key, goal in goals.items() if key in found},
        "limits": {key: limit for key, limit in limits.items() if key in found},
        "measured": measured,
        "machine": here,
    }
    _write(name, summary)


def _write(name: str, summary: Mapping[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    # Whole or not at all, since others read it while this is being measured.
    unfinished = RESULTS / f"{name}.json.new"
    unfinished.write_text(json.dumps(summary, indent=1) + "\n")
    unfinished.replace(RESULTS / f"{name}.json")
    goals = summary["goals"]
    if goals and find_spec("matplotlib") is None:
        print("No plot: matplotlib is not installed.")
    elif goals:
        _plot(summary["what"], summary["figures"], goals, RESULTS / f"{name}.png")


def _plot(what: str, figures: Mapping[str, float], goals: Mapping[str, float], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    # Figures without a goal have units of their own.
    shown = {key: figures[key] for key in goals}
    figure, axes = pyplot.subplots(figsize=(7, 1 + 0.6 * len(shown)))
    for position, (key, value) in enumerate(reversed(shown.items())):
        axes.barh(position, value / goals[key], color="#29b5e8")
        axes.text(0.01, position, f"{key}: {value:,.2f}", va="center", fontweight="bold")
    axes.axvline(1, color="#11567f", linestyle="--")
    axes.set_yticks([])
    axes.set_xlabel("share of the goal")
    axes.set_title(what, fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=150)
    pyplot.close(figure)
