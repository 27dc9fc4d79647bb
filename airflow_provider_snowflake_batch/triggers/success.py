"""Starting Dags when a batch inference job completes: the trigger for Airflow's ``AssetWatcher``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_snowflake_batch.contract.output_layout import SUCCESS
from airflow_provider_snowflake_batch.jobs.deadlines import check_seconds, parse_moment
from airflow_provider_snowflake_batch.jobs.identifiers import StagePath
from airflow_provider_snowflake_batch.jobs.successes import SeenSuccesses, Success
from airflow_provider_snowflake_batch.triggers.asset_memory import AssetMemory
from airflow_provider_snowflake_batch.triggers.batch_inference import SnowflakeTrigger
from airflow_provider_snowflake_batch.triggers.poller import shared_poller

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook

# Airflow collects events from the triggerer's process about once a second and stores them then. If a watcher noted a
# directory before that and the process died, the event would be lost. Of events that come at once, the scheduler (3.3)
# gives the run that they start only the first; the others wait for the next event.
_HANDED_OVER_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class _Listing:
    """:param location: what was listed, with its database and schema. :param found: every ``_SUCCESS`` under it."""

    location: StagePath
    found: tuple[Success, ...]


class BatchSuccessTrigger(SnowflakeTrigger, BaseEventTrigger):
    """Fires once for each new ``_SUCCESS`` under a stage location, for ever. For ``AssetWatcher`` only.

    .. code-block:: python

        scores = Asset(
            "digits_scores",
            watchers=[
                AssetWatcher(
                    name="digits_scores_success",
                    trigger=BatchSuccessTrigger(stage_location="@my_db.my_schema.results/digits/"),
                )
            ],
        )

        with DAG("use_scores", schedule=[scores]): ...

    The event's payload is ``{"stage_location": …, "written": …}``: the directory that is complete, fully qualified, and
    when its ``_SUCCESS`` was written (ISO 8601). In a Dag it stands in
    ``triggering_asset_events[asset][i].extra["payload"]``.

    What has been told of is kept in Airflow's asset state store (Airflow 3.3): a restart of the triggerer neither
    repeats nor misses anything. At the very first start, what is there already is no news. A directory that is written
    again, so that its ``_SUCCESS`` is a new one, is news again. If the triggerer is killed within seconds of an event,
    the event may come twice; it never gets lost. Before 3.3 the memory is the process's own.

    Watchers with the same location, connection and interval share one ``LIST`` statement.

    :param stage_location: the directory under which jobs write, ``@[[database.]schema.]stage/path/``; the
        ``stage_location`` of the jobs' ``output_spec``, or of one job's directory.
    :param directories: shell pattern (``*``, ``?``, ``[…]``) for the path below the location, for example
        ``"BATCH_NIGHTLY_*"``; others start nothing.
    :param newer_than: at the very first start, what was written later than this is news, too: a datetime with its time
        zone, or ISO 8601 text.
    :param poll_interval: seconds between two looks.
    :param snowflake_conn_id: the Airflow connection, of the stock type ``snowflake``.
    :param warehouse: instead of the connection's; like ``database``, ``schema`` and ``role``.
    :raises InvalidJobError: when the Dag is parsed, if a value is malformed.

    .. seealso::
        https://airflow.apache.org/docs/apache-airflow/stable/authoring-and-scheduling/event-scheduling.html
    """

    def __init__(
        self,
        *,
        stage_location: str,
        directories: str | None = None,
        newer_than: datetime | str | None = None,
        poll_interval: float = 60,
        **connection: Any,
    ) -> None:
        super().__init__(poll_interval=poll_interval, **connection)
        self.location = StagePath.parse(stage_location, field="stage_location").directory()
        self.directories = directories
        self.newer_than = parse_moment(newer_than, field="newer_than")
        check_seconds("poll_interval", poll_interval)

    # What a watcher has seen is found by its arguments as version 0.1 stored them (AssetMemory).
    _stored_at_default = frozenset({"directories", "newer_than", "warehouse", "database", "schema", "role"})

    def _own_arguments(self) -> dict[str, Any]:
        return {
            "stage_location": str(self.location),
            "directories": self.directories,
            "newer_than": self.newer_than.isoformat() if self.newer_than is not None else None,
        }

    def shared_stream_key(self) -> Hashable | None:
        """Airflow opens one stream for all triggers that answer the same."""
        return ("snowflake-batch-success", self.settings, str(self.location), float(self.poll_interval))

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[_Listing]:
        """List again and again, also after errors: a watcher has no task that could fail with one."""
        trigger = cls(**kwargs)
        failure = ""

        def look(hook: SnowflakeBatchHook) -> _Listing:
            location = hook.qualify_location(trigger.location)
            files = hook.list_files(location, pattern=f".*{SUCCESS}")
            found = (Success.of(file.path, _seconds(file.last_modified), file.md5) for file in files)
            return _Listing(location, tuple(each for each in found if each is not None))

        async with shared_poller(trigger.settings) as poller:
            while True:
                try:
                    listing = await poller.run(look)
                except Exception as error:
                    # Logged once: an error that lasts would fill the triggerer's log.
                    if (text := f"{type(error).__name__}: {error}") != failure:
                        trigger.log.exception("Cannot list %s; trying on.", trigger.location)
                        failure = text
                else:
                    failure = ""
                    yield listing
                await asyncio.sleep(trigger.poll_interval)

    async def filter_shared_stream(self, shared_stream: AsyncIterator[_Listing]) -> AsyncIterator[TriggerEvent]:
        """The events of this trigger among the listings."""
        memory = AssetMemory(self)
        seen: SeenSuccesses | None = None
        async for listing in shared_stream:
            found = [each for each in listing.found if each.lies_in(listing.location, self.directories)]
            if seen is None or seen.news(found):
                # Airflow moves the triggers of a triggerer that stalls, so another one may have told of them already.
                stored = await memory.load()
                if stored is not None:
                    seen = stored if seen is None else seen.merged_with(stored)
            if seen is None:
                seen = SeenSuccesses.at_first(found, self.newer_than.timestamp() if self.newer_than else None)
                self.log.info(
                    "Watching %s from now on; %d of %d complete directories there are news",
                    listing.location, len(seen.news(found)), len(found),
                )  # fmt: skip
                if not seen.news(found):
                    await memory.save(seen)
            for each in seen.news(found):
                directory = StagePath(listing.location.stage, each.directory)
                written = datetime.fromtimestamp(each.written, UTC).isoformat()
                yield TriggerEvent({"stage_location": str(directory), "written": written})
                await asyncio.sleep(_HANDED_OVER_SECONDS)
                seen = seen.with_([each])
                await memory.save(seen)
                self.log.info("Told of %s", directory)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """The same with a listing of its own, where Airflow shares none (before 3.3)."""
        async for event in self.filter_shared_stream(type(self).open_shared_stream(self.serialize()[1])):
            yield event


def _seconds(last_modified: str) -> float:
    return parsedate_to_datetime(last_modified).timestamp()
