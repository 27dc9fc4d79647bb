"""Operators for batch inference jobs."""
