"""Importing this module registers every statement and function of the model registry."""

from __future__ import annotations

from airflow_provider_snowflake_batch.local.registry import change_models, packages, show_models  # noqa: F401
