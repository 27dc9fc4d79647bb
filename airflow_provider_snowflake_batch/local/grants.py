"""Which role was granted what. It is a record for those who ask: every role of this server may do everything.

https://docs.snowflake.com/en/sql-reference/sql/show-grants
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from airflow_provider_snowflake_batch.local.parsing import quoted
from airflow_provider_snowflake_batch.local.state import StateDirectory

# https://docs.snowflake.com/en/user-guide/security-access-control-overview#role-hierarchy-and-privilege-inheritance
_SYSTEM_HIERARCHY = (
    ("ACCOUNTADMIN", "SECURITYADMIN"),
    ("ACCOUNTADMIN", "SYSADMIN"),
    ("SECURITYADMIN", "USERADMIN"),
)
LONG_AGO = datetime.datetime.fromtimestamp(0, datetime.UTC)


@dataclass(frozen=True, slots=True)
class Securable:
    """An object on which privileges are granted.

    :param name: its parts, as Snowflake stores them.
    """

    name: tuple[str, ...]
    owner: str
    created: datetime.datetime = LONG_AGO


@dataclass(frozen=True, slots=True)
class Grant:
    """One row of ``SHOW GRANTS TO ROLE``.

    :param on: kind of the object, as SHOW GRANTS spells it: ``COMPUTE_POOL``.
    :param name: the object's name in SQL.
    """

    privilege: str
    on: str
    name: str
    role: str
    with_option: bool
    by: str
    created: datetime.datetime


def sql_name(parts: Iterable[str]) -> str:
    """A name as SHOW GRANTS writes it: in quotes where it needs them."""
    return ".".join(
        part if part.replace("$", "_").isidentifier() and part == part.upper() else quoted(part) for part in parts
    )


class Grants:
    """The account's grants, in the control database. Those on objects and roles that are gone do not count."""

    def __init__(self, state: StateDirectory) -> None:
        self.securables: dict[str, Callable[[], list[Securable]]] = {}
        """How to list the objects of each kind of which grants are kept."""
        self._control = state.control(
            "CREATE TABLE IF NOT EXISTS grants (privilege TEXT, kind TEXT, name TEXT, role TEXT, with_option INTEGER, "
            "granted_by TEXT, created TEXT, PRIMARY KEY (privilege, kind, name, role))"
        )

    def find(self, kind: str, name: tuple[str, ...]) -> Securable | None:
        return next((one for one in self.securables[kind]() if one.name == name), None)

    def add(self, privileges: Iterable[str], kind: str, name: str, role: str, *, with_option: bool, by: str) -> None:
        now = datetime.datetime.now(datetime.UTC).isoformat()
        with self._control.lock:
            for privilege in privileges:
                self._control.insert(
                    "grants", privilege, kind, name, role, with_option, by, now, verb="INSERT OR REPLACE"
                )

    def remove(self, privileges: Iterable[str], kind: str, name: str, role: str, *, option_only: bool) -> None:
        """Take grants back; one that was never given is none to take."""
        change = "UPDATE grants SET with_option = 0" if option_only else "DELETE FROM grants"
        with self._control.lock:
            for privilege in privileges:
                self._control.run(
                    f"{change} WHERE (privilege, kind, name, role) = (?, ?, ?, ?)", privilege, kind, name, role
                )

    def all(self) -> list[Grant]:
        """What was granted and still holds, and that each object's owner owns it."""
        rows = self._control.rows("SELECT privilege, kind, name, role, with_option, granted_by, created FROM grants")
        existing = {(kind, sql_name(one.name)): one for kind, objects in self.securables.items() for one in objects()}
        found = [
            Grant("OWNERSHIP", kind, name, one.owner, True, one.owner, one.created)
            for (kind, name), one in existing.items()
            if kind != "ACCOUNT"
        ]
        found += [Grant("USAGE", "ROLE", lower, upper, False, "", LONG_AGO) for upper, lower in _SYSTEM_HIERARCHY]
        for privilege, kind, name, role, option, by, created in rows:
            when = datetime.datetime.fromisoformat(created)
            on, to = existing.get((kind, name)), existing.get(("ROLE", sql_name([role])))
            # An object that was replaced has lost its grants.
            if to is not None and to.created <= when and on is not None and on.created <= when:
                found.append(Grant(privilege, kind, name, role, bool(option), by, when))
        return sorted(found, key=lambda grant: (grant.on, grant.name, grant.privilege, grant.role))

    def close(self) -> None:
        self._control.close()
