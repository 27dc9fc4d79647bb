"""What a user reads after starting the stack."""

from __future__ import annotations

import json

from airflow_provider_snowflake_batch.standalone.settings import CONNECTION_ID
from airflow_provider_snowflake_batch.standalone.stack import Running

# The example to begin with, if it is among the Dags.
_FIRST = "digits"


def what_runs(running: Running, command_line: str = "") -> str:
    """Where to look, who to be, what to click.

    :param command_line: what the commands' names follow, such as ``make``.
    """
    stop = f"{command_line or 'python -m airflow_provider_snowflake_batch.standalone'} down"
    lines = [""]
    if running.url is not None:
        lines += [
            f"  Airflow          {running.url}",
            f"  user, password   {running.user}, {running.password}",
            f"  Dags             {', '.join(running.dags) or 'none; is there a --dags-folder, and can it be read?'}",
            f"  connection       {CONNECTION_ID}, to the local Snowflake, is set",
        ]
    else:
        lines.append(
            f"  connection       export AIRFLOW_CONN_{CONNECTION_ID.upper()}='{json.dumps(running.connection)}'"
        )
    lines += [f"  Snowflake        {running.snowflake_url}", f"  stop             {stop}"]
    if running.url is not None and running.dags:
        dag = _FIRST if _FIRST in running.dags else running.dags[0]
        lines += (
            [
                "",
                "Try:",
                f"  1. open {running.url}/dags/{dag} and sign in",
                "  2. click Trigger, and Trigger once more",
                "  3. click the run's newest column, then the task score and its tab Batch job",
                "  4. Browse > Batch inference shows all jobs",
            ]
            if dag == _FIRST
            else ["", f"Try: open {running.url}/dags/{dag}, sign in, and click Trigger twice"]
        )
    return "\n".join(lines)
