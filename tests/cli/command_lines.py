"""Command lines, read as Airflow's parser reads them."""

from __future__ import annotations

from argparse import Namespace

from airflow.cli.cli_config import ActionCommand, DefaultHelpParser, GroupCommand

from airflow_provider_snowflake_batch.cli.definition import get_commands


def command(name: str) -> ActionCommand:
    """The definition of ``airflow snowflake-batch <name>``."""
    (group,) = get_commands()
    assert isinstance(group, GroupCommand)
    (found,) = [one for one in group.subcommands if one.name == name]
    assert isinstance(found, ActionCommand)
    return found


def arguments(name: str, *given: str) -> Namespace:
    """What follows ``airflow snowflake-batch <name>``."""
    parser = DefaultHelpParser(prog=name)
    for arg in command(name).args:
        arg.add_to_parser(parser)
    return parser.parse_args(given)
