"""A helper process that reads footers for the coordinator: ``python -m … FILE_DESCRIPTOR PARENT``."""

from __future__ import annotations

import os
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from airflow_provider_snowflake_batch.worker.errors import WorkerError
from airflow_provider_snowflake_batch.worker.processes import limits, parent


def main(connection: Connection[Any, Any]) -> None:
    """Answer shares of names until the coordinator hangs up."""
    limits.limit_threads(1)
    from airflow_provider_snowflake_batch.worker.input.footers import Schemas, read_footers

    root, schemas = Path(connection.recv()), Schemas()
    while True:
        try:
            answer: Any = [file[1:] for file in read_footers(root, connection.recv(), schemas)]
        except WorkerError as error:
            answer = error
        connection.send(answer)


if __name__ == "__main__":
    parent.end_with(int(sys.argv[2]))
    parent.leave_signals_to_parent()
    try:
        main(Connection(int(sys.argv[1])))
    except (EOFError, OSError):
        os._exit(0)
