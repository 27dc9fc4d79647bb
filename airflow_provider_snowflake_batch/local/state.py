"""The state directory: everything the local Snowflake keeps, owned by one server at a time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
import sqlite3
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class StateDirectoryInUse(Exception):
    """Another server holds the state directory; the text says which process and where."""


class StateDirectory:
    """The directory with the databases, the stage files, the control database and the secret.

    :param path: created if it is missing; it and what is in it are closed to other users in any case.
    :raises StateDirectoryInUse: when another server process has opened it.
    :raises OSError: when it cannot be written to, or is one that others use, which must not be closed to them.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        _close_to_others(self.path)
        self._lock = self._acquire()
        shutil.rmtree(self.scratch, ignore_errors=True)
        for folder in (self.databases, self.stage_files, self.scratch):
            folder.mkdir(exist_ok=True)
        self.secret = self._secret()

    @property
    def databases(self) -> Path:
        return self.path / "databases"

    @property
    def stage_files(self) -> Path:
        return self.path / "stages"

    @property
    def scratch(self) -> Path:
        """Files of one statement; emptied at each start."""
        return self.path / "scratch"

    @property
    def connection_file(self) -> Path:
        return self.path / "connection.json"

    def connect(self) -> sqlite3.Connection:
        """A new connection to ``control.db``: WAL, autocommit, usable from any thread."""
        connection = sqlite3.connect(
            self.path / "control.db", isolation_level=None, check_same_thread=False, timeout=30
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    def control(self, schema: str) -> ControlDatabase:
        """The control database for a part of the server that has tables of its own there.

        :param schema: makes them where they are missing.
        """
        return ControlDatabase(self.connect(), schema)

    def write_private(self, path: Path, text: str) -> None:
        """Replace a file whole, readable by its owner only."""
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(text)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def close(self) -> None:
        self._lock.close()

    def _acquire(self) -> IO[str]:
        # A lock of the operating system, unlike a pid file, is gone with its process however that ends.
        file = (self.path / "server.lock").open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            owner = file.read().strip()
            file.close()
            who = f" (process {owner})" if owner else ""
            raise StateDirectoryInUse(
                f"Another local Snowflake{who} is using the state directory {self.path}. "
                "Stop it, or start this one with another --state-dir."
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        return file

    def _secret(self) -> str:
        path = self.path / "secret"
        if path.exists() and (secret := path.read_text().strip()):
            return secret
        secret = secrets.token_urlsafe(24)
        self.write_private(path, f"{secret}\n")
        return secret


def _close_to_others(folder: Path) -> None:
    """Take every right of other users away, from a folder and all in it."""
    mode = folder.stat().st_mode
    if mode & stat.S_ISVTX or folder in (Path(folder.anchor), Path.home()):
        raise PermissionError(errno.EPERM, "others use it, and it would be closed to them")
    if mode & _OTHERS:
        folder.chmod(stat.S_IMODE(mode) & ~_OTHERS)
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent, name)
            with contextlib.suppress(FileNotFoundError):
                mode = path.lstat().st_mode
                if mode & _OTHERS and not stat.S_ISLNK(mode):
                    path.chmod(stat.S_IMODE(mode) & ~_OTHERS)


class ControlDatabase:
    """What a part of the server keeps. Any thread may use it; hold ``lock`` for what must not come between."""

    def __init__(self, connection: sqlite3.Connection, schema: str) -> None:
        self._connection = connection
        self.lock = threading.RLock()
        self._connection.executescript(schema)

    def run(self, sql: str, *values: Any) -> int:
        """How many rows the statement has changed."""
        with self.lock:
            return self._connection.execute(sql, values).rowcount

    def insert(self, table: str, *values: Any, verb: str = "INSERT") -> int:
        """Insert a row with a value for each column; how many rows that has changed."""
        return self.run(f"{verb} INTO {table} VALUES ({', '.join('?' * len(values))})", *values)

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.lock:
            return self._connection.execute(sql, values).fetchall()

    def row(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        """The first row, if there is one."""
        return next(iter(self.rows(sql, *values)), None)

    @contextlib.contextmanager
    def atomic(self) -> Iterator[None]:
        """All changes of the block, or none."""
        with self.lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                # A full disk has rolled it back already.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        self._connection.close()
