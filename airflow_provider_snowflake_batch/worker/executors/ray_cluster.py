"""The Ray cluster as replica 0 sees it: its head, nodes that come and go, an actor on each.

Ray is loaded here, when the cluster is used, and nowhere else.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from airflow_provider_snowflake_batch.worker.cluster.leader import Leader
from airflow_provider_snowflake_batch.worker.cluster.ray_node import (
    RayNode,
    cluster_address,
    own_ports,
    ray_settings,
    resource,
    start_command,
    write_token,
)
from airflow_provider_snowflake_batch.worker.errors import ClusterError
from airflow_provider_snowflake_batch.worker.executors.bucket_files import Piece, Wanted
from airflow_provider_snowflake_batch.worker.executors.bucket_reader import Chunk, Spread, Spreading
from airflow_provider_snowflake_batch.worker.executors.host import Order, Report
from airflow_provider_snowflake_batch.worker.executors.hosts import HostLost
from airflow_provider_snowflake_batch.worker.executors.ray_host import Fetched, RayHost, Setup, first_line
from airflow_provider_snowflake_batch.worker.executors.ray_reader import RayReader
from airflow_provider_snowflake_batch.worker.executors.shared_buckets import (
    Reader,
    ReaderHere,
    ReaderLost,
    SharedBuckets,
)

_LOOK_SECONDS = 1.0
# Seconds for an answer, which takes half a second, and much longer on a machine that swaps.
_ANSWER_SECONDS = 60.0
# Seconds for which a node may be unreachable. Ray needs 12 s and more to be sure that a node is dead.
_UNAVAILABLE_SECONDS = 20.0
_RETRY_SECONDS = 0.5
# Seconds for the first answer: the actor has to load libraries, and to read the model's code from a stage and unpack
# it.
_BEGIN_SECONDS = 600.0
# Pieces of files that one machine sends at the same time. Each takes room in Ray's object store, which is small here,
# and few of them are enough for the network of one machine.
_SENT_AT_ONCE = 4
# Seconds for those who wait for an answer to see that the cluster is left. They look every second.
_CLOSE_SECONDS = 30.0
# So often a host is started on a node: it may be killed for lack of memory while its node goes on.
_MOST_STARTS = 3


def ray_version() -> str:
    """The version of Ray that is installed. It is not loaded for that."""
    return metadata.version("ray")


class RayCluster:
    """The head is being started from now on.

    :param folder: for the cluster's files; short, since paths of sockets are.
    :param log: writes a line to the log.
    """

    def __init__(self, leader: Leader, folder: Path, log: Callable[[str], None]) -> None:
        self._leader = leader
        self._settings = ray_settings(leader.place, write_token(folder, leader.announcement.ray_token))
        command = start_command(leader.place, 0, head=folder / "r")
        self._node = RayNode(command, self._settings, log, own_ports(leader.place))
        self._ray: Any = None
        self._starts: dict[str, int] = {}
        self._lost: set[str] = set()
        self._looked = 0.0
        self._actors: list[Any] = []
        self._readers: list[Any] = []
        self._sending = threading.Semaphore(_SENT_AT_ONCE)
        self._asking = 0
        self._asked = threading.Condition()

    @property
    def children(self) -> set[int]:
        """Processes that are waited for here."""
        return {self._node.pid}

    def newcomers(self) -> Iterator[tuple[int, str]]:
        """Nodes that have come since, or have lost their host and are there, as replica and node.

        :raises ClusterError: the cluster could not be started.
        """
        if self._ray is None:
            if not self._node.is_up():
                return
            self._connect()
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        for node in self._ray.nodes():
            replica = replica_of(node)
            name = node["NodeID"]
            starts = self._starts.get(name, 0)
            again = name in self._lost and starts < _MOST_STARTS and replica in self._leader.here
            if node["Alive"] and replica and (not starts or again):
                self._starts[name] = starts + 1
                self._lost.discard(name)
                yield replica, name

    def _connect(self) -> None:
        with _as_before(self._settings):
            import ray

            silence()
            try:
                ray.init(
                    address=cluster_address(self._leader.place),
                    namespace=self._leader.announcement.run,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    _node_ip_address=self._leader.place.address,
                )
            except (RuntimeError, ConnectionError, OSError) as error:
                raise ClusterError(f"the Ray cluster cannot be used: {error}") from None
        self._ray = ray
        self._leader.cluster_is_up(cluster_address(self._leader.place))

    def host(
        self, replica: int, node: str, setup: Setup, buckets: SharedBuckets | None = None
    ) -> Callable[[Order], Report]:
        """Start a host on a node.

        :param buckets: of what its tasks are made, for groups.
        :return: does one exchange with it; raises `HostLost`.
        """
        actor = self._start(RayHost, node)
        self._actors.append(actor)
        target = _Target(self, replica, node, actor)
        begun = actor.begin.remote(setup)

        def ask(order: Order) -> Report:
            try:
                if order.number == 1:
                    self.answer(replica, lambda: begun, _BEGIN_SECONDS)
                if buckets is not None and order.tasks:
                    buckets.deliver(target, order)
                report: Report = self.answer(replica, lambda: actor.exchange.remote(order), _ANSWER_SECONDS)
                if report.ended:
                    self._lost.add(node)
                return report
            except HostLost:
                self._lost.add(node)
                raise

        return ask

    def reader(self, replica: int, node: str, spreading: Spreading) -> Reader:
        """Start a reader on a node."""
        # One thread reads, the others send what it has.
        actor = self._start(RayReader, node, spreading, max_concurrency=1 + _SENT_AT_ONCE)
        self._readers.append(actor)
        return _ReaderThere(self, replica, node, actor)

    def _start(self, kind: type, node: str, *arguments: object, **options: object) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        return (
            self._ray.remote(kind)
            .options(
                num_cpus=0,
                max_restarts=0,
                max_task_retries=0,
                scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
                **options,
            )
            .remote(*arguments)
        )

    def is_here(self, replica: int) -> bool:
        """Whether a replica is there at this moment."""
        return replica in self._leader.here

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Within it, this machine sends a piece."""
        with self._sending:
            yield

    def answer(self, replica: int, call: Callable[[], Any], seconds: float) -> Any:
        """What a call of an actor answers within some seconds. It is called again where its node cannot be reached.

        :raises HostLost: it does not answer, or the cluster is left meanwhile.
        """
        with self._in_use():
            return self._answer(replica, call, seconds)

    def _answer(self, replica: int, call: Callable[[], Any], seconds: float) -> Any:
        from ray import exceptions

        failing: float | None = None
        deadline = time.monotonic() + seconds
        asked: Any = None
        while (ray := self._ray) is not None:
            if asked is None:
                asked = call()
            try:
                # In short steps: the replica may be known to be gone long before Ray raises an error.
                return ray.get(asked, timeout=_LOOK_SECONDS)
            except exceptions.GetTimeoutError:
                if time.monotonic() > deadline:
                    raise HostLost(f"it has not answered for {seconds:.0f} s") from None
            except exceptions.ActorUnavailableError:
                # Sending the same order again does no harm, since orders are numbered.
                failing = failing or time.monotonic()
                if time.monotonic() - failing > _UNAVAILABLE_SECONDS:
                    raise HostLost(f"its node has not answered for {_UNAVAILABLE_SECONDS:.0f} s") from None
                asked = None
            except exceptions.RayError as error:
                raise HostLost(first_line(str(error))) from None
            if replica not in self._leader.here:
                raise HostLost("its node is gone")
            if asked is None:
                time.sleep(_RETRY_SECONDS)
        raise HostLost("the cluster is left")

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        """Within it, calls of Ray may be under way, for which `close` waits."""
        with self._asked:
            self._asking += 1
        try:
            yield
        finally:
            with self._asked:
                self._asking -= 1
                self._asked.notify_all()

    def stop(self) -> None:
        """Have all hosts end after the batches at hand."""
        for actor in self._actors:
            actor.stop.remote()

    def close(self) -> None:
        """Leave the cluster; its head ends with this process.

        A call that is under way in another thread when Ray is shut down would end this process, with 1 and past all
        handlers. So the threads that wait for an answer are told first, and waited for.
        """
        if self._ray is not None:
            ray, self._ray = self._ray, None
            for actor in (*self._actors, *self._readers):
                ray.kill(actor)
            with self._asked:
                self._asked.wait_for(lambda: not self._asking, _CLOSE_SECONDS)
            ray.shutdown()


