"""The pages' scripts: ES modules as they are in ``static/``, without a build step."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

URL_PREFIX = "/snowflake-batch"
ENTRY = "batch_jobs.js"
_FOLDER = Path(__file__).parent / "static"


@cache
def scripts() -> dict[str, bytes]:
    """Every script by its file name."""
    return {path.name: path.read_bytes() for path in sorted(_FOLDER.glob("*.js"))}


@cache
def bundle_version() -> str:
    """A name for exactly these scripts, so that browsers may keep what they fetched under it."""
    content = b"\0".join(part for name, text in scripts().items() for part in (name.encode(), text))
    return hashlib.sha256(content).hexdigest()[:16]
