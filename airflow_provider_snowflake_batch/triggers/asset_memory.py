"""What a watcher has told of, kept where a restarted triggerer finds it: in Airflow's asset state store."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import TYPE_CHECKING, Any

from airflow_provider_snowflake_batch.jobs.successes import SeenSuccesses

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.triggers.success import BatchSuccessTrigger

_RETRY_SECONDS = 10.0


class AssetMemory:
    """The memory of one trigger. Where Airflow keeps none (before 3.3), it forgets, and says so once."""

    def __init__(self, trigger: BatchSuccessTrigger) -> None:
        self._log = trigger.log
        self._stores = _stores(getattr(trigger, "asset_state_store", None))
        # Names the memory, since an asset may have several watchers. A watcher with another interval has seen the same.
        identity = {name: value for name, value in trigger.serialize()[1].items() if name != "poll_interval"}
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
        self._key = f"snowflake_batch_success_{digest[:16]}"
        if not self._stores:
            self._log.warning(
                "There is no asset state store (new in Airflow 3.3): what completes under %s while no triggerer runs "
                "starts nothing.",
                trigger.location,
            )

    async def load(self) -> SeenSuccesses | None:
        """What is remembered, or None. It tries until it succeeds: without its memory a watcher would repeat events."""
        for store in self._stores:
            while True:
                try:
                    values = await store.aget(self._key)
                except Exception:
                    self._log.exception("What this watcher has seen cannot be read; trying on.")
                    await asyncio.sleep(_RETRY_SECONDS)
                else:
                    break
            if values is not None:
                return SeenSuccesses.from_dict(values)
        return None

    async def save(self, seen: SeenSuccesses) -> None:
        for store in self._stores:
            try:
                await store.aset(self._key, seen.to_dict())
            except Exception:
                # The next event writes it again. After a restart before that, this event is repeated.
                self._log.exception("What this watcher has seen cannot be written.")


def _stores(accessors: Any) -> list[Any]:
    """One store for each asset that the trigger watches: those with equal watchers share one trigger."""
    if accessors is None:
        return []
    stores = getattr(accessors, "_by_name", None)
    return [stores[name] for name in sorted(stores)] if stores else [accessors]
