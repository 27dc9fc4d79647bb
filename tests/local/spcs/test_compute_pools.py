"""Compute pools, and what lies beside them in an account.

Also tests ``local/spcs/image_repositories.py``, ``local/spcs/instance_families.py``,
``local/spcs/pool_statements.py``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.local.spcs.conftest import Services, until_exists


def test_the_system_pool_is_there(services: Services) -> None:
    pool = services.row("SHOW COMPUTE POOLS LIKE 'system_compute_pool_cpu'")
    assert pool["instance_family"] == "CPU_X64_S"


def test_life_of_a_pool(services: Services) -> None:
    create = "CREATE COMPUTE POOL {} LIFE MIN_NODES = 1 MAX_NODES = 3 INSTANCE_FAMILY = CPU_X64_M COMMENT = 'x'"
    assert services.text(create.format("")) == "Compute pool LIFE successfully created."
    assert services.error(create.format("")).errno == 2002
    services.rows(create.format("IF NOT EXISTS"))
    pool = services.row("DESCRIBE COMPUTE POOL LIFE")
    assert (pool["state"], pool["max_nodes"], pool["idle_nodes"], pool["comment"]) == ("IDLE", 3, 1, "x")
    services.rows("ALTER COMPUTE POOL LIFE SUSPEND")
    assert services.row("DESCRIBE COMPUTE POOL LIFE")["state"] == "SUSPENDED"
    services.rows("ALTER COMPUTE POOL LIFE RESUME")
    assert services.row("DESCRIBE COMPUTE POOL LIFE")["state"] == "IDLE"
    services.rows("ALTER COMPUTE POOL LIFE SET MAX_NODES = 5 AUTO_SUSPEND_SECS = 60")
    assert services.row("SHOW COMPUTE POOLS LIKE 'LIFE'")["max_nodes"] == 5
    services.rows("DROP COMPUTE POOL LIFE")
    assert services.error("DESCRIBE COMPUTE POOL LIFE").errno == 2003
    services.rows("DROP COMPUTE POOL IF EXISTS LIFE")


def test_a_job_resumes_its_pool(services: Services) -> None:
    services.rows(f"ALTER COMPUTE POOL {services.pool} SUSPEND")
    services.wait(services.submit("true"))
    assert services.row(f"DESCRIBE COMPUTE POOL {services.pool}")["state"] == "IDLE"


def test_suspending_lets_jobs_end(services: Services, tmp_path: Path) -> None:
    name = services.python(until_exists(tmp_path / "end"))
    services.wait(name, "RUNNING")
    services.rows(f"ALTER COMPUTE POOL {services.pool} SUSPEND")
    assert services.row(f"DESCRIBE COMPUTE POOL {services.pool}")["state"] == "STOPPING"
    (tmp_path / "end").touch()
    services.wait(name)
    assert services.row(f"DESCRIBE COMPUTE POOL {services.pool}")["state"] == "SUSPENDED"


def test_stop_all_and_drop(services: Services) -> None:
    name = services.python("import time; time.sleep(60)")
    services.wait(name, "RUNNING")
    assert "cannot be dropped" in str(services.error(f"DROP COMPUTE POOL {services.pool}"))
    services.rows(f"ALTER COMPUTE POOL {services.pool} STOP ALL")
    services.wait(name, "CANCELLED")
    services.rows(f"DROP COMPUTE POOL {services.pool}")


def test_more_than_a_node_has_is_refused(services: Services) -> None:
    specification = "{spec: {containers: [{name: main, image: i, command: [x], resources: {requests: {cpu: 3.5}}}]}}"
    error = services.error(
        f"EXECUTE JOB SERVICE IN COMPUTE POOL {services.pool} FROM SPECIFICATION $${specification}$$"
    )
    assert error.errno == 395018
    assert "invalid value 3.5 for 'total containers.requests.cpu'" in str(error)
    assert "Requirement exceeds compute pool instance capacity 3." in str(error)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("MIN_NODES = 1 INSTANCE_FAMILY = CPU_X64_S", "MAX_NODES"),
        ("MIN_NODES = 0 MAX_NODES = 1 INSTANCE_FAMILY = CPU_X64_S", "MIN_NODES"),
        ("MIN_NODES = 2 MAX_NODES = 1 INSTANCE_FAMILY = CPU_X64_S", "MAX_NODES"),
        ("MIN_NODES = 1 MAX_NODES = 1 INSTANCE_FAMILY = CPU_X64_XXL", "CPU_X64_XXL"),
        ("MIN_NODES = 1 MAX_NODES = 1 INSTANCE_FAMILY = CPU_X64_S COLOUR = 'red'", "COLOUR"),
    ],
)
def test_impossible_pools(services: Services, options: str, words: str) -> None:
    assert words in str(services.error(f"CREATE COMPUTE POOL IMPOSSIBLE {options}"))


def test_image_repositories(services: Services, schema: str) -> None:
    services.rows("CREATE IMAGE REPOSITORY IMAGES")
    assert services.error("CREATE IMAGE REPOSITORY IMAGES").errno == 2002
    services.rows("CREATE IMAGE REPOSITORY IF NOT EXISTS IMAGES")
    repository = services.row("SHOW IMAGE REPOSITORIES LIKE 'images'")
    assert repository["repository_url"].endswith(f"/local/{schema.lower()}/images")
    services.rows("DROP IMAGE REPOSITORY IMAGES")
    assert services.error("DROP IMAGE REPOSITORY IMAGES").errno == 2003
