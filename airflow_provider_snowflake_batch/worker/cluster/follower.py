"""What the other replicas do: they find replica 0, lend it their machine as a Ray node, and end as it says.

They plan nothing. The host that replica 0 starts on the node reads the job file by itself, and starts model processes
that print where this replica prints.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from airflow_provider_snowflake_batch.worker.cluster import peers
from airflow_provider_snowflake_batch.worker.cluster.channel import BROKEN, Channel, connect, keep_alive
from airflow_provider_snowflake_batch.worker.cluster.place import Place
from airflow_provider_snowflake_batch.worker.cluster.ray_node import (
    RayNode,
    own_ports,
    ray_settings,
    start_command,
    write_token,
)
from airflow_provider_snowflake_batch.worker.cluster.rendezvous import Announcement, Rendezvous, RunEnd, Timeouts, now
from airflow_provider_snowflake_batch.worker.errors import BY_NAME, ClusterError, WorkerError
from airflow_provider_snowflake_batch.worker.processes.limits import THREAD_VARIABLES

NODE_VARIABLE = "SNOWFLAKE_BATCH_NODE"
_LOOK_SECONDS = 1.0
# Nobody answers at the announced address: Snowflake is asked then, and again.
_ASK_SECONDS = 15.0
# A channel broke: so long the word of how replica 0 ended may be on its way, which others see late on a stage.
_END_SECONDS = 5.0
_STREAMS = ("out", "err")
# What Snowflake says of a replica that has not begun.
_NOT_YET = "PENDING"


@dataclass(frozen=True)
class NodeFacts:
    """What a host finds out about the replica on whose node it is.

    :param job_file: its path. :param out: a named pipe for standard output. :param err: one for standard error.
    :param threads: which of `limits.THREAD_VARIABLES` were stated: Ray states some by itself.
    """

    job_file: str
    out: str
    err: str
    threads: tuple[str, ...]

    @staticmethod
    def here() -> NodeFacts:
        """Those of this process's node."""
        found = json.loads(Path(os.environ[NODE_VARIABLE]).read_text(encoding="utf-8"))
        return NodeFacts(**found)


class Unreachable(ClusterError):
    """Replica 0 has announced itself, but cannot be reached."""


def find(
    rendezvous: Rendezvous,
    timeouts: Timeouts,
    reach: Callable[[Announcement], Channel],
    clock: Callable[[], float] = now,
    sleep: Callable[[float], None] = time.sleep,
    elsewhere: Callable[[], Sequence[str]] = peers.addresses,
    status_of: Callable[[int], str | None] = peers.status_of,
) -> tuple[Announcement, Channel] | RunEnd:
    """Find replica 0, which may come much later.

    :param elsewhere: tells addresses of the job's replicas, where nobody answers at the announced one.
    :param status_of: tells what Snowflake says of a replica.
    :return: its announcement, with the address at which it is reached, and a channel to it; or how its run ended, if
        that is over and no other one has begun.
    :raises ClusterError: it has not come in time; `Unreachable` if it has, as it announced.
    """
    begun = clock()
    others: Sequence[str] = ()
    ask_at: float | None = None
    ended_at, pending = timeouts.ended, False
    while True:
        announcements, ends = rendezvous.read()
        if announcements and ask_at is None:
            ask_at = clock() + _ASK_SECONDS
        for announcement in announcements:
            for address in (announcement.address, *(one for one in others if one != announcement.address)):
                reached = replace(announcement, address=address)
                try:
                    return reached, reach(reached)
                except BROKEN:
                    # It is not there yet as others see it, or was killed before it could remove its announcement.
                    continue
        waited = clock() - begun
        if ends and waited > ended_at:
            pending, was_pending = status_of(0) == _NOT_YET, pending
            if not pending and not was_pending:
                return ends[-1]
            # It had not begun, so another run of this job has ended. Once it begins, it has its time again.
            ended_at = waited + (_ASK_SECONDS if pending else timeouts.ended)
        if waited > timeouts.rendezvous:
            raise _not_found(announcements, others, timeouts)
        if ask_at is not None and clock() > ask_at:
            others, ask_at = elsewhere(), clock() + _ASK_SECONDS
        sleep(_LOOK_SECONDS)


def _not_found(announcements: Sequence[Announcement], others: Sequence[str], timeouts: Timeouts) -> ClusterError:
    if announcements:
        at = f"{announcements[-1].address}:{announcements[-1].port}"
        found = [one for one in others if one != announcements[-1].address]
        nor = f", nor at the other addresses of the service, {', '.join(found)}" if found else ""
        return Unreachable(f"replica 0 says that it listens at {at}, but nobody answers there{nor}")
    status = peers.status_of(0)
    said = f"; SHOW SERVICE INSTANCES says {status} of it" if status is not None else ""
    return ClusterError(f"replica 0 has not come within {timeouts.rendezvous:.0f} s{said}")


