"""Folders that behave as mounted Snowflake stages do, for processes that a test starts; see stage_volume.c."""

from __future__ import annotations

import atexit
import functools
import itertools
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SECONDS = 1.0
"""How late another mount sees a file; far less than on a real stage, so that tests need not wait."""


@functools.cache
def library() -> Path:
    """The compiled library; skips the test where there is no C compiler, or no such thing as preloading."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler, with which stage volumes are imitated")
    folder = Path(tempfile.mkdtemp(prefix="stage-volume-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    target = folder / "stage_volume.so"
    command = [compiler, "-shared", "-fPIC", "-O2", "-o", target, HERE / "stage_volume.c", "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


@dataclass
class StageVolume:
    """Some folders as one stage, which each container mounts for itself.

    :param state: an empty folder that is none of these.
    :param folders: they need not exist yet.
    :param loses: closing so many files fails whose path has a text in it.
    """

    state: Path
    folders: Iterable[Path]
    seconds: float = SECONDS
    loses: tuple[int, str] | None = None
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def mount(self) -> dict[str, str]:
        """Environment variables for a process with a mount of its own, which the processes that it starts share."""
        for kind in ("made", "closed"):
            (self.state / kind).mkdir(parents=True, exist_ok=True)
        variables = {
            "LD_PRELOAD": str(library()),
            "STAGE_VOLUME_FOLDERS": ":".join(map(str, self.folders)),
            "STAGE_VOLUME_STATE": str(self.state),
            "STAGE_VOLUME_MOUNT": f"mount-{next(self._numbers)}",
            "STAGE_VOLUME_SECONDS": str(self.seconds),
        }
        if self.loses is not None:
            variables["STAGE_VOLUME_LOSES"] = f"{self.loses[0]} {self.loses[1]}"
        return variables

    def settle(self) -> None:
        """Let time pass: every file has arrived everywhere."""
        shutil.rmtree(self.state, ignore_errors=True)