class _ReaderThere:
    """A reader on another node."""

    def __init__(self, cluster: RayCluster, replica: int, node: str, actor: Any) -> None:
        self._cluster, self.replica, self.node, self.actor = cluster, replica, node, actor
        self.folder: str | None = None
        self.sending = threading.Semaphore(_SENT_AT_ONCE)

    def spread(self, chunk: Chunk) -> Spread:
        if self.folder is None:
            self.folder = self._cluster.answer(self.replica, self.actor.folder.remote, _BEGIN_SECONDS)
        # A chunk may take long, as may reading on one machine.
        spread: Spread = self._cluster.answer(self.replica, lambda: self.actor.spread.remote(chunk), math.inf)
        return spread

    def pieces(self, wanted: Wanted) -> Sequence[Piece]:
        try:
            with self.sending:
                found: Sequence[Piece] = self._cluster.answer(
                    self.replica, lambda: self.actor.read.remote(wanted), _ANSWER_SECONDS
                )
        except HostLost as error:
            raise ReaderLost(str(error)) from None
        return found


class _Target:
    """A host on another node, as it gets files."""

    def __init__(self, cluster: RayCluster, replica: int, node: str, actor: Any) -> None:
        self._cluster, self._replica, self._node, self._actor = cluster, replica, node, actor

    def receive(self, pieces: Sequence[Piece]) -> None:
        with self._cluster.sending():
            self._call(lambda: self._actor.receive.remote(pieces))

    def _call(self, call: Callable[[], Any]) -> Any:
        return self._cluster.answer(self._replica, call, _ANSWER_SECONDS)

    def take(self, reader: Reader, names: Sequence[str]) -> None:
        wanted = Wanted(names)
        if isinstance(reader, ReaderHere):
            while wanted.names:
                pieces = reader.pieces(wanted)
                self.receive(pieces)
                wanted = wanted.after(pieces)
        elif isinstance(reader, _ReaderThere):
            if reader.node == self._node:
                self._call(lambda: self._actor.link.remote(reader.folder, names))
                return
            while wanted.names:
                wanted = self._fetch(reader, wanted)

    def _fetch(self, reader: _ReaderThere, wanted: Wanted) -> Wanted:
        """What is left to be fetched after the next pieces."""
        failing: float | None = None
        while True:
            if not self._cluster.is_here(reader.replica):
                raise ReaderLost("its node is gone")
            with reader.sending:
                fetched: Fetched = self._call(lambda: self._actor.fetch.remote(reader.actor, wanted))
            if fetched.failure is None:
                return fetched.left
            failing = failing or time.monotonic()
            if fetched.gone or time.monotonic() - failing > _UNAVAILABLE_SECONDS:
                raise ReaderLost(fetched.failure)
            time.sleep(_RETRY_SECONDS)

    def wait(self) -> None:
        self._call(self._actor.heard.remote)


