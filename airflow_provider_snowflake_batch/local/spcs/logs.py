"""Container logs as SYSTEM$GET_SERVICE_LOGS and SPCS_GET_LOGS give them out."""

from __future__ import annotations

import bisect
import os
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from airflow_provider_snowflake_batch.contract.progress import PROGRESS_PREFIX

# https://docs.snowflake.com/en/sql-reference/functions/system_get_service_logs
RETURNED_BYTES = 100 * 1024


def lines(path: Path) -> Iterator[tuple[datetime, str]]:
    """Every line of the log with the time at which its first byte arrived, oldest first."""
    for part in (path.with_name(path.name + ".1"), path):
        if not part.exists():
            continue
        offsets, times = _index(part.with_name(part.name + ".times"))
        position = 0
        with open(part, "rb") as file:
            for raw in file:
                slot = bisect.bisect_right(offsets, position) - 1
                seconds = times[slot] if slot >= 0 else part.stat().st_mtime
                yield datetime.fromtimestamp(seconds, UTC), raw.decode(errors="replace").rstrip("\r\n")
                position += len(raw)


def _index(path: Path) -> tuple[list[int], list[float]]:
    offsets: list[int] = []
    times: list[float] = []
    if path.exists():
        for line in path.read_text(encoding="ascii").splitlines():
            offset, seconds = line.split()
            offsets.append(int(offset))
            times.append(float(seconds))
    return offsets, times


def recent(
    path: Path, *, last_lines: int | None = None, since: datetime | None = None, timestamps: bool = False
) -> str:
    """The newest part of the log, whole lines, at most 100 KB.

    :param last_lines: at most so many lines.
    :param since: lines written at or after this time only.
    :param timestamps: put each line's time (RFC 3339, UTC) before it.
    """
    if since is None and not timestamps:
        chosen = _tail(path)
    else:
        chosen = [
            f"{time.isoformat()} {line}" if timestamps else line
            for time, line in lines(path)
            if since is None or time >= since
        ]
    kept: deque[str] = deque()
    size = 0
    for line in reversed(chosen):
        size += len(line.encode()) + 1
        if size > RETURNED_BYTES or (last_lines is not None and len(kept) >= last_lines):
            break
        kept.appendleft(line)
    if not kept and chosen and last_lines != 0:
        return chosen[-1].encode()[-RETURNED_BYTES:].decode(errors="ignore")
    return "\n".join(kept)


def _tail(path: Path) -> list[str]:
    """The lines of the log's end, enough for every answer."""
    if not path.exists():
        return []
    with open(path, "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - RETURNED_BYTES - 1))
        from_the_middle = file.tell() > 0
        found = file.read().decode(errors="replace").split("\n")
    if found and not found[-1]:
        found.pop()
    return found[1:] if from_the_middle and len(found) > 1 else found


def last_words(path: Path, limit: int = 1000) -> str:
    """The last line a person would read: where a failed program says why. Progress lines and blanks do not count."""
    for line in reversed(_tail(path)):
        if line.strip() and not line.startswith(PROGRESS_PREFIX):
            return line.strip()[:limit]
    return ""
