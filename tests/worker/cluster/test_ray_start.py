"""A node has more time to register than Ray gives it. Nothing here needs Ray."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_snowflake_batch.worker.cluster.ray_start import (
    MOST_SECONDS,
    own_socket_names,
    patient,
    ports_known,
    raylet_has_ended,
)


class Registers:
    """A node that is there after some seconds, and a clock."""

    def __init__(self, after: float) -> None:
        self.now, self._after = 1000.0, 1000.0 + after

    def get_node(self, address: str, node: str) -> dict[str, str]:
        if self.now < self._after:
            raise RuntimeError(f"no node {node}")
        return {"address": address, "node": node}

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize("after", [0.0, 31.0, MOST_SECONDS - 1])
def test_a_node_is_waited_for(after: float) -> None:
    node = Registers(after)
    get_node = patient(node.get_node, lambda: False, node.clock, node.sleep)
    assert get_node("127.0.0.2:1", node="a") == {"address": "127.0.0.2:1", "node": "a"}


def test_not_for_ever() -> None:
    node = Registers(MOST_SECONDS + 10)
    get_node = patient(node.get_node, lambda: False, node.clock, node.sleep)
    with pytest.raises(RuntimeError, match="no node a"):
        get_node("127.0.0.2:1", "a")
    assert node.now < 1000 + MOST_SECONDS + 2


def test_nor_for_one_that_has_ended() -> None:
    node = Registers(100)
    get_node = patient(node.get_node, lambda: node.now > 1005, node.clock, node.sleep)
    # Not a RuntimeError, after which Ray would look again for 30 seconds.
    with pytest.raises(ChildProcessError, match="raylet has ended"):
        get_node("127.0.0.2:1", "a")
    assert node.now < 1010


def test_a_raylet_finds_the_stated_ports_of_its_agents() -> None:
    done: list[object] = []

    def start_raylet(
        address: str,
        node_id: str,
        session_dir: str,
        metrics_agent_port: int | None = None,
        *,
        metrics_export_port: int | None = None,
        runtime_env_agent_port: int | None = None,
    ) -> str:
        done.append((address, node_id, session_dir, metrics_agent_port, metrics_export_port, runtime_env_agent_port))
        return "process"

    start = ports_known(start_raylet, lambda *given: done.append(given))
    assert start("127.0.0.2:1", "ab12", "/tmp/session", 21_005, runtime_env_agent_port=21_004) == "process"
    assert done == [
        ("/tmp/session", "ab12", "metrics_agent_port", 21_005),
        ("/tmp/session", "ab12", "runtime_env_agent_port", 21_004),
        ("127.0.0.2:1", "ab12", "/tmp/session", 21_005, None, 21_004),
    ]


def test_a_raylet_that_is_started_in_another_way_is_left_alone() -> None:
    def start_raylet(address: str, node: str) -> str:
        return f"{node} at {address}"

    assert ports_known(start_raylet, print)("a", "b") == "b at a"

    def fails(*_: object) -> None:
        raise OSError("no room")

    def start_later(node_id: str, session_dir: str, metrics_agent_port: int) -> int:
        return metrics_agent_port

    assert ports_known(start_later, fails)("a", "/tmp/b", 1) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_raylet_that_has_ended_is_noticed(tmp_path: Path) -> None:
    found = {name: tmp_path / name for name in ("raylet", "dashboard")}
    for path in found.values():
        path.symlink_to(str(shutil.which("sleep")))
    raylet, other = (subprocess.Popen([path, "600"]) for path in found.values())
    try:
        other.kill()
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        assert not raylet_has_ended()
        raylet.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, raylet.pid, os.WEXITED | os.WNOWAIT)
        assert raylet_has_ended()
        raylet.wait()
        assert not raylet_has_ended()
    finally:
        for process in (raylet, other):
            process.kill()
            process.wait()


def test_nodes_of_one_machine_do_not_choose_the_same_socket() -> None:
    """Ray takes the first name that is not there yet; nodes that start together would find the same one."""

    def prepare(node: object, socket_path: str | None, default_prefix: str) -> str:
        return socket_path or f"/sockets/{default_prefix}"

    choose = own_socket_names(prepare)
    assert choose(None, None, "plasma_store") == f"/sockets/plasma_store_{os.getpid()}"
    assert choose(None, "/stated", default_prefix="plasma_store") == "/stated"
