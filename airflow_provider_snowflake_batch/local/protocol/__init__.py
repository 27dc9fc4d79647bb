"""Snowflake's wire protocol over HTTP."""
