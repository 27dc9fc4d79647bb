"""The commands that Airflow's command line learns; it loads this with every ``airflow …``, so it loads nothing else.

https://airflow.apache.org/docs/apache-airflow-providers/core-extensions/cli-commands.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.cli.cli_config import CLICommand

_COMMANDS = "airflow_provider_snowflake_batch.cli"


def get_commands() -> list[CLICommand]:
    """The group ``snowflake-batch``."""
    from airflow.cli.cli_config import ARG_OUTPUT, ARG_VERBOSE, ActionCommand, Arg, GroupCommand, lazy_load_command

    doctor = ActionCommand(
        name="doctor",
        help="Say what is missing before a batch inference job can run",
        description=(
            "Looks at this Airflow and, through a connection, at the account: role, warehouse, compute pool, stage, "
            "privileges, model. It changes nothing, but for a small file with --write. Exits with 1 if not all is well."
        ),
        func=lazy_load_command(f"{_COMMANDS}.doctor.doctor"),
        args=(
            Arg(("--conn-id",), help="The Airflow connection", default="snowflake_default"),
            Arg(("--compute-pool",), help="The compute pool that jobs are to run on"),
            Arg(("--stage",), help="Where results are to go: @database.schema.stage/path/"),
            Arg(("--model",), help="The registered model that is to score"),
            Arg(("--model-version",), help="Version or alias of that model; left out, its default"),
            Arg(
                ("--runtime",),
                help="What scores: Snowflake's own runtime, with model_name (registry), or this package's worker, with "
                "model (worker); left out, the first if --model is given",
                choices=("registry", "worker"),
            ),
            Arg(("--write",), help="Also write a small file to the stage, read it, and remove it", action="store_true"),
            Arg(
                ("--live-checklist",),
                help="Only print what a first run on an account has to show, and how to look at it",
                action="store_true",
            ),
            ARG_OUTPUT,
            ARG_VERBOSE,
        ),
    )
    verify = ActionCommand(
        name="verify",
        help="Say whether a job's results on a stage are all there",
        description=(
            "Compares a finished output directory with its manifest; without one, counts the rows of its files on the "
            "connection's warehouse. Exits with 1 if anything is wrong."
        ),
        func=lazy_load_command(f"{_COMMANDS}.verify.verify"),
        args=(
            Arg(("location",), help="The output directory: @database.schema.stage/path/job/"),
            Arg(("--conn-id",), help="The Airflow connection", default="snowflake_default"),
            Arg(("--contents",), help="Also fetch every file and compare its checksum", action="store_true"),
            Arg(("--expected-rows",), help="How many rows there must be", type=int),
            Arg(("--min-rows",), help="How many rows there must be at least", type=int),
            Arg(("--require-manifest",), help="Without a manifest, nothing is in order", action="store_true"),
            ARG_OUTPUT,
            ARG_VERBOSE,
        ),
    )
    return [
        GroupCommand(
            name="snowflake-batch",
            help="Batch inference jobs on Snowflake",
            subcommands=(doctor, verify),
        )
    ]
