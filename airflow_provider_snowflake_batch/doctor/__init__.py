"""Looks at an account and an Airflow, and tells what is missing before a job can run."""
