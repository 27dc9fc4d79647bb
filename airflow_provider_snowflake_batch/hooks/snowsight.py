"""Which Snowsight shows what a hook's session works with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_snowflake_batch.jobs import statements
from airflow_provider_snowflake_batch.jobs.snowsight import Snowsight, site_of

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook


def find_snowsight(hook: SnowflakeBatchHook) -> Snowsight | None:
    """The pages of the session's account; None for the local Snowflake, which has none.

    A link is a convenience: what goes wrong here is logged and gives None, never an exception.
    """
    try:
        site = site_of(hook.on_session(lambda cursor: str(cursor.connection.host)))
        if site is None:
            return None
        (row,) = hook.rows(statements.current_account())
        if not row["organization"] or not row["account"]:
            return None
        return Snowsight(site, str(row["organization"]), str(row["account"]))
    except Exception as error:
        hook.log.info("There are no links to Snowsight, since the account's name could not be read: %s", error)
        return None
