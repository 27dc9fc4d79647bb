"""What is written: part files, records, and what replicas leave for each other."""

from __future__ import annotations
