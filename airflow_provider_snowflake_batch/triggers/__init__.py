"""Triggers that wait for batch inference jobs without a worker slot."""