class Follower:
    """A replica other than the first.

    :param job_file: the path of the job file. :param folder: for files of this run; whoever owns it removes it.
    :param streams: the descriptors that model processes write to.
    :param log: writes a line to the log.
    :param needed: whether the job fails without it; otherwise it ends well where it cannot help.
    """

    def __init__(
        self,
        job_file: Path,
        replica: int,
        place: Place,
        folder: Path,
        streams: tuple[int, int],
        versions: Mapping[str, str],
        timeouts: Timeouts,
        log: Callable[[str], None],
        *,
        needed: bool,
    ) -> None:
        self._log, self._needed = log, needed
        self._job_file, self._replica, self._place = job_file.resolve(), replica, place
        self._rendezvous = Rendezvous(self._job_file.parent)
        self._folder, self._streams, self._versions, self._timeouts = folder, streams, versions, timeouts

    def __call__(self) -> None:
        """Help until replica 0 has ended.

        :raises WorkerError: it has failed, in the words and with the exit code of its failure, or is gone.
        """

        def reach(announcement: Announcement) -> Channel:
            return connect(announcement.address, announcement.port, announcement.key, self._timeouts.silence)

        try:
            found = find(self._rendezvous, self._timeouts, reach)
        except Unreachable as error:
            if self._needed:
                raise
            self._log(f"{error}; it goes on without this replica")
            return
        if isinstance(found, RunEnd):
            _end_as(found)
            return
        announcement, channel = found
        stopped = threading.Event()
        try:
            try:
                channel.send(replica=self._replica, **self._versions)
            except BROKEN as error:
                _end_as(self._end_of(announcement, error))
                return
            keep_alive(channel, stopped)
            _end_as(self._help(announcement, channel))
        finally:
            stopped.set()
            channel.close()

    def _help(self, announcement: Announcement, channel: Channel) -> RunEnd:
        node: RayNode | None = None
        up = False
        with self._output() as pipes:
            while True:
                try:
                    word = channel.receive()
                except BROKEN as error:
                    return self._end_of(announcement, error)
                if "refused" in word:
                    raise ClusterError(str(word["refused"]))
                if "end" in word:
                    return RunEnd(str(word["end"]), str(word.get("message", "")))
                if "cluster" in word and node is None:
                    # It may say another address than the one at which it was found.
                    port = str(word["cluster"]).rpartition(":")[2]
                    node = self._start_node(announcement, f"{announcement.address}:{port}", pipes)
                if node is not None and not up:
                    up = self._look_at(node)

    def _end_of(self, announcement: Announcement, broken: Exception) -> RunEnd:
        """How replica 0 ended, whose channel is broken: it may have ended while this replica was about to come.

        :raises ClusterError: it has not said.
        """
        deadline = now() + _END_SECONDS
        while (end := self._rendezvous.end_of(announcement)) is None:
            if now() > deadline:
                raise ClusterError(
                    f"replica 0 is gone ({str(broken) or 'it hung up'}); what is recorded stays, and another attempt "
                    "goes on from it"
                ) from None
            time.sleep(_LOOK_SECONDS)
        return end

    def _look_at(self, node: RayNode) -> bool:
        """Whether no more has to be looked after a node: it has started, or will not."""
        try:
            if not node.is_up():
                return False
            self._log("this replica's Ray node has joined the cluster")
        except ClusterError as error:
            if self._needed:
                raise
            self._log(f"{error}; the others go on without this replica")
        return True

    def _start_node(self, announcement: Announcement, cluster: str, pipes: tuple[Path, Path]) -> RayNode:
        stated = tuple(name for name in THREAD_VARIABLES if name in os.environ)
        facts = NodeFacts(str(self._job_file), str(pipes[0]), str(pipes[1]), stated)
        path = self._folder / "node.json"
        path.write_text(json.dumps(asdict(facts)), encoding="utf-8")
        token = write_token(self._folder, announcement.ray_token)
        settings = ray_settings(self._place, token) | {NODE_VARIABLE: str(path)}
        command = start_command(self._place, self._replica, cluster=cluster)
        return RayNode(command, settings, self._log, own_ports(self._place))

    @contextmanager
    def _output(self) -> Iterator[tuple[Path, Path]]:
        """Named pipes, whatever is written to which goes where this replica's model processes write."""
        paths = tuple(self._folder / name for name in _STREAMS)
        for path, target in zip(paths, self._streams, strict=True):
            os.mkfifo(path, 0o600)
            # Open for writing as well: it never ends, whoever writes to it comes and goes.
            source = os.open(path, os.O_RDWR)
            threading.Thread(target=_copy, args=(source, target), name="node-output", daemon=True).start()
        yield paths[0], paths[1]


def _copy(source: int, target: int) -> None:
    while data := os.read(source, 65_536):
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(target, view) :]
        except OSError:
            # Nobody reads it any more; the rows are not lost for that.
            continue


def _end_as(end: RunEnd) -> None:
    """:raises WorkerError: replica 0 has failed."""
    if end.kind:
        kind = BY_NAME.get(end.kind, WorkerError)
        raise kind(f"replica 0 has ended: {end.message}")
