"""``airflow snowflake-batch verify``."""

from __future__ import annotations

from argparse import Namespace

from airflow.utils.cli import suppress_logs_and_warning
from airflow.utils.providers_configuration_loader import providers_configuration_loaded

from airflow_provider_snowflake_batch.cli.connection import console, hook_of
from airflow_provider_snowflake_batch.cli.progress_bar import for_people, progress_bar
from airflow_provider_snowflake_batch.jobs.identifiers import StagePath


@suppress_logs_and_warning
@providers_configuration_loaded
def verify(args: Namespace) -> None:
    """Print what was verified.

    :raises SystemExit: with a sentence if anything is wrong, which the shell sees as 1; with 2 for an argument that
        cannot be read.
    """
    with hook_of("verify", args.conn_id) as hook, progress_bar("Files", shown=for_people(args.output)) as bar:
        found = hook.verify_results(
            StagePath.parse(args.location, field="location"),
            contents=args.contents,
            expected_rows=args.expected_rows,
            min_rows=args.min_rows,
            require_manifest=args.require_manifest,
            on_fetched=bar.tell,
        )
    console().print_as([found.to_dict()], args.output)
