"""Stages as plain folders under the state directory, listed in the control database."""

from __future__ import annotations

import datetime
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_snowflake_batch.local.errors import (
    already_exists,
    compilation_error,
    does_not_exist,
)
from airflow_provider_snowflake_batch.local.stages.formats import FileFormats
from airflow_provider_snowflake_batch.local.stages.load_history import LoadHistory

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.local.faults.faults import Faults
    from airflow_provider_snowflake_batch.local.sessions import Session
    from airflow_provider_snowflake_batch.local.sql.databases import Databases
    from airflow_provider_snowflake_batch.local.sql.tables import Tables
    from airflow_provider_snowflake_batch.local.state import StateDirectory

_COLUMNS = "database, schema, name, folder, created, owner, comment, session_id, options"


@dataclass(frozen=True, slots=True)
class Stage:
    """One internal stage.

    :param name: ``DB.SCHEMA.STAGE``.
    :param folder: where its files lie.
    :param session_id: the session it ends with, or None for a permanent stage.
    """

    database: str
    schema: str
    short_name: str
    folder: Path
    created: datetime.datetime
    owner: str
    comment: str
    session_id: int | None
    options: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.database}.{self.schema}.{self.short_name}"

    @property
    def temporary(self) -> bool:
        return self.session_id is not None


class Stages:
    """All stages of the account, the user stages ``@~`` and the table stages ``@%t`` among them.

    :param databases: where a stage can be made.
    :param tables: those that have a stage of their own.
    :param faults: what keeps files from being seen.
    """

    def __init__(self, state: StateDirectory, databases: Databases, tables: Tables, faults: Faults) -> None:
        self._databases = databases
        self._tables = tables
        self.faults = faults
        self._root = state.stage_files
        self.formats = FileFormats(state)
        self.loads = LoadHistory(state)
        self._control = state.control(
            "CREATE TABLE IF NOT EXISTS stages (database TEXT, schema TEXT, name TEXT, folder TEXT, created TEXT, "
            "owner TEXT, comment TEXT, session_id INTEGER, options TEXT, PRIMARY KEY (database, schema, name))"
        )
        # Sessions do not outlive the server, so neither do the stages that belong to them.
        for stage in self.list(temporary=True):
            self._remove(stage)

    def create(
        self,
        session: Session,
        parts: tuple[str, ...],
        *,
        temporary: bool = False,
        or_replace: bool = False,
        if_not_exists: bool = False,
        comment: str = "",
        options: dict[str, Any] | None = None,
    ) -> bool:
        """Whether a stage was created.

        :raises SnowflakeError: 2002 if it is there and neither flag is given; 2003 for an unknown schema.
        """
        database, schema, name = session.qualify(parts)
        if not self._databases.has_schema(database, schema):
            raise does_not_exist("Schema", f"{database}.{schema}")
        with self._control.lock:
            existing = self.find(database, schema, name)
            if existing is not None:
                if if_not_exists:
                    return False
                if not or_replace:
                    raise already_exists(name)
                self._remove(existing)
            folder = self._root / _segment(database) / _segment(schema) / _segment(name)
            folder.mkdir(parents=True, exist_ok=True)
            self._control.insert(
                "stages",
                database,
                schema,
                name,
                str(folder.relative_to(self._root)),
                datetime.datetime.now(datetime.UTC).isoformat(),
                session.role,
                comment,
                session.id if temporary else None,
                json.dumps(options or {}),
            )
        return True

    def find(self, database: str, schema: str, name: str) -> Stage | None:
        row = self._control.row(
            f"SELECT {_COLUMNS} FROM stages WHERE database = ? AND schema = ? AND name = ?", database, schema, name
        )
        return self._stage(row) if row else None

    def get(self, session: Session, parts: tuple[str, ...]) -> Stage:
        """:raises SnowflakeError: 2003 if there is none."""
        database, schema, name = session.qualify(parts)
        stage = self.find(database, schema, name)
        if stage is None:
            raise does_not_exist("Stage", f"{database}.{schema}.{name}")
        return stage

    def list(self, *, temporary: bool | None = None) -> list[Stage]:
        condition = {None: "1", True: "session_id IS NOT NULL", False: "session_id IS NULL"}[temporary]
        rows = self._control.rows(f"SELECT {_COLUMNS} FROM stages WHERE {condition} ORDER BY database, schema, name")
        return [self._stage(row) for row in rows]

    def all(self) -> dict[str, Path]:
        """The folder of each named stage by ``DB.SCHEMA.STAGE``."""
        return {stage.name: stage.folder for stage in self.list()}

    def drop(self, session: Session, parts: tuple[str, ...]) -> None:
        """Drop a stage, its files with it.

        :raises SnowflakeError: 2003 if there is none.
        """
        with self._control.lock:
            self._remove(self.get(session, parts))

    def update(self, stage: Stage, *, comment: str | None = None, options: dict[str, Any] | None = None) -> None:
        self._control.run(
            "UPDATE stages SET comment = coalesce(?, comment), options = json_patch(options, ?) "
            "WHERE database = ? AND schema = ? AND name = ?",
            comment,
            json.dumps(options or {}),
            stage.database,
            stage.schema,
            stage.short_name,
        )

    def drop_all(self, database: str, schema: str | None = None) -> None:
        """Drop the stages of a database or schema that is itself dropped."""
        self.loads.forget_all(database, schema)
        self.formats.drop_all(database, schema)
        for stage in self.list():
            if stage.database == database and schema in (None, stage.schema):
                self._remove(stage)
        # Those of tables are in no list.
        shutil.rmtree(self._folder(database, schema or ""), ignore_errors=True)

    def table_emptied(self, name: tuple[str, str, str]) -> None:
        """Forget what was loaded into a table that is empty now."""
        self.loads.forget(name)

    def table_dropped(self, name: tuple[str, str, str]) -> None:
        """Drop the stage ``@%table`` of a table that is itself dropped."""
        database, schema, table = name
        shutil.rmtree(self._folder(database, schema, f"%{table}"), ignore_errors=True)

    def tables_swapped(self, first: tuple[str, str, str], second: tuple[str, str, str]) -> None:
        """What was loaded into two tables that exchange their names goes with them."""
        self.loads.swap(first, second)

    def close_session(self, session: Session) -> None:
        self.formats.close_session(session)
        for stage in self.list(temporary=True):
            if stage.session_id == session.id:
                self._remove(stage)

    def resolve(self, session: Session, location: str) -> tuple[Stage, Path]:
        """The stage of ``@[db.[schema.]]stage[/path]`` and the path inside its folder, which need not exist.

        :raises SnowflakeError: 2003 for an unknown stage; 1003 for a malformed location or a path that leaves it.
        """
        parts, path = split_location(location)
        if parts == ("~",):
            stage = self._implicit(session, f"~{session.user}")
        elif parts[-1].startswith("%"):
            stage = self._table_stage(session, parts)
        else:
            stage = self.get(session, parts)
        return stage, inside(stage.folder, path)

    def _implicit(self, session: Session, name: str, database: str = "", schema: str = "") -> Stage:
        folder = self._folder(database or "~", schema, name)
        folder.mkdir(parents=True, exist_ok=True)
        created = datetime.datetime.fromtimestamp(folder.stat().st_ctime, datetime.UTC)
        return Stage(database, schema, name, folder, created, session.role, "", None, {})

    def _folder(self, *parts: str) -> Path:
        return self._root.joinpath(*(_segment(part) for part in parts if part))

    def _table_stage(self, session: Session, parts: tuple[str, ...]) -> Stage:
        database, schema, table = session.qualify((*parts[:-1], parts[-1][1:]))
        if not self._tables.has_table(session, (database, schema, table)):
            raise does_not_exist("Stage", f'{database}.{schema}."%{table}"')
        return self._implicit(session, f"%{table}", database, schema)

    def _remove(self, stage: Stage) -> None:
        self._control.run(
            "DELETE FROM stages WHERE database = ? AND schema = ? AND name = ?",
            stage.database,
            stage.schema,
            stage.short_name,
        )
        shutil.rmtree(stage.folder, ignore_errors=True)

    def _stage(self, row: tuple[Any, ...]) -> Stage:
        database, schema, name, folder, created, owner, comment, session_id, options = row
        return Stage(
            database,
            schema,
            name,
            self._root / folder,
            datetime.datetime.fromisoformat(created),
            owner,
            comment,
            session_id,
            json.loads(options),
        )


