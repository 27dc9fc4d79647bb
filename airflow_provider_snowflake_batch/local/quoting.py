"""Names in double quotes, in Snowflake's SQL and in the engine's alike."""

from __future__ import annotations


def quoted(*parts: str) -> str:
    """A name, part by part as it is, so that case and every sign count: ``"My db"."T"``."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)
