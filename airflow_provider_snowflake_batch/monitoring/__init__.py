"""The pages in Airflow's UI that show batch inference jobs."""
