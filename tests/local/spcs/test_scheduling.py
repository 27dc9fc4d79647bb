"""Which job gets a node, and which waits.

Also tests ``local/spcs/status.py``.
"""

from __future__ import annotations

import time
from typing import Any

from airflow_provider_snowflake_batch.local.spcs import scheduling, status
from airflow_provider_snowflake_batch.local.spcs.records import ComputePool, Container, Job
from airflow_provider_snowflake_batch.local.spcs.scheduling import Waiting

GIB = 2**30
SMALL = {"cpu": 1.0, "memory": 4.0 * GIB, "gpu": 0.0}
CPU = {"cpu": 2.0, "memory": 1.0 * GIB, "gpu": 0.0}
NO_CPU = "Unschedulable due to insufficient CPU resources."


def pool(**options: Any) -> ComputePool:
    now = time.time()
    fields: dict[str, Any] = {
        "name": "P",
        "min_nodes": 1,
        "max_nodes": 2,
        "instance_family": "CPU_X64_S",
        "owner": "R",
        "created_on": now,
        "updated_on": now,
        "resumed_on": now,
    }
    return ComputePool(**{**fields, **options})


def container(instance: int = 0, **state: Any) -> Container:
    made = Container("job", instance, f"c{instance}", "i", ["x"], {}, {})
    for name, value in state.items():
        setattr(made, name, value)
    return made


def job(identity: str) -> Job:
    """One whose instances take as much as ``CPU`` says."""
    return Job(
        identity, 0, "q", "D", "S", identity, "JOB", "P", "R", True, 1, "", CPU, {}, created_on=0.0, updated_on=0.0
    )


def test_nodes_are_filled_in_order_until_the_pool_is_full() -> None:
    nodes: dict[int, dict[str, float]] = {}
    # 3 vCPU and 13 GiB a node: three instances of 1 vCPU and 4 GiB.
    placed = [scheduling.place(pool(), SMALL, nodes) for _ in range(7)]
    assert placed[:6] == [0, 0, 0, 1, 1, 1]
    assert placed[6] == Waiting("Unschedulable due to insufficient memory resources.")


def test_the_scarce_resource_is_named() -> None:
    nodes = {node: {"cpu": 2.0, "memory": 4.0 * GIB, "gpu": 0.0} for node in range(2)}
    assert scheduling.place(pool(), CPU, nodes) == Waiting(NO_CPU)


def test_a_suspended_pool_starts_nothing() -> None:
    assert scheduling.place(pool(suspended=True), SMALL, {}) == Waiting("Compute pool P is suspended")


def test_idle_pools_suspend_themselves() -> None:
    old = time.time() - 100
    assert scheduling.idle_too_long(pool(auto_suspend_secs=60, resumed_on=old), None)
    assert not scheduling.idle_too_long(pool(auto_suspend_secs=60, resumed_on=old), time.time() - 10)
    assert not scheduling.idle_too_long(pool(auto_suspend_secs=0, resumed_on=old), None)


def test_state_of_a_job_from_its_instances() -> None:
    def state(*states: str) -> str:
        return status.job_status([container(index, status=item) for index, item in enumerate(states)]).value

    assert state("DONE", "DONE") == "DONE"
    assert state("DONE", "READY") == "RUNNING"
    assert state("READY", "PENDING") == "RUNNING"
    assert state("PENDING", "PENDING") == "PENDING"
    assert state("DONE", "PENDING") == "PENDING"
    assert state("READY", "FAILED") == "FAILED"


def test_what_has_no_room_is_not_tried_again_until_something_is_given_back() -> None:
    small = pool(max_nodes=1)
    occupancy = scheduling.Occupancy()
    assert [occupancy.place(small, CPU) for _ in range(2)] == [0, Waiting(NO_CPU)]
    assert occupancy.place(small, {"cpu": 1.0}) == 0
    occupancy.give_back(small, 0, CPU)
    assert occupancy.place(small, CPU) == 0


def test_occupancy_begins_with_what_runs() -> None:
    runs, has_ended = [container(node=0)], [container(node=1, ended_on=1.0)]
    occupancy = scheduling.Occupancy([(job("A"), runs), (job("B"), has_ended)])
    assert [occupancy.place(pool(), CPU) for _ in range(2)] == [1, Waiting(NO_CPU)]
