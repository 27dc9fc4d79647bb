"""Memory depends on the configuration, not on the input."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from tests.worker.batches import MODULE, Batch

MEASURE = """
import resource, subprocess, sys
done = subprocess.run([sys.executable, "-m", sys.argv[1], sys.argv[2]], stdout=subprocess.DEVNULL)
assert done.returncode == 0
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak(batch: Batch, files: int) -> int:
    """Largest resident size of any of the worker's processes, in KiB."""
    columns = {f"F{number}": np.random.default_rng(number).random(100_000) for number in range(16)}
    batch.rows(*[{"ID": np.arange(100_000), **columns}] * files, row_group_size=25_000)
    batch.job("Linear", init={"column": "F0"}, output={"mode": "overwrite"})
    command = [sys.executable, "-c", MEASURE, MODULE, str(batch.root / "JOB.json")]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.slow
def test_four_times_the_input_takes_no_more_memory(batch: Batch) -> None:
    small = peak(batch, 24)
    large = peak(batch, 96)

    # Kept, the other 72 files would be another 980 MB.
    assert large < 1.25 * small
