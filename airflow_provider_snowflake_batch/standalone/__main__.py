"""``python -m airflow_provider_snowflake_batch.standalone``: a local Snowflake and an Airflow beside it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from airflow_provider_snowflake_batch.standalone.airflow import StandaloneError
from airflow_provider_snowflake_batch.standalone.report import what_runs
from airflow_provider_snowflake_batch.standalone.stack import DIRECTORY, Place, Wanted, down, run, up


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        if options.command == "down":
            print("Stopped" if down(options.directory) else "Nothing ran")
            return 0
        if options.command == "status":
            running = Place(options.directory).read()
            print(what_runs(running, options.command_line) if running else "Nothing runs")
            return 0 if running else 1
        wanted = Wanted(
            directory=options.directory,
            dags_folders=tuple(folder.absolute() for folder in options.dags_folder),
            port=options.port,
            snowflake_port=options.snowflake_port,
            airflow=not options.no_airflow,
            host=options.host,
        )
        if options.command == "run":
            run(
                wanted,
                _say,
                (lambda running: None) if options.no_report else (lambda running: _say(what_runs(running))),
            )
        else:
            print(what_runs(up(wanted, _say), options.command_line))
    except StandaloneError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped", file=sys.stderr)
        return 130
    return 0


def _say(sentence: str) -> None:
    print(sentence, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m airflow_provider_snowflake_batch.standalone", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("up", "start everything, wait until it can be used, and leave it running"),
        ("run", "start everything and stay with it, until Ctrl+C"),
        ("status", "say what runs"),
        ("down", "end everything"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument(
            "--directory", type=Path, default=DIRECTORY, help="where everything is kept (default: %(default)s)"
        )
        # The command that the output names for ending the stack: `make` gives its own.
        command.add_argument("--command-line", default="", help=argparse.SUPPRESS)
        command.add_argument("--no-report", action="store_true", help=argparse.SUPPRESS)
        if name in ("up", "run"):
            add_what_is_wanted(command)
    return parser


def add_what_is_wanted(command: argparse.ArgumentParser) -> None:
    """The options that become a :class:`Wanted`."""
    command.add_argument(
        "--dags-folder", type=Path, action="append", default=[], help="a folder with Dag files; may be repeated"
    )
    command.add_argument("--port", type=int, default=Wanted.port, help="of Airflow's UI (default: %(default)s)")
    command.add_argument(
        "--snowflake-port", type=int, default=Wanted.snowflake_port, help="of the Snowflake (default: %(default)s)"
    )
    command.add_argument("--no-airflow", action="store_true", help="start the local Snowflake alone")
    command.add_argument(
        "--host", default=Wanted.host, help="where Airflow's UI listens; in a container 0.0.0.0 (default: %(default)s)"
    )


if __name__ == "__main__":
    sys.exit(main())
