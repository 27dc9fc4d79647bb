"""The queues between the threads of a model process."""

from __future__ import annotations

import threading

from airflow_provider_snowflake_batch.worker.scoring.pipeline import ByteQueue


def test_nobody_waits_for_room_in_a_queue_from_which_nobody_takes() -> None:
    queue: ByteQueue[int] = ByteQueue(10, 2)
    queue.put(1, 10)
    waiting = threading.Thread(target=queue.put, args=(2, 10), daemon=True)
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()

    queue.close()

    waiting.join(30)
    assert not waiting.is_alive()
    assert queue.get() == 1
