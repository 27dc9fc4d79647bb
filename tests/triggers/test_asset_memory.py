"""What a watcher remembers, also while Airflow's store does not answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from airflow.sdk import Asset
from airflow.sdk.execution_time import context

from airflow_provider_snowflake_batch.jobs.successes import SeenSuccesses
from airflow_provider_snowflake_batch.triggers import asset_memory
from airflow_provider_snowflake_batch.triggers.asset_memory import AssetMemory
from airflow_provider_snowflake_batch.triggers.success import BatchSuccessTrigger

SEEN = SeenSuccesses(100.0, {"a/": "120 d41d"})


class Store:
    """Airflow's asset state store of one asset.

    :param failures: how many requests fail before it answers.
    """

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.values: dict[str, Any] = {}

    async def aget(self, key: str) -> Any:
        self._answer()
        return self.values.get(key)

    async def aset(self, key: str, value: Any) -> None:
        self._answer()
        self.values[key] = value

    def _answer(self) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("Airflow's API server is away")


def memory(stores: Any, **changes: Any) -> AssetMemory:
    watcher = BatchSuccessTrigger(**({"stage_location": "@D.S.RESULTS/scores/", "poll_interval": 60} | changes))
    watcher.asset_state_store = stores
    return AssetMemory(watcher)


def saved(store: Store, **changes: Any) -> None:
    asyncio.run(memory(store, **changes).save(SEEN))


def test_it_tries_on_until_the_store_answers(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """A watcher without its memory would take all that is there for seen, and miss what came meanwhile."""
    monkeypatch.setattr(asset_memory, "_RETRY_SECONDS", 0.01)
    store = Store()
    saved(store)
    store.failures = 3
    assert asyncio.run(memory(store).load()) == SEEN
    assert store.failures == 0
    assert (caplog.text + capsys.readouterr().out).count("cannot be read; trying on") == 3


def test_a_store_that_takes_nothing_does_not_end_the_watcher() -> None:
    store = Store(failures=1)
    saved(store)
    assert store.values == {}
    saved(store)
    assert asyncio.run(memory(store).load()) == SEEN


def test_nothing_is_remembered_of_another_watcher() -> None:
    store = Store()
    saved(store)
    assert asyncio.run(memory(store, poll_interval=1).load()) == SEEN
    assert asyncio.run(memory(store, directories="BATCH_NIGHTLY_*").load()) is None
    assert asyncio.run(memory(store, stage_location="@D.S.RESULTS/other/").load()) is None


@pytest.mark.skipif(not hasattr(context, "AssetStateStoreAccessors"), reason="new in Airflow 3.3")
def test_each_asset_of_a_watcher_remembers() -> None:
    """Assets with equal watchers share one trigger, and one of them may be there no more after the next start."""
    stores = {"a": Store(failures=1), "b": Store()}
    accessors = context.AssetStateStoreAccessors([Asset("b"), Asset("a")])
    assert vars(accessors)["_by_name"].keys() == stores.keys()
    vars(accessors)["_by_name"].update(stores)
    asyncio.run(memory(accessors).save(SEEN))
    assert (len(stores["a"].values), len(stores["b"].values)) == (0, 1)
    assert asyncio.run(memory(accessors).load()) == SEEN
