"""A whole Airflow and a local Snowflake as processes of this machine."""
