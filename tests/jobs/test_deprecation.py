"""What is given up goes on working for a while, and says so."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import pytest
from airflow.sdk import BaseOperator

from airflow_provider_snowflake_batch.jobs.deprecation import (
    SnowflakeBatchDeprecationWarning,
    deprecated,
    renamed_parameters,
)
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError


class Renamed(BaseOperator):
    @renamed_parameters(gone_in="0.4", pool_name="compute_pool")
    def __init__(self, *, compute_pool: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.compute_pool = compute_pool


def test_an_earlier_name_is_taken_and_the_line_that_has_it_is_named() -> None:
    message = r"Renamed\(pool_name=…\) will be gone in version 0\.4: write compute_pool=…\."
    with pytest.warns(SnowflakeBatchDeprecationWarning, match=message) as caught:
        made = Renamed(task_id="t", pool_name="P")
    assert made.compute_pool == "P"
    assert [one.filename for one in caught] == [__file__]


def test_both_names_are_refused() -> None:
    with pytest.raises(InvalidJobError, match="pool_name: is the earlier name of compute_pool"):
        Renamed(task_id="t", pool_name="P", compute_pool="P")


def test_the_present_name_says_nothing_and_is_the_one_in_the_signature() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Renamed(task_id="t", compute_pool="P").compute_pool == "P"
    assert "pool_name" not in inspect.signature(Renamed.__init__).parameters


def test_what_has_no_successor_by_name() -> None:
    with pytest.warns(SnowflakeBatchDeprecationWarning, match="will be gone in version 1.0: write output") as caught:
        deprecated("result()", gone_in="1.0", instead="output")
    assert caught[0].filename == __file__
