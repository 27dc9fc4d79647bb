"""What of an account stands between a session and its jobs: facts in, findings out."""

from __future__ import annotations

from collections.abc import Iterator

from airflow_provider_snowflake_batch.doctor.facts import AccountFacts, Asked, Refused, Unseen
from airflow_provider_snowflake_batch.doctor.findings import Finding, ok, unknown, wrong
from airflow_provider_snowflake_batch.doctor.object_checks import (
    check_image,
    check_model,
    check_pool,
    check_stage,
    grant,
)
from airflow_provider_snowflake_batch.doctor.parameter_checks import check_parameters
from airflow_provider_snowflake_batch.doctor.privileges import missing, needs
from airflow_provider_snowflake_batch.jobs import account_statements as sql
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName

_ROLE_REFUSED = 390189


def stored(name: str | None) -> str | None:
    """A name of the connection as Snowflake stores it."""
    if not name:
        return None
    return Identifier.parse(name, field="connection").value


def check_login(refused: Refused) -> list[Finding]:
    """The one finding of a login that failed."""
    expected = refused.expected
    if refused.unreachable:
        return [
            wrong(
                "login",
                f"Snowflake cannot be reached: {refused.why} Is {expected.account} the account, written "
                "<organization>-<account>, and does the network let this machine there?",
            )
        ]
    fix = []
    if refused.number == _ROLE_REFUSED and expected.role and expected.user:
        fix.append(sql.grant_role(Identifier(stored(expected.role) or ""), Identifier(expected.user.upper())))
    return [wrong("login", f"Snowflake refuses the login: {refused.why}", *fix)]


def check_account(asked: Asked, facts: AccountFacts) -> list[Finding]:
    """Everything that was seen over a session, judged."""
    asked = asked.qualify(facts.session)
    return [
        *_check_session(facts),
        *_check_warehouse(facts),
        *_check_namespace(facts),
        *check_parameters(asked, facts),
        *check_pool(asked, facts),
        *check_stage(asked, facts),
        *check_image(asked, facts),
        *check_model(asked, facts),
        *_check_privileges(asked, facts),
    ]


def _check_session(facts: AccountFacts) -> Iterator[Finding]:
    session, expected = facts.session, facts.expected
    where = "-".join(part for part in (session.organization, session.account) if part)
    yield ok("login", f"{session.user} is logged in to {where}, Snowflake {session.version}")
    if session.role is None:
        yield wrong("role", "the session has no role: name one in the connection")
    elif expected.role and stored(expected.role) != session.role:
        fix = sql.grant_role(Identifier(stored(expected.role) or ""), Identifier(session.user))
        yield wrong("role", f"the connection asks for {expected.role}, the session has {session.role}", fix)
    elif session.role == "ACCOUNTADMIN":
        yield unknown(
            "role",
            "ACCOUNTADMIN cannot start jobs with external access, by Snowflake's documentation: "
            "use a role of its own for Airflow",
        )
    else:
        yield ok("role", session.role)


def _check_warehouse(facts: AccountFacts) -> Iterator[Finding]:
    session, wanted = facts.session, stored(facts.expected.warehouse)
    if session.warehouse is None and wanted is None:
        yield wrong(
            "warehouse",
            "the connection names none, and the user has no default: queries, unloading and loading need one",
            sql.set_for_user(Identifier(session.user), "DEFAULT_WAREHOUSE", "<warehouse>"),
        )
    elif session.warehouse is None or (wanted is not None and session.warehouse != wanted):
        name = wanted or ""
        fix = grant(facts, "USAGE", "WAREHOUSE", QualifiedName(name))
        yield wrong("warehouse", f"{name} does not exist, or the role has no USAGE on it", *fix)
    elif isinstance(facts.warehouse, Unseen):
        yield unknown("warehouse", f"{session.warehouse}: {facts.warehouse.why}")
    elif facts.warehouse is None:
        yield unknown("warehouse", f"{session.warehouse} is in use, but SHOW WAREHOUSES does not show it")
    elif facts.warehouse.state == "SUSPENDED" and not facts.warehouse.auto_resume:
        yield wrong(
            "warehouse",
            f"{session.warehouse} is suspended and does not resume by itself",
            sql.resume_warehouse(Identifier(session.warehouse)),
        )
    else:
        yield ok("warehouse", f"{session.warehouse} ({facts.warehouse.state.lower()})")


def _check_namespace(facts: AccountFacts) -> Iterator[Finding]:
    session, expected = facts.session, facts.expected
    database, schema = stored(expected.database), stored(expected.schema)
    if session.database is not None and session.schema is not None:
        yield ok("schema", f"jobs live in {QualifiedName(session.schema, session.database)}")
    elif session.database is None and database is not None:
        fix = grant(facts, "USAGE", "DATABASE", QualifiedName(database))
        yield wrong("schema", f"database {database} does not exist, or the role has no USAGE on it", *fix)
    elif session.database is not None and schema is not None:
        name = QualifiedName(schema, session.database)
        fix = grant(facts, "USAGE, CREATE SERVICE", "SCHEMA", name)
        yield wrong(
            "schema", f"{name} does not exist, or the role has no privilege on it", sql.create_schema(name), *fix
        )
    else:
        yield wrong("schema", "the connection names no database and schema: jobs live in one, so set both")


def _check_privileges(asked: Asked, facts: AccountFacts) -> Iterator[Finding]:
    session = facts.session
    if session.role is None:
        return
    if isinstance(facts.privileges, Unseen):
        yield unknown("privileges", f"the grants of {session.role} cannot be seen: {facts.privileges.why}")
        return
    # Objects that do not exist have a finding of their own, so privileges on them are left out.
    absent = {
        kind
        for kind, seen in (("COMPUTE POOL", facts.pool), ("STAGE", facts.stage), ("MODEL", facts.model))
        if seen is None
    }
    absent |= {"WAREHOUSE"} if session.warehouse is None else set()
    wanted = [need for need in needs(asked, session, facts.pinned_image) if need.kind not in absent]
    lacking = missing(wanted, facts.privileges)
    for need in lacking:
        yield (unknown if need.optional else wrong)(
            "privileges",
            f"{session.role} lacks {need.privilege} on {need.kind.lower()} {need.name} ({need.why}; "
            f"https://docs.snowflake.com/en/{need.source})",
            sql.grant(need.privilege, need.kind, need.name, Identifier(session.role)),
        )
    if not lacking:
        others = f", with those of {', '.join(facts.roles[1:])}" if len(facts.roles) > 1 else ""
        yield ok("privileges", f"{session.role}{others} has all {len(wanted)} that such a job needs")
