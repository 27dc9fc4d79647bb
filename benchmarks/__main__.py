"""``make bench``: every measurement, each of a size that ends within a few minutes."""

from __future__ import annotations

import sys

from benchmarks import trigger_polling, worker_throughput

status = worker_throughput.main([])
print()
sys.exit(trigger_polling.main(["--jobs", "200", "--seconds", "30"]) or status)
