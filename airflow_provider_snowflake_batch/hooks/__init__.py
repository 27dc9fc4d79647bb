"""The only place that talks to Snowflake."""
