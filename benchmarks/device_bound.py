"""The share of the time for which a device is busy: a model that takes 50 ms a batch, whatever the batch.

python -m benchmarks.device_bound --batches 400
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.report import median, save
from benchmarks.scratch import scratch
from benchmarks.worker_run import python_model, run_worker
from benchmarks.worker_throughput import write_input

SECONDS = 0.05
BATCH_ROWS = 4096
FEATURES = [f"F{number}" for number in range(16)]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    shares = []
    with scratch("device_bound") as folder:
        (folder / "input").mkdir()
        write_input(folder / "input", options.batches * BATCH_ROWS, FEATURES, 8, 4)
        for repeat in range(options.repeats):
            calls = folder / f"calls_{repeat}"
            model = python_model("device_model:Device", seconds=SECONDS, calls=str(calls), features=FEATURES)
            inference = {"num_workers": 1, "max_batch_rows": BATCH_ROWS}
            run_worker(folder / "input", folder / "out", model, inference=inference)
            times = [tuple(map(float, line.split())) for line in calls.read_text().splitlines()]
            shares.append(sum(end - begin for begin, end in times) / (times[-1][1] - times[0][0]))
    save(
        "device_bound",
        f"a device that takes {SECONDS * 1000:.0f} ms a batch, {options.batches} batches of {BATCH_ROWS} rows",
        {"busy from first to last batch": median(shares)},
        {"busy from first to last batch": 0.97},
        runs=[round(share, 4) for share in shares],
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
