"""``make bench``: every measurement, of a size that ends within a few minutes; all at full size with ``--full``.

Each is a script of its own: ``python -m benchmarks.worker_throughput --help``.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks import (
    dag_parse,
    device_bound,
    images,
    local_snowflake,
    peak_memory,
    small_files,
    trigger_latency,
    trigger_polling,
    worker_throughput,
    xgboost_rate,
)

# What each is given in a short round; nothing where its own defaults are short enough. The files that a short round
# leaves in benchmarks/results say what size they are of.
MEASUREMENTS = {
    dag_parse: [],
    worker_throughput: ["--rows", "2000000", "--repeats", "3"],
    xgboost_rate: ["--rows", "4000000", "--repeats", "3"],
    images: ["--files", "5000"],
    device_bound: ["--batches", "200", "--repeats", "1"],
    peak_memory: ["--small-gb", "0.5", "--large-gb", "3"],
    small_files: ["--files", "20000"],
    local_snowflake: ["--statements", "2000"],
    trigger_latency: [],
    trigger_polling: ["--jobs", "200", "--seconds", "30"],
}

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--full", action="store_true", help="at the sizes that the documentation states; takes long")
full = parser.parse_args().full
status = 0
for measurement, short in MEASUREMENTS.items():
    status = measurement.main([] if full else short) or status
    print(flush=True)
sys.exit(status)
