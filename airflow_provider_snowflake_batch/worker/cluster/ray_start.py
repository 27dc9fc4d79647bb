"""``ray start`` that is patient with a busy machine. Run as a program, with the arguments of Ray's own.

A node has to register within 30 seconds or it is given up, which no setting changes (``ray._private.node``); on a busy
machine, loading what belongs to it takes longer. Where Ray looks for its node it is made to wait until the node is
there, or one of its processes has ended. A version of Ray that looks otherwise has its own limit.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

MOST_SECONDS = 300.0
_LOOK_SECONDS = 0.25


def patient(
    get_node: Callable[..., Any],
    has_ended: Callable[[], bool],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Callable[..., Any]:
    """A function that finds a node, or waits for it.

    :param get_node: raises `RuntimeError` as long as there is none.
    :param has_ended: whether one of the node's processes has.
    """
    deadline = clock() + MOST_SECONDS

    def wait(*arguments: Any, **options: Any) -> Any:
        while True:
            try:
                return get_node(*arguments, **options)
            except RuntimeError:
                if clock() > deadline or has_ended():
                    raise
            sleep(_LOOK_SECONDS)

    return wait


def _a_child_has_ended() -> bool:
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def main() -> None:
    """Run the command line."""
    from ray._private import services
    from ray.scripts.scripts import main as ray

    if hasattr(services, "get_node"):
        services.get_node = patient(services.get_node, _a_child_has_ended)
    ray()


if __name__ == "__main__":
    main()
