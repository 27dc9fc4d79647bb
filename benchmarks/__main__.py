"""``make bench``: every measurement with its usual size."""

from __future__ import annotations

import sys

from benchmarks import worker_throughput

sys.exit(worker_throughput.main())