def split_location(location: str) -> tuple[tuple[str, ...], str]:
    """Name parts as Snowflake stores them, and the path, of a location that begins with ``@``.

    >>> split_location('@db."My Schema".stage/dir/file.csv')
    (('DB', 'My Schema', 'STAGE'), 'dir/file.csv')
    """
    if not location.startswith("@"):
        raise compilation_error(f"invalid stage location '{location}'.")
    text = location[1:]
    parts: list[str] = []
    at = 0
    while True:
        if text[at : at + 1] == '"':
            end = at + 1
            while end < len(text) and (text[end] != '"' or text[end + 1 : end + 2] == '"'):
                end += 2 if text[end] == '"' else 1
            parts.append(text[at + 1 : end].replace('""', '"'))
            at = end + 1
        else:
            end = at
            while end < len(text) and text[end] not in './"':
                end += 1
            parts.append(text[at:end].upper())
            at = end
        if text[at : at + 1] != ".":
            break
        at += 1
    if (at < len(text) and text[at] != "/") or not all(parts) or len(parts) > 3:
        raise compilation_error(f"invalid stage location '{location}'.")
    return tuple(parts), text[at + 1 :]


def inside(folder: Path, path: str) -> Path:
    """The path below a folder.

    :raises SnowflakeError: 1003 when ``..`` or a link leads out of it.
    """
    target = folder / path.lstrip("/")
    if ".." in path.split("/") or not target.resolve().is_relative_to(folder.resolve()):
        raise compilation_error(f"invalid path '{path}' in a stage location.")
    return target


def _segment(name: str) -> str:
    """A folder name for an identifier: letters, digits, ``_``, ``%`` and ``~`` as they are, the rest escaped."""
    return quote(name, safe="_~").replace(".", "%2E") or "_"
