"""Types of values, and values brought to them."""

from __future__ import annotations
