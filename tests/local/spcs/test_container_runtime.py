"""Snowflake's container runtime: which image a pool gets, and what a job of such an image runs in."""

from __future__ import annotations

import contextlib
import fcntl
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import snowflake.connector

from airflow_provider_snowflake_batch.local.server_process import LocalServer
from airflow_provider_snowflake_batch.local.spcs.container_runtime import is_container_runtime
from airflow_provider_snowflake_batch.local.spcs.runtime_environment import RUNTIME_PYTHON_VARIABLE, RuntimeEnvironment
from tests.local.spcs.conftest import Services, wait_until

PREFIX = "/snowflake/images/snowflake_images/container_runtime"
IMAGE = f"{PREFIX}/cpu_x86_64:2.10.0"


@pytest.fixture(scope="module")
def runtime_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment without any package."""
    folder = tmp_path_factory.mktemp("runtime") / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def local_server(tmp_path_factory: pytest.TempPathFactory, runtime_python: Path) -> Iterator[LocalServer]:
    environment = {RUNTIME_PYTHON_VARIABLE: str(runtime_python), "PYTHONPATH": str(Path.cwd())}
    with LocalServer(tmp_path_factory.mktemp("spcs") / "state", environment=environment) as server:
        yield server


@pytest.mark.parametrize(
    ("environment", "image"),
    [
        ("", f"{PREFIX}/cpu_x86_64:2.10.0"),
        ("2.3.0", f"{PREFIX}/cpu_x86_64:2.3.0"),
        ('{"pythonVersion": "3.11", "runtimeEnvironment": "2.9.0"}', f"{PREFIX}/cpu_x86_64:2.9.0"),
        ('{"pythonVersion": "3.10"}', f"{PREFIX}/cpu_x86_64:2.10.0"),
        ("/db/schema/repo/mine:1", "/db/schema/repo/mine:1"),
    ],
)
def test_the_image_for_a_pool(services: Services, environment: str, image: str) -> None:
    assert services.text(f"CALL SYSTEM$GET_ML_JOB_RUNTIME('{services.pool}', '{environment}')") == image
    assert services.text(f"SELECT SYSTEM$GET_ML_JOB_RUNTIME('{services.pool.lower()}', '{environment}')") == image


def test_the_image_for_a_pool_of_gpus(services: Services) -> None:
    services.rows(f"CREATE COMPUTE POOL {services.pool}_GPU MIN_NODES = 1 MAX_NODES = 1 "
                  "INSTANCE_FAMILY = GPU_NV_S")  # fmt: skip
    assert services.text(f"CALL SYSTEM$GET_ML_JOB_RUNTIME('{services.pool}_GPU', '')") == f"{PREFIX}/gpu_x86_64:2.10.0"
    services.rows(f"DROP COMPUTE POOL {services.pool}_GPU")


def test_no_image_for_other_processors(services: Services) -> None:
    services.rows(f"CREATE COMPUTE POOL {services.pool}_ARM MIN_NODES = 1 MAX_NODES = 1 "
                  "INSTANCE_FAMILY = GEN_ARM_G1_2")  # fmt: skip
    error = services.error(f"CALL SYSTEM$GET_ML_JOB_RUNTIME('{services.pool}_ARM', '')")
    services.rows(f"DROP COMPUTE POOL {services.pool}_ARM")
    assert "No container runtime image is available for instance family GEN_ARM_G1_2" in str(error)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("'NO_SUCH_POOL', ''", "Compute pool 'NO_SUCH_POOL' does not exist or not authorized"),
        ("'A.B', ''", "compute pools have no schema"),
        ("'{pool}', '2.9'", "No container runtime image is available for runtime environment '2.9'"),
        ("'{pool}', '{{'", "no JSON object"),
        ("""'{pool}', '{{"pythonVersion": "3.13"}}'""", "Python 3.13; there are 3.10, 3.11, 3.12"),
        ("'{pool}', 'CRE@MINE'", "not supported by the local Snowflake"),
    ],
)
def test_what_has_no_image(services: Services, arguments: str, message: str) -> None:
    call = f"CALL SYSTEM$GET_ML_JOB_RUNTIME({arguments.format(pool=services.pool)})"
    assert message in str(services.error(call))


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (IMAGE, True),
        (f"org-account.registry.snowflakecomputing.com{PREFIX}/gpu_x86_64:2.9.0", True),
        ("/db/schema/container_runtime/worker:1", False),
        ("/db/schema/repo/cpu_x86_64:2.10.0", False),
    ],
)
def test_which_images_are_of_the_container_runtime(image: str, expected: bool) -> None:
    assert is_container_runtime(image) is expected


def gpu(count: int) -> dict[str, dict[str, int]]:
    return {"requests": {"nvidia.com/gpu": count}, "limits": {"nvidia.com/gpu": count}}


@pytest.mark.skipif(bool(list(Path("/dev").glob("nvidia[0-9]*"))), reason="this machine has GPUs")
def test_a_job_of_a_gpu_pool_runs_without_gpus_and_says_so_first(services: Services) -> None:
    pool = f"{services.pool}_GPU"
    services.rows(f"CREATE COMPUTE POOL {pool} MIN_NODES = 1 MAX_NODES = 1 INSTANCE_FAMILY = GPU_NV_S")
    name = services.python("print('scored')", pool=pool, resources=gpu(1))
    services.wait(name)
    first, *rest = services.logs(name).splitlines()
    assert first == "Local Snowflake: 1 GPU(s) asked for, 0 on this machine: the container runs with these"
    assert rest == ["scored"]
    times = [row["TIMESTAMP"] for row in services.rows(f"SELECT * FROM TABLE({name}!SPCS_GET_LOGS())")]
    assert len(times) == 2
    # What the statement asks for stays checked.
    with pytest.raises(Exception, match="nvidia.com/gpu'. Requirement exceeds compute pool instance capacity 1"):
        services.submit("true", pool=pool, resources=gpu(2))
    with pytest.raises(Exception, match="nvidia.com/gpu'. Requirement exceeds compute pool instance capacity 0"):
        services.submit("true", resources=gpu(1))
    busy = services.submit("sleep", "60", pool=pool, resources=gpu(1))
    waiting = services.submit("true", pool=pool, resources=gpu(1))
    wait_until(lambda: "Unschedulable due to insufficient GPU" in services.containers(waiting)[0]["message"])
    services.rows(f"DROP SERVICE {busy}")
    services.wait(waiting)
    services.rows(f"ALTER COMPUTE POOL {pool} STOP ALL")
    services.rows(f"DROP COMPUTE POOL {pool}")


@pytest.mark.parametrize("image", [f"{PREFIX}/cpu_x86_64:2.9", f"{PREFIX}/cpu_x86_64", f"{PREFIX}/gpu_x86_64:latest"])
def test_a_tag_that_names_no_image_is_refused_at_once(services: Services, image: str) -> None:
    specification = json.dumps({"spec": {"containers": [{"name": "main", "image": image, "command": ["true"]}]}})
    error = services.error(
        f"EXECUTE JOB SERVICE IN COMPUTE POOL {services.pool} FROM SPECIFICATION $${specification}$$"
    )
    assert f"Image {image} not found" in str(error)


def test_a_job_runs_in_an_environment_of_its_own(services: Services, runtime_python: Path) -> None:
    code = """
