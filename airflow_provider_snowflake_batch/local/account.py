"""The one account of the local Snowflake."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Account:
    """What exists after the first start and what the printed connection names.

    :param version: of the Snowflake that it says it is.
    """

    name: str = "local"
    user: str = "LOCAL"
    role: str = "SYSADMIN"
    database: str = "LOCAL"
    schema: str = "PUBLIC"
    warehouse: str = "COMPUTE_WH"
    version: str = "10.0.0"
