"""The local Snowflake: its rooms, wired."""

from __future__ import annotations

import datetime
import functools
import json
import threading
from pathlib import Path

from airflow_provider_snowflake_batch.local import answers
from airflow_provider_snowflake_batch.local.account_objects import Account, AccountObjects
from airflow_provider_snowflake_batch.local.faults.control import FaultControl
from airflow_provider_snowflake_batch.local.faults.faults import Faults
from airflow_provider_snowflake_batch.local.faults.requests import RequestFaults
from airflow_provider_snowflake_batch.local.functions import Functions
from airflow_provider_snowflake_batch.local.grants import LONG_AGO, Grants, Securable
from airflow_provider_snowflake_batch.local.protocol.app import Endpoints
from airflow_provider_snowflake_batch.local.protocol.login import Logins
from airflow_provider_snowflake_batch.local.protocol.queries import Queries
from airflow_provider_snowflake_batch.local.protocol.sql_api import SqlApi
from airflow_provider_snowflake_batch.local.registry import model_files
from airflow_provider_snowflake_batch.local.registry.registry import ModelRegistry
from airflow_provider_snowflake_batch.local.sessions import Sessions
from airflow_provider_snowflake_batch.local.spcs.control_plane import SpcsControlPlane
from airflow_provider_snowflake_batch.local.spcs.submission import JobRooms
from airflow_provider_snowflake_batch.local.sql.engine import Engine
from airflow_provider_snowflake_batch.local.stages.files import OtherFiles
from airflow_provider_snowflake_batch.local.stages.http_files import HttpFiles
from airflow_provider_snowflake_batch.local.stages.reading import StageReads
from airflow_provider_snowflake_batch.local.stages.stages import Stages
from airflow_provider_snowflake_batch.local.state import StateDirectory
from airflow_provider_snowflake_batch.local.statements import Statements
from airflow_provider_snowflake_batch.local.tasks.tasks import Tasks
from airflow_provider_snowflake_batch.local.tls import Certificates
from airflow_provider_snowflake_batch.local.wiring import Parts


