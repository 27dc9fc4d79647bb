"""How the replicas of a job find each other, and the Ray nodes that they start."""

from __future__ import annotations
