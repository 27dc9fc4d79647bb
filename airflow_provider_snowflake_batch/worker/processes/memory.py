"""How much memory this process and its descendants hold."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_PROC = Path("/proc")


def bytes_with_descendants() -> int | None:
    """Bytes in memory of this process and all that descend from it, shared pages counted once; None without Linux."""
    if not (_PROC / "self" / "smaps_rollup").exists():
        return None
    total, left = 0, [os.getpid()]
    while left:
        process = _PROC / str(left.pop())
        # A process that has ended meanwhile is left out.
        with contextlib.suppress(OSError):
            total += _proportional(process / "smaps_rollup")
            for children in process.glob("task/*/children"):
                left += map(int, children.read_text().split())
    return total


def _proportional(file: Path) -> int:
    lines = (line.split() for line in file.read_text().splitlines())
    return next((int(words[1]) * 1024 for words in lines if words[0] == "Pss:"), 0)
