"""Measurements of this package, each a script of its own."""

from __future__ import annotations
