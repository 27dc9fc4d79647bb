"""Print the path of an installed Python: ``python3 scripts/find_python.py 3.10``; without a version, of this one.

A name on the PATH may be one of pyenv's, which runs only where that version is chosen, so each candidate is tried.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path


def candidates(version: str) -> Iterator[str]:
    """Programs that may be this version."""
    yield sys.executable
    on_path = shutil.which(f"python{version}")
    if on_path is not None:
        yield on_path
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from map(str, sorted((root / "versions").glob(f"{version}.*/bin/python"), reverse=True))


def is_version(program: str, version: str) -> bool:
    """Whether a program runs and is of this version."""
    code = "import sys; print('.'.join(map(str, sys.version_info[:2])))"
    try:
        done = subprocess.run([program, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.stdout.strip() == version


def main(version: str) -> int:
    found = next((program for program in candidates(version) if is_version(program, version)), None)
    if found is None:
        print(f"Python {version} is not installed on this machine", file=sys.stderr)
        return 1
    print(found)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "{}.{}".format(*sys.version_info)))
