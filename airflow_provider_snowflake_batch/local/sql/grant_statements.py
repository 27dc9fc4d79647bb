"""GRANT, REVOKE and SHOW GRANTS: a record, against which nothing is checked.

https://docs.snowflake.com/en/sql-reference/sql/grant-privilege, …/grant-role, …/revoke-privilege, …/show-grants
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from airflow_provider_snowflake_batch.local.account_objects import Account, AccountObjects
from airflow_provider_snowflake_batch.local.errors import does_not_exist, not_supported
from airflow_provider_snowflake_batch.local.grants import Grant, Grants, sql_name
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.sql.show import shown
from airflow_provider_snowflake_batch.local.statements import Result, Statement, statement

_DONE = "Statement executed successfully."
_NOT_KEPT = f"{_DONE} Every role has every privilege here: no grant of this kind is kept."
# As SHOW GRANTS spells the kinds; a model is a MODULE there.
_KINDS = {
    ("COMPUTE", "POOL"): "COMPUTE_POOL",
    ("DATABASE",): "DATABASE",
    ("IMAGE", "REPOSITORY"): "IMAGE_REPOSITORY",
    ("MODEL",): "MODULE",
    ("SCHEMA",): "SCHEMA",
    ("SECRET",): "SECRET",
    ("STAGE",): "STAGE",
    ("WAREHOUSE",): "WAREHOUSE",
}
_OF_ACCOUNT = {"COMPUTE_POOL", "DATABASE", "WAREHOUSE"}


@dataclass(frozen=True, slots=True)
class _Given:
    """What stands before TO or FROM.

    :param kind: as SHOW GRANTS spells it; None for what no record is kept of.
    """

    privileges: tuple[str, ...] = ()
    kind: str | None = None
    name: str = ""


@statement("GRANT")
def grant(statement: Statement, cursor: Cursor, grants: Grants, objects: AccountObjects, account: Account) -> Result:
    """Kept where it is of a kind that a job needs; every role has every privilege all the same, and every user every
    role.
    """
    given = _given(statement, cursor, grants, account, "TO")
    role = _role(cursor, objects)
    if given.kind is None or role is None:
        return Result.message(_NOT_KEPT)
    with_option = cursor.accept("WITH", "GRANT", "OPTION")
    cursor.end()
    by = statement.session.role
    grants.add(given.privileges, given.kind, given.name, role, with_option=with_option, by=by)
    return Result.message(_DONE)


@statement("REVOKE")
def revoke(statement: Statement, cursor: Cursor, grants: Grants, objects: AccountObjects, account: Account) -> Result:
    """:raises SnowflakeError: "not supported" for what no record is kept of, such as the roles of users."""
    option_only = cursor.accept("GRANT", "OPTION", "FOR")
    given = _given(statement, cursor, grants, account, "FROM")
    role = _role(cursor, objects)
    if given.kind is None or role is None:
        raise not_supported("REVOKE where no grant is kept (every role has every privilege, every user every role)")
    if not cursor.accept("CASCADE"):
        cursor.accept("RESTRICT")
    cursor.end()
    grants.remove(given.privileges, given.kind, given.name, role, option_only=option_only)
    return Result.message(_DONE)


def _given(statement: Statement, cursor: Cursor, grants: Grants, account: Account, to: str) -> _Given:
    """Read to behind TO or FROM."""
    if cursor.accept("ROLE"):
        name = cursor.name()[-1]
        if grants.find("ROLE", (name,)) is None:
            raise does_not_exist("Role", name)
        cursor.expect(to)
        return _Given(("USAGE",), "ROLE", sql_name([name]))
    privileges = _privileges(cursor)
    named = _securable(statement, cursor, grants, account) if privileges is not None else None
    if privileges is not None and named is not None:
        cursor.expect(to)
        return _Given(privileges, *named)
    while not cursor.accept(to):
        cursor.next()
    return _Given()


def _securable(statement: Statement, cursor: Cursor, grants: Grants, account: Account) -> tuple[str, str] | None:
    """Kind and name of what stands after ON; None for a kind of which no grants are kept.

    :raises SnowflakeError: 2003 if there is no such object.
    """
    if cursor.accept("ACCOUNT"):
        return "ACCOUNT", account.name.upper()
    kind = next((kind for words, kind in _KINDS.items() if cursor.accept(*words)), None)
    if kind is None:
        return None
    parts = cursor.name()
    if kind == "SCHEMA":
        parts = statement.session.qualify((*parts, ""))[:2]
    elif kind not in _OF_ACCOUNT:
        parts = statement.session.qualify(parts)
    if grants.find(kind, parts) is None:
        raise does_not_exist(kind.replace("_", " ").capitalize(), ".".join(parts))
    return kind, sql_name(parts)


def _privileges(cursor: Cursor) -> tuple[str, ...] | None:
    """What stands before ON; None for what stands for others (ALL), for ownership, and for columns."""
    words: list[list[str]] = [[]]
    while not cursor.accept("ON"):
        token = cursor.next()
        if token.text == ",":
            words.append([])
        elif token.kind == "word" and token.value not in ("ALL", "OWNERSHIP"):
            words[-1].append(token.value)
        else:
            return None
    return tuple(" ".join(one) for one in words)


def _role(cursor: Cursor, objects: AccountObjects) -> str | None:
    """The role after TO or FROM; None for a grantee that is none."""
    for other in ("USER", "SHARE", "DATABASE", "APPLICATION"):
        if cursor.looking_at(other):
            return None
    cursor.accept("ROLE")
    name = cursor.name()[-1]
    if name not in objects.roles():
        raise does_not_exist("Role", name)
    return name


@statement("SHOW GRANTS")
def show_grants(
    statement: Statement, cursor: Cursor, grants: Grants, objects: AccountObjects, account: Account
) -> Result:
    """``SHOW GRANTS [TO USER u | OF ROLE r | TO ROLE r | ON <kind> <name>]``. Every user has every role.

    :raises SnowflakeError: "not supported" for other forms: an empty list would say that nothing is granted.
    """
    if cursor.accept("TO", "ROLE"):
        role = _role(cursor, objects)
        return _shown_grants([grant for grant in grants.all() if grant.role == role])
    if cursor.accept("ON"):
        named = _securable(statement, cursor, grants, account)
        if named is None:
            raise not_supported(f"SHOW GRANTS ON {cursor.rest()}")
        return _shown_grants([grant for grant in grants.all() if (grant.on, grant.name) == named])
    user = statement.session.user
    roles = objects.all("ROLE")
    to_roles: list[Grant] = []
    if cursor.accept("TO", "USER"):
        user = cursor.name()[0]
    elif cursor.accept("OF", "ROLE"):
        name = cursor.name()[0]
        roles = [role for role in roles if role.name == name]
        to_roles = [
            grant
            for grant in grants.all()
            if (grant.on, grant.name, grant.privilege) == ("ROLE", sql_name([name]), "USAGE")
        ]
    elif not cursor.done:
        raise not_supported(f"SHOW GRANTS {cursor.rest()}")
    rows = [(role.created, role.name, "USER", user, role.owner) for role in roles]
    rows += [(grant.created, name, "ROLE", grant.role, grant.by) for grant in to_roles]
    return shown("created_on:TIMESTAMP_LTZ(3), role, granted_to, grantee_name, granted_by", rows)


def _shown_grants(found: Iterable[Grant]) -> Result:
    rows = [
        (
            grant.created, grant.privilege, grant.on, grant.name, "ROLE", grant.role,
            str(grant.with_option).lower(), grant.by,
        )
        for grant in found
    ]  # fmt: skip
    return shown(
        "created_on:TIMESTAMP_LTZ(3), privilege, granted_on, name, granted_to, grantee_name, grant_option, granted_by",
        rows,
    )
