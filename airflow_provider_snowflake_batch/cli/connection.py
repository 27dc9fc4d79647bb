"""The connection that a command works through, and how it ends when something is wrong."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.cli.simple_table import AirflowConsole

from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError, error_text

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook

# Seconds. At a terminal, a lost network or a misspelt account is an error sooner than in a task.
TERMINAL: dict[str, Any] = {"transient_timeout": 20, "driver_timeouts": {"login_timeout": 20}}


def find_connections_of_the_database() -> None:
    """As ``airflow connections test`` does; without it, only those of environment variables and secrets are found."""
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"


@contextmanager
def hook_of(command: str, conn_id: str, **overrides: Any) -> Iterator[SnowflakeBatchHook]:
    """A hook whose errors end the command ``command`` with a sentence.

    :raises SystemExit: with 2, after the sentence, for an argument that cannot be read; with the sentence otherwise,
        which a shell sees as 1.
    """
    find_connections_of_the_database()
    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook

    try:
        with SnowflakeBatchHook(conn_id, **(TERMINAL | overrides)) as hook:
            yield hook
    except InvalidJobError as error:
        console(stderr=True).print(f"airflow snowflake-batch {command}: {error}", soft_wrap=True)
        raise SystemExit(2) from None
    except Exception as error:
        # A failed login raises the driver's own error.
        raise SystemExit(f"airflow snowflake-batch {command}: {error_text(error)}") from None


def console(*, stderr: bool = False) -> AirflowConsole:
    """Airflow's console, which shows text as it is: messages of Snowflake have brackets and ``:words:``, too."""
    return AirflowConsole(stderr=stderr, markup=False, highlight=False, emoji=False)
