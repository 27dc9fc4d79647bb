"""What is read: the plan of a batch, and the rows of its tasks."""

from __future__ import annotations
