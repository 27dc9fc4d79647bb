"""The kinds of faults: their names, what they do, their parameters.

To add another one, enter it here. A fault of requests also needs its function in ``requests.py``; a fault of jobs or
stages is asked for by the room that it befalls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault.

    :param where: what it befalls, and so which selectors it takes: see ``SELECTORS``.
    :param what: what the client sees.
    :param parameters: name → default; a value given has to be of the default's type.
    :param choices: parameter → the values that it may have.
    """

    name: str
    where: Literal["request", "job", "stage"]
    what: str
    parameters: Mapping[str, int | float | str] = field(default_factory=dict)
    choices: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


SELECTORS: Mapping[str, tuple[str, ...]] = {
    "request": ("statement", "path"),
    "job": ("job",),
    "stage": ("statement",),
}
"""The regular expressions that narrow a fault down: the statement's text, the request's path, the job's full name."""

_ALL = (
    Kind(
        "http-error",
        "request",
        "the request is not looked at; the answer is an HTTP error",
        {"status": 503},
        {"status": (*range(400, 430), *range(500, 505))},
    ),
    Kind("drop", "request", "the connection is closed before the request is looked at"),
    Kind("drop-answer", "request", "the request is served, but the connection is closed before the answer"),
    Kind(
        "delay",
        "request",
        "the request is served, but the answer comes SECONDS later, or when the fault is cleared",
        {"seconds": 1.0},
    ),
    Kind(
        "expire",
        "request",
        "the request's session ends: 390112 its token only, which can be renewed; 390104 and 390111 the session; "
        "390114 the session and the master token",
        {"code": 390112},
        {"code": (390104, 390111, 390112, 390114)},
    ),
    Kind(
        "pending",
        "job",
        "the job stays PENDING for REASON, SECONDS long or (0) until the fault is cleared",
        {"reason": "Unschedulable due to insufficient CPU resources.", "seconds": 0.0},
    ),
    Kind(
        "late-replica",
        "job",
        "one REPLICA stays PENDING for REASON while the others run, SECONDS long or (0) until the fault is cleared",
        {"replica": 1, "reason": "Unschedulable due to insufficient CPU resources.", "seconds": 10.0},
    ),
    Kind(
        "kill-replica",
        "job",
        "the containers of one REPLICA are killed (exit code 137) SECONDS after its start, or now if it runs already",
        {"replica": 0, "seconds": 0.5},
    ),
    Kind(
        "lose-node",
        "job",
        "a compute pool loses a NODE: the replicas that run there are gone, without an exit code, SECONDS after their "
        "start, or now if they run already",
        {"node": 0, "seconds": 0.5},
    ),
    Kind(
        "slow-node",
        "job",
        "a NODE of a compute pool is FACTOR times slower than the others until the fault is cleared: the processes of "
        "the replicas there run for a share of the time",
        {"node": 0, "factor": 4},
        {"factor": (2, 3, 4, 5, 8, 10, 20, 50, 100)},
    ),
    Kind("stage-lag", "stage", "files written in the last SECONDS are not found on the stage", {"seconds": 5.0}),
)
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _ALL}
