"""Sensors that gate downstream tasks on a finished batch inference job."""
