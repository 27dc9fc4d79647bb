"""The environment in which another Python process finds this package, also where that is one archive."""

from __future__ import annotations

import os
from pathlib import Path

# The folder that holds the package, or the archive that `archive` writes.
_ROOT = Path(__file__).parents[3]


def environment() -> dict[str, str]:
    """This process's environment, for ``python -m`` with a module of this package.

    Only an archive is added to the search path: a folder holds other packages too, and ``PYTHONPATH`` would put those
    before Python's own modules.
    """
    environment = dict(os.environ)
    if _ROOT.is_file():
        paths = [str(_ROOT), *filter(None, [environment.get("PYTHONPATH")])]
        environment["PYTHONPATH"] = os.pathsep.join(paths)
    return environment
