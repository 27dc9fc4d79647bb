"""Snowpark Container Services of the local Snowflake: compute pools, job services, their processes and logs."""
