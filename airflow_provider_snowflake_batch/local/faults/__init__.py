"""Faults on demand: how to make the local Snowflake misbehave as an account, or the way to it, sometimes does."""
