"""Replica 0's part in the meeting of the replicas: it answers those who call, and tells all of them how it ended."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_snowflake_batch.contract.cluster import ADDRESS_VARIABLE, PORTS_VARIABLE
from airflow_provider_snowflake_batch.worker.cluster import peers
from airflow_provider_snowflake_batch.worker.cluster.lines import BROKEN, SIGN_SECONDS, Line
from airflow_provider_snowflake_batch.worker.cluster.meeting import End, Meeting, Note, Patience, now
from airflow_provider_snowflake_batch.worker.cluster.place import Place
from airflow_provider_snowflake_batch.worker.errors import ClusterError

_LONGEST_QUEUE = 128


class Leader:
    """Replica 0 can be called from now on.

    :param versions: of what has to be the same on all replicas, by name.
    :raises ClusterError: it cannot listen, or leave its note.
    """

    def __init__(self, place: Place, meeting: Meeting, count: int, versions: Mapping[str, str], patience: Patience):
        self.place, self._meeting, self._patience = place, meeting, patience
        self._count, self._versions = count, versions
        self._server = socket.socket()
        self._server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._listen_for_lines()
            self.note = self._leave_note()
        except ClusterError as error:
            self._server.close()
            # Otherwise the others would look for it until their patience ends.
            meeting.give_up(End(type(error).__name__, error.message))
            raise
        self.begun = now()
        self._lines: dict[int, Line] = {}
        self._changed = threading.Condition()
        self._cluster: str | None = None
        self._end: End | None = None
        threading.Thread(target=self._accept, name="meeting", daemon=True).start()

    def _listen_for_lines(self) -> None:
        address, port = self.place.address, self.place.ports[0]
        try:
            # Whoever calls proves that it knows the secret, by whichever address of this replica it calls. Those of
            # loopback are what tells the replicas of one machine apart.
            self._server.bind((address if address.startswith("127.") else "", port))
            self._server.listen(_LONGEST_QUEUE)
        except OSError as error:
            why = error.strerror or str(error)
            raise ClusterError(
                f"replica 0 cannot wait for the others at {address}:{port}: {why}; {PORTS_VARIABLE} and "
                f"{ADDRESS_VARIABLE} say where it listens"
            ) from None

    def _leave_note(self) -> Note:
        try:
            return self._meeting.call(self.place.address, self.place.ports[0])
        except OSError as error:
            raise ClusterError(f"replica 0 cannot leave word for the others: {error}") from None

    @property
    def count(self) -> int:
        """How many replicas the job has."""
        return self._count

    @property
    def here(self) -> set[int]:
        """The replicas that are there at this moment, this one included."""
        with self._changed:
            return {0, *self._lines}

    def missing(self, least: int | None, note: Callable[[str], None]) -> bool:
        """Look who has not come, once all that wanted to have had their time.

        :param least: how many replicas there have to be. :param note: takes a remark for whoever reads the log.
        :return: whether that time is over.
        :raises ClusterError: there are fewer.
        """
        if now() - self.begun < self._patience.meeting:
            return False
        here = self.here
        absent = [replica for replica in range(self._count) if replica not in here]
        if absent:
            who = in_words(absent, peers.statuses())
            text = f"not come within {self._patience.meeting:.0f} s: {who} of {self._count}"
            if len(here) < (least or 1):
                raise ClusterError(
                    f"{text}. inference.min_replicas is {least}: is the compute pool's MAX_NODES large enough?"
                )
            note(f"{text}; the others go on without")
        return True

    def cluster_is_up(self, address: str) -> None:
        """Tell all replicas, also those that call later, where the Ray cluster is."""
        with self._changed:
            self._cluster = address
            self._changed.notify_all()

    def end(self, end: End) -> None:
        """Tell all replicas, also those that come later, how it ended."""
        self._meeting.close(self.note, end)
        with self._changed:
            self._end = end
            self._changed.notify_all()
            # They hang up when they have heard it.
            self._changed.wait_for(lambda: not self._lines, timeout=SIGN_SECONDS)
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                connected, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connected,), name="line", daemon=True).start()

    def _answer(self, connected: socket.socket) -> None:
        with contextlib.suppress(*BROKEN):
            line = Line(connected, self.note.key, self._patience.silence, calls=False)
            with contextlib.closing(line):
                hello = line.receive()
                replica = int(hello.get("replica", -1))
                fault = self._fault(replica, hello)
                if fault is not None:
                    line.send(refused=fault)
                    return
                self._serve(replica, line)

    def _fault(self, replica: int, hello: Mapping[str, Any]) -> str | None:
        if not 0 < replica < self._count:
            return f"there is no replica {replica} of {self._count}"
        return unlike(replica, self._versions, hello)

    def _serve(self, replica: int, line: Line) -> None:
        with self._changed:
            before = self._lines.get(replica)
            self._lines[replica] = line
        if before is not None:
            # Its container was lost, or it would not have called again.
            before.hang_up()
        threading.Thread(target=self._listen, args=(replica, line), name="listen", daemon=True).start()
        try:
            told = False
            while True:
                with self._changed:
                    if self._end is None and (told or self._cluster is None):
                        # Woken by whatever changes; otherwise, a sign of life is due.
                        self._changed.wait(SIGN_SECONDS)
                    end, cluster = self._end, self._cluster
                    if self._gone(line):
                        return
                if end is not None:
                    line.send(end=end.kind, message=end.message)
                    self._until_gone(line)
                    return
                if cluster is not None and not told:
                    line.send(cluster=cluster)
                    told = True
                else:
                    line.send()
        finally:
            self._leave(line)

    def _until_gone(self, line: Line) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._gone(line), timeout=SIGN_SECONDS)

    def _gone(self, line: Line) -> bool:
        return line not in self._lines.values()

    def _listen(self, replica: int, line: Line) -> None:
        with contextlib.suppress(*BROKEN):
            while True:
                line.receive()
        self._leave(line)

    def _leave(self, line: Line) -> None:
        with self._changed:
            for replica, one in list(self._lines.items()):
                if one is line:
                    del self._lines[replica]
            self._changed.notify_all()


def in_words(replicas: list[int], statuses: Mapping[int, str]) -> str:
    """Some replicas, as a message names them, with what Snowflake says of each."""
    each = (f"{one} ({statuses[one]})" if one in statuses else str(one) for one in replicas)
    return f"replica{'s' if len(replicas) > 1 else ''} {', '.join(each)}"


def unlike(replica: int, ours: Mapping[str, str], theirs: Mapping[str, Any]) -> str | None:
    """Which version a replica has otherwise, in words; None if all are the same. Ray works with its like only."""
    for name, version in ours.items():
        if theirs.get(name) != version:
            return (
                f"replica {replica} has {name} {theirs.get(name)}, replica 0 has {version}: all replicas need the same "
                "image"
            )
    return None
