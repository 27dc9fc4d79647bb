"""Signs of life: how the replica that finishes a batch notices that another one is gone without a word.

Each replica but the first writes a small file every few seconds, each time under another name, and removes those of
some minutes ago. On a stage volume other replicas see a new file late, and perhaps never if it is replaced before that.
The first replica watches whether the names change, by its own clock only: clocks of different machines are not
compared. It cannot tell a replica that died before it was watched from one that has no node yet, so it waits for the
first change much longer than for the next.
"""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path

BEAT_SECONDS = 10.0
KEPT_BEATS = 18
# As long as many beats, since others see a file on a stage volume late.
SILENT_SECONDS = 300.0
# A replica may wait for a node as long as that.
ABSENT_SECONDS = 3600.0
# The last sign of a replica that has ended in order. Its last records may be seen a little later.
ENDED = "ended"
ENDED_SECONDS = 60.0
_STOP_SECONDS = 5.0


class Heartbeat:
    """Gives signs of life from a thread of its own until it is stopped.

    :param path: how the files' names begin; their folder exists.
    """

    def __init__(self, path: Path, seconds: float = BEAT_SECONDS) -> None:
        self._path = path
        self._seconds = seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        attempt, number, given = uuid.uuid4().hex[:8], 0, deque[Path]()
        with contextlib.suppress(OSError):
            # Signs of earlier attempts, which they have not removed if they were killed.
            given.extend(sorted(self._path.parent.glob(f"{self._path.name}.*")))
        while True:
            while len(given) >= KEPT_BEATS or (number == 0 and given):
                self._remove(given.popleft())
            given.append(self._give(f"{attempt}-{number:08d}"))
            number += 1
            if self._stopped.wait(self._seconds):
                break
        self._give(f"{attempt}-{ENDED}")
        for one in given:
            self._remove(one)

    def _give(self, sign: str) -> Path:
        path = self._path.with_name(f"{self._path.name}.{sign}")
        # A single missed beat does no harm.
        with contextlib.suppress(OSError):
            path.write_text(sign, encoding="utf-8")
        return path

    def _remove(self, path: Path) -> None:
        with contextlib.suppress(OSError):
            path.unlink()

    def stop(self) -> None:
        self._stopped.set()
        # With a limit: a write may hang with the stage, and the exit must not wait for that.
        self._thread.join(_STOP_SECONDS)


class Watch:
    """Which replicas have gone silent.

    :param signs: what was written before the watch began, perhaps by an earlier attempt.
    :ivar begun: when the watch began.
    :param now: seconds, of any one clock.
    """

    def __init__(self, signs: Mapping[int, str], now: float) -> None:
        self._signs = dict(signs)
        self._changed: dict[int, float] = {}
        self.begun = now

    def heard_of(self, replica: int) -> bool:
        """Whether a replica has given a sign of life since the watch began."""
        return replica in self._changed

    def silent(self, replicas: Iterable[int], signs: Mapping[int, str], now: float) -> dict[int, float]:
        """Those of some replicas that are to be given up, with the seconds since they were last heard of."""
        found = {}
        for replica in replicas:
            if signs.get(replica) != self._signs.get(replica):
                self._changed[replica] = now
            allowed = ABSENT_SECONDS
            if replica in self._changed:
                allowed = ENDED_SECONDS if signs.get(replica, "").endswith(ENDED) else SILENT_SECONDS
            quiet = now - self._changed.get(replica, self.begun)
            if quiet > allowed:
                found[replica] = quiet
        self._signs = dict(signs)
        return found
