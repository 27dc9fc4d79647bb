"""Very many small files against the same rows in a few: planning and run together.

What pyarrow alone needs to decode their rows as row groups of one file says how much could be had at most.

python -m benchmarks.small_files --files 200000
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.report import rounded, save
from benchmarks.scratch import scratch
from benchmarks.tree_model import train
from benchmarks.worker_run import python_model, run_worker

ROWS = 100
DISTINCT = 500
FOLDER_FILES = 5000
FEATURES = [f"F{number}" for number in range(16)]


def write_inputs(few: Path, many: Path, files: int) -> None:
    """Some distinct small files over and over, and the same rows in 16 files."""
    random = np.random.default_rng(1)
    tables, contents = [], []
    for number in range(DISTINCT):
        columns = {"ID": np.arange(number * ROWS, (number + 1) * ROWS)}
        columns |= {name: random.standard_normal(ROWS, dtype=np.float32) for name in FEATURES}
        tables.append(pa.table(columns))
        memory = io.BytesIO()
        pq.write_table(tables[-1], memory)
        contents.append(memory.getvalue())
    for number in range(files):
        folder = many / f"{number // FOLDER_FILES:04d}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number:07d}.parquet").write_bytes(contents[number % DISTINCT])
    rows = pa.concat_tables(tables).combine_chunks()
    repeats = -(-files // (16 * DISTINCT))
    for number in range(16):
        count = (files * (number + 1) // 16 - files * number // 16) * ROWS
        large = pa.concat_tables([rows] * repeats).slice(0, count)
        pq.write_table(large, few / f"{number:02d}.parquet", row_group_size=-(-count // 16))


def pyarrow_seconds(folder: Path) -> tuple[float, float]:
    """Processor seconds that pyarrow needs for a small file, in one thread: by itself, and as a row group of one file.

    Of each the least of three rounds.
    """
    contents = [path.read_bytes() for path in sorted(folder.rglob("*.parquet"))[: 4 * DISTINCT]]
    memory = io.BytesIO()
    pq.write_table(pa.concat_tables(pq.read_table(io.BytesIO(one)) for one in contents), memory, row_group_size=ROWS)

    def read(content: bytes) -> None:
        pq.ParquetFile(pa.BufferReader(content), pre_buffer=False).read(use_threads=False)

    alone, together = [], []
    for _ in range(3):
        begun = time.process_time()
        for content in contents:
            read(content)
        half = time.process_time()
        read(memory.getvalue())
        alone.append((half - begun) / len(contents))
        together.append((time.process_time() - half) / len(contents))
    return min(alone), min(together)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=200_000)
    options = parser.parse_args(arguments)
    with scratch("small_files") as folder:
        few, many = folder / "few", folder / "many"
        few.mkdir()
        many.mkdir()
        write_inputs(few, many, options.files)
        path, library = train(folder, FEATURES, 100, 31)
        model = python_model("tree_model:Trees", path=str(path), features=FEATURES)
        inference = {"num_workers": len(os.sched_getaffinity(0))}
        alone, together = pyarrow_seconds(many)
        runs = {
            source.name: run_worker(source, folder / f"out_{source.name}", model, inference=inference, columns=["ID"])
            for source in (few, many)
        }
    rates = {name: run["rows"] / (run["planning"] + run["seconds"]) for name, run in runs.items()}
    save(
        "small_files",
        f"{options.files:,} files of {ROWS} rows × {len(FEATURES)} against the same rows in 16; {library}",
        {
            "rows/s, share of that of 16 files": rates["many"] / rates["few"],
            "by CPU time": runs["few"]["cpu"] / runs["many"]["cpu"],
            "most that can be had by CPU time": runs["few"]["cpu"] / (runs["few"]["cpu"] + together * options.files),
            "pyarrow alone, µs of CPU time a file": alone * 1e6,
            "pyarrow alone, of as many row groups of one file": together * 1e6,
            "rows/s, small files": rates["many"],
            "rows/s, 16 files": rates["few"],
            "planning, s": runs["many"]["planning"],
        },
        {"rows/s, share of that of 16 files": 0.75},
        runs={name: rounded(run) for name, run in runs.items()},
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
