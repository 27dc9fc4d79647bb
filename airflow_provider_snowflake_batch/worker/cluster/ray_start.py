"""``ray start`` for several nodes of a busy machine. Run as a program, with the arguments of Ray's own.

A node has to register within 30 seconds or it is given up, which no setting changes (``ray._private.node``). On a busy
machine, loading its modules takes longer. So the function that looks for the node is replaced by one that waits until
the node is there, or its raylet has ended.

From Ray 2.55 on, a raylet learns the ports of its agents from files that these write, also where the ports are stated,
and ends if a file is not there within 15 seconds, which no setting changes either. The agents are Python programs that
load much. So the files are written before the raylet starts; the agents write the same numbers later.

Nodes of one machine and cluster put their sockets into one folder, under the first name that is not there yet: two that
start at the same time may choose the same one, and one of them ends. Here each has names of its own.

A version of Ray that does this in another way is left alone.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MOST_SECONDS = 300.0
_LOOK_SECONDS = 0.25
# Parameters of Ray's function that starts a raylet, and names in the files.
AGENTS_PORTS = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")


def patient(
    get_node: Callable[..., Any],
    has_ended: Callable[[], bool],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Callable[..., Any]:
    """A function that finds a node, or waits for it.

    :param get_node: raises `RuntimeError` as long as there is none.
    :param has_ended: whether the node's raylet has. Then `ChildProcessError` is raised: Ray tries again for 30 seconds
        after a `RuntimeError`.
    """
    deadline = clock() + MOST_SECONDS

    def wait(*arguments: Any, **options: Any) -> Any:
        while True:
            try:
                return get_node(*arguments, **options)
            except RuntimeError:
                if has_ended():
                    raise ChildProcessError("the raylet has ended before its node was there") from None
                if clock() > deadline:
                    raise
            sleep(_LOOK_SECONDS)

    return wait


def own_socket_names(prepare: Callable[..., str]) -> Callable[..., str]:
    """Ray's function that chooses the path of a socket, with names that no other process of this machine chooses.

    :param prepare: takes the node, a stated path or None, and how the name begins.
    """

    def choose(node: Any, socket_path: str | None, default_prefix: str) -> str:
        return prepare(node, socket_path, f"{default_prefix}_{os.getpid()}")

    return choose


def ports_known(
    start_raylet: Callable[..., Any], persist_port: Callable[[str, str, str, int], None]
) -> Callable[..., Any]:
    """Ray's function that starts a raylet, which then finds the stated ports of its agents.

    :param persist_port: Ray's function that writes a port's file: the session's folder, node, name of the port, port.
    """
    signature = inspect.signature(start_raylet)
    if not {"session_dir", "node_id"} <= signature.parameters.keys():
        return start_raylet

    def start(*arguments: Any, **options: Any) -> Any:
        given = signature.bind(*arguments, **options).arguments
        for name in AGENTS_PORTS:
            if given.get(name):
                # Without the file it is as Ray has it.
                with contextlib.suppress(Exception):
                    persist_port(given["session_dir"], given["node_id"], name, given[name])
        return start_raylet(*arguments, **options)

    return start


def raylet_has_ended() -> bool:
    """Whether there is a raylet among the children of this process that has not been waited for."""
    for listed in Path("/proc/self/task").glob("*/children"):
        for child in listed.read_text().split():
            # Name, in parentheses, and state are there until the parent has waited for the process.
            with contextlib.suppress(OSError):
                name, state = Path(f"/proc/{child}/stat").read_text().partition("(")[2].rsplit(")", 1)
                if name == "raylet" and state.split()[0] in "ZX":
                    return True
    return False


def main() -> None:
    """Run the command line."""
    from ray import _raylet
    from ray._private import services
    from ray._private.node import Node
    from ray.scripts.scripts import main as ray

    if hasattr(services, "get_node"):
        services.get_node = patient(services.get_node, raylet_has_ended)
    if hasattr(_raylet, "persist_port") and hasattr(services, "start_raylet"):
        services.start_raylet = ports_known(services.start_raylet, _raylet.persist_port)
    if hasattr(Node, "_prepare_socket_file"):
        Node._prepare_socket_file = own_socket_names(Node._prepare_socket_file)
    ray()


if __name__ == "__main__":
    main()
