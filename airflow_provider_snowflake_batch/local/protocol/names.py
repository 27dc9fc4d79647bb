"""Names as connection parameters carry them."""

from __future__ import annotations


def stored_name(name: str | None) -> str | None:
    """The name as Snowflake stores it: quoted as it stands, unquoted in upper case; None for none."""
    if not name:
        return None
    if len(name) >= 2 and name.startswith('"') and name.endswith('"'):
        return name[1:-1].replace('""', '"')
    return name.upper()
