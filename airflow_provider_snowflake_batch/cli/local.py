"""``airflow snowflake-batch local up``, ``down`` and ``status``."""

from __future__ import annotations

import importlib.util
import json
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.configuration import conf
from airflow.utils.cli import suppress_logs_and_warning

from airflow_provider_snowflake_batch.cli.connection import console

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.standalone.stack import Running

_COMMAND = "airflow snowflake-batch local"
_NEEDED = ("fakesnow", "duckdb", "psutil", "starlette", "uvicorn")


@suppress_logs_and_warning
def up(args: Namespace) -> None:
    """Start a local Snowflake with an Airflow beside it.

    :raises SystemExit: with a sentence if they cannot be started; nothing is left running then.
    """
    with _errors("up"):
        from airflow_provider_snowflake_batch.standalone.report import what_runs
        from airflow_provider_snowflake_batch.standalone.stack import Wanted, up

        folders = [Path(folder) for folder in args.dags_folder] or _own_folders()
        wanted = Wanted(
            directory=Path(args.directory),
            dags_folders=() if args.no_airflow else tuple(folder.expanduser().absolute() for folder in folders),
            port=args.port,
            snowflake_port=args.snowflake_port,
            airflow=not args.no_airflow,
        )
        if args.output is None:
            print(what_runs(up(wanted, lambda line: print(line, flush=True)), _COMMAND))
            return
        running = up(wanted, lambda line: print(line, file=sys.stderr, flush=True))
    row = _row(running) | {"password": running.password or ""}
    if args.output in ("json", "yaml"):
        row["connection"] = json.dumps(running.connection)
    console().print_as([row], args.output)


@suppress_logs_and_warning
def down(args: Namespace) -> None:
    """End what ``up`` has started.

    :raises SystemExit: with a sentence if it does not end.
    """
    with _errors("down"):
        from airflow_provider_snowflake_batch.standalone.stack import down

        stopped = down(Path(args.directory))
    if args.output is None:
        print("Stopped" if stopped else "Nothing ran")
    else:
        console().print_as([{"directory": args.directory, "stopped": stopped}], args.output)


@suppress_logs_and_warning
def status(args: Namespace) -> None:
    """Print what runs, without the password.

    :raises SystemExit: with a sentence if nothing does.
    """
    with _errors("status"):
        from airflow_provider_snowflake_batch.standalone.stack import Place

        running = Place(Path(args.directory)).read()
    if running is None:
        raise SystemExit(f"Nothing runs in {args.directory}.")
    console().print_as([_row(running)], args.output)


def _row(running: Running) -> dict[str, Any]:
    return {
        "snowflake": running.snowflake_url,
        "airflow": running.url or "",
        "user": running.user or "",
        "dags": len(running.dags),
        "pid": running.pid,
    }


def _own_folders() -> list[Path]:
    folder = Path(conf.get("core", "dags_folder"))
    return [folder] if folder.is_dir() else []


@contextmanager
def _errors(command: str) -> Iterator[None]:
    """:raises SystemExit: with the sentence of what went wrong, or of what is not installed."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise SystemExit(
            f"{_COMMAND} {command}: {', '.join(missing)} is missing: "
            "pip install 'airflow-provider-snowflake-batch[local]'"
        )
    from airflow_provider_snowflake_batch.standalone.airflow import StandaloneError

    try:
        yield
    except StandaloneError as error:
        raise SystemExit(f"{_COMMAND} {command}: {error}") from None
