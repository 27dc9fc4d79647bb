"""How many rows the model is called with, when nobody says.

A call has a fixed cost, so small batches waste time; large ones cost memory, and with a slow model they leave nobody
knowing for hours whether anything happens. The size is found while running: it doubles as long as that makes the model
faster by more than ``WORTH_IT``, or a call is so short that its fixed cost must matter, and as long as a call stays
short. It only ever changes between batches, and results do not depend on it.

A call for which there was no memory limits all that follow, whoever chose their size; after many calls within the limit
it is doubled again, since it may have been one large row.
"""

from __future__ import annotations

import threading

FIRST_ROWS = 256
FIRST_ROWS_WITH_FILES = 16
MOST_ROWS = 65_536
MOST_BYTES = 16 * 1024 * 1024
WORTH_IT = 1.05
SHORT_SECONDS = 0.05
# A row with a file is much work, beside which a call's fixed cost is soon nothing; a large batch leaves the caches.
SHORT_SECONDS_WITH_FILES = 0.02
LONG_SECONDS = 2.0
# A size is judged by the fastest of some calls: the first ones of a model often do work that later ones do not.
CALLS = 4
# Calls within a limit before it is doubled; twice as many each time that turns out to have been too early.
PATIENCE = 32


class BatchSize:
    """The number of rows for the next call; used by the thread that reads and the one that predicts.

    :param fixed: the number that somebody asked for, or None.
    :param reads_files: each row brings a file along.
    """

    def __init__(self, fixed: int | None, *, reads_files: bool = False) -> None:
        self._fixed = fixed
        self._rows = fixed or (FIRST_ROWS_WITH_FILES if reads_files else FIRST_ROWS)
        self._short = SHORT_SECONDS_WITH_FILES if reads_files else SHORT_SECONDS
        self._settled = fixed is not None
        self._calls = 0
        self._best_seconds = float("inf")
        self._rate_before = 0.0
        self._returned_width = 0.0
        self._limit: int | None = None
        self._within_limit = 0
        self._patience = PATIENCE
        self._tried_more = False
        self._lock = threading.Lock()

    def rows(self, width: float) -> int:
        """Rows for the next call.

        :param width: bytes of a row as it is stored.
        """
        if self._fixed is not None:
            return self.within_limit(self._fixed)
        wide = max(width, self._returned_width, 1.0)
        return self.within_limit(max(1, min(self._rows, int(MOST_BYTES / wide))))

    def within_limit(self, rows: int) -> int:
        """So many rows, or as many as there was memory for."""
        limit = self._limit
        return rows if limit is None else min(rows, limit)

    def called(self, rows: int, seconds: float, returned_bytes: int = 0) -> None:
        """Learn from a call of the model."""
        with self._lock:
            self._returned_width = max(self._returned_width, returned_bytes / max(rows, 1))
            if self._limit is not None and rows >= self._limit:
                self._within_limit += 1
                if self._within_limit >= self._patience:
                    self._limit *= 2
                    self._within_limit, self._tried_more = 0, True
            # Calls with other sizes (the last of a task, those read ahead before a change) say nothing about this one.
            if self._settled or rows != self._rows:
                return
            self._calls += 1
            self._best_seconds = min(self._best_seconds, seconds)
            if self._calls < CALLS:
                return
            seconds, rate = self._best_seconds, rows / max(self._best_seconds, 1e-9)
            better = seconds < self._short or rate > self._rate_before * WORTH_IT
            if not better and self._rate_before > rate:
                self._rows //= 2
            factor = 8 if 8 * seconds < self._short else 2
            if not better or 2 * seconds > LONG_SECONDS or 2 * rows > MOST_ROWS:
                self._settled = True
                return
            self._rows = min(factor * self._rows, MOST_ROWS)
            self._calls, self._best_seconds, self._rate_before = 0, float("inf"), rate

    def too_large(self, rows: int) -> None:
        """The model had no memory for a call of so many rows: stay well below."""
        with self._lock:
            self._limit = max(1, min(rows // 2, self._limit or rows))
            self._within_limit = 0
            if self._tried_more:
                self._patience, self._tried_more = 2 * self._patience, False
            self._settled = True
