"""The one account of the local Snowflake; its warehouses and roles, with nothing behind them."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from typing import Any

from airflow_provider_snowflake_batch.local.errors import already_exists, does_not_exist
from airflow_provider_snowflake_batch.local.state import StateDirectory

SYSTEM_ROLES = ("ACCOUNTADMIN", "ORGADMIN", "PUBLIC", "SECURITYADMIN", "SYSADMIN", "USERADMIN")


@dataclass(frozen=True, slots=True)
class AccountObject:
    """A warehouse or a role.

    :param properties: as CREATE gave them, by upper-case name.
    """

    name: str
    created: datetime.datetime
    owner: str
    properties: dict[str, Any]


class AccountObjects:
    """The account's warehouses and roles, in the control database."""

    def __init__(self, state: StateDirectory) -> None:
        self._control = state.control(
            "CREATE TABLE IF NOT EXISTS account_objects ("
            "kind TEXT, name TEXT, created TEXT, owner TEXT, properties TEXT, PRIMARY KEY (kind, name))"
        )
        for role in SYSTEM_ROLES:
            self.create("ROLE", role, "ACCOUNTADMIN", {}, if_not_exists=True)

    def all(self, kind: str) -> list[AccountObject]:
        rows = self._control.rows(
            "SELECT name, created, owner, properties FROM account_objects WHERE kind = ? ORDER BY name", kind
        )
        return [
            AccountObject(name, datetime.datetime.fromisoformat(created), owner, json.loads(properties))
            for name, created, owner, properties in rows
        ]

    def warehouses(self) -> set[str]:
        return {warehouse.name for warehouse in self.all("WAREHOUSE")}

    def roles(self) -> set[str]:
        return {role.name for role in self.all("ROLE")}

    def create(
        self,
        kind: str,
        name: str,
        owner: str,
        properties: dict[str, Any],
        *,
        if_not_exists: bool = False,
        or_replace: bool = False,
    ) -> bool:
        """Whether it was created.

        :raises SnowflakeError: 2002 if it is there and neither flag is given.
        """
        verb = "REPLACE" if or_replace else "INSERT OR IGNORE"
        now = datetime.datetime.now(datetime.UTC).isoformat()
        changed = self._control.insert("account_objects", kind, name, now, owner, json.dumps(properties), verb=verb)
        if changed == 0 and not if_not_exists:
            raise already_exists(name)
        return changed > 0

    def alter(self, kind: str, name: str, properties: dict[str, Any]) -> None:
        self._control.run(
            "UPDATE account_objects SET properties = json_patch(properties, ?) WHERE kind = ? AND name = ?",
            json.dumps(properties),
            kind,
            name,
        )

    def drop(self, kind: str, name: str) -> None:
        """:raises SnowflakeError: 2003 if it is not there."""
        if not self._control.run("DELETE FROM account_objects WHERE kind = ? AND name = ?", kind, name):
            raise does_not_exist(kind.capitalize(), name)

    def close(self) -> None:
        self._control.close()


@dataclass(frozen=True, slots=True)
class Account:
    """What exists after the first start and what the printed connection names.

    :param version: of the Snowflake that it says it is.
    """

    name: str = "local"
    user: str = "LOCAL"
    role: str = "SYSADMIN"
    database: str = "LOCAL"
    schema: str = "PUBLIC"
    warehouse: str = "COMPUTE_WH"
    version: str = "10.0.0"