def silence() -> None:
    """Keep Ray from printing that a node is dead, or a process.

    The batch's own messages tell it, and Ray's would come between the progress lines. A version of Ray that prints in
    another way is left alone.
    """
    from ray._private import worker

    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = lambda *_, **__: None


def replica_of(node: Mapping[str, Any]) -> int:
    """The replica that a node of Ray's list belongs to; 0 if to none."""
    prefix = resource(0)[:-1]
    for name in node.get("Resources", {}):
        if name.startswith(prefix) and name.removeprefix(prefix).isdecimal():
            return int(name.removeprefix(prefix))
    return 0


@contextmanager
def _as_before(settings: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for Ray alone, and the handlers of signals, which it replaces, as they were."""
    before = {name: os.environ.get(name) for name in (*settings, "RAY_AUTH_TOKEN", "RAY_ADDRESS")}
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for name in ("RAY_AUTH_TOKEN", "RAY_ADDRESS"):
        os.environ.pop(name, None)
    os.environ.update(settings)
    try:
        yield
    except SystemExit as ended:
        # So Ray's own handler ends the process, with the signal's number and without a word.
        for number, handler in handlers.items():
            if ended.code == number and callable(handler):
                handler(number, None)
        raise
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        for number, handler in handlers.items():
            signal.signal(number, handler)
