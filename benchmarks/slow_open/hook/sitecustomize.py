"""Makes every opening of a file below ``SLOW_OPEN_FOLDER`` take longer, as one on a distant store does.

Python imports a module of this name by itself when it starts, if its folder is on ``PYTHONPATH``.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

_FOLDER = os.environ.get("SLOW_OPEN_FOLDER")
_SECONDS = float(os.environ.get("SLOW_OPEN_SECONDS", "0"))


def _wait(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and str(arguments[0]).startswith(str(_FOLDER)):
        time.sleep(_SECONDS)


if _FOLDER:
    sys.addaudithook(_wait)
