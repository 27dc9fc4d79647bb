"""A table of 2,000 columns, as feature stores have them: processor time and peak memory.

The rows are float32 in files of 25,000 rows and row groups of 5,000; the model is linear, one process and one thread.
The limit is what every way needs that reads Parquet: pyarrow's reader, the row groups' values laid out side by side,
the model, the key and the predictions written. Of both, the processor time of a run over one row group is taken off.

Memory is that of all processes of the job, pages that they share counted once, with a batch of 2,048 rows.

    python -m benchmarks.wide_table --repeats 5
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.linear_model import Linear
from benchmarks.peak_memory import Peak
from benchmarks.report import median, save
from benchmarks.scratch import scratch
from benchmarks.worker_run import python_model, run_worker

COLUMNS = 2_000
FILE_ROWS, GROUP_ROWS, BATCH_ROWS = 25_000, 5_000, 2_048
BATCH_BYTES = BATCH_ROWS * COLUMNS * 4
SHARE_GOAL, MEMORY_GOAL = 0.85, 2 * BATCH_BYTES + 300e6
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ARROW_NUM_THREADS"), "1")


def features() -> list[str]:
    return [f"F{number}" for number in range(COLUMNS)]


def write_input(folder: Path, rows: int) -> None:
    """One file, and as many links to it as it takes."""
    (folder / "few").mkdir()
    (folder / "all").mkdir()
    random = np.random.default_rng(1)
    block = random.standard_normal((FILE_ROWS, COLUMNS), dtype=np.float32)
    columns = {"ID": np.arange(FILE_ROWS), **{name: block[:, number] for number, name in enumerate(features())}}
    table = pa.table(columns)
    pq.write_table(table, folder / "all" / "part_000.parquet", row_group_size=GROUP_ROWS)
    pq.write_table(table[:GROUP_ROWS], folder / "few" / "part_000.parquet", row_group_size=GROUP_ROWS)
    for number in range(1, rows // FILE_ROWS):
        os.link(folder / "all" / "part_000.parquet", folder / "all" / f"part_{number:03d}.parquet")


def score_alone(source: Path, target: Path) -> None:
    """Read, lay out, predict, write: row group after row group."""
    model, names = Linear(features()), features()
    target.mkdir(parents=True)
    for path in sorted(source.iterdir()):
        file, writer = pq.ParquetFile(path), None
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, use_threads=False)
            rows = np.empty((table.num_rows, COLUMNS), dtype=np.float32)
            for number, name in enumerate(names):
                rows[:, number] = table[name].to_numpy()
            returned = model.predict(pd.DataFrame(rows, columns=names, copy=False))
            scored = pa.table({"ID": table["ID"], **returned})
            writer = writer or pq.ParquetWriter(target / path.name, scored.schema)
            writer.write_table(scored)
        if writer is not None:
            writer.close()


def check(folder: Path, rows: int) -> None:
    """Both ways give the same for every row.

    :raises SystemExit: they do not.
    """
    found = []
    for way in ("worker", "limit"):
        paths = sorted((folder / "out" / f"all-{way}").glob("*.parquet"))
        found.append(pa.concat_tables(pq.read_table(path) for path in paths).sort_by("ID").to_pandas())
    first, second = found
    if len(first) != rows or list(first["ID"]) != list(second["ID"]):
        raise SystemExit("rows are lost or doubled")
    if not np.allclose(first["PREDICTION"], second["PREDICTION"], rtol=1e-4, atol=1e-4):
        raise SystemExit("the worker gives something else than the model")


def measure(folder: Path, way: str, label: str, peak: Peak | None = None) -> float:
    """Processor seconds of a process and those that it starts."""
    target = folder / "out" / f"{label}-{way}"
    shutil.rmtree(target, ignore_errors=True)
    if way == "worker":
        model = python_model("linear_model:Linear", features=features())
        inference = {"num_workers": 1, "max_batch_rows": BATCH_ROWS}
        source, columns = folder / label, ["ID"]
        done = run_worker(
            source, target, model, inference=inference, columns=columns, environment=ONE_THREAD, meanwhile=peak
        )
        return done["cpu"]
    command = [sys.executable, "-m", "benchmarks.wide_table", "--alone", str(folder / label), str(target)]
    output = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **ONE_THREAD}
    ).stdout
    return float(output.splitlines()[-1])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000, help=f"a multiple of {FILE_ROWS:,}")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="fewer rows, once")
    parser.add_argument("--before", type=float, metavar="SHARE", help="of the limit, before a change, to be kept")
    parser.add_argument("--alone", type=Path, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.alone:
        score_alone(*options.alone)
        times = os.times()
        print(times.user + times.system)
        return 0
    rows, repeats = (2 * FILE_ROWS, 1) if options.quick else (options.rows, options.repeats)
    ratios, runs = [], []
    with scratch("wide_table") as folder:
        write_input(folder, rows)
        for _ in range(repeats):
            seconds = {way: measure(folder, way, "all") - measure(folder, way, "few") for way in ("limit", "worker")}
            print(*(f"{way} {taken:.2f} s of processor time" for way, taken in seconds.items()), sep=", ", flush=True)
            ratios.append(seconds["limit"] / seconds["worker"])
            runs.append({way: round(taken, 3) for way, taken in seconds.items()})
        check(folder, rows)
        # Apart, since looking costs the looked-at time, too.
        peak = Peak()
        measure(folder, "worker", "all", peak)
    share, memory = "share of the limit, processor time", "goal / peak memory"
    figures = {
        share: median(ratios),
        memory: MEMORY_GOAL / peak.bytes,
        "peak memory, MB": peak.bytes / 1e6,
        "a batch, MB": BATCH_BYTES / 1e6,
    }
    if options.before is not None:
        figures[f"{share}, before"] = options.before
    what = f"linear model, {rows:,} rows × {COLUMNS:,} float32, keys written, one process"
    save("wide_table", what, figures, {share: SHARE_GOAL, memory: 1.0}, runs=runs)
    return 0 if figures[share] >= SHARE_GOAL and figures[memory] >= 1 else 1


if __name__ == "__main__":
    sys.exit(main())
