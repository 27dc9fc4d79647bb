"""The watcher's trigger, driven as Airflow's triggerer drives it: with the local Snowflake, and with given listings."""

from __future__ import annotations

import asyncio
import json
import pydoc
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import Asset, AssetWatcher, Connection

from airflow_provider_snowflake_batch.exceptions import JobInputError
from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
from airflow_provider_snowflake_batch.hooks.stage_files import StageFile
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import StagePath
from airflow_provider_snowflake_batch.jobs.successes import SeenSuccesses, Success
from airflow_provider_snowflake_batch.triggers import success
from airflow_provider_snowflake_batch.triggers.asset_memory import AssetMemory
from airflow_provider_snowflake_batch.triggers.success import BatchSuccessTrigger

LOCATION = "@WATCHED/scores"
FULL_LOCATION = "@LOCAL.PUBLIC.WATCHED/scores/"


class Store:
    """Airflow's asset state store of one asset as a trigger sees it, with its values as JSON."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    async def aget(self, key: str) -> Any:
        return json.loads(self.values[key]) if key in self.values else None

    async def aset(self, key: str, value: Any) -> None:
        self.values[key] = json.dumps(value)


@pytest.fixture(autouse=True)
def _events_are_stored_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(success, "_HANDED_OVER_SECONDS", 0.1)


@pytest.fixture
def hook(snowflake_connection: str) -> Iterator[SnowflakeBatchHook]:
    with SnowflakeBatchHook(snowflake_connection) as opened:
        opened.run("CREATE OR REPLACE STAGE WATCHED")
        yield opened


def trigger(**changes: Any) -> BatchSuccessTrigger:
    return BatchSuccessTrigger(**({"stage_location": LOCATION, "poll_interval": 0.2} | changes))


async def until(look: Callable[[], Any], otherwise: str) -> None:
    deadline = time.monotonic() + 20
    while not look():
        assert time.monotonic() < deadline, otherwise
        await asyncio.sleep(0.05)


class Watching:
    """What a trigger has fired so far."""

    def __init__(self) -> None:
        self.directories: list[str] = []

    async def fires(self, *directories: str) -> None:
        """Wait until exactly these have come since the last call, and see that nothing follows them."""
        expected = [f"{FULL_LOCATION}{directory}" for directory in directories]
        await until(lambda: len(self.directories) >= len(expected), f"not all of {expected} have come")
        await asyncio.sleep(0.6)
        assert self.directories == expected
        self.directories.clear()


@asynccontextmanager
async def running(
    watcher: BatchSuccessTrigger, store: Store | None = None, manager: Any = None
) -> AsyncIterator[Watching]:
    """The trigger at work, as in the triggerer: with a shared stream if there is a manager.

    With a store, it has looked once: what is there now counts as seen, or has fired.
    """
    watching = Watching()
    if store is not None:
        watcher.asset_state_store = store
    if manager is None:
        events = watcher.run()
    else:
        stream = manager.subscribe(trigger_id=id(watcher), trigger=watcher, key=watcher.shared_stream_key())
        events = watcher.filter_shared_stream(stream)

    async def follow() -> None:
        async for event in events:
            assert event.payload.keys() == {"stage_location", "written"}
            datetime.fromisoformat(event.payload["written"])
            watching.directories.append(event.payload["stage_location"])

    task = asyncio.create_task(follow())
    try:
        if store is not None:
            await until(lambda: store.values or watching.directories, "the trigger has not looked")
        yield watching
        assert not task.done(), "a watcher never ends"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if manager is not None:
            await manager.unsubscribe(id(watcher), watcher.shared_stream_key())


def run(awaitable: Awaitable[Any]) -> Any:
    return asyncio.run(asyncio.wait_for(awaitable, 60))


async def complete(hook: SnowflakeBatchHook, directory: str) -> None:
    await asyncio.to_thread(hook.write_file, f"{LOCATION}/{directory}/part-0.parquet", b"rows")
    await asyncio.to_thread(hook.write_file, f"{LOCATION}/{directory}/_SUCCESS", b"")


@pytest.mark.slow
def test_each_success_fires_once_and_what_was_there_does_not(hook: SnowflakeBatchHook) -> None:
    async def scenario() -> None:
        await complete(hook, "old")
        async with running(trigger(), Store()) as watching:
            await watching.fires()
            await complete(hook, "first")
            await watching.fires("first/")
            await asyncio.to_thread(hook.write_file, f"{LOCATION}/half/part-0.parquet", b"rows")
            await asyncio.to_thread(hook.write_file, "@WATCHED/elsewhere/_SUCCESS", b"")
            await watching.fires()
            await complete(hook, "deep/er")
            await watching.fires("deep/er/")

    run(scenario())


@pytest.mark.slow
def test_a_directory_that_is_written_again_fires_again(hook: SnowflakeBatchHook) -> None:
    async def scenario() -> None:
        await complete(hook, "job")
        async with running(trigger(), Store()) as watching:
            await watching.fires()
            await asyncio.to_thread(hook.remove_files, f"{LOCATION}/job/")
            await watching.fires()
            # Snowflake tells whole seconds.
            await asyncio.sleep(1)
            await complete(hook, "job")
            await watching.fires("job/")

    run(scenario())


@pytest.mark.slow
def test_a_restart_neither_repeats_nor_misses(hook: SnowflakeBatchHook) -> None:
    async def scenario() -> None:
        store = Store()
        async with running(trigger(), store) as watching:
            await complete(hook, "before")
            await watching.fires("before/")
        await complete(hook, "meanwhile")
        async with running(trigger(poll_interval=0.3), store) as watching:
            await watching.fires("meanwhile/")
        async with running(trigger(), store) as watching:
            await watching.fires()

    run(scenario())


@pytest.mark.slow
def test_a_stalled_triggerer_does_not_repeat_what_another_has_told(hook: SnowflakeBatchHook) -> None:
    async def scenario() -> None:
        store, stalled = Store(), trigger()
        stalled.asset_state_store = store
        location = hook.qualify_location(stalled.location)

        async def listings() -> AsyncIterator[Any]:
            """What the stalled one sees: it wakes up when the other has told of the job."""
            yield success._Listing(location, ())
            async with running(trigger(), store) as other:
                await complete(hook, "job")
                await other.fires("job/")
                await until(lambda: "scores/job/" in str(store.values), "it was not noted")
            (file,) = hook.list_files("@WATCHED/scores/job/_SUCCESS")
            found = Success.of(file.path, success._seconds(file.last_modified), file.md5)
            yield success._Listing(location, (found,))

        assert [event async for event in stalled.filter_shared_stream(listings())] == []

    run(scenario())


@pytest.mark.slow
def test_without_a_store_it_says_so_once_and_works(
    hook: SnowflakeBatchHook, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scenario() -> None:
        async with running(trigger(newer_than=datetime.now(UTC) - timedelta(minutes=1))) as watching:
            await complete(hook, "first")
            await watching.fires("first/")

    run(scenario())
    assert capsys.readouterr().out.count("There is no asset state store") == 1


@pytest.mark.slow
def test_newer_than_is_where_the_first_start_begins(hook: SnowflakeBatchHook) -> None:
    async def scenario() -> None:
        await complete(hook, "job")
        since = datetime.now(UTC) - timedelta(minutes=1)
        async with running(trigger(newer_than=since), Store()) as watching:
            await watching.fires("job/")
        async with running(trigger(newer_than=since + timedelta(hours=1)), Store()) as watching:
            await watching.fires()

    run(scenario())


@pytest.mark.slow
def test_watchers_of_one_location_share_one_listing(hook: SnowflakeBatchHook, monkeypatch: pytest.MonkeyPatch) -> None:
    """The listings themselves are real, and so is what Airflow shares them with (3.3 and later)."""
    shared_stream = pytest.importorskip("airflow.triggers.shared_stream")
    listings: list[float] = []
    list_files = SnowflakeBatchHook.list_files

    def counted(self: SnowflakeBatchHook, *given: Any, **options: Any) -> Any:
        listings.append(time.monotonic())
        return list_files(self, *given, **options)

    monkeypatch.setattr(SnowflakeBatchHook, "list_files", counted)

    async def scenario() -> None:
        manager = shared_stream.SharedStreamManager()
        nightly, hourly = trigger(directories="NIGHTLY_*"), trigger(directories="HOURLY_*")
        async with running(nightly, Store(), manager) as at_night, running(hourly, Store(), manager) as each_hour:
            await at_night.fires()
            for directory in ("NIGHTLY_1", "HOURLY_1", "OTHER"):
                await complete(hook, directory)
            await at_night.fires("NIGHTLY_1/")
            await each_hour.fires("HOURLY_1/")
        elapsed = listings[-1] - listings[0]
        assert len(listings) <= elapsed / 0.2 + 1
        before = len(listings)
        await asyncio.sleep(0.5)
        assert len(listings) == before, "the stream goes when its last trigger has gone"

    run(scenario())


def test_what_separates_streams() -> None:
    keys = {
        trigger(**changes).shared_stream_key()
        for changes in ({}, {"directories": "A*"}, {"newer_than": "2026-01-01T00:00:00+00:00"})
    }
    assert len(keys) == 1
    assert {trigger(role="R").shared_stream_key(), trigger(poll_interval=9).shared_stream_key()}.isdisjoint(keys)


@pytest.mark.slow
def test_a_stage_that_comes_later(hook: SnowflakeBatchHook, capsys: pytest.CaptureFixture[str]) -> None:
    hook.run("DROP STAGE WATCHED")

    printed: list[str] = []

    def complaint() -> bool:
        printed.append(capsys.readouterr().out)
        return "Cannot list @WATCHED/scores/" in "".join(printed)

    async def scenario() -> None:
        async with running(trigger(newer_than=datetime.now(UTC) - timedelta(minutes=1))) as watching:
            await until(complaint, "the missing stage went unnoticed")
            await watching.fires()
            await asyncio.to_thread(hook.run, "CREATE STAGE WATCHED")
            await complete(hook, "job")
            await watching.fires("job/")

    run(scenario())
    printed.append(capsys.readouterr().out)
    assert "".join(printed).count("Cannot list @WATCHED/scores/") == 1


def test_a_connection_that_comes_later(
    hook: SnowflakeBatchHook,
    snowflake_connection: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    printed: list[str] = []

    def complaint() -> bool:
        printed.append(capsys.readouterr().out)
        return "There is no Airflow connection comes_later" in "".join(printed)

    async def scenario() -> None:
        long_ago = datetime.now(UTC) - timedelta(minutes=1)
        async with running(trigger(snowflake_conn_id="comes_later", newer_than=long_ago)) as watching:
            await until(complaint, "the missing connection went unnoticed")
            monkeypatch.setenv("AIRFLOW_CONN_COMES_LATER", Connection.get(snowflake_connection).as_json())
            await complete(hook, "job")
            await watching.fires("job/")

    run(scenario())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stage_location": "WATCHED/scores"}, "stage_location: 'WATCHED/scores' is not a stage location"),
        ({"newer_than": "yesterday"}, "newer_than: 'yesterday' is not an ISO 8601 time"),
        ({"poll_interval": 0}, "poll_interval: expected a number of seconds above 0, got 0"),
    ],
)
def test_what_is_malformed_fails_the_parse(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidJobError, match=f"^{message}"):
        trigger(**changes)


@pytest.mark.parametrize(
    "make",
    [trigger, lambda: trigger(directories="A*", newer_than="2026-01-01T00:00:00+00:00", role="R", database="D")],
)
def test_serialization_brings_back_the_same_trigger(make: Callable[[], BatchSuccessTrigger]) -> None:
    path, arguments = make().serialize()
    assert pydoc.locate(path)(**arguments).serialize() == (path, arguments)
    watcher = AssetWatcher(name="watcher", trigger=make())
    assert Asset("scores", watchers=[watcher]).watchers == [watcher]


def written(directory: str, seconds: float, md5: str = "d41d") -> Success:
    found = Success.of(f"scores/{directory}/_SUCCESS", seconds, md5)
    assert found is not None
    return found


async def listings(*steps: list[Success]) -> AsyncIterator[Any]:
    """What a stream of listings brings, one after the other."""
    for found in steps:
        yield success._Listing(StagePath.parse(FULL_LOCATION, field="X"), tuple(found))


def fired(watcher: BatchSuccessTrigger, store: Store, *steps: list[Success]) -> list[tuple[str, str]]:
    async def scenario() -> list[tuple[str, str]]:
        events = [event async for event in watcher.filter_shared_stream(listings(*steps))]
        return [(event.payload["stage_location"], event.payload["written"]) for event in events]

    watcher.asset_state_store = store
    return run(scenario())  # type: ignore[no-any-return]


A, B, C = written("a", 100), written("b", 200), written("c", 300)
EVENTS = {
    name: (f"{FULL_LOCATION}{name}/", datetime.fromtimestamp(seconds, UTC).isoformat())
    for name, seconds in (("a", 100), ("b", 200), ("c", 300))
}


def test_listings_become_events_in_the_order_of_writing() -> None:
    assert fired(trigger(), Store(), [A], [A], [C, A, B], [C, A, B]) == [EVENTS["b"], EVENTS["c"]]


@pytest.mark.parametrize(
    ("changes", "events"),
    [
        ({}, []),
        ({"newer_than": datetime.fromtimestamp(150, UTC)}, ["b", "c"]),
        ({"newer_than": datetime.fromtimestamp(150, UTC), "directories": "[ac]"}, ["c"]),
    ],
)
def test_what_is_there_at_the_very_first_start(changes: dict[str, Any], events: list[str]) -> None:
    store = Store()
    assert fired(trigger(**changes), store, [A, B, C]) == [EVENTS[name] for name in events]
    assert store.values, "it is remembered, whether or not there was news"
    assert fired(trigger(**changes), store, [A, B, C]) == []


def test_what_another_triggerer_has_told_meanwhile_is_no_news() -> None:
    store, watcher = Store(), trigger()

    async def scenario() -> list[Any]:
        async def both() -> AsyncIterator[Any]:
            async for listing in listings([A]):
                yield listing
            await AssetMemory(watcher).save(SeenSuccesses.at_first([A, B]))
            async for listing in listings([A, B, C]):
                yield listing

        return [event.payload["stage_location"] async for event in watcher.filter_shared_stream(both())]

    watcher.asset_state_store = store
    assert run(scenario()) == [EVENTS["c"][0]]


def test_a_crash_before_the_event_is_noted_repeats_it() -> None:
    store = Store()
    assert fired(trigger(), store, []) == []

    async def dies_with_the_event() -> str:
        watcher = trigger()
        watcher.asset_state_store = store
        async for event in watcher.filter_shared_stream(listings([A])):
            return str(event.payload["stage_location"])
        raise AssertionError("no event")

    assert run(dies_with_the_event()) == EVENTS["a"][0]
    assert fired(trigger(), store, [A]) == [EVENTS["a"]]


class Session:
    """Stands in for the session that triggers share: each look is answered with the next of some outcomes."""

    def __init__(self, *outcomes: list[StageFile] | Exception) -> None:
        self._outcomes = list(outcomes)

    async def run(self, look: Callable[[Any], Any]) -> Any:
        return look(self)

    def qualify_location(self, location: StagePath) -> StagePath:
        return location.qualify("LOCAL", "PUBLIC")

    def list_files(self, location: StagePath, *, pattern: str) -> list[StageFile]:
        assert str(location) == FULL_LOCATION
        outcome = self._outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def test_a_look_that_fails_is_repeated_and_logged_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    modified = "Thu, 01 Jan 1970 00:01:40 GMT"
    files = [
        StageFile("scores/a/_SUCCESS", 0, "d41d", modified),
        StageFile("scores/b/not_SUCCESS", 0, "d41d", modified),
    ]
    gone, away = JobInputError("there is no such stage"), ConnectionError("away")
    session = Session(gone, gone, away, files, gone, files)

    @asynccontextmanager
    async def shared(settings: Any) -> AsyncIterator[Session]:
        yield session

    monkeypatch.setattr(success, "shared_poller", shared)

    async def scenario() -> list[Any]:
        stream = BatchSuccessTrigger.open_shared_stream(trigger(poll_interval=0.01).serialize()[1])
        return [await anext(stream), await anext(stream)]

    for listing in run(scenario()):
        assert str(listing.location) == FULL_LOCATION
        assert listing.found == (A,)
    said = caplog.text + capsys.readouterr().out
    # The stage's absence, the lost network, and the absence again after a look that has succeeded.
    assert said.count("Cannot list @WATCHED/scores/; trying on.") == 3
