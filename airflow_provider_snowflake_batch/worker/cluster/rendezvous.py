"""How the replicas of a job find replica 0: it writes a file beside the job file, which all of them can read.

This announcement says where replica 0 listens, and holds a secret that is made for this run: with it the two ends of a
channel prove to each other who they are, and from it the token of the Ray cluster is made. The folder of a job file
lies on the output's stage, which only those can read who can read the results. When replica 0 ends, it removes the
file and writes another one, which tells replicas that come later how it ended. Names are never used twice, since
others see new files on a stage late.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_PREFIX = "_replicas-"
_ENDING = ".json"
_ENDED = "-ended"


@dataclass(frozen=True)
class Announcement:
    """Where replica 0 listens, and by what it is known.

    :param run: tells this run of replica 0 from every other one.
    """

    address: str
    port: int
    secret: str = field(repr=False)
    run: str

    @property
    def key(self) -> bytes:
        """What both ends of a channel have to know."""
        return self._made("channels").encode()

    @property
    def ray_token(self) -> str:
        """What all nodes of the Ray cluster have to know."""
        return self._made("ray")

    def _made(self, purpose: str) -> str:
        return hashlib.sha256(f"{purpose} {self.secret}".encode()).hexdigest()


@dataclass(frozen=True)
class RunEnd:
    """How a run of replica 0 ended.

    :param kind: name of the class of its error, empty if all is done.
    """

    kind: str = ""
    message: str = ""


class Rendezvous:
    """The files beside a job file by which its replicas find each other.

    :param folder: where the job file lies.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def is_writable(self) -> bool:
        """Whether files can be written there."""
        return os.access(self._folder, os.W_OK)

    def announce(self, address: str, port: int) -> Announcement:
        """Announce that replica 0 listens at an address; announcements of earlier runs are removed.

        :raises OSError: it cannot be written.
        """
        for path in self._paths():
            path.unlink(missing_ok=True)
        announcement = Announcement(address, port, secrets.token_hex(32), secrets.token_hex(4))
        fields = {"address": address, "port": port, "secret": announcement.secret}
        self._write(f"{_PREFIX}{announcement.run}{_ENDING}", fields)
        return announcement

    def close(self, announcement: Announcement, end: RunEnd) -> None:
        """Remove an announcement, and write how its run ended."""
        with contextlib.suppress(OSError):
            (self._folder / f"{_PREFIX}{announcement.run}{_ENDING}").unlink(missing_ok=True)
            self._write_end(announcement.run, end)

    def close_unannounced(self, end: RunEnd) -> None:
        """Write how a run ended that could not announce itself."""
        with contextlib.suppress(OSError):
            self._write_end(secrets.token_hex(4), end)

    def _write_end(self, run: str, end: RunEnd) -> None:
        self._write(f"{_PREFIX}{run}{_ENDED}{_ENDING}", {"kind": end.kind, "message": end.message})

    def read(self) -> tuple[list[Announcement], list[RunEnd]]:
        """The announcements that are there, and how other runs ended."""
        announcements, ends = [], []
        for path in self._paths():
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
                run = path.name.removeprefix(_PREFIX).removesuffix(_ENDING)
                if run.endswith(_ENDED):
                    ends.append(_read_end(path))
                else:
                    found = _read(path)
                    announcements.append(
                        Announcement(str(found["address"]), int(found["port"]), str(found["secret"]), run)
                    )
        return announcements, ends

    def end_of(self, announcement: Announcement) -> RunEnd | None:
        """How the run of an announcement ended; None if it has not, or its replica 0 was killed."""
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            return _read_end(self._folder / f"{_PREFIX}{announcement.run}{_ENDED}{_ENDING}")
        return None

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob(f"{_PREFIX}*{_ENDING}"))

    def _write(self, name: str, fields: dict[str, Any]) -> None:
        descriptor = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(fields, file)


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _read_end(path: Path) -> RunEnd:
    found = _read(path)
    return RunEnd(str(found["kind"]), str(found["message"]))


@dataclass(frozen=True)
class Timeouts:
    """How long replicas wait for each other, in seconds.

    :param rendezvous: until a replica is there. A node that a pool has to start takes minutes.
    :param ended: until the end of an earlier run counts: the next one may be on its way.
    :param silence: without a sign of life on a channel. A process that ends is noticed at once.
    """

    rendezvous: float = 720.0
    ended: float = 30.0
    silence: float = 60.0

    @staticmethod
    def from_environment() -> Timeouts:
        """The usual, or what ``WORKER_RENDEZVOUS_SECONDS`` says of the first."""
        stated = os.environ.get("WORKER_RENDEZVOUS_SECONDS", "")
        return Timeouts(float(stated)) if stated.replace(".", "", 1).isdecimal() else Timeouts()


def now() -> float:
    """A clock that is never set."""
    return time.monotonic()
