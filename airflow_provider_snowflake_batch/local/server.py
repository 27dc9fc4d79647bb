"""The local Snowflake: its rooms, wired."""

from __future__ import annotations

import importlib
import importlib.util
import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_snowflake_batch.local.faults.faults import Faults
from airflow_provider_snowflake_batch.local.objects import AccountObjects
from airflow_provider_snowflake_batch.local.protocol.app import Endpoints
from airflow_provider_snowflake_batch.local.protocol.queries import Queries
from airflow_provider_snowflake_batch.local.sessions import Sessions
from airflow_provider_snowflake_batch.local.sql.engine import Engine
from airflow_provider_snowflake_batch.local.stages.http_files import HttpFiles
from airflow_provider_snowflake_batch.local.stages.store import Stages
from airflow_provider_snowflake_batch.local.state import StateDirectory
from airflow_provider_snowflake_batch.local.tls import Certificates

_ROOMS = "airflow_provider_snowflake_batch.local"
# Importing them registers the statements they answer.
_STATEMENTS = (
    "sql.session_statements",
    "sql.show",
    "sql.show_columns",
    "sql.information_schema",
    "sql.namespaces",
    "sql.functions",
    "stages.statements",
    "stages.transfers",
    "stages.copy",
    "stages.table_functions",
    "stages.urls",
    "spcs.statements",
    "registry.statements",
)


@dataclass(frozen=True, slots=True)
class Defaults:
    """What exists after the first start and what the printed connection names."""

    account: str = "local"
    user: str = "LOCAL"
    role: str = "SYSADMIN"
    database: str = "LOCAL"
    schema: str = "PUBLIC"
    warehouse: str = "COMPUTE_WH"


class LocalSnowflake:
    """All rooms of one server.

    :param state_dir: created if it is missing.
    :raises StateDirectoryInUse: when another server has it.
    """

    def __init__(self, state_dir: Path) -> None:
        self.defaults = Defaults()
        self.state = StateDirectory(state_dir)
        self.certificates = Certificates(self.state)
        self.sessions = Sessions()
        self.faults = Faults()
        self.objects = AccountObjects(self.state)
        self.engine = Engine(self)
        self._create_defaults()
        self.stages = Stages(self)
        for module in _STATEMENTS:
            _import_if_there(f"{_ROOMS}.{module}")
        self.queries = Queries(self)
        self.sessions.on_close += [self.queries.forget_session, self.stages.close_session, self.engine.close_session]
        self.spcs: Any = _construct(f"{_ROOMS}.spcs.control_plane", "SpcsControlPlane", self)
        self.registry: Any = _construct(f"{_ROOMS}.registry.registry", "ModelRegistry", self)
        self.http_files = HttpFiles(self)
        self.endpoints = Endpoints(self)
        self.port = 0
        """The port it listens on, once it does."""
        self._stopping = threading.Event()

    def _create_defaults(self) -> None:
        if not self.engine.databases.names():
            self.engine.databases.create(self.defaults.database)
        self.objects.create("WAREHOUSE", self.defaults.warehouse, self.defaults.role, {}, if_not_exists=True)

    def start(self, port: int) -> None:
        """Find running jobs again and begin to close idle sessions.

        :param port: where it listens.
        """
        self.port = port
        if self.spcs is not None:
            self.spcs.start()
        threading.Thread(target=self._close_idle, name="idle-sessions", daemon=True).start()

    def _close_idle(self) -> None:
        while not self._stopping.wait(60):
            self.sessions.close_idle()

    def stop(self) -> None:
        self._stopping.set()
        if self.spcs is not None:
            self.spcs.stop()
        self.queries.close()
        self.sessions.close_all()
        self.engine.close()
        self.objects.close()
        self.state.close()

    def airflow_connection(self) -> dict[str, Any]:
        """The Airflow connection to this server, in the form of ``AIRFLOW_CONN_…``."""
        return {
            "conn_type": "snowflake",
            "login": self.defaults.user,
            "password": self.state.secret,
            "schema": self.defaults.schema,
            "extra": {
                "account": self.defaults.account,
                "host": "127.0.0.1",
                "port": self.port,
                "protocol": "http",
                "database": self.defaults.database,
                "warehouse": self.defaults.warehouse,
                "role": self.defaults.role,
            },
        }

    def write_connection(self) -> Path:
        self.state.write_private(self.state.connection_file, json.dumps(self.airflow_connection(), indent=2) + "\n")
        return self.state.connection_file


def _import_if_there(module: str) -> Any:
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return None
    return importlib.import_module(module) if found is not None else None


def _construct(module: str, name: str, server: LocalSnowflake) -> Any:
    imported = _import_if_there(module)
    return None if imported is None else getattr(imported, name)(server)
