"""``airflow snowflake-batch clean-up``."""

from __future__ import annotations

from argparse import Namespace

from airflow.utils.cli import suppress_logs_and_warning
from airflow.utils.providers_configuration_loader import providers_configuration_loaded

from airflow_provider_snowflake_batch.cli.connection import console, hook_of
from airflow_provider_snowflake_batch.jobs.identifiers import StagePath


@suppress_logs_and_warning
@providers_configuration_loaded
def clean_up(args: Namespace) -> None:
    """Print the files that are removed, or would be.

    :raises SystemExit: with a sentence if that fails, which the shell sees as 1; with 2 for an argument that cannot be
        read.
    """
    with hook_of("clean-up", args.conn_id) as hook:
        location = StagePath.parse(args.location, field="location")
        files = hook.clean_up(location, days=args.days, dry_run=not args.yes)
    console().print_as([{"file": str(file), "removed": args.yes} for file in files], args.output)
    if args.output == "table":
        print(f"{len(files)} file(s) {'were removed' if args.yes else 'would be removed with --yes'}")
