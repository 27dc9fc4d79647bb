"""snowflake-cli, the command ``snow``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.local.clients.catalogue import Client, Local

# It pins packages that Airflow wants in other versions, so it has an environment of its own. It would take a variable
# that begins with SNOWFLAKE_ for a setting.
COMMAND = Path(os.environ.get("SNOW_COMMAND") or Path(sys.executable).parent / "snow")


class CommandLine(Client):
    @property
    def is_installed(self) -> bool:
        return COMMAND.is_file()

    @property
    def version(self) -> str:
        told = subprocess.run([COMMAND, "--version"], capture_output=True, text=True, check=True, timeout=60).stdout
        return told.split()[-1]


CLIENT = CommandLine(
    title="snowflake-cli", distribution="snowflake-cli", module="cli", requires=(), protocols=("http",)
)


def snow(local: Local, *arguments: str) -> Any:
    """What a command prints, read from JSON.

    :raises RuntimeError: with what it has printed when it fails.
    """
    home = local.folder / "home"
    home.mkdir(mode=0o700, exist_ok=True)
    config = home / "config.toml"
    options = "".join(f"{name} = {json.dumps(value)}\n" for name, value in local.options.items())
    config.write_text(f"[connections.local]\n{options}\n[cli.logs]\nsave_logs = false\n")
    config.chmod(0o600)
    done = subprocess.run(
        [str(COMMAND), *arguments, "--connection", "local", "--format", "json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        env=os.environ | {"SNOWFLAKE_HOME": str(home), "SNOWFLAKE_CLI_NEW_VERSION_WARNING": "false", "COLUMNS": "400"},
    )
    if done.returncode:
        raise RuntimeError(f"snow {' '.join(arguments)}: {done.stdout}\n{done.stderr}")
    return json.loads(done.stdout)


@CLIENT.works("`snow connection test`, `snow sql`, several statements")
def sql(local: Local) -> None:
    assert snow(local, "connection", "test")["Status"] == "OK"
    results = snow(local, "sql", "-q", "CREATE TABLE T (A INT, B VARCHAR); INSERT INTO T VALUES (1, NULL), (2, 'x'); "
                   "SELECT * FROM T ORDER BY A")  # fmt: skip
    assert results[-1] == [{"A": 1, "B": None}, {"A": 2, "B": "x"}], results


@CLIENT.works("`snow stage`: create, copy, list-files, list, remove, drop")
def stages(local: Local) -> None:
    (local.folder / "a.txt").write_text("hello")
    snow(local, "stage", "create", "FILES")
    (put,) = snow(local, "stage", "copy", str(local.folder / "a.txt"), "@FILES/in")
    assert put["status"] == "UPLOADED", put
    (listed,) = snow(local, "stage", "list-files", "@FILES")
    assert (listed["name"], listed["size"]) == ("files/in/a.txt", 5), listed
    target = local.folder / "got"
    target.mkdir()
    snow(local, "stage", "copy", "@FILES/in", str(target))
    assert [path.read_text() for path in target.rglob("a.txt")] == ["hello"]
    assert "FILES" in {row["name"] for row in snow(local, "stage", "list")}
    snow(local, "stage", "remove", "@FILES", "in/a.txt")
    assert snow(local, "stage", "list-files", "@FILES") == []
    snow(local, "stage", "drop", "FILES")


@CLIENT.works("`snow spcs compute-pool`: create, list, describe, suspend, resume, drop")
def compute_pools(local: Local) -> None:
    pool = f"POOL_{local.schema}"
    snow(local, "spcs", "compute-pool", "create", pool, "--family", "CPU_X64_XS")
    try:
        assert pool in {row["name"] for row in snow(local, "spcs", "compute-pool", "list")}
        snow(local, "spcs", "compute-pool", "suspend", pool)
        (row,) = snow(local, "spcs", "compute-pool", "describe", pool)
        assert (row["state"], row["instance_family"]) == ("SUSPENDED", "CPU_X64_XS"), row
        snow(local, "spcs", "compute-pool", "resume", pool)
    finally:
        snow(local, "spcs", "compute-pool", "drop", pool)


@CLIENT.works("`snow spcs service`: execute-job, list, describe, logs, list-containers, drop")
def jobs(local: Local) -> None:
    pool = f"POOL_{local.schema}"
    container = {"name": "main", "image": "/i", "command": ["sh", "-c", "echo from the container"]}
    specification = local.folder / "job.yaml"
    specification.write_text(json.dumps({"spec": {"containers": [container]}}))
    snow(local, "spcs", "compute-pool", "create", pool, "--family", "CPU_X64_XS")
    try:
        snow(local, "spcs", "service", "execute-job", "JOB", "--compute-pool", pool, "--spec-path", str(specification))
        assert "JOB" in {row["name"] for row in snow(local, "spcs", "service", "list")}
        (row,) = snow(local, "spcs", "service", "describe", "JOB")
        assert row["status"] == "DONE", row
        (container_row,) = snow(local, "spcs", "service", "list-containers", "JOB")
        assert container_row["container_name"] == "main", container_row
        logs = snow(local, "spcs", "service", "logs", "JOB", "--container-name", "main", "--instance-id", "0")
        assert "from the container" in json.dumps(logs), logs
        snow(local, "spcs", "service", "drop", "JOB")
    finally:
        snow(local, "spcs", "compute-pool", "drop", pool)


@CLIENT.works("`snow spcs image-repository`: create, list, url, drop")
def image_repositories(local: Local) -> None:
    snow(local, "spcs", "image-repository", "create", "REPO")
    assert [row["name"] for row in snow(local, "spcs", "image-repository", "list")] == ["REPO"]
    url = snow(local, "spcs", "image-repository", "url", "REPO")["message"]
    assert url.endswith(f"/local/{local.schema.lower()}/repo"), url
    snow(local, "spcs", "image-repository", "drop", "REPO")


@CLIENT.works("`snow object`: list, describe, drop")
def objects(local: Local) -> None:
    snow(local, "sql", "-q", "CREATE TABLE T (A INT)")
    assert [row["name"] for row in snow(local, "object", "list", "table")] == ["T"]
    assert [row["name"] for row in snow(local, "object", "describe", "table", "T")] == ["A"]
    assert "COMPUTE_WH" in {row["name"] for row in snow(local, "object", "list", "warehouse")}
    snow(local, "object", "drop", "table", "T")
    assert snow(local, "object", "list", "table") == []


@CLIENT.refused("`snow spcs service create`: services that are no jobs")
def services(local: Local) -> None:
    specification = local.folder / "service.yaml"
    specification.write_text(json.dumps({"spec": {"containers": [{"name": "main", "image": "/i"}]}}))
    arguments = ("--compute-pool", "SYSTEM_COMPUTE_POOL_CPU", "--spec-path", str(specification))
    snow(local, "spcs", "service", "create", "SERVICE", *arguments)
