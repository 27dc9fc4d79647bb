"""Write docs/benchmarks.md and docs/scaling.md from the figures in ``benchmarks/results``, and from nothing else.

python -m benchmarks.document
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.pages import SIZES
from benchmarks.report import RESULTS
from benchmarks.table import machine, number
from benchmarks.xgboost_rate import PUBLISHED

DOCS = Path(__file__).parent.parent / "docs"
BENCHMARKS_HEAD = """\
# Benchmarks

Written by `python -m benchmarks.document` from what the commands below have left in `benchmarks/results`. A ratio is
taken within one run, on the same machine and data. A goal that was missed stands here like one that was met. Figures of
before a change are of the same machine, and stay. What they mean for a worker's job is told in
[](worker.md#how-fast), what they mean for large ones in [](scaling.md).
"""
# The name of the result → its command, where that is not `python -m benchmarks.NAME`.
COMMANDS = {"peers": "make bench-peers"} | {
    f"pages_{database}_{cards}": f"python -m benchmarks.pages --cards {cards}{url}"
    for cards in SIZES
    for database, url in (("sqlite", ""), ("postgresql", " --database postgresql+psycopg2://airflow@localhost/empty"))
}
SCALING = """\
# How far it scales

Written by `python -m benchmarks.document`: measured figures are those of [](benchmarks.md), of the machine that is
named there, and what is worked out from them says so. Measure your own model with
[`plan`](worker.md#which-batch-size-how-many-replicas-how-long) before you size a job: the model decides, not the
worker.

## A billion rows

| | |
|---|---|
| measured | {rate:,.0f} rows/s per core ({rate_of}) |
| published by Snowflake, for its own runtime and ten billion rows | {published:,} rows/s per vCPU |
| worked out for 10⁹ rows | {core_seconds:,.0f} s of one core, {ten:,.0f} s on 10 nodes of 8 cores |
| worked out at Snowflake's rate | {published_seconds:,.0f} s of one vCPU, {published_ten:,.0f} s on as many nodes |
| memory | {small_mb:,.0f} MB and {large_mb:,.0f} MB ({memory_of}) |

- **The limit is the model.** Beside {stages_of}, reading, laying out and writing take {others:.0f} % of its time.
- At most 2,048 tasks are cut, so one of 10⁹ rows has 488,282, which are done again if its process is killed.
- You set `replicas` (and the pool's `MAX_NODES`), and `output_spec.columns` to the keys: all columns are written
  otherwise.
- With a partition column, there must be room in the temporary directory ([](replicas.md#groups-of-rows)).

## A million files

| | |
|---|---|
| measured | {files_rate:,.0f} files/s, {files_share:.2f} of the rate with 16 files |
| measured | {planning:.1f} s of planning before that |
| of | {files_of} |
| worked out for 10⁶ such files | {million_planning:,.0f} s of planning, then {million_minutes:,.1f} minutes |

- **The limit is opening files**: each costs about as much as its hundred rows. With a fixed share, every replica
  plans all files; scoring is shared.
- You set `MAX_FILE_SIZE` where they are unloaded, or have the job read a query or a table instead of the files.
- Openings that take long, as on a mounted stage, overlap: {delayed:.2f} of the limit with 20 ms for each, for images.

## Wide tables

Measured: {wide:.2f} of the limit, and {wide_mb:,.0f} MB ({wide_of}). You set `max_batch_rows` where the model itself
needs much memory for a row; columns that the model does not take are not read.

## Ten thousand jobs a day

That is seven a minute. On an account the limit is how many nodes the pool has: jobs wait in `PENDING`. In Airflow they
wait without a worker slot, and those that use the same connection share one session of the triggerer
([](architecture.md)).

| In one triggerer, measured ({polling_of}) | |
|---|---|
| statements a minute | {polling_statements:.0f} |
| processor time | {polling_percent:.0f} % of a core |
| memory | {polling_kb:.1f} KB a job |
| the event loop is held at most | {polling_held:.0f} ms |

What holds the event loop is Python's look for garbage among all objects of the process: {garbage:.0f} ms with these
jobs, {garbage_alone:.0f} ms with none, which are Airflow's and the driver's.

| On the local Snowflake, measured | |
|---|---|
| a submission ({jobs_of}) | {submission:.2f} ms of processor time, {submission_few:.2f} ms among 10 |
| a look at all of them | {look:,.0f} ms |
| stopping the server | {stop:.1f} s |
| processor time of a small job of a registered model | {custom:.1f} s; {sklearn:.1f} s with scikit-learn |

Worked out, two cores have the processor time for {per_hour:,.0f} such small jobs an hour; nearly all of it is for
importing libraries, and would score {start_rows:,.0f} rows at the rate above. So many small jobs are better one large
one, with `replicas` at 1. You set `poll_interval` where many jobs run for hours.
"""


def results() -> dict[str, dict[str, Any]]:
    """Each result by its name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))}


def benchmarks_page(found: dict[str, dict[str, Any]]) -> str:
    """Every figure of every result, with its goal, command, machine and plot."""
    lines = [BENCHMARKS_HEAD]
    for name, result in found.items():
        # Where each row says it, it stands there alone.
        where = "" if "measured" in result else f" {machine(result)}."
        lines += [f"## {name.replace('_', ' ').capitalize()}", "", f"{result['what']}.{where}", ""]
        lines += [f"`{COMMANDS.get(name, f'python -m benchmarks.{name}')}`", ""]
        lines += [*_figures(result), ""]
        if (RESULTS / f"{name}.png").exists():
            lines += [f"![{result['what']}](../benchmarks/results/{name}.png)", ""]
    return "\n".join(lines)


def _figures(result: dict[str, Any]) -> list[str]:
    """The table of a result. Where its parts are measured apart from each other, each row says when and where."""
    goals, limits, measured = result.get("goals", {}), result.get("limits", {}), result.get("measured", {})
    lines = [
        f"| Measure | Figure | Goal |{' Measured |' if measured else ''}",
        f"|---|---|---|{'---|' if measured else ''}",
    ]
    for key, figure in result["figures"].items():
        goal = number(goals[key]) if key in goals else f"at most {number(limits[key])}" if key in limits else "–"
        line = f"| {key} | {number(figure)} | {goal} |"
        if measured:
            own = measured[key]
            line += f" {machine(own)}{', with `--quick`' if own['quick'] else ''} |"
        lines.append(line)
    return lines


def _count(what: str) -> int:
    return int(what.partition(" ")[0].replace(",", ""))


def scaling_page(found: dict[str, dict[str, Any]]) -> str:
    """What the figures mean for large work."""
    figures = {name: result["figures"] for name, result in found.items()}
    rate, files, jobs = figures["xgboost_rate"]["rows/s per core"], figures["small_files"], figures["local_jobs"]
    first, stages, polling = figures["first_result"], figures["stages"], figures["trigger_polling"]
    custom = first["processor time of the whole job, s, custom"]
    # What was measured how often stands at the beginning of what it is.
    many, files_count = (_count(found[name]["what"]) for name in ("local_jobs", "small_files"))
    files_rate = files["rows/s, small files"] / 100
    model, stages_of = "the model, % of the model", found["stages"]["what"].partition(" rows")[0].rpartition(", ")[0]
    return SCALING.format(
        rate=rate,
        rate_of=found["xgboost_rate"]["what"],
        published=PUBLISHED,
        core_seconds=1e9 / rate,
        ten=1e9 / rate / 80,
        published_seconds=1e9 / PUBLISHED,
        published_ten=1e9 / PUBLISHED / 80,
        small_mb=figures["peak_memory"]["small, MB"],
        large_mb=figures["peak_memory"]["large, MB"],
        memory_of=found["peak_memory"]["what"],
        stages_of=stages_of,
        others=sum(share for name, share in stages.items() if name.endswith("% of the model") and name != model),
        files_rate=files_rate,
        files_share=files["rows/s, share of that of 16 files"],
        files_of=found["small_files"]["what"],
        planning=files["planning, s"],
        million_planning=files["planning, s"] * 1e6 / files_count,
        million_minutes=1e6 / files_rate / 60,
        delayed=figures["images"]["share of the limit, 20 ms an opening"],
        wide=figures["wide_table"]["share of the limit, processor time"],
        wide_mb=figures["wide_table"]["peak memory, MB"],
        wide_of=found["wide_table"]["what"],
        polling_of=found["trigger_polling"]["what"],
        polling_statements=polling["statements_per_minute"],
        polling_percent=polling["cpu_percent"],
        polling_kb=polling["kb_per_job"],
        polling_held=polling["held_ms"],
        garbage=polling["garbage_ms"],
        garbage_alone=polling["garbage_ms_without_jobs"],
        jobs_of=found["local_jobs"]["what"],
        submission=jobs[f"a submission at {many}, ms"],
        submission_few=jobs["a submission at 10, ms"],
        look=jobs[f"a look at {many}, ms"],
        stop=jobs[f"stop at {many}, s"],
        custom=custom,
        sklearn=first["processor time of the whole job, s, sklearn"],
        per_hour=2 * 3600 / custom,
        start_rows=custom * rate,
    )


def pages() -> dict[Path, str]:
    """Each page with its text."""
    found = results()
    return {DOCS / "benchmarks.md": benchmarks_page(found), DOCS / "scaling.md": scaling_page(found)}


def main() -> int:
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
