"""Command lines, read as Airflow's parser reads them."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator

from airflow.cli.cli_config import ActionCommand, DefaultHelpParser, GroupCommand

from airflow_provider_snowflake_batch.cli.definition import get_commands


def commands() -> dict[str, ActionCommand]:
    """Every ``airflow snowflake-batch …``, by its words: ``list``, ``local up``."""
    (group,) = get_commands()
    assert isinstance(group, GroupCommand)
    return dict(_below(group, ""))


def _below(group: GroupCommand, words: str) -> Iterator[tuple[str, ActionCommand]]:
    for one in group.subcommands:
        if isinstance(one, GroupCommand):
            yield from _below(one, f"{words}{one.name} ")
        else:
            yield f"{words}{one.name}", one


def command(name: str) -> ActionCommand:
    """The definition of ``airflow snowflake-batch <name>``."""
    return commands()[name]


def arguments(name: str, *given: str) -> Namespace:
    """What follows ``airflow snowflake-batch <name>``."""
    parser = DefaultHelpParser(prog=name)
    for arg in command(name).args:
        arg.add_to_parser(parser)
    return parser.parse_args(given)
