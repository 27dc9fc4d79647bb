"""How many rows the model is called with, where neither the job nor the user has chosen.

A call has a fixed cost, so small batches waste time. Large ones cost memory, and with a slow model nobody knows for
hours whether anything happens. The size is found while running: it doubles as long as that makes the model faster by
more than ``WORTH_IT``, or a call is so short that its fixed cost must matter, and as long as a call stays short. How
long a larger call takes is estimated from two sizes that were tried, not from the number of rows: a model that waits
for something else takes as long for twice as many. If calls are long from the beginning, half the rows are tried first.
That tells whether calls have a fixed cost; if they have none, they become short. The size only ever changes between
batches, and results do not depend on it. It is looked for again now and then, since the machine may have been busy.

If there was no memory for a call, all later calls get fewer rows, whoever chose their size. After many calls within
that limit it is doubled again, since a single large row may have been the reason.
"""

from __future__ import annotations

import threading

FIRST_ROWS = 256
FIRST_ROWS_WITH_FILES = 16
MOST_ROWS = 65_536
MOST_BYTES = 16 * 1024 * 1024
WORTH_IT = 1.05
SHORT_SECONDS = 0.05
# A row with a file is so much work that a call's fixed cost hardly matters, and a large batch does not fit into caches.
SHORT_SECONDS_WITH_FILES = 0.02
LONG_SECONDS = 2.0
# For a model that sorts its rows by length: the more rows it gets at once, the less of its work is padding. But a batch
# has to end within the seconds that a job is given to stop (``executors.processes.STOP_SECONDS``).
LONG_SECONDS_SORTED = 6.0
# A size is judged by the fastest of so many calls: first calls often do work that later ones do not.
CALLS = 4
# For calls that take this long, fewer are enough: the extra work of a first call is a small part of it.
SLOW_SECONDS = 0.5
SLOW_CALLS = 2
# After so many calls the size is looked for again; after twice as many each time.
AGAIN_AFTER = 64
# After so many calls within a limit it is doubled; after twice as many whenever that was too early.
PATIENCE = 32


class BatchSize:
    """The number of rows for the next call; used by the thread that reads and the one that predicts.

    :param fixed: the number that somebody asked for, or None.
    :param reads_files: each row brings a file along.
    :param sorts: the model sorts its rows by length.
    """

    def __init__(self, fixed: int | None, *, reads_files: bool = False, sorts: bool = False) -> None:
        self._fixed = fixed
        self._rows = fixed or (FIRST_ROWS_WITH_FILES if reads_files else FIRST_ROWS)
        self._short = SHORT_SECONDS_WITH_FILES if reads_files else SHORT_SECONDS
        self._long = LONG_SECONDS_SORTED if sorts else LONG_SECONDS
        self._settled = fixed is not None
        self._again_after = AGAIN_AFTER
        self._calls = 0
        self._best_seconds = float("inf")
        self._before: tuple[int, float] | None = None
        self._best_rate = 0.0
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
        """The number of rows, or the limit if that is less."""
        limit = self._limit
        return rows if limit is None else min(rows, limit)

    def allows(self, rows: int) -> bool:
        """Whether the model may be called with so many rows."""
        return self.within_limit(rows) == rows and (self._fixed is None or rows <= self._fixed)

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
            if self._fixed is not None or rows != self._rows:
                return
            self._calls += 1
            if self._settled:
                if self._calls >= self._again_after and 2 * rows <= MOST_ROWS:
                    self._again_after *= 2
                    self._settled, self._before, self._best_rate = False, None, 0.0
                    self._try(rows)
                return
            self._best_seconds = min(self._best_seconds, seconds)
            if self._calls >= (CALLS if self._best_seconds < SLOW_SECONDS else SLOW_CALLS):
                self._judge(rows, max(self._best_seconds, 1e-9))

    def _try(self, rows: int) -> None:
        self._rows, self._calls, self._best_seconds = max(1, min(rows, MOST_ROWS)), 0, float("inf")

    def _settle(self, rows: int) -> None:
        self._try(rows)
        self._settled = True

    def _judge(self, rows: int, seconds: float) -> None:
        """Decide what is tried after a size for which a call takes some seconds."""
        before, self._before = self._before, (rows, seconds)
        rate, best_rate = rows / seconds, self._best_rate
        self._best_rate = max(rate, best_rate)
        if before is None:
            if seconds <= self._long:
                self._grow(rows, seconds, None)
            elif rows > 1:
                self._try(rows // 2)
            else:
                self._settle(rows)
        elif rows < before[0]:
            if rate * WORTH_IT < best_rate:
                self._before = before
                self._grow(*before, _fixed(before, (rows, seconds)))
            elif seconds > self._long and rows > 1:
                # Half the rows at the same speed: calls are half as long.
                self._try(rows // 2)
            else:
                self._settle(rows)
        elif seconds < self._short or rate > before[0] / before[1] * WORTH_IT:
            self._grow(rows, seconds, _fixed((rows, seconds), before))
        else:
            self._settle(before[0])

    def _grow(self, rows: int, seconds: float, fixed: float | None) -> None:
        """Try more rows, unless the call would be long, and longer than its fixed cost explains.

        :param seconds: of a call with the rows as they are. :param fixed: how much of it does not depend on the rows.
        """
        long = fixed is not None and 2 * seconds - fixed > self._long + 2 * fixed
        if long or 2 * rows > MOST_ROWS:
            self._settle(rows)
        else:
            self._try((8 if 8 * seconds < self._short else 2) * rows)

    def too_large(self, rows: int) -> None:
        """Set a limit well below a number of rows for which the model had no memory."""
        with self._lock:
            self._limit = max(1, min(rows // 2, self._limit or rows))
            self._within_limit = 0
            if self._tried_more:
                self._patience, self._tried_more = 2 * self._patience, False
            self._settled = True


def _fixed(large: tuple[int, float], small: tuple[int, float]) -> float:
    """Seconds of a call that do not depend on its rows, told from two sizes and their times."""
    each = max(large[1] - small[1], 0.0) / (large[0] - small[0])
    return max(large[1] - each * large[0], 0.0)
