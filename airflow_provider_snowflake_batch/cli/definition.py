"""The commands that Airflow's command line learns; it loads this with every ``airflow …``, so it loads nothing else.

https://airflow.apache.org/docs/apache-airflow-providers/core-extensions/cli-commands.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.cli.cli_config import ActionCommand, Arg, CLICommand, GroupCommand

_COMMANDS = "airflow_provider_snowflake_batch.cli"


def get_commands() -> list[CLICommand]:
    """The group ``snowflake-batch``."""
    from airflow.cli.cli_config import GroupCommand

    return [
        GroupCommand(
            name="snowflake-batch",
            help="Batch inference jobs on Snowflake",
            subcommands=(*_job_commands(), _verify(), _clean_up(), _doctor(), _plan(), _local()),
        )
    ]


def _conn_id() -> Arg:
    from airflow.cli.cli_config import Arg

    return Arg(("--conn-id",), help="The Airflow connection (default: %(default)s)", default="snowflake_default")


def _output() -> Arg:
    """As Airflow's own, for commands that say what they do in sentences unless a program asks."""
    from airflow.cli.cli_config import Arg

    return Arg(
        ("-o", "--output"),
        help="Output format; left out, text. Allowed values: json, yaml, plain, table",
        metavar="(table, json, yaml, plain)",
        choices=("table", "json", "yaml", "plain"),
    )


def _job_commands() -> tuple[ActionCommand, ...]:
    from airflow.cli.cli_config import ARG_OUTPUT, ARG_VERBOSE, ARG_YES, ActionCommand, Arg, lazy_load_command

    job = Arg(("job",), help="The job's name: database.schema.name, or without what the connection has")
    jobs = Arg(("jobs",), help="Jobs' names: database.schema.name, or without what the connection has", nargs="+")
    return (
        ActionCommand(
            name="list",
            help="List the jobs of a schema, the newest first",
            func=lazy_load_command(f"{_COMMANDS}.jobs.list_jobs"),
            args=(
                Arg(("--schema",), help="DATABASE.SCHEMA, or SCHEMA; left out, the connection's"),
                Arg(("--like",), help="Only jobs with such names: %% is any text, _ any character"),
                Arg(("--status",), help="Only jobs with these statuses, for example RUNNING PENDING", nargs="+"),
                Arg(("--limit",), help="At most so many jobs", type=int),
                _conn_id(),
                ARG_OUTPUT,
                ARG_VERBOSE,
            ),
        ),
        ActionCommand(
            name="describe",
            help="Show a job, and what each container of its replicas reports",
            func=lazy_load_command(f"{_COMMANDS}.jobs.describe"),
            args=(job, _conn_id(), ARG_OUTPUT, ARG_VERBOSE),
        ),
        ActionCommand(
            name="logs",
            help="Print a job's log",
            description=(
                "Prints the newest lines of one replica, at most 100 KB. With --follow, prints what all replicas write "
                "until the job has ended, and exits with 1 unless it is DONE; as JSON, that is an object a line."
            ),
            func=lazy_load_command(f"{_COMMANDS}.jobs.logs"),
            args=(
                job,
                Arg(("-f", "--follow"), help="Go on until the job has ended", action="store_true"),
                Arg(("--replica",), help="Which replica, from 0 (default: %(default)s)", type=int, default=0),
                Arg(("--container",), help="Which of its containers (default: %(default)s)", default="main"),
                Arg(("--lines",), help="At most so many lines", type=int),
                _conn_id(),
                _output(),
                ARG_VERBOSE,
            ),
        ),
        ActionCommand(
            name="cancel",
            help="Stop jobs that run; their logs stay",
            func=lazy_load_command(f"{_COMMANDS}.jobs.cancel"),
            args=(jobs, ARG_YES, _conn_id(), _output(), ARG_VERBOSE),
        ),
        ActionCommand(
            name="delete",
            help="Drop jobs with their logs, stopping those that run; their results stay",
            func=lazy_load_command(f"{_COMMANDS}.jobs.delete"),
            args=(jobs, ARG_YES, _conn_id(), _output(), ARG_VERBOSE),
        ),
    )


