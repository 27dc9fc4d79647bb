"""Which line of the Snowflake driver is installed: some tests look at what only one of them does."""

from __future__ import annotations

from importlib.metadata import version

import pytest

DRIVER_LINE = int(version("snowflake-connector-python").partition(".")[0])


def only_4x(reason: str) -> pytest.MarkDecorator:
    """Skip a test with the 5.x line.

    :param reason: what the 5.x line has not.
    """
    return pytest.mark.skipif(DRIVER_LINE > 4, reason=f"the driver of the 5.x line {reason}")
