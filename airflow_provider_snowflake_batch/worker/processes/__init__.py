"""Processes of the worker: how many, with what environment, and how they end."""

from __future__ import annotations