def _doctor() -> ActionCommand:
    from airflow.cli.cli_config import ARG_OUTPUT, ARG_VERBOSE, ActionCommand, Arg, lazy_load_command

    return ActionCommand(
        name="doctor",
        help="Say what is missing before a batch inference job can run",
        description=(
            "Looks at this Airflow and, through a connection, at the account: role, warehouse, compute pool, stage, "
            "privileges, model. It changes nothing, but for a small file with --write. Exits with 1 if not all is well."
        ),
        func=lazy_load_command(f"{_COMMANDS}.doctor.doctor"),
        args=(
            _conn_id(),
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


def _clean_up() -> ActionCommand:
    from airflow.cli.cli_config import ARG_OUTPUT, ARG_VERBOSE, ActionCommand, Arg, lazy_load_command

    return ActionCommand(
        name="clean-up",
        help="Remove what jobs with a model of your own have left beside their results",
        description=(
            "Without --yes, only prints it: rows and job files of failed jobs, and worker, code and models that no job "
            "has used for long. Results stay."
        ),
        func=lazy_load_command(f"{_COMMANDS}.clean_up.clean_up"),
        args=(
            Arg(("location",), help="The jobs' stage_location: @database.schema.stage/path/"),
            Arg(
                ("--days",),
                help="How many days old it has to be, at least 30 (default: %(default)g)",
                type=float,
                default=30.0,
            ),
            Arg(("-y", "--yes"), help="Remove it", action="store_true"),
            _conn_id(),
            ARG_OUTPUT,
            ARG_VERBOSE,
        ),
    )


def _verify() -> ActionCommand:
    from airflow.cli.cli_config import ARG_OUTPUT, ARG_VERBOSE, ActionCommand, Arg, lazy_load_command

    return ActionCommand(
        name="verify",
        help="Say whether a job's results on a stage are all there",
        description=(
            "Compares a finished output directory with its manifest; without one, counts the rows of its files on the "
            "connection's warehouse. Exits with 1 if anything is wrong."
        ),
        func=lazy_load_command(f"{_COMMANDS}.verify.verify"),
        args=(
            Arg(("location",), help="The output directory: @database.schema.stage/path/job/"),
            _conn_id(),
            Arg(("--contents",), help="Also fetch every file and compare its checksum", action="store_true"),
            Arg(("--expected-rows",), help="How many rows there must be", type=int),
            Arg(("--min-rows",), help="How many rows there must be at least", type=int),
            Arg(("--require-manifest",), help="Without a manifest, nothing is in order", action="store_true"),
            ARG_OUTPUT,
            ARG_VERBOSE,
        ),
    )


def _plan() -> ActionCommand:
    from airflow.cli.cli_config import ARG_OUTPUT, ARG_VERBOSE, ActionCommand, Arg, lazy_load_command

    return ActionCommand(
        name="plan",
        help="Score some of a job's input on this machine, and say what all of it will take",
        description=(
            "Prints rows per second, memory, the best max_batch_rows, and time and node-hours on 1, 2, 4 … replicas, "
            "each like this machine. Nothing is written that stays."
        ),
        func=lazy_load_command(f"{_COMMANDS}.plan.plan"),
        args=(
            Arg(("job_file",), help="The worker's job file; its paths are of this machine"),
            Arg(("--seconds",), help="How long to score, for all batch sizes together", type=float),
            ARG_OUTPUT,
            ARG_VERBOSE,
        ),
    )


def _local() -> GroupCommand:
    from airflow.cli.cli_config import ARG_OUTPUT, ARG_VERBOSE, ActionCommand, Arg, GroupCommand, lazy_load_command

    directory = Arg(("--directory",), help="Where everything is kept (default: %(default)s)", default=".standalone")
    return GroupCommand(
        name="local",
        help="A local Snowflake with an Airflow beside it, as processes of this machine",
        subcommands=(
            ActionCommand(
                name="up",
                help="Start them, and leave them running",
                description=(
                    "Starts a local Snowflake and an Airflow of its own, whose connection snowflake_default leads to "
                    "it, and prints its address. Settings and connections of this Airflow have no effect there."
                ),
                func=lazy_load_command(f"{_COMMANDS}.local.up"),
                args=(
                    Arg(
                        ("--dags-folder",),
                        help="Folders with Dag files; left out, this Airflow's",
                        nargs="+",
                        default=[],
                    ),
                    Arg(("--port",), help="Of Airflow's UI (default: %(default)s)", type=int, default=8080),
                    Arg(
                        ("--snowflake-port",),
                        help="Of the local Snowflake (default: %(default)s)",
                        type=int,
                        default=8085,
                    ),
                    Arg(("--no-airflow",), help="Start the local Snowflake alone", action="store_true"),
                    directory,
                    _output(),
                    ARG_VERBOSE,
                ),
            ),
            ActionCommand(
                name="down",
                help="End them; what they keep stays",
                func=lazy_load_command(f"{_COMMANDS}.local.down"),
                args=(directory, _output(), ARG_VERBOSE),
            ),
            ActionCommand(
                name="status",
                help="Say what runs; exits with 1 if nothing does",
                func=lazy_load_command(f"{_COMMANDS}.local.status"),
                args=(directory, ARG_OUTPUT, ARG_VERBOSE),
            ),
        ),
    )
