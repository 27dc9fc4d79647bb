"""Texts of others on their way into an XCom, which unlike a log is stored as it is."""

from __future__ import annotations


def masked(text: str) -> str:
    """A text as Airflow writes it into a log: what it knows to be secret is ``***``."""
    from airflow.providers.common.compat.sdk import redact

    return str(redact(text))
