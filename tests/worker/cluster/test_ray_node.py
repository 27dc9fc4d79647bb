"""How Ray's nodes are started: nothing listens on a port that is not declared, and no secret is in a command."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import time
from pathlib import Path

import psutil
import pytest

from airflow_provider_snowflake_batch.contract.cluster import (
    ADDRESS_VARIABLE,
    DEFAULT_PORTS,
    PORT_COUNT,
    PORTS_VARIABLE,
    format_ports,
    parse_ports,
)
from airflow_provider_snowflake_batch.worker.cluster.place import Place, place_from_environment
from airflow_provider_snowflake_batch.worker.cluster.ray_node import (
    RayNode,
    RayPorts,
    cluster_address,
    ray_settings,
    start_command,
    write_token,
)
from airflow_provider_snowflake_batch.worker.errors import ClusterError, Refused

PLACE = Place("10.0.0.1", DEFAULT_PORTS)


@pytest.mark.parametrize("head", [Path("/tmp/r"), None])
def test_every_port_is_one_that_is_declared_and_has_one_use(head: Path | None, tmp_path: Path) -> None:
    command = start_command(PLACE, 0 if head else 3, head=head, cluster=None if head else cluster_address(PLACE))
    settings = ray_settings(PLACE, tmp_path)
    stated = [int(port) for one in command for port in re.findall(r"-port=(\d+)$", one)]
    stated += [int(value) for name, value in settings.items() if name.endswith("_PORT")]

    assert len(stated) == len(set(stated)) >= 9
    # The first one is for the channels between replicas. It is taken, so that no dashboard is started.
    assert (f"--dashboard-port={DEFAULT_PORTS[0]}" in command) == (head is not None)
    assert set(stated) <= set(DEFAULT_PORTS[1:] if head is None else DEFAULT_PORTS)
    workers = RayPorts.of(DEFAULT_PORTS).workers
    assert not set(workers[1:-1]) & set(stated)
    assert len(workers) >= 20


def test_the_token_is_in_a_file_alone(tmp_path: Path) -> None:
    path = write_token(tmp_path, "s3cret")
    settings = ray_settings(PLACE, path)

    assert (path.read_text(), path.stat().st_mode & 0o777) == ("s3cret", 0o600)
    assert settings["RAY_AUTH_MODE"] == "token"
    assert "s3cret" not in f"{start_command(PLACE, 0, head=tmp_path)} {settings}"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "is not a range"),
        ("12001", "is not a range"),
        ("12001-12005", "has 5 ports, and replicas need 40"),
        ("32750-32800", "leaves the ports 1024-32767"),
        ("80-200", "leaves the ports"),
        ("5-1", "has 0 ports"),
        ("١٢٠٠١-١٢٠٩٩", "is not a range"),
    ],
)
def test_ports_that_cannot_be_declared_are_refused(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parse_ports(text)


def test_ports_are_read_as_they_are_written() -> None:
    assert parse_ports(format_ports(DEFAULT_PORTS)) == DEFAULT_PORTS
    assert len(DEFAULT_PORTS) == PORT_COUNT


def test_a_container_has_the_ports_that_are_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ADDRESS_VARIABLE, "10.1.2.3")
    assert place_from_environment() == Place("10.1.2.3", DEFAULT_PORTS)
    monkeypatch.setenv(PORTS_VARIABLE, "20000-20050")
    assert place_from_environment() == Place("10.1.2.3", range(20000, 20051))
    monkeypatch.setenv(PORTS_VARIABLE, "many")
    with pytest.raises(Refused, match=r"^WORKER_PORTS: 'many' is not a range of ports such as 12001-12040$"):
        place_from_environment()


def test_replicas_on_one_machine_have_ports_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ADDRESS_VARIABLE, "127.0.0.3")
    places = [place_from_environment() for _ in range(20)]
    assert len({place.ports for place in places}) > 1
    assert all(len(place.ports) == PORT_COUNT and place.ports[-1] < 32768 for place in places)


def unreachable(*_: object) -> None:
    raise OSError("no network")


def test_an_address_is_found_where_none_is_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ADDRESS_VARIABLE, raising=False)
    monkeypatch.setattr(socket, "gethostbyname", lambda name: "10.4.5.6")
    assert place_from_environment().address == "10.4.5.6"
    # As a host's own name is in many a file of hosts.
    monkeypatch.setattr(socket, "gethostbyname", lambda name: "127.0.1.1")
    monkeypatch.setattr(socket, "socket", unreachable)
    with pytest.raises(Refused, match="set the environment variable WORKER_ADDRESS"):
        place_from_environment()


def start(node: RayNode) -> None:
    while not node.is_up():
        time.sleep(0.01)


def test_a_node_that_does_not_start_is_tried_again_and_then_explained(tmp_path: Path) -> None:
    tries = tmp_path / "tries"
    code = f"open({str(tries)!r}, 'a').write('x'); print('no room'); raise SystemExit(3)"
    notes: list[str] = []
    node = RayNode([sys.executable, "-c", code], {}, notes.append)

    with pytest.raises(ClusterError, match=r"^Ray could not be started \(exit code 3\): no room$"):
        start(node)
    assert tries.read_text() == "xxx"
    assert len(notes) == 2


def test_a_port_that_somebody_else_has_is_named(tmp_path: Path) -> None:
    """What Ray says of that is where in its own code it gave up; its own processes that are left are not the reason."""
    listens = "import socket, sys, time; server = socket.create_server(('', int(sys.argv[1]))); time.sleep(600)"
    code = (
        f"import socket, subprocess, sys, time\nleft = subprocess.Popen([sys.executable, '-c', {listens!r}, "
        "sys.argv[1]])\nwhile True:\n  try:\n    socket.create_connection(('127.0.0.1', int(sys.argv[1]))).close()\n"
        "    sys.exit('RuntimeError')\n  except OSError:\n    time.sleep(0.05)"
    )
    with socket.create_server(("", 0)) as other, socket.socket() as reserved:
        reserved.bind(("", 0))
        own, taken = reserved.getsockname()[1], other.getsockname()[1]
        reserved.close()
        node = RayNode([sys.executable, "-c", code, str(own)], {}, str, [own, taken])
        with pytest.raises(
            ClusterError, match=rf": somebody else listens on port {taken}, and WORKER_PORTS says .*Error$"
        ):
            start(node)


def test_a_node_that_starts_too_slowly_has_more_tries(tmp_path: Path) -> None:
    """As on a machine with much else to do."""
    tries = tmp_path / "tries"
    code = (
        f"from pathlib import Path; import os, subprocess, sys; tries = Path({str(tries)!r})\n"
        "text = tries.read_text() if tries.exists() else ''\n"
        "left = subprocess.Popen(['sleep', '600'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
        "tries.write_text(f'{text}{left.pid} ')\n"
        "sys.exit('The current node timed out during startup.' if text.count(' ') < 4 else 0)"
    )
    notes: list[str] = []
    node = RayNode([sys.executable, "-c", code], {}, notes.append)
    start(node)

    assert len(notes) == 4
    *first, last = map(int, tries.read_text().split())
    # Nothing is left of the earlier ones, which might hold on to ports.
    assert not [pid for pid in first if alive(pid)]
    assert alive(last)
    os.kill(last, signal.SIGKILL)


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
