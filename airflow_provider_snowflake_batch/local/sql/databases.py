"""The databases, each one DuckDB file under the state directory, and their schemas."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import duckdb
from fakesnow import info_schema, macros
from fakesnow.instance import GLOBAL_DATABASE_NAME

from airflow_provider_snowflake_batch.local.errors import already_exists, does_not_exist
from airflow_provider_snowflake_batch.local.parsing import quoted
from airflow_provider_snowflake_batch.local.sql.catalog import Catalog

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.local.sql.engine import Engine

STREAM_COPIES = "_local_streams"
"""The schema of each database that holds what the tables of its streams were."""
HIDDEN_SCHEMAS = ("main", "information_schema", "pg_catalog", "_fs_information_schema", STREAM_COPIES)


class Databases:
    """All databases.

    :param folder: of their files.
    :param files: the file of each attached database by name, kept up here.
    :param root: the connection that attaches and detaches them.
    """

    def __init__(
        self, engine: Engine, catalog: Catalog, folder: Path, files: dict[str, Path], root: duckdb.DuckDBPyConnection
    ) -> None:
        self.on_drop: list[Callable[[str, str | None], None]] = []
        """Called with each database that is dropped, or with its name and that of a schema in it."""
        self._engine = engine
        self._catalog = catalog
        self._folder = folder
        self._files = files
        self._root = root

    def names(self) -> list[str]:
        rows = self._engine.query("SELECT database_name FROM duckdb_databases() WHERE NOT internal ORDER BY 1")
        return [name for (name,) in rows if name not in ("memory", GLOBAL_DATABASE_NAME)]

    def schemas(self, database: str) -> list[str]:
        rows = self._engine.query(
            "SELECT schema_name FROM duckdb_schemas() WHERE database_name = ? ORDER BY 1", [database]
        )
        return [name for (name,) in rows if name not in HIDDEN_SCHEMAS]

    def has_schema(self, database: str, schema: str) -> bool:
        return schema in self.schemas(database) or (schema == "INFORMATION_SCHEMA" and database in self.names())

    def create(self, name: str) -> None:
        """:raises SnowflakeError: 2002 if it is there."""
        if name in self.names():
            raise already_exists(name)
        path = self._folder / f"{quote(name, safe='')}.db"
        in_sql = quoted(name)
        with self._engine.write_lock:
            try:
                self._root.execute(f"ATTACH '{path}' AS {in_sql}")
                self._root.execute(info_schema.per_db_creation_sql(in_sql).replace(f"'{in_sql}'", f"'{name}'"))
                self._root.execute(macros.creation_sql(in_sql))
                self._root.execute(f'CREATE SCHEMA IF NOT EXISTS {in_sql}."PUBLIC"')
                self._catalog.record("DATABASE", name)
                self._catalog.record("SCHEMA", name, "PUBLIC")
            except BaseException:
                # Half a database would be taken for a whole one.
                self._remove(name)
                raise
            self._files[name] = path
        self._engine.tables.changed()

    def drop(self, name: str) -> None:
        """:raises SnowflakeError: 2003 if it is not there."""
        if name not in self.names():
            raise does_not_exist("Database", name)
        with self._engine.write_lock:
            self._leave(name)
            self._files.pop(name, None)
            self._remove(name)
        self._engine.tables.changed()
        self._catalog.forget_all(name)
        self._tell(name)

    def _remove(self, name: str) -> None:
        self._root.execute(f"DETACH DATABASE IF EXISTS {quoted(name)}")
        for path in self._folder.glob(f"{quote(name, safe='')}.db*"):
            path.unlink()

    def _leave(self, database: str, schema: str | None = None) -> None:
        """Sessions whose current namespace is about to be dropped have none then."""
        for connection in self._engine.connections():
            connection.leave(database, schema)

    def create_schema(self, database: str, name: str) -> None:
        if database not in self.names():
            raise does_not_exist("Database", database)
        if name in self.schemas(database):
            raise already_exists(f"{database}.{name}")
        with self._engine.write_lock:
            self._root.execute(f"CREATE SCHEMA {quoted(database, name)}")
        self._catalog.record("SCHEMA", database, name)

    def drop_schema(self, database: str, name: str) -> None:
        if name not in self.schemas(database):
            raise does_not_exist("Schema", f"{database}.{name}")
        with self._engine.write_lock:
            self._leave(database, name)
            self._root.execute(f"DROP SCHEMA {quoted(database, name)} CASCADE")
        self._engine.tables.changed()
        self._catalog.forget_all(database, name)
        self._tell(database, name)

    def _tell(self, database: str, schema: str | None = None) -> None:
        for function in self.on_drop:
            function(database, schema)
