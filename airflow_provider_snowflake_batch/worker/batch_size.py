"""How many rows the model is called with, when nobody says.

A call has a fixed cost, so small batches waste time; large ones cost memory, and with a slow model they leave nobody
knowing for hours whether anything happens. The size is found while running: it doubles as long as that makes the model
faster by more than ``WORTH_IT``, or a call is so short that its fixed cost must matter, and as long as a call stays
short. It only ever changes between batches, and results do not depend on it.
"""

from __future__ import annotations

import threading

FIRST_ROWS = 256
FIRST_ROWS_WITH_FILES = 16
MOST_ROWS = 65_536
MOST_BYTES = 16 * 1024 * 1024
WORTH_IT = 1.05
SHORT_SECONDS = 0.05
LONG_SECONDS = 2.0
# A size is judged by the fastest of some calls: the first ones of a model often do work that later ones do not.
CALLS = 2


class BatchSize:
    """The number of rows for the next call; used by the thread that reads and the one that predicts.

    :param fixed: the number that somebody asked for, or None.
    :param reads_files: each row brings a file along.
    """

    def __init__(self, fixed: int | None, *, reads_files: bool = False) -> None:
        self._fixed = fixed
        self._rows = fixed or (FIRST_ROWS_WITH_FILES if reads_files else FIRST_ROWS)
        self._settled = fixed is not None
        self._calls = 0
        self._best_seconds = float("inf")
        self._rate_before = 0.0
        self._lock = threading.Lock()

    def rows(self, width: float) -> int:
        """Rows for the next call.

        :param width: bytes of a row as it is stored.
        """
        if self._fixed is not None:
            return self._fixed
        return max(1, min(self._rows, int(MOST_BYTES / max(width, 1.0))))

    def called(self, rows: int, seconds: float) -> None:
        """Learn from a call of the model."""
        with self._lock:
            # Calls with other sizes (the last of a task, those read ahead before a change) say nothing about this one.
            if self._settled or rows != self._rows:
                return
            self._calls += 1
            self._best_seconds = min(self._best_seconds, seconds)
            if self._calls < CALLS:
                return
            seconds, rate = self._best_seconds, rows / max(self._best_seconds, 1e-9)
            better = seconds < SHORT_SECONDS or rate > self._rate_before * WORTH_IT
            if not better and self._rate_before > rate:
                self._rows //= 2
            factor = 8 if 8 * seconds < SHORT_SECONDS else 2
            if not better or 2 * seconds > LONG_SECONDS or 2 * rows > MOST_ROWS:
                self._settled = True
                return
            self._rows = min(factor * self._rows, MOST_ROWS)
            self._calls, self._best_seconds, self._rate_before = 0, float("inf"), rate

    def too_large(self, rows: int) -> None:
        """The model had no memory for a call of so many rows: stay well below."""
        with self._lock:
            if self._fixed is None:
                self._rows = max(1, min(self._rows, rows // 2))
                self._settled = True
