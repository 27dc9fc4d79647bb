"""The XComs of a trigger's task. Airflow clears them when a try starts, and keeps them while the task is deferred."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

LOG_POSITION_KEY = "snowflake_batch_log"


class TaskXComs:
    """Reads and writes XComs from a trigger, off the event loop.

    :param instance: the trigger's ``task_instance``.
    """

    def __init__(self, instance: Any) -> None:
        self._owner = {
            "dag_id": instance.dag_id,
            "task_id": instance.task_id,
            "run_id": instance.run_id,
            "map_index": instance.map_index if instance.map_index is not None else -1,
        }

    async def get(self, key: str) -> Any:
        """The value, or None."""
        xcom = await asyncio.to_thread(_load_class)
        # Airflow 3.2 lacks it.
        if hasattr(xcom, "aget_one"):
            return await xcom.aget_one(key=key, **self._owner)
        from asgiref.sync import sync_to_async

        return await sync_to_async(xcom.get_one)(key=key, **self._owner)

    async def set(self, key: str, value: Any) -> None:
        xcom = await asyncio.to_thread(_load_class)
        if hasattr(xcom, "aset"):
            await xcom.aset(key=key, value=value, **self._owner)
            return
        from asgiref.sync import sync_to_async

        await sync_to_async(xcom.set)(key=key, value=value, **self._owner)

    async def load(self) -> Mapping[str, Sequence[int]] | None:
        """How far an earlier trigger has shown the job's log."""
        found = await self.get(LOG_POSITION_KEY)
        return found if isinstance(found, dict) else None

    async def save(self, positions: Mapping[str, Sequence[int]]) -> None:
        """Remember how far this trigger has shown the job's log."""
        await self.set(LOG_POSITION_KEY, {key: list(position) for key, position in positions.items()})


def _load_class() -> Any:
    from airflow.providers.common.compat.sdk import XCom

    return XCom