class LocalSnowflake:
    """All rooms of one server.

    :param state_dir: created if it is missing.
    :raises StateDirectoryInUse: when another server has it.
    """

    def __init__(self, state_dir: Path) -> None:
        self.account = account = Account()
        self.state = state = StateDirectory(state_dir)
        self.certificates = Certificates(state)
        self.sessions = sessions = Sessions()
        self.objects = objects = AccountObjects(state)
        faults, statements, functions, other_files = Faults(), Statements(), Functions(), OtherFiles()
        self.engine = engine = Engine(state, functions)
        self._create_defaults()
        stages = Stages(state, engine.databases, engine.tables, faults)
        reads = StageReads(stages, state.scratch)
        self.http_files = HttpFiles(sessions, stages, state.scratch)
        self.queries = queries = Queries(statements, engine, state.path)
        self.spcs = spcs = SpcsControlPlane(state, account.name, faults)
        registry = ModelRegistry(state, engine.databases)
        self.tasks = tasks = Tasks(state, sessions, queries, engine)
        self.grants = Grants(state)
        self._list_securables(stages, registry)

        # What one room tells another that knows nothing of it.
        engine.read_stages = reads.rewrite
        engine.tables.keepers.append(stages)
        engine.databases.on_drop += [
            spcs.drop_all,
            registry.drop_all,
            stages.drop_all,
            tasks.drop_all,
            engine.streams.drop_all,
        ]
        other_files.add(model_files.SCHEME, functools.partial(model_files.model_files, registry))
        sessions.on_close += [queries.forget_session, stages.close_session, engine.close_session]

        # What the functions that answer statements may ask for.
        parts = Parts([
            account, state, sessions, objects, self.grants, faults, functions, queries,
            engine, engine.databases, engine.tables, engine.catalog, engine.streams,
            stages, stages.formats, stages.loads, reads, self.http_files, other_files,
            spcs, spcs.store, spcs.pools, registry, tasks, JobRooms(engine, objects, stages, registry, spcs),
        ])  # fmt: skip
        statements.wire(answers.MODULES, parts)
        functions.wire(answers.MODULES, parts)

        logins = Logins(state.secret, account, sessions, objects, engine.databases, spcs.knows_token)
        routes = [
            *self.http_files.routes,
            *FaultControl(faults, state.secret).routes,
            *SqlApi(logins, queries).routes,
        ]
        self.app = RequestFaults(Endpoints(logins, queries, routes).app, faults, sessions, queries)
        self.port = 0
        """The port it listens on, once it does."""
        self._stopping = threading.Event()

    def _create_defaults(self) -> None:
        if not self.engine.databases.names():
            self.engine.databases.create(self.account.database)
        self.objects.create("WAREHOUSE", self.account.warehouse, self.account.role, {}, if_not_exists=True)

    def _list_securables(self, stages: Stages, registry: ModelRegistry) -> None:
        """Tell the record of grants what there is."""
        engine, store = self.engine, self.spcs.store
        owner = self.account.role

        def of_account(kind: str) -> list[Securable]:
            return [Securable((one.name,), one.owner, one.created) for one in self.objects.all(kind)]

        def schemas() -> list[Securable]:
            return [
                Securable((database, schema), owner, engine.catalog.created("SCHEMA", database, schema) or LONG_AGO)
                for database in engine.databases.names()
                for schema in engine.databases.schemas(database)
            ]

        self.grants.securables.update(
            ACCOUNT=lambda: [Securable((self.account.name.upper(),), "ACCOUNTADMIN")],
            COMPUTE_POOL=lambda: [Securable((one.name,), one.owner, _moment(one.created_on)) for one in store.pools()],
            DATABASE=lambda: [
                Securable((name,), owner, engine.catalog.created("DATABASE", name) or LONG_AGO)
                for name in engine.databases.names()
            ],
            IMAGE_REPOSITORY=lambda: [
                Securable(tuple(name.split(".")), one["owner"], _moment(one["created_on"]))
                for name, one in store.image_repositories().items()
            ],
            MODULE=lambda: [
                Securable((one.database, one.schema, one.name), one.owner, _moment(one.created_on))
                for one in registry.all()
            ],
            ROLE=lambda: of_account("ROLE"),
            SCHEMA=schemas,
            SECRET=lambda: [
                Securable((one.database, one.schema, one.name), one.owner, _moment(one.created_on))
                for one in store.secrets()
            ],
            STAGE=lambda: [
                Securable((one.database, one.schema, one.short_name), one.owner, one.created)
                for one in stages.list(temporary=False)
            ],
            WAREHOUSE=lambda: of_account("WAREHOUSE"),
        )

    def start(self, port: int) -> None:
        """Find running jobs again and begin to close idle sessions.

        :param port: where it listens.
        """
        self.port = self.http_files.port = self.spcs.platform.port = port
        self.spcs.start()
        threading.Thread(target=self._close_idle, name="idle-sessions", daemon=True).start()

    def _close_idle(self) -> None:
        while not self._stopping.wait(60):
            self.sessions.close_idle()

    def stop(self) -> None:
        self._stopping.set()
        self.spcs.stop()
        self.tasks.close()
        self.queries.close()
        self.sessions.close_all()
        self.engine.close()
        self.objects.close()
        self.grants.close()
        self.state.close()

    def airflow_connection(self) -> dict[str, object]:
        """The Airflow connection to this server, in the form of ``AIRFLOW_CONN_…``."""
        return {
            "conn_type": "snowflake",
            "login": self.account.user,
            "password": self.state.secret,
            "schema": self.account.schema,
            "extra": {
                "account": self.account.name,
                "host": "127.0.0.1",
                "port": self.port,
                "protocol": "http",
                "database": self.account.database,
                "warehouse": self.account.warehouse,
                "role": self.account.role,
                # Otherwise each login looks for a cloud platform on the network first.
                "platform_detection_timeout_seconds": 0,
            },
        }

    def write_connection(self) -> Path:
        self.state.write_private(self.state.connection_file, json.dumps(self.airflow_connection(), indent=2) + "\n")
        return self.state.connection_file


def _moment(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
