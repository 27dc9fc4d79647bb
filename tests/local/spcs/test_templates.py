from __future__ import annotations

import pytest

from airflow_provider_snowflake_batch.local.errors import SnowflakeError
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.spcs import templates


def test_values_and_defaults() -> None:
    template = "{{ a }}-{{b|default('x y')}}-{{ c | default(3) }}-{{ A }}"
    assert templates.fill(template, {"A": "1"}) == "1-x y-3-1"
    assert templates.fill(template, {"a": "1", "b": "{{ c }}", "c": "2"}) == "1-{{ c }}-2-1"


def test_what_cannot_be_filled() -> None:
    with pytest.raises(SnowflakeError, match="'name' has no value") as caught:
        templates.fill("{{ name }}", {})
    assert caught.value.errno == 395018
    with pytest.raises(SnowflakeError, match="not supported by the local Snowflake"):
        templates.fill("{% for x in y %}", {})


def test_using() -> None:
    cursor = Cursor("(a => 'one', b => 2, c => $$[1, 2]$$, \"d\" => TRUE)")
    assert templates.using(cursor) == {"A": "one", "B": "2", "C": "[1, 2]", "d": "TRUE"}
    cursor.end()
