"""Checkpoints of the databases, and databases that DuckDB has given up because one failed.

A write is durable in the write-ahead log beside a database's file; a checkpoint moves it into the file. DuckDB's own
checkpoints come at the end of a commit, and one that finds no room on the disk makes the whole database unusable until
it is detached and attached again. So checkpoints are made here, beside the statements, and only with room for them; and
a database that is unusable all the same is attached again: its log still holds every commit.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from airflow_provider_snowflake_batch.local.parsing import quoted
from airflow_provider_snowflake_batch.local.shortages import RESERVE_BYTES, free_bytes, shortage

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.local.sql.connection import EngineConnection

log = logging.getLogger(__name__)

LOG_BYTES = 16 * 2**20
"""Size of a write-ahead log from which on it is moved into its database: DuckDB's own limit."""
NEVER = "1TB"
"""DuckDB's ``checkpoint_threshold`` that leaves the checkpoints to this module."""
POLL_SECONDS = 0.5
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 2.0, 60.0
"""Wait after a checkpoint that failed; doubled each time."""
_PATIENCE_SECONDS = 5.0
"""How long a statement that runs in a database to be attached again may go on before it is interrupted."""
_GIVEN_UP = re.compile(r'Database "(.+?)" has been invalidated|Checkpoint failed for database "(.+?)"', re.DOTALL)
_UNTOUCHED = re.compile(r'^(?:[\w ]+ Error: )?(?:Failed to commit: )?Database "[^"]+" has been invalidated')


class Checkpoints:
    """The checkpoints of one engine.

    :param root: a connection that attaches and detaches databases.
    :param connections: those of all sessions.
    :param files: the file of each attached database by name.
    """

    def __init__(
        self,
        root: duckdb.DuckDBPyConnection,
        connections: Callable[[], Iterable[EngineConnection]],
        files: dict[str, Path],
    ) -> None:
        self._root = root
        self._connections = connections
        self._files = files
        self._lock = threading.RLock()
        self._detached: set[str] = set()
        self._retry_at: dict[str, float] = {}
        self._retry_seconds: dict[str, float] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
        self.generation = 0
        """Counts whenever a database is about to go and when it is back: what ran meanwhile may have missed it."""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def ready(self, connection: EngineConnection | None) -> None:
        """Wait for a database that is being attached again, and try once more with one that could not be.

        :param connection: the one that the calling thread works for.
        :raises duckdb.Error: when it still cannot.
        """
        if self._detached:
            if connection is not None:
                # What it has open would keep the database from being attached.
                connection.give_way(0)
            with self._lock:
                for name in list(self._detached):
                    self._attach(name)

    def heal(self, error: BaseException, connection: EngineConnection | None, generation: int) -> bool:
        """Attach the database again that an error says is unusable.

        :param connection: the one that the calling thread works for.
        :param generation: :attr:`generation` when the statement began.
        :returns: whether the statement had no effect and may be run again.
        """
        given_up = _GIVEN_UP.search(str(error)) if isinstance(error, duckdb.Error) else None
        in_transaction = connection is not None and connection.transactions.open
        if given_up is None:
            # Another statement had the database attached again meanwhile, so that it was not there for a moment.
            missed = isinstance(error, (duckdb.CatalogException, duckdb.BinderException))
            return missed and not in_transaction and self.generation != generation
        if connection is not None:
            # Its transaction keeps the old database in use, and can only fail.
            connection.give_way(0)
        self._attach_again(given_up[1] or given_up[2])
        return not in_transaction and _UNTOUCHED.match(str(error)) is not None

    # Attaching again

    def _attach_again(self, name: str) -> None:
        with self._lock:
            if name not in self._files or (name not in self._detached and self._is_usable(name)):
                return
            log.error("Database %s is attached again: a checkpoint found no room on the disk", name)
            # Statements that begin wait in ready() from now on.
            self._detached.add(name)
            self.generation += 1
            self._execute(f"DETACH DATABASE IF EXISTS {quoted(name)}")
            try:
                self._attach(name)
            except duckdb.Error:
                log.exception("Database %s could not be attached again; the next statement tries once more", name)

    def _is_usable(self, name: str) -> bool:
        try:
            self._execute(f"USE {quoted(name)}")
        except duckdb.Error:
            return False
        return True

    def _execute(self, sql: str) -> None:
        with self._root.cursor() as cursor:
            cursor.execute(sql)

    def _attach(self, name: str) -> None:
        """:raises duckdb.Error: when the file cannot be opened: no descriptors, a disk that cannot be written to."""
        if name not in self._detached:
            return
        began = time.monotonic()
        while True:
            try:
                self._execute(f"ATTACH IF NOT EXISTS '{_escaped(self._files[name])}' AS {quoted(name)}")
                break
            except duckdb.Error as error:
                if "file handle conflict" not in str(error) or time.monotonic() - began > 60:
                    raise
                # Transactions that were open when the database was detached keep its file open.
                self._end_transactions(impatient=time.monotonic() - began > _PATIENCE_SECONDS)
                time.sleep(0.02)
        self.generation += 1
        self._detached.discard(name)

    def _end_transactions(self, *, impatient: bool) -> None:
        for connection in self._connections():
            if not connection.give_way(0.02) and impatient:
                connection.interrupt()

    # Checkpoints

    def _run(self) -> None:
        while not self._stopping.wait(POLL_SECONDS):
            for name, path in list(self._files.items()):
                try:
                    if self._is_due(name, path):
                        self._checkpoint(name)
                except Exception:
                    log.exception("The log of database %s could not be looked at", name)

    def _is_due(self, name: str, path: Path) -> bool:
        try:
            size = path.with_name(f"{path.name}.wal").stat().st_size
        except OSError:
            return False
        if size < LOG_BYTES or time.monotonic() < self._retry_at.get(name, 0):
            return False
        # What a checkpoint writes anew lies beside what it replaces until it has ended.
        return free_bytes(path.parent) > 2 * size + RESERVE_BYTES

    def _checkpoint(self, name: str) -> None:
        try:
            self._execute(f"CHECKPOINT {quoted(name)}")
            self._retry_seconds.pop(name, None)
        except duckdb.TransactionException:
            # Others write just now; the next look comes soon.
            return
        except duckdb.Error as error:
            wait = self._retry_seconds.get(name, FIRST_RETRY_SECONDS)
            self._retry_seconds[name] = min(2 * wait, LAST_RETRY_SECONDS)
            self._retry_at[name] = time.monotonic() + wait
            if shortage(error) is None:
                log.warning("The checkpoint of database %s failed: %s", name, error)
            self.heal(error, None, self.generation)


def _escaped(path: Path) -> str:
    return str(path).replace("'", "''")
