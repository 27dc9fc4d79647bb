"""A folder of its own for all that a job keeps outside its output, under ``TMPDIR``.

Everything that asks for a temporary file gets it there, model processes included, so removing the folder at the end
removes what they have left. A worker that is killed cannot do that: its folder is locked as long as somebody owns it,
so that whoever starts next finds those that nobody does.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

_PREFIX = "sfbatch-job-"
_UNNAMED = "sfbatch-new-"
# A folder gets its name after milliseconds. If it has none after so long, its worker was killed.
_UNNAMED_SECONDS = 3600.0
_LOCK = ".lock"


class JobFolder:
    """Makes the folder, and removes those that killed workers of the same user left beside it.

    :param parent: where; None for the system's place for temporary files.
    :ivar path: the folder.
    """

    def __init__(self, parent: Path | None = None) -> None:
        parent = Path(tempfile.gettempdir()) if parent is None else parent
        self._short: JobFolder | None = None
        _remove_abandoned(parent)
        # Only this user can look into it. It gets its name when it is locked: a named folder without a lock is removed.
        unnamed = Path(tempfile.mkdtemp(prefix=_UNNAMED, dir=parent))
        self._lock: int | None = os.open(unnamed / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        # On a file system without locks, no folder is taken for abandoned.
        with contextlib.suppress(OSError):
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.path = unnamed.with_name(_PREFIX + unnamed.name.removeprefix(_UNNAMED))
        unnamed.rename(self.path)
        _remove_unnamed(parent, self.path.stat().st_mtime)

    def use(self) -> None:
        """Have this process and those that it starts make their temporary files there."""
        os.environ["TMPDIR"] = tempfile.tempdir = str(self.path)

    def short(self, most: int) -> Path:
        """A folder whose path has no more than some characters, in case paths of sockets begin with it.

        It is this one, or another one that is removed with it.
        """
        if len(str(self.path)) <= most:
            return self.path
        self._short = self._short or JobFolder(Path("/tmp"))
        return self._short.path

    def remove(self) -> None:
        """Remove the folder with everything in it."""
        if self._short is not None:
            self._short.remove()
        if self._lock is not None:
            remove_tree(self.path)
            # Whoever is interrupted here may call again.
            lock, self._lock = self._lock, None
            os.close(lock)


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            try:
                lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
            except FileNotFoundError:
                # An empty folder was being removed. Any other one is not a worker's.
                folder.rmdir()
                continue
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove_tree(folder)
            finally:
                os.close(lock)


def _remove_unnamed(parent: Path, now: float) -> None:
    """:param now: by the clock that the folders' times are from."""
    for folder in parent.glob(f"{_UNNAMED}*"):
        with contextlib.suppress(OSError):
            status = folder.lstat()
            if status.st_uid == os.getuid() and status.st_mtime < now - _UNNAMED_SECONDS and not folder.is_symlink():
                remove_tree(folder)


def remove_tree(folder: Path) -> None:
    """Remove a folder as far as that can be done, also where a model has withdrawn its own right to write.

    The lock goes last: by it the next worker knows what is left to be done if this one is killed meanwhile.
    """
    for place, _, _ in os.walk(folder):
        with contextlib.suppress(OSError):
            Path(place).chmod(0o700)
    with contextlib.suppress(OSError):
        for entry in [one for one in folder.iterdir() if one.name != _LOCK]:
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
