"""What a batch inference job is: pure Python, without Airflow, driver or I/O."""
