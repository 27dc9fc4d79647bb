"""What is missing before a job can run: an account and an Airflow looked at, and judged."""
