"""Login: the secret as password, the namespace and parameters that the client asks for."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool

from airflow_provider_snowflake_batch.local.account_objects import Account, AccountObjects
from airflow_provider_snowflake_batch.local.bodies import BodyRefused
from airflow_provider_snowflake_batch.local.errors import SnowflakeError
from airflow_provider_snowflake_batch.local.sessions import MASTER_VALIDITY, SESSION_VALIDITY, Session, Sessions
from airflow_provider_snowflake_batch.local.sql.databases import Databases
from airflow_provider_snowflake_batch.local.sql.parameters import TIMEZONE, parameter_value

_VERSION_DIGITS = 9
_PASSWORD_AUTHENTICATORS = {"", "SNOWFLAKE", "USERNAME_PASSWORD_MFA", "OAUTH", "PROGRAMMATIC_ACCESS_TOKEN"}


@dataclass(frozen=True, slots=True)
class Logins:
    """What a login looks at, and the sessions that it begins one of.

    :param secret: the password. :param is_container: tells a token of a container of a job that runs.
    """

    secret: str
    account: Account
    sessions: Sessions
    objects: AccountObjects
    databases: Databases
    is_container: Callable[[str], bool]

    async def accepts(self, given: str) -> bool:
        """Whether a password or token is good."""
        if hmac.compare_digest(given.encode(), self.secret.encode()):
            return True
        return bool(await run_in_threadpool(self.is_container, given))


async def login(
    logins: Logins, query: dict[str, str], body: dict[str, Any], user_agent: str, base_url: str
) -> dict[str, Any]:
    """Answer a login request.

    The secret is accepted as a password and as an OAuth or programmatic access token, a container's token is as the
    second; other authenticators are refused.

    :param base_url: how the client reaches this server: scheme, host and port.
    :raises BodyRefused: 400 for a body that is no login request.
    """
    data = _checked(body)
    authenticator = str(data.get("AUTHENTICATOR") or "").upper()
    if authenticator not in _PASSWORD_AUTHENTICATORS:
        return refusal("390144", f"The authenticator {authenticator[:100]} is not supported by the local Snowflake.")
    given = str(data.get("PASSWORD") or data.get("TOKEN") or "")
    if not await logins.accepts(given):
        return refusal("390100", "Incorrect username or password was specified.")
    user = stored_name(str(data.get("LOGIN_NAME") or "")) or logins.account.user
    role = stored_name(query.get("roleName")) or logins.account.role
    if role not in await run_in_threadpool(logins.objects.roles):
        return refusal(
            "390189",
            f"Role '{role}' specified in the connect string does not exist or not authorized. "
            "Contact your local system administrator, or attempt to login with another role, e.g. PUBLIC.",
        )
    given_parameters = {name.upper(): value for name, value in (data.get("SESSION_PARAMETERS") or {}).items()}
    try:
        parameters = {name: parameter_value(name, value) for name, value in given_parameters.items()}
    except SnowflakeError as error:
        return refusal(f"{error.errno:06d}", error.message)
    session = logins.sessions.create(user, role)
    session.client = _client(user_agent)
    session.base_url = base_url
    session.parameters |= parameters
    await run_in_threadpool(enter_namespace, logins, session, query)
    return _answer(session, logins.account)


def _answer(session: Session, account: Account) -> dict[str, Any]:
    return {
        "data": {
            "token": session.token,
            "masterToken": session.master_token,
            "validityInSeconds": SESSION_VALIDITY,
            "masterValidityInSeconds": MASTER_VALIDITY,
            "sessionId": session.id,
            "displayUserName": session.user,
            "serverVersion": account.version,
            "firstLogin": False,
            "remMeToken": None,
            "remMeValidityInSeconds": 0,
            "healthCheckInterval": 45,
            "newClientForUpgrade": None,
            "parameters": login_parameters(session),
            "sessionInfo": {
                "databaseName": session.database,
                "schemaName": session.schema,
                "warehouseName": session.warehouse,
                "roleName": session.role,
            },
        },
        "code": None,
        "message": None,
        "success": True,
    }


def _checked(body: dict[str, Any]) -> dict[str, Any]:
    """The ``data`` of a login request, whose fields have the types that the drivers give them."""
    data = body.get("data")
    if not isinstance(data, dict):
        raise BodyRefused(400, "A login request has an object 'data'.")
    for name in ("AUTHENTICATOR", "LOGIN_NAME", "PASSWORD", "TOKEN"):
        value = data.get(name)
        if value is not None and not isinstance(value, str):
            raise BodyRefused(400, f"{name} of a login request is no text.")
        if value is not None and not _is_valid_text(value):
            raise BodyRefused(400, f"{name} of a login request is no valid text.")
    parameters = data.get("SESSION_PARAMETERS")
    if parameters is not None and not isinstance(parameters, dict):
        raise BodyRefused(400, "SESSION_PARAMETERS of a login request is no object.")
    for name, value in (parameters or {}).items():
        if isinstance(value, (dict, list)):
            raise BodyRefused(400, f"The session parameter {name[:100]!r} of a login request is no single value.")
        if not _is_valid_text(name) or (isinstance(value, str) and not _is_valid_text(value)):
            raise BodyRefused(400, f"The session parameter {name[:100]!r} of a login request is no valid text.")
    return data


def _is_valid_text(text: str) -> bool:
    """Whether UTF-8 can hold it: half a surrogate pair passes JSON, and could neither be compared nor answered."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _client(user_agent: str) -> tuple[str, tuple[int, ...]]:
    """Name and version of the driver: ``PythonConnector/4.8.1 (Linux…) …``, whatever is built on it."""
    name, _, rest = user_agent.partition("/")
    version = rest.split(" ")[0].split(".")
    return name, tuple(int(part) for part in version if part.isdecimal() and len(part) <= _VERSION_DIGITS)


