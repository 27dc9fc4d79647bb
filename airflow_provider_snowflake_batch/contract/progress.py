"""The worker's lines that tell how far it is: this prefix, then a JSON object on the same line."""

from __future__ import annotations

PROGRESS_PREFIX = "SNOWFLAKE_BATCH_PROGRESS "
