"""How the replicas of a job find replica 0: by a note that it leaves beside the job file, which all of them can read.

The note says where replica 0 listens, and holds a secret that is made for this run: with it the two ends of a line
prove to each other who they are, and from it the token of the Ray cluster is made. The folder of a job file lies on the
output's stage, which only those can read who can read the results. The note is removed when replica 0 ends, and another
one is left for replicas that come later. Names are never used twice, since others see new files on a stage late.
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
class Note:
    """Where replica 0 listens, and by what it is known.

    :param run: tells this run of replica 0 from every other one.
    """

    address: str
    port: int
    secret: str = field(repr=False)
    run: str

    @property
    def key(self) -> bytes:
        """What both ends of a line have to know."""
        return self._made("lines").encode()

    @property
    def ray_token(self) -> str:
        """What all nodes of the Ray cluster have to know."""
        return self._made("ray")

    def _made(self, purpose: str) -> str:
        return hashlib.sha256(f"{purpose} {self.secret}".encode()).hexdigest()


@dataclass(frozen=True)
class End:
    """How a run of replica 0 ended.

    :param kind: name of the class of its error, empty if all is done.
    """

    kind: str = ""
    message: str = ""


class Meeting:
    """The notes beside a job file.

    :param folder: where the job file lies.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def possible(self) -> bool:
        """Whether notes can be left there."""
        return os.access(self._folder, os.W_OK)

    def call(self, address: str, port: int) -> Note:
        """Leave a note that replica 0 listens at a place; those of earlier runs are removed.

        :raises OSError: it cannot be written.
        """
        for path in self._paths():
            path.unlink(missing_ok=True)
        note = Note(address, port, secrets.token_hex(32), secrets.token_hex(4))
        fields = {"address": address, "port": port, "secret": note.secret}
        self._write(f"{_PREFIX}{note.run}{_ENDING}", fields)
        return note

    def close(self, note: Note, end: End) -> None:
        """Remove a note, and leave word how its run ended."""
        with contextlib.suppress(OSError):
            (self._folder / f"{_PREFIX}{note.run}{_ENDING}").unlink(missing_ok=True)
            self._leave_word(note.run, end)

    def give_up(self, end: End) -> None:
        """Leave word of a run that has ended before there was a note."""
        with contextlib.suppress(OSError):
            self._leave_word(secrets.token_hex(4), end)

    def _leave_word(self, run: str, end: End) -> None:
        self._write(f"{_PREFIX}{run}{_ENDED}{_ENDING}", {"kind": end.kind, "message": end.message})

    def look(self) -> tuple[list[Note], list[End]]:
        """The notes that are there, and the words of runs that have ended."""
        notes, ends = [], []
        for path in self._paths():
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
                found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
                run = path.name.removeprefix(_PREFIX).removesuffix(_ENDING)
                if run.endswith(_ENDED):
                    ends.append(End(str(found["kind"]), str(found["message"])))
                else:
                    notes.append(Note(str(found["address"]), int(found["port"]), str(found["secret"]), run))
        return notes, ends

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob(f"{_PREFIX}*{_ENDING}"))

    def _write(self, name: str, fields: dict[str, Any]) -> None:
        descriptor = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(fields, file)


@dataclass(frozen=True)
class Patience:
    """How long replicas wait for each other, in seconds.

    :param meeting: until a replica is there. A node that a pool has to start takes minutes.
    :param ended: until the word of a run that ended before counts: the next one may be on its way.
    :param silence: without a sign of life on a line. A process that ends is noticed at once.
    """

    meeting: float = 720.0
    ended: float = 30.0
    silence: float = 60.0

    @staticmethod
    def from_environment() -> Patience:
        """The usual, or what ``WORKER_MEETING_SECONDS`` says of the first."""
        stated = os.environ.get("WORKER_MEETING_SECONDS", "")
        return Patience(float(stated)) if stated.replace(".", "", 1).isdecimal() else Patience()


def now() -> float:
    """A clock that is never set."""
    return time.monotonic()
