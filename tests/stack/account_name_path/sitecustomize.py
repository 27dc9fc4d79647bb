"""On the PYTHONPATH of a test's Airflow: its processes find the local Snowflake under an account's host name."""

from __future__ import annotations

from tests import account_name

account_name.install()
