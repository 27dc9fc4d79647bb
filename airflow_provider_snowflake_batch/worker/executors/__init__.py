"""Who runs the tasks."""

from __future__ import annotations
