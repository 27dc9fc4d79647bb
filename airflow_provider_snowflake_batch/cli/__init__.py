"""``airflow snowflake-batch …``: what of this package is used from a terminal."""
