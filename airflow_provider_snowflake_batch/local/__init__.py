"""An embedded Snowflake for development and tests: ``python -m airflow_provider_snowflake_batch.local``.

What it cannot do it refuses, in Snowflake's error shape, with the words "not supported by the local Snowflake".
"""
