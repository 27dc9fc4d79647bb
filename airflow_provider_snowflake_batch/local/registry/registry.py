"""Models and versions: kept in the control database, their files in the state directory."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_snowflake_batch.jobs.model_versions import SYSTEM_ALIASES
from airflow_provider_snowflake_batch.local.errors import SnowflakeError, already_exists, does_not_exist
from airflow_provider_snowflake_batch.local.registry.versions import ModelVersion, VersionRecord, check_package

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.local.sessions import Session
    from airflow_provider_snowflake_batch.local.sql.databases import Databases
    from airflow_provider_snowflake_batch.local.state import StateDirectory

_SCHEMA = "CREATE TABLE IF NOT EXISTS registry_models (full_name TEXT PRIMARY KEY, record TEXT NOT NULL)"


@dataclass(slots=True)
class Model:
    """:param versions: oldest first. :param tags: value by fully qualified tag name."""

    database: str
    schema: str
    name: str
    owner: str
    created_on: float
    default_version: str
    comment: str | None = None
    versions: list[VersionRecord] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def full_name(self) -> str:
        return f"{self.database}.{self.schema}.{self.name}"

    def find(self, name: str) -> VersionRecord | None:
        """The version of this name or alias, system aliases included."""
        if name == "DEFAULT":
            name = self.default_version
        if name == "FIRST":
            return self.versions[0]
        if name == "LAST":
            return self.versions[-1]
        named = (version for version in self.versions if version.name == name)
        return next(named, None) or next((version for version in self.versions if version.alias == name), None)

    def version(self, name: str) -> VersionRecord:
        """:raises SnowflakeError: 2003 if there is none."""
        version = self.find(name)
        if version is None:
            raise does_not_exist("Model version", f"{self.full_name} {name}")
        return version

    def aliases(self, version: VersionRecord) -> list[str]:
        """Its aliases, its own one last."""
        system = [alias for alias in SYSTEM_ALIASES if self.find(alias) is version]
        return [*system, *([version.alias] if version.alias else [])]


class ModelRegistry:
    """:param state: holds the models. :param databases: where a model can be made."""

    def __init__(self, state: StateDirectory, databases: Databases) -> None:
        self._databases = databases
        self.folder = state.path / "models"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._control = state.control(_SCHEMA)
        self._control.run(_SCHEMA)
        self._remove_orphans()

    # Looking up

    def resolve(self, session: Session, parts: tuple[str, ...], version: str | None) -> ModelVersion:
        """The version that MODEL = … VERSION = … means; without a version the default one.

        :raises SnowflakeError: 2003 if the model or the version does not exist.
        """
        model = self.get(session, parts)
        record = model.version(version or "DEFAULT")
        return self.open(model, record)

    def open(self, model: Model, record: VersionRecord) -> ModelVersion:
        return ModelVersion(model.full_name, record, self.folder / record.folder)

    def get(self, session: Session, parts: tuple[str, ...]) -> Model:
        """:raises SnowflakeError: 2003 if there is none."""
        full_name = ".".join(session.qualify(parts))
        model = self._load(full_name)
        if model is None:
            raise does_not_exist("Model", full_name)
        return model

    def find(self, session: Session, parts: tuple[str, ...]) -> Model | None:
        return self._load(".".join(session.qualify(parts)))

    def all(self) -> list[Model]:
        rows = self._control.rows("SELECT record FROM registry_models ORDER BY full_name")
        return [_model(record) for (record,) in rows]

    # Changing

    def create(self, session: Session, parts: tuple[str, ...], version: str, source: Path, comment: str | None) -> None:
        """CREATE MODEL … WITH VERSION … FROM.

        :param source: a folder with ``MANIFEST.yml``; its files are copied.
        :raises SnowflakeError: 2002 if the model exists; 2003 for an unknown schema; if this is not a model package.
        """
        database, schema, name = session.qualify(parts)
        if not self._databases.has_schema(database, schema):
            raise does_not_exist("Schema", f"{database}.{schema}")
        record = self._copy(version, source)
        model = Model(database, schema, name, session.role or "", time.time(), version, comment, [record])
        try:
            self._control.insert("registry_models", model.full_name, _json(model))
        except sqlite3.IntegrityError:
            self._remove(record)
            raise already_exists(model.full_name) from None

    def add_version(self, session: Session, parts: tuple[str, ...], version: str, source: Path) -> None:
        """:raises SnowflakeError: 2003 if the model does not exist, 2002 if the version does."""
        if version in SYSTEM_ALIASES:
            raise SnowflakeError(f"'{version}' is a system alias of model versions.", errno=1008, sqlstate="42601")
        self.get(session, parts)
        record = self._copy(version, source)
        try:
            with self._control.lock:
                model = self.get(session, parts)
                if model.find(version) is not None:
                    raise already_exists(f"{model.full_name} {version}")
                model.versions.append(record)
                self.save(model)
        except BaseException:
            self._remove(record)
            raise

    def drop_version(self, session: Session, parts: tuple[str, ...], version: str) -> None:
        """:raises SnowflakeError: for the default version and the only one."""
        with self._control.lock:
            model = self.get(session, parts)
            record = model.version(version)
            if len(model.versions) == 1:
                reason = "it is the model's only version"
            elif record.name == model.default_version:
                reason = "it is the default version"
            else:
                model.versions.remove(record)
                self.save(model)
                self._remove(record)
                return
        raise SnowflakeError(
            f"Model version {record.name} cannot be dropped: {reason}.", errno=398503, sqlstate="55000"
        )

    def drop(self, session: Session, parts: tuple[str, ...]) -> None:
        """Drop the model with all versions. Jobs that run on it have their own links to its files.

        :raises SnowflakeError: 2003 if there is none.
        """
        with self._control.lock:
            model = self.get(session, parts)
            self._control.run("DELETE FROM registry_models WHERE full_name = ?", model.full_name)
            for record in model.versions:
                self._remove(record)

    def rename(self, session: Session, parts: tuple[str, ...], new: tuple[str, ...]) -> None:
        """:raises SnowflakeError: 2003 if there is none, 2002 if the new name is taken."""
        with self._control.lock:
            model = self.get(session, parts)
            old = model.full_name
            model.database, model.schema, model.name = session.qualify(new)
            try:
                self._control.run(
                    "UPDATE registry_models SET full_name = ?, record = ? WHERE full_name = ?",
                    model.full_name,
                    _json(model),
                    old,
                )
            except sqlite3.IntegrityError:
                raise already_exists(model.full_name) from None

    def set_alias(self, session: Session, parts: tuple[str, ...], version: str, alias: str | None) -> None:
        """Give a version its one alias, or take it away.

        :raises SnowflakeError: if the alias is a system one or in use.
        """
        with self._control.lock:
            model = self.get(session, parts)
            record = model.version(version)
            if alias is not None and (alias in SYSTEM_ALIASES or model.find(alias) not in (None, record)):
                raise already_exists(f"{model.full_name} {alias}")
            record.alias = alias
            self.save(model)

    def save(self, model: Model) -> None:
        self._control.run("UPDATE registry_models SET record = ? WHERE full_name = ?", _json(model), model.full_name)

    def drop_all(self, database: str, schema: str | None = None) -> None:
        """Drop the models of a database or schema that is itself dropped."""
        with self._control.lock:
            for model in self.all():
                if model.database == database and schema in (None, model.schema):
                    self._control.run("DELETE FROM registry_models WHERE full_name = ?", model.full_name)
                    for record in model.versions:
                        self._remove(record)

    # Files

    def _copy(self, version: str, source: Path) -> VersionRecord:
        check_package(source)
        record = VersionRecord(version, uuid.uuid4().hex, time.time())
        shutil.copytree(source, self.folder / record.folder)
        return record

    def _remove(self, record: VersionRecord) -> None:
        shutil.rmtree(self.folder / record.folder, ignore_errors=True)

    def _remove_orphans(self) -> None:
        """Folders of versions whose creation a killed server did not finish."""
        known = {record.folder for model in self.all() for record in model.versions}
        for folder in self.folder.iterdir():
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)

    def _load(self, full_name: str) -> Model | None:
        row = self._control.row("SELECT record FROM registry_models WHERE full_name = ?", full_name)
        return None if row is None else _model(row[0])


def _json(model: Model) -> str:
    return json.dumps(asdict(model))


def _model(record: str) -> Model:
    fields: dict[str, Any] = json.loads(record)
    fields["versions"] = [VersionRecord(**version) for version in fields["versions"]]
    return Model(**fields)
