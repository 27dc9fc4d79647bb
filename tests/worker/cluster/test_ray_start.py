"""A node has more time to register than Ray gives it. Nothing here needs Ray."""

from __future__ import annotations

import pytest

from airflow_provider_snowflake_batch.worker.cluster.ray_start import MOST_SECONDS, patient


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
    with pytest.raises(RuntimeError):
        get_node("127.0.0.2:1", "a")
    assert node.now < 1010
