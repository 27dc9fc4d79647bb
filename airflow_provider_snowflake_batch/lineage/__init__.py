"""What a task tells OpenLineage."""
