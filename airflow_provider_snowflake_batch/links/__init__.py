"""Links from a task to Snowflake."""