def enter_namespace(logins: Logins, session: Session, query: dict[str, str]) -> None:
    """Set what exists of the database, schema and warehouse asked for; Snowflake logs in without the rest."""
    database, schema = stored_name(query.get("databaseName")), stored_name(query.get("schemaName"))
    warehouse = stored_name(query.get("warehouse"))
    if database in logins.databases.names():
        session.database = database
        wanted = schema or "PUBLIC"
        if logins.databases.has_schema(database, wanted):
            session.schema = wanted
    if warehouse in logins.objects.warehouses():
        session.warehouse = warehouse


def login_parameters(session: Session) -> list[dict[str, Any]]:
    values = {
        "TIMEZONE": TIMEZONE,
        "AUTOCOMMIT": True,
        "CLIENT_SESSION_KEEP_ALIVE": False,
        "CLIENT_SESSION_KEEP_ALIVE_HEARTBEAT_FREQUENCY": 3600,
        "CLIENT_RESULT_PREFETCH_SLOTS": 2,
        "CLIENT_RESULT_PREFETCH_THREADS": 1,
        "CLIENT_PREFETCH_THREADS": 4,
        "CLIENT_TELEMETRY_ENABLED": False,
        "CLIENT_OUT_OF_BAND_TELEMETRY_ENABLED": False,
        # Batches of bind variables stay in the request: the alternative uploads them to a stage first.
        "CLIENT_STAGE_ARRAY_BINDING_THRESHOLD": 0,
        "QUERY_CONTEXT_CACHE_SIZE": 5,
        "PYTHON_CONNECTOR_QUERY_RESULT_FORMAT": "ARROW",
    } | session.parameters
    return [{"name": name, "value": value} for name, value in values.items()]


def result_parameters(session: Session) -> list[dict[str, Any]]:
    return [
        {"name": "TIMEZONE", "value": session.parameters.get("TIMEZONE", TIMEZONE)},
        {"name": "AUTOCOMMIT", "value": session.parameters.get("AUTOCOMMIT", True)},
    ]


def refusal(code: str, message: str) -> dict[str, Any]:
    return {
        "data": {"loginName": None, "authnMethod": "USERNAME_PASSWORD"},
        "code": code,
        "message": message,
        "success": False,
        "headers": None,
    }


def stored_name(name: str | None) -> str | None:
    """The name as Snowflake stores it: quoted as it stands, unquoted in upper case; None for none."""
    if not name:
        return None
    if len(name) >= 2 and name.startswith('"') and name.endswith('"'):
        return name[1:-1].replace('""', '"')
    return name.upper()
