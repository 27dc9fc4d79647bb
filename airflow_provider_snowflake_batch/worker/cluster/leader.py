"""Replica 0's part in the rendezvous: it accepts the other replicas' channels, and tells all of them how it ended."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_snowflake_batch.contract.cluster import ADDRESS_VARIABLE, PORTS_VARIABLE
from airflow_provider_snowflake_batch.worker.cluster import peers
from airflow_provider_snowflake_batch.worker.cluster.channel import BROKEN, SIGN_SECONDS, Channel
from airflow_provider_snowflake_batch.worker.cluster.place import Place
from airflow_provider_snowflake_batch.worker.cluster.rendezvous import Announcement, Rendezvous, RunEnd, Timeouts, now
from airflow_provider_snowflake_batch.worker.errors import ClusterError

_LONGEST_QUEUE = 128


class Leader:
    """Replica 0, which the others can connect to from now on.

    :param versions: of what has to be the same on all replicas, by name.
    :raises ClusterError: it cannot listen, or announce itself.
    """

    def __init__(
        self, place: Place, rendezvous: Rendezvous, count: int, versions: Mapping[str, str], timeouts: Timeouts
    ):
        self.place, self._rendezvous, self._timeouts = place, rendezvous, timeouts
        self._count, self._versions = count, versions
        self._server = socket.socket()
        self._server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._bind()
            self.announcement = self._announce()
        except ClusterError as error:
            self._server.close()
            # Otherwise the others would look for it until they run out of time.
            rendezvous.close_unannounced(RunEnd(type(error).__name__, error.message))
            raise
        self.begun = now()
        self._channels: dict[int, Channel] = {}
        self._changed = threading.Condition()
        self._cluster: str | None = None
        self._end: RunEnd | None = None
        threading.Thread(target=self._accept, name="rendezvous", daemon=True).start()

    def _bind(self) -> None:
        address, port = self.place.address, self.place.ports[0]
        try:
            # Whoever connects proves that it knows the secret, whichever address of this replica it uses. Loopback
            # addresses are what tells the replicas of one machine apart.
            self._server.bind((address if address.startswith("127.") else "", port))
            self._server.listen(_LONGEST_QUEUE)
        except OSError as error:
            why = error.strerror or str(error)
            raise ClusterError(
                f"replica 0 cannot wait for the others at {address}:{port}: {why}; {PORTS_VARIABLE} and "
                f"{ADDRESS_VARIABLE} say where it listens"
            ) from None

    def _announce(self) -> Announcement:
        try:
            return self._rendezvous.announce(self.place.address, self.place.ports[0])
        except OSError as error:
            raise ClusterError(f"replica 0 cannot announce itself to the others: {error}") from None

    @property
    def count(self) -> int:
        """How many replicas the job has."""
        return self._count

    @property
    def here(self) -> set[int]:
        """The replicas that are there at this moment, this one included."""
        with self._changed:
            return {0, *self._channels}

    def missing(self, least: int | None, log: Callable[[str], None]) -> bool:
        """Look who has not come, once all that wanted to have had their time.

        :param least: how many replicas there have to be. :param log: writes a line to the log.
        :return: whether that time is over.
        :raises ClusterError: there are fewer.
        """
        if now() - self.begun < self._timeouts.rendezvous:
            return False
        here = self.here
        absent = [replica for replica in range(self._count) if replica not in here]
        if absent:
            who = in_words(absent, peers.statuses())
            text = f"not come within {self._timeouts.rendezvous:.0f} s: {who} of {self._count}"
            if len(here) < (least or 1):
                raise ClusterError(
                    f"{text}. inference.min_replicas is {least}: is the compute pool's MAX_NODES large enough?"
                )
            log(f"{text}; the others go on without")
        return True

    def cluster_is_up(self, address: str) -> None:
        """Tell all replicas, also those that come later, where the Ray cluster is."""
        with self._changed:
            self._cluster = address
            self._changed.notify_all()

    def end(self, end: RunEnd) -> None:
        """Tell all replicas, also those that come later, how it ended."""
        self._rendezvous.close(self.announcement, end)
        with self._changed:
            self._end = end
            self._changed.notify_all()
            # They close their channels when they have heard it.
            self._changed.wait_for(lambda: not self._channels, timeout=SIGN_SECONDS)
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                connected, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connected,), name="channel", daemon=True).start()

    def _answer(self, connected: socket.socket) -> None:
        with contextlib.suppress(*BROKEN):
            channel = Channel(connected, self.announcement.key, self._timeouts.silence, connects=False)
            with contextlib.closing(channel):
                hello = channel.receive()
                replica = int(hello.get("replica", -1))
                fault = self._fault(replica, hello)
                if fault is not None:
                    channel.send(refused=fault)
                    return
                self._serve(replica, channel)

    def _fault(self, replica: int, hello: Mapping[str, Any]) -> str | None:
        if not 0 < replica < self._count:
            return f"there is no replica {replica} of {self._count}"
        return unlike(replica, self._versions, hello)

    def _serve(self, replica: int, channel: Channel) -> None:
        with self._changed:
            before = self._channels.get(replica)
            self._channels[replica] = channel
        if before is not None:
            # Its container was lost, or it would not have connected again.
            before.shut_down()
        threading.Thread(target=self._receive, args=(channel,), name="receive", daemon=True).start()
        try:
            told = False
            while True:
                with self._changed:
                    if self._end is None and (told or self._cluster is None):
                        # Woken by whatever changes; otherwise, a sign of life is due.
                        self._changed.wait(SIGN_SECONDS)
                    end, cluster = self._end, self._cluster
                    if self._gone(channel):
                        return
                if end is not None:
                    channel.send(end=end.kind, message=end.message)
                    self._until_gone(channel)
                    return
                if cluster is not None and not told:
                    channel.send(cluster=cluster)
                    told = True
                else:
                    channel.send()
        finally:
            self._leave(channel)

    def _until_gone(self, channel: Channel) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._gone(channel), timeout=SIGN_SECONDS)

    def _gone(self, channel: Channel) -> bool:
        return channel not in self._channels.values()

    def _receive(self, channel: Channel) -> None:
        with contextlib.suppress(*BROKEN):
            while True:
                channel.receive()
        self._leave(channel)

    def _leave(self, channel: Channel) -> None:
        with self._changed:
            for replica, one in list(self._channels.items()):
                if one is channel:
                    del self._channels[replica]
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