import importlib.util, json, os, subprocess, sys
names = ["airflow_provider_snowflake_batch", "airflow", "snowflake", "yaml"]
print(json.dumps({
    "prefix": sys.prefix,
    "found": [name for name in names if importlib.util.find_spec(name)],
    "environment": [name for name in ("PYTHONPATH", "VIRTUAL_ENV") if name in os.environ],
    "on the path": subprocess.check_output(["python", "-c", "import sys; print(sys.prefix)"], text=True).strip(),
}))
"""
    name = services.python(code, image=IMAGE)
    services.wait(name)
    prefix = str(runtime_python.parents[1])
    assert json.loads(services.logs(name)) == {"prefix": prefix, "found": [], "environment": [], "on the path": prefix}


def test_what_the_specification_declares_reaches_it(services: Services) -> None:
    code = "import os; print(os.environ['PYTHONPATH'])"
    name = services.python(code, image=IMAGE, env={"PYTHONPATH": "/mine"})
    services.wait(name)
    assert services.logs(name) == "/mine"


def test_other_images_run_as_the_server_does(services: Services) -> None:
    name = services.python("import airflow_provider_snowflake_batch, sys; print(sys.prefix)")
    services.wait(name)
    assert services.logs(name) == sys.prefix


@contextlib.contextmanager
def services_of(state: Path, environment: dict[str, str]) -> Iterator[Services]:
    """A compute pool of a server with this environment."""
    with (
        LocalServer(state, environment=environment) as server,
        snowflake.connector.connect(**server.connection_kwargs) as connection,
    ):
        services = Services(connection, "POOL")
        services.rows("CREATE COMPUTE POOL POOL MIN_NODES = 1 MAX_NODES = 1 INSTANCE_FAMILY = CPU_X64_S")
        yield services


def message(services: Services, name: str) -> str:
    (container,) = services.containers(name)
    return str(container["message"])


def test_a_job_waits_for_the_environment_and_fails_with_one_message_where_it_cannot_be_made(tmp_path: Path) -> None:
    no_network = {"UV_OFFLINE": "1", "UV_CACHE_DIR": str(tmp_path / "uv"), "PIP_NO_INDEX": "1"}
    variables = {"XDG_CACHE_HOME": str(tmp_path / "cache"), RUNTIME_PYTHON_VARIABLE: ""}
    folder = tmp_path / "cache" / "airflow-provider-snowflake-batch" / "container-runtime"
    folder.mkdir(parents=True)
    lock = RuntimeEnvironment(print, folder).folder.with_suffix(".lock")
    with services_of(tmp_path / "state", no_network | variables) as services:
        # As if another server were making it.
        with lock.open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            name, stopped = (services.python("print('never')", image=IMAGE) for _ in range(2))
            wait_until(lambda: message(services, name).startswith("Making the Python environment"))
            assert services.status(name) == "PENDING"
            services.rows(f"CALL {stopped}!SPCS_CANCEL_JOB()")
            services.wait(stopped, "CANCELLED")
        services.wait(name, "FAILED", 120)
        told = message(services, name)
    assert told.startswith("Encountered fatal error while starting container: the Python environment of the")
    assert RUNTIME_PYTHON_VARIABLE in told
    assert str(folder) in told


def test_a_named_python_that_is_not_there_fails_the_job(tmp_path: Path) -> None:
    with services_of(tmp_path / "state", {RUNTIME_PYTHON_VARIABLE: "/no/python"}) as services:
        name = services.python("print('never')", image=IMAGE)
        services.wait(name, "FAILED")
        assert f"{RUNTIME_PYTHON_VARIABLE} is /no/python, which is no program" in message(services, name)
