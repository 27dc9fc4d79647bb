"""Openings of files that take longer, as those on a distant store do."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

_HERE = Path(__file__).parent


def slow_openings(stage: Path, seconds: float, scratch: Path) -> tuple[dict[str, str], str]:
    """The environment for a process that opens files of a folder as slowly as that, and how that is done.

    The C library's ``open`` waits, if there is a compiler. Otherwise a hook of the interpreter does, which takes the
    interpreter once more for each file.

    :param scratch: an existing folder for what is compiled.
    """
    environment = {"SLOW_OPEN_FOLDER": str(stage), "SLOW_OPEN_SECONDS": str(seconds)}
    compiler = shutil.which("cc")
    if compiler is None:
        return {**environment, "PYTHONPATH": str(_HERE / "hook")}, "in the interpreter"
    library = scratch / "slow_open.so"
    source = _HERE / "slow_open.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"], check=True)
    return {**environment, "LD_PRELOAD": str(library)}, "in the C library"
