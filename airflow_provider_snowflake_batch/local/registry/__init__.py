"""The model registry of the local Snowflake: models, their versions, and the files that log_model packed."""
