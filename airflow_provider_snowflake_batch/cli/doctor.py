"""``airflow snowflake-batch doctor``."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from airflow.utils.cli import suppress_logs_and_warning
from airflow.utils.providers_configuration_loader import providers_configuration_loaded

from airflow_provider_snowflake_batch.cli.connection import TERMINAL, console, find_connections_of_the_database
from airflow_provider_snowflake_batch.doctor.account_checks import check_account, check_login
from airflow_provider_snowflake_batch.doctor.airflow_checks import CONNECTION_TYPE, check_airflow
from airflow_provider_snowflake_batch.doctor.facts import REGISTRY, WORKER, Asked, Refused
from airflow_provider_snowflake_batch.doctor.findings import Finding, is_healthy, wrong
from airflow_provider_snowflake_batch.doctor.live_checklist import CHECKLIST
from airflow_provider_snowflake_batch.doctor.look import look_at_account
from airflow_provider_snowflake_batch.doctor.look_at_airflow import look_at_airflow
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName, StagePath

# Seconds, for the login and for each answer of the account.
_DRIVER_TIMEOUTS = TERMINAL["driver_timeouts"] | {"network_timeout": 60}


@suppress_logs_and_warning
@providers_configuration_loaded
def doctor(args: Namespace) -> None:
    """Print a line for each check, and what mends what is wrong.

    :raises SystemExit: with 1 if anything is wrong, with 2 for an argument that cannot be read.
    """
    if args.live_checklist:
        show_checklist(args.output)
        return
    try:
        asked = read_arguments(args)
    except InvalidJobError as error:
        raise SystemExit(f"airflow snowflake-batch doctor: {error}") from None
    find_connections_of_the_database()
    findings = examine(asked)
    show_findings(findings, args.output)
    if not is_healthy(findings):
        raise SystemExit(1)


def read_arguments(args: Namespace) -> Asked:
    """:raises InvalidJobError: for a name or location that is none."""
    return Asked(
        conn_id=args.conn_id,
        runtime=args.runtime or (REGISTRY if args.model else WORKER),
        compute_pool=Identifier.parse(args.compute_pool, field="--compute-pool") if args.compute_pool else None,
        stage=StagePath.parse(args.stage, field="--stage") if args.stage else None,
        model=QualifiedName.parse(args.model, field="--model") if args.model else None,
        version=Identifier.parse(args.model_version, field="--model-version") if args.model_version else None,
        write=args.write,
    )


def examine(asked: Asked) -> list[Finding]:
    """Look at Airflow and at the account."""
    airflow = look_at_airflow(asked.conn_id)
    findings = check_airflow(asked.conn_id, airflow)
    if airflow.connection_type != CONNECTION_TYPE:
        return findings
    from airflow_provider_snowflake_batch.exceptions import JobInputError
    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook

    try:
        with SnowflakeBatchHook(asked.conn_id, **TERMINAL | {"driver_timeouts": _DRIVER_TIMEOUTS}) as hook:
            seen = look_at_account(hook, asked, airflow.images)
        findings += check_login(seen) if isinstance(seen, Refused) else check_account(asked, seen)
    except (InvalidJobError, JobInputError) as error:
        findings.append(wrong("connection", str(error)))
    return findings


def show_findings(findings: Sequence[Finding], output: str) -> None:
    """As a table with what mends it beneath, or whole in one of the other forms."""
    terminal = console()
    if output != "table":
        terminal.print_as(
            [
                {"result": one.verdict.value, "check": one.check, "finding": one.text, "fix": "\n".join(one.fix)}
                for one in findings
            ],
            output,
        )
        return
    terminal.print_as(
        [{"": one.verdict.sign, "check": one.check, "finding": one.text} for one in findings],
        output,
    )
    fixes = [(one, line) for one in findings for line in one.fix]
    if fixes:
        terminal.print("What mends it; SQL with a role that may:\n")
    for number, (finding, line) in enumerate(fixes):
        if not number or fixes[number - 1][0] is not finding:
            terminal.print(f"-- {finding.check}: {finding.text}", soft_wrap=True)
        terminal.print(line, soft_wrap=True)


def show_checklist(output: str) -> None:
    console().print_as(
        [{"what": one.what, "how to look": one.how, "if not": one.otherwise} for one in CHECKLIST], output
    )
