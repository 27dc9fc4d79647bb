"""Columns of results and their values, as the statements of several rooms make them."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow_provider_snowflake_batch.local.statements import Column


def moment(seconds: float | None) -> datetime | None:
    """A time of the control database as a result value."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def text_columns(names: str) -> list[Column]:
    """Text columns of these names, given with blanks between."""
    return [Column(name) for name in names.split()]
