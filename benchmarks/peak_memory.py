"""Peak memory over a small and a large input: it must not grow with the input.

The large input is the small one's files many times over, by hard links, so that it takes no room on the disk.

    python -m benchmarks.peak_memory --small-gb 1 --large-gb 20
"""

from __future__ import annotations

import argparse
import os
import sys
import time

import psutil

from benchmarks.report import save
from benchmarks.scratch import scratch
from benchmarks.worker_run import python_model, run_worker
from benchmarks.worker_throughput import write_input

FEATURES = [f"F{number}" for number in range(16)]
ROWS = 1_400_000
SAMPLE_SECONDS = 0.1


class Peak:
    """The most memory that a process and its descendants had together; pages that they share count once."""

    def __init__(self) -> None:
        self.bytes = 0

    def __call__(self, pid: int) -> None:
        total = 0
        try:
            main = psutil.Process(pid)
            for process in [main, *main.children(recursive=True)]:
                try:
                    total += process.memory_full_info().pss
                except psutil.Error:
                    continue
        except psutil.Error:
            return
        self.bytes = max(self.bytes, total)
        time.sleep(SAMPLE_SECONDS)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small-gb", type=float, default=1)
    parser.add_argument("--large-gb", type=float, default=20)
    options = parser.parse_args(arguments)
    with scratch("peak_memory") as folder:
        (folder / "one").mkdir()
        write_input(folder / "one", ROWS, FEATURES, 1, 8)
        (file,) = (folder / "one").iterdir()
        peaks = {}
        for label, gigabytes in (("small", options.small_gb), ("large", options.large_gb)):
            source = folder / label
            source.mkdir()
            for number in range(max(1, round(gigabytes * 1e9 / file.stat().st_size))):
                os.link(file, source / f"part_{number:05d}.parquet")
            peak = Peak()
            model = python_model("linear_model:Linear", features=FEATURES)
            run = run_worker(source, folder / "out", model, inference={}, columns=["ID"], meanwhile=peak)
            peaks[label] = peak.bytes / 1e6
            print(f"{gigabytes:g} GB, {run['rows']:,} rows: {run['seconds']:.1f} s, {peaks[label]:.0f} MB", flush=True)
    save(
        "peak_memory",
        f"peak memory of all processes, {options.small_gb:g} GB and {options.large_gb:g} GB of Parquet",
        {
            "small / large": peaks["small"] / peaks["large"],
            "small, MB": peaks["small"],
            "large, MB": peaks["large"],
        },
        {"small / large": 1 / 1.1},
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
