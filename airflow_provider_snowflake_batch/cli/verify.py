"""``airflow snowflake-batch verify``."""

from __future__ import annotations

import os
from argparse import Namespace

from airflow.cli.simple_table import AirflowConsole
from airflow.utils.cli import suppress_logs_and_warning
from airflow.utils.providers_configuration_loader import providers_configuration_loaded

from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError, error_text
from airflow_provider_snowflake_batch.jobs.identifiers import StagePath

# Whoever waits at a terminal is told of a lost network or a misspelt account sooner than a task is. Seconds.
_TRANSIENT_TIMEOUT = 20
_DRIVER_TIMEOUTS = {"login_timeout": 20}


@suppress_logs_and_warning
@providers_configuration_loaded
def verify(args: Namespace) -> None:
    """Print what was verified.

    :raises SystemExit: with a sentence if anything is wrong, which the shell sees as 1; with 2 for an argument that
        cannot be read.
    """
    try:
        location = StagePath.parse(args.location, field="location")
    except InvalidJobError as error:
        AirflowConsole(stderr=True, markup=False, highlight=False).print(str(error), soft_wrap=True)
        raise SystemExit(2) from None
    # As `airflow connections test` does, to find connections that lie in Airflow's database.
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook

    try:
        with SnowflakeBatchHook(
            args.conn_id, transient_timeout=_TRANSIENT_TIMEOUT, driver_timeouts=_DRIVER_TIMEOUTS
        ) as hook:
            found = hook.verify_results(
                location,
                contents=args.contents,
                expected_rows=args.expected_rows,
                min_rows=args.min_rows,
                require_manifest=args.require_manifest,
            )
    except Exception as error:
        # A login that fails is the driver's own error.
        raise SystemExit(f"airflow snowflake-batch verify: {error_text(error)}") from None
    AirflowConsole(markup=False, highlight=False).print_as([found.to_dict()], args.output)
