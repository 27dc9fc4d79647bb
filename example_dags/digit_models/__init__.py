"""Models for the Dag ``digits_own_model``. The job's container has this folder, and neither Airflow nor the Dag."""
