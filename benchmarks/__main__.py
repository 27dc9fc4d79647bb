"""``make bench``: every measurement, each of a size that ends within a few minutes."""

from __future__ import annotations

import sys

from benchmarks import dag_parse, trigger_latency, trigger_polling, worker_throughput

status = dag_parse.main([])
print()
status = worker_throughput.main([]) or status
print()
status = trigger_latency.main([]) or status
print()
sys.exit(trigger_polling.main(["--jobs", "200", "--seconds", "30"]) or status)
