"""Example Dags run as Airflow runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests.airflow_home import environment_without_settings, make_database

ROOT = Path(__file__).parents[2]


def load_example(name: str) -> ModuleType:
    """The module of a Dag file."""
    spec = spec_from_file_location(name, ROOT / "example_dags" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def python_with(*modules: str) -> str:
    """The Python of container jobs on the local Snowflake; without it, or without the modules, the test is skipped."""
    python = os.environ.get("LOCAL_SNOWFLAKE_RUNTIME_PYTHON", "")
    command = [python, "-c", f"import {', '.join(modules)}"]
    if not python or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip(f"LOCAL_SNOWFLAKE_RUNTIME_PYTHON names no Python with {', '.join(modules)}: see the Makefile")
    return python


def ask_library(python: str, program: str, *arguments: str) -> Any:
    """What a program prints as JSON in its last line, run by another Python."""
    done = subprocess.run(
        [python, "-c", program, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def fetch_folder(connection: str, location: str, folder: Path) -> Path:
    """The files under a stage location, in a folder.

    :param location: with a slash at its end, and the stage's name alone.
    """
    stage, _, path = location.partition("/")
    with SnowflakeBatchHook(connection) as hook:
        for file in hook.list_files(location):
            target = folder / file.path.removeprefix(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(hook.read_file(f"{stage}/{file.path}"))
    return folder


def run_example(dag_file: Path, server: LocalServer, home: Path, **params: str) -> dict[str, Any]:
    """What each task of the Dag returned.

    :param params: of the Dag's run.
    """
    environment = environment_without_settings() | {
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
        "AIRFLOW_CONN_SNOWFLAKE_DEFAULT": server.airflow_connection_json,
    }
    make_database(home / "airflow")
    command = [ROOT / "scripts" / "run_dag.py", dag_file, "--conf", json.dumps(params), "--report", home / "report"]
    done = subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    results: dict[str, Any] = json.loads((home / "report").read_text())["results"]
    return results
