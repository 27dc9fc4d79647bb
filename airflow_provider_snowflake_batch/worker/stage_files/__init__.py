"""Columns that name files: the model gets what is in them."""

from __future__ import annotations
