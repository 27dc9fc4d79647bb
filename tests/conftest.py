"""What holds for every test: an Airflow home of its own, and no way out of this machine."""

from __future__ import annotations

import atexit
import compileall
import ipaddress
import logging
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Where PYTHONDONTWRITEBYTECODE is set, as in some containers, each process of pytest would compile all tests and
# rewrite their assertions anew: half of the time that collecting them takes. What tests start keeps to the variable.
sys.dont_write_bytecode = False

import pytest
from hypothesis import HealthCheck, settings

import airflow_provider_snowflake_batch
from airflow_provider_snowflake_batch.local.server_process import LocalServer
from tests.airflow_home import TEMPLATE
from tests.local_faults import LocalFaults, faults_of
from tests.models import log_linear_model

# The same examples in every run, so that one finds what another did; HYPOTHESIS_PROFILE=search looks for new ones.
settings.register_profile("same", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

# Airflow reads its home when it is first imported, so this comes before any test module.
_AIRFLOW_HOME = tempfile.mkdtemp(prefix="airflow-home-")
atexit.register(shutil.rmtree, _AIRFLOW_HOME, ignore_errors=True)
os.environ["AIRFLOW_HOME"] = _AIRFLOW_HOME
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__LOGGING__BASE_LOG_FOLDER"] = f"{_AIRFLOW_HOME}/logs"
# The processes of pytest-xdist have the variable from the one that starts them.
if TEMPLATE not in os.environ:
    os.environ[TEMPLATE] = tempfile.mkdtemp(prefix="airflow-migrated-")
    atexit.register(shutil.rmtree, os.environ[TEMPLATE], ignore_errors=True)
# Each login would ask six addresses outside of this machine in which cloud it is; `_refuse_other_machines` refuses.
os.environ["SNOWFLAKE_DISABLE_PLATFORM_DETECTION"] = "true"


def _refuse_other_machines(event: str, arguments: tuple[Any, ...]) -> None:
    """Fail what would leave the machine, so that a test cannot depend on it or wait for it."""
    if event == "socket.connect":
        _, address = arguments
        if isinstance(address, tuple) and not _is_loopback(address[0]):
            raise ConnectionRefusedError(f"tests reach only this machine, not {address[0]}")
    elif event == "socket.getaddrinfo" and not _is_loopback(arguments[0]):
        raise socket.gaierror(socket.EAI_NONAME, f"tests reach only this machine, not {arguments[0]}")


def _is_loopback(host: Any) -> bool:
    if isinstance(host, bytes):
        host = host.decode()
    if host in (None, "", "localhost", socket.gethostname()):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


sys.addaudithook(_refuse_other_machines)


def pytest_configure(config: pytest.Config) -> None:
    """Compile the package once, where PYTHONDONTWRITEBYTECODE would have every process that tests start do so."""
    if os.environ.get("PYTHONDONTWRITEBYTECODE") and not hasattr(config, "workerinput"):
        compileall.compile_dir(Path(airflow_provider_snowflake_batch.__file__).parent, quiet=1)


@pytest.fixture(scope="session")
def local_server(local_snowflake: LocalServer) -> LocalServer:
    """One local Snowflake, as a real process, for all tests that need nothing of their own."""
    return local_snowflake


@pytest.fixture
def snowflake_connection(local_server: LocalServer, local_snowflake_connection: str) -> str:
    """The Airflow connection id that leads to the local Snowflake."""
    return local_snowflake_connection


@pytest.fixture(scope="session")
def linear_model(local_server: LocalServer) -> str:
    """A model for all tests that change nothing in it: ``PREDICTION = 2 * A + 3 * B``, version V1."""
    log_linear_model(local_server, "LINEAR", "V1")
    return "LINEAR"


@pytest.fixture
def faults(local_server: LocalServer) -> Iterator[LocalFaults]:
    """Faults on demand of the local Snowflake; none is left behind."""
    with faults_of(local_server) as opened:
        yield opened


def pytest_itemcollected(item: pytest.Item) -> None:
    """Refuse names that differ from process to process: pytest-xdist's must all know a test by the same one."""
    callspec = getattr(item, "callspec", None)
    for value in callspec.params.values() if callspec is not None else ():
        if any(repr(found) in callspec.id for found in _sets_of_several(value)):
            raise pytest.UsageError(f"{item.nodeid}: a set has no order; give the parameters ids, or use tuples")


def _sets_of_several(value: Any) -> Iterator[Any]:
    """The sets with more than one element in a value."""
    if isinstance(value, (set, frozenset)) and len(value) > 1:
        yield value
    if isinstance(value, dict):
        yield from _sets_of_several([*value, *value.values()])
    elif isinstance(value, (list, tuple, set, frozenset)):
        for one in value:
            yield from _sets_of_several(one)


def pytest_unconfigure() -> None:
    """The driver logs out at exit what is still open, to a server that is gone, in a log that pytest has closed."""
    logging.raiseExceptions = False
    logging.getLogger("snowflake.connector").setLevel(logging.CRITICAL)
