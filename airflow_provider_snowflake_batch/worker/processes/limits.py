"""How many processes, and how many threads in each.

BLAS, OpenMP and tree libraries start a thread for each core unless told otherwise; with several processes they then
fight for the same cores. The limits are environment variables because most libraries read them only once, when they
are loaded, so they are set before the first such import.
"""

from __future__ import annotations

import itertools
import os
import re
import sys
from pathlib import Path

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",
)
# Blocks of at least this size, such as large files, are taken from the system and given back at once: when they were
# kept, files of 8 MiB took twice the memory. Of smaller blocks, the process may keep so many free bytes.
LARGE_BLOCK_BYTES = 8 * 1024 * 1024
KEPT_BYTES = 64 * 1024 * 1024
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MALLOC_VARIABLES = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_")
_FORK_AWARE_THREADS = {"jemalloc_bg_thd"}
_CGROUP_CPU = Path("/sys/fs/cgroup/cpu.max")
_CGROUP_MEMORY = Path("/sys/fs/cgroup/memory.max")


def cores() -> int:
    """Cores that this process may use: its affinity, and the container's limit where there is one."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = _CGROUP_CPU.read_text().split()
        if quota != "max":
            count = min(count, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):
        pass
    return max(1, count)


def devices() -> list[str]:
    """NVIDIA devices that this process sees, as ``CUDA_VISIBLE_DEVICES`` names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    try:
        found = (re.fullmatch(r"nvidia\d+", entry.name) for entry in Path("/dev").iterdir())
        return [str(number) for number in range(sum(one is not None for one in found))]
    except OSError:
        return []


def device_shares(asked: int | None) -> list[str]:
    """What each process sees of several GPUs, as values of ``CUDA_VISIBLE_DEVICES``; empty if nothing has to be shared.

    :param asked: processes; None for one for each GPU. Fewer than GPUs have several each, more have some together.
    """
    found = devices()
    count = min(asked or len(found), len(found))
    if count < 2:
        return []
    edges = [len(found) * number // count for number in range(count + 1)]
    return [",".join(found[first:last]) for first, last in itertools.pairwise(edges)]


def free_memory() -> int:
    """Bytes that can still be had, of the machine or of the container, whichever is less."""
    page = os.sysconf("SC_PAGE_SIZE")
    free = os.sysconf("SC_AVPHYS_PAGES") * page
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                free = int(line.split()[1]) * 1024
        limit = _CGROUP_MEMORY.read_text().strip()
        if limit != "max":
            used = int((_CGROUP_MEMORY.parent / "memory.current").read_text())
            free = min(free, max(int(limit) - used, 0))
    except (OSError, ValueError, IndexError):
        pass
    return free


def process_count(asked: int | None, tasks: int) -> int:
    """Model processes for a number of tasks: as asked, else one for each GPU, else one for each core."""
    wanted = asked or len(devices()) or cores()
    return max(1, min(wanted, tasks))


def threads_per_process(processes: int) -> int:
    """Threads that numeric libraries may use in each process so that all together fill the cores."""
    return max(1, cores() // processes)


def sure_threads(asked: int | None) -> int | None:
    """Threads of each process, where they are the same for every number of tasks; else None."""
    fewest, most = threads_per_process(process_count(asked, sys.maxsize)), threads_per_process(1)
    return most if fewest == most else None


def limit_threads(count: int) -> None:
    """Set the limit for libraries loaded from now on, unless the environment states one."""
    for name in THREAD_VARIABLES:
        os.environ.setdefault(name, str(count))
    if count == 1:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def choose_allocator() -> None:
    """Have memory that is freed kept for the next batch, unless the environment states otherwise.

    Arrow, if it is loaded after this, uses jemalloc. One thread allocates rows and another one frees them; Arrow's
    default, mimalloc, gives such memory back to the system and asks for it again, and a fifth of the time of reading
    went into clearing pages. NumPy allocates a model's intermediate arrays, some hundred kilobytes for each column of a
    batch. glibc gives these back as well, which took a fifth of scikit-learn's time.
    """
    if sys.platform != "linux":
        return
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "jemalloc")
    stated = any(name in os.environ for name in _MALLOC_VARIABLES)
    if stated or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return
    import ctypes

    # Only glibc has this function.
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES)
        mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)


def forkable() -> bool:
    """Whether this process can be forked safely: no thread but this one could hold a lock at that moment.

    Arrow's allocator has a thread that stops and starts again around a fork (jemalloc does so by itself).
    """
    try:
        names = [(entry / "comm").read_text().strip() for entry in Path("/proc/self/task").iterdir()]
    except OSError:
        return False
    return sum(name not in _FORK_AWARE_THREADS for name in names) == 1


def resident_bytes() -> int:
    """Resident memory of this process."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
