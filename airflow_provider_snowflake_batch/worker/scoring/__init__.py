"""The model is called: from the rows of a task to the columns of its results."""

from __future__ import annotations
