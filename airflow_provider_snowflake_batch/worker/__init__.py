"""The batch inference loop that runs inside the container, or beside it on a laptop.

Started as ``python -m airflow_provider_snowflake_batch.worker JOB.json``. It imports neither Airflow nor a Snowflake
driver; what a model brings along in its own libraries is the model's affair.
"""

from __future__ import annotations
