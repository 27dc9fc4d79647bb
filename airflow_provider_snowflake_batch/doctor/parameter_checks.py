"""Parameters of session and account that stand in a job's way: facts in, findings out.

https://docs.snowflake.com/en/sql-reference/parameters
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from airflow_provider_snowflake_batch.doctor.facts import REGISTRY, WORKER, AccountFacts, Asked
from airflow_provider_snowflake_batch.doctor.findings import Finding, ok, unknown, wrong
from airflow_provider_snowflake_batch.jobs import account_statements as sql
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier

OF_SESSION = ("STATEMENT_TIMEOUT_IN_SECONDS", "ROWS_PER_RESULTSET", "QUOTED_IDENTIFIERS_IGNORE_CASE")
PREVENT_UNLOAD = "PREVENT_UNLOAD_TO_INTERNAL_STAGES"
ALLOWED_WORKLOADS, DISALLOWED_WORKLOADS = "ALLOWED_SPCS_WORKLOAD_TYPES", "DISALLOWED_SPCS_WORKLOAD_TYPES"
OF_ACCOUNT = (PREVENT_UNLOAD, ALLOWED_WORKLOADS, DISALLOWED_WORKLOADS)
# The statement of a registered model waits until its image is built.
_SHORTEST_STATEMENT_SECONDS = 1800


def check_parameters(asked: Asked, facts: AccountFacts) -> Iterator[Finding]:
    user, found = Identifier(facts.session.user), facts.parameters
    wrongs: list[Finding] = []
    timeout = found.get("STATEMENT_TIMEOUT_IN_SECONDS", "")
    if timeout.isdigit() and 0 < int(timeout) < _SHORTEST_STATEMENT_SECONDS:
        what = "the image of a model is built" if asked.runtime == REGISTRY else "rows are unloaded"
        wrongs.append(
            unknown(
                "parameters",
                f"STATEMENT_TIMEOUT_IN_SECONDS is {timeout}: the statement in which {what} may take longer",
                sql.set_for_user(user, "STATEMENT_TIMEOUT_IN_SECONDS", "172800"),
            )
        )
    rows = found.get("ROWS_PER_RESULTSET", "")
    if rows.isdigit() and int(rows) > 0:
        wrongs.append(
            wrong(
                "parameters",
                f"ROWS_PER_RESULTSET is {rows}: longer lists of files would be cut short",
                sql.set_for_user(user, "ROWS_PER_RESULTSET", "0"),
            )
        )
    if found.get("QUOTED_IDENTIFIERS_IGNORE_CASE", "").lower() == "true":
        wrongs.append(
            unknown(
                "parameters",
                "QUOTED_IDENTIFIERS_IGNORE_CASE is true: columns that differ in case only may be taken for one",
                sql.set_for_user(user, "QUOTED_IDENTIFIERS_IGNORE_CASE", "FALSE"),
            )
        )
    if asked.runtime == WORKER:
        wrongs += _check_unload(facts)
    wrongs += _check_workloads(asked, facts)
    yield from wrongs or [ok("parameters", "nothing that stands in a job's way")]


def _check_unload(facts: AccountFacts) -> Iterator[Finding]:
    name = PREVENT_UNLOAD
    value = facts.parameters.get(name)
    if value is None:
        yield unknown("parameters", f"{name} cannot be seen: where it is set, queries cannot be input")
    elif value.lower() == "true":
        yield wrong(
            "parameters",
            f"{name} is true: queries and tables cannot be input, only files on stages",
            sql.set_for_account(name, "FALSE"),
        )


def _check_workloads(asked: Asked, facts: AccountFacts) -> Iterator[Finding]:
    """Which workloads the account lets run on compute pools; nothing for an account that does not tell."""
    allowed = _types(facts.parameters.get(ALLOWED_WORKLOADS))
    refused = _types(facts.parameters.get(DISALLOWED_WORKLOADS))
    # A plain container job counts as USER. For a registered model's job, the documentation does not say.
    kind, judge = ("USER", wrong) if asked.runtime == WORKER else ("MODEL_SERVING", unknown)
    fix = []
    if allowed and not allowed & {"ALL", kind}:
        fix.append(sql.set_for_account(ALLOWED_WORKLOADS, f"'{','.join(sorted(allowed | {kind}))}'"))
    if refused & {"ALL", kind}:
        left = refused - {"ALL", kind}
        fix.append(sql.set_for_account(DISALLOWED_WORKLOADS, f"'{','.join(sorted(left))}'"))
    if fix:
        yield judge("parameters", f"the account runs no workloads of type {kind} on compute pools", *fix)


def _types(value: str | None) -> set[str]:
    return set(re.findall(r"[A-Z_]+", (value or "").upper()))
