"""Where a replica can be reached: its address and its ports."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import random
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from airflow_provider_snowflake_batch.contract.cluster import (
    ADDRESS_VARIABLE,
    DEFAULT_PORTS,
    PORT_COUNT,
    PORTS_VARIABLE,
    parse_ports,
)
from airflow_provider_snowflake_batch.worker.cluster import peers
from airflow_provider_snowflake_batch.worker.errors import Refused

_TRIES = 100
# Open as long as this process lives.
_HOLDS: list[socket.socket] = []
# Documentation's own network: a datagram socket that is connected to it sends nothing, but tells its own address.
_ELSEWHERE = ("192.0.2.1", 9)


@dataclass(frozen=True)
class Place:
    """Where a replica listens.

    :param ports: the first is for the lines between replicas, the others are for Ray.
    """

    address: str
    ports: range


def place_from_environment() -> Place:
    """This replica's place.

    In containers every replica has a network of its own and the same ports. Replicas with loopback addresses share the
    ports of one machine, since most of Ray's processes listen on all addresses: each of them takes some that are free.

    :raises Refused: an environment variable does not name a place.
    """
    address = os.environ.get(ADDRESS_VARIABLE) or _own_address()
    stated = os.environ.get(PORTS_VARIABLE)
    try:
        ports = parse_ports(stated) if stated else DEFAULT_PORTS
    except ValueError as error:
        raise Refused(f"{PORTS_VARIABLE}: {error}") from None
    return Place(address, _free_ports() if address.startswith("127.") else ports)


def _own_address() -> str:
    """The address by which the others reach this replica."""
    # What the service's name leads to, the others can reach.
    for found in itertools.chain(_own(peers.by_dns_name()), _of_host_name(), _of_statement()):
        return found
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(_ELSEWHERE)
        return str(probe.getsockname()[0])
    raise Refused(f"this replica's address is not known: set the environment variable {ADDRESS_VARIABLE}")


def _of_host_name() -> Iterator[str]:
    with contextlib.suppress(OSError):
        found = socket.gethostbyname(socket.gethostname())
        # Some systems name themselves in /etc/hosts.
        if not found.startswith("127."):
            yield found


def _of_statement() -> Iterator[str]:
    with contextlib.suppress(peers.NotKnown):
        me = os.environ.get("SNOWFLAKE_JOB_INDEX", "0")
        yield from _own(one.address for one in peers.by_statement() if one.address and str(one.replica) == me)


def _own(addresses: Iterable[str]) -> Iterator[str]:
    """Those of some addresses that are this machine's."""
    for address in addresses:
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
            yield address


def _free_ports() -> range:
    """Ports that are free, and that no other replica on this machine takes before they are used."""
    for _ in range(_TRIES):
        first = random.randrange(10_000, 32_000, PORT_COUNT)
        ports = range(first, first + PORT_COUNT)
        hold = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            # Datagrams have ports of their own: whoever holds the first of these has the others for streams.
            hold.bind(("", first))
        except OSError:
            hold.close()
            continue
        if all(_is_free(port) for port in ports):
            atexit.register(hold.close)
            _HOLDS.append(hold)
            return ports
        hold.close()
    raise Refused(f"no {PORT_COUNT} free ports in a row were found on this machine")


def taken(ports: Iterable[int]) -> list[int]:
    """The ports that somebody listens on."""
    found = []
    for port in ports:
        with socket.socket() as probe:
            # Those that are only left of connections that have ended are free for whoever listens.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError:
                found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
