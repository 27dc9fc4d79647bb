from __future__ import annotations

import pytest

from airflow_provider_snowflake_batch.local.errors import SnowflakeError
from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.spcs import templates


def test_values_and_defaults() -> None:
    template = "{{ a }}-{{b|default('x y')}}-{{ c | default(3) }}-{{ A }}"
    assert templates.fill(template, {"A": "1"}) == "1-x y-3-1"
    assert templates.fill(template, {"a": "1", "b": "{{ c }}", "c": "2"}) == "1-{{ c }}-2-1"


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("{{a}}\n", "1\n"),
        ("x: '{{ b | default(\"it's\") }}'", "x: 'it's'"),
        ("{{ b | default('a)b') }}", "a)b"),
        ("{{ b|default(latest) }} {{ b|default(true) }} {{ b|default('') }}", "latest true "),
        ("a\n  {{- a -}}  b", "a1b"),
        ('echo ${#LIST[@]} {"a": {"b": 1}} }}', 'echo ${#LIST[@]} {"a": {"b": 1}} }}'),
    ],
)
def test_templates_are_read_as_jinja_reads_them(template: str, filled: str) -> None:
    assert templates.fill(template, {"A": "1"}) == filled


def test_a_variable_without_a_value() -> None:
    with pytest.raises(SnowflakeError, match="'name' has no value") as caught:
        templates.fill("{{ name }}", {})
    assert caught.value.errno == 395018


@pytest.mark.parametrize(
    "template",
    [
        "{% for x in y %}",
        "{% if a %}b{% endif %}",
        "{{ a | upper }}",
        "{{ a.b }}",
        "{{ 'a' }}",
        "{{ a() }}",
        "{{ a | default(b.c) }}",
        "{{ a | default('b') | upper }}",
    ],
)
def test_more_than_variables_is_refused(template: str) -> None:
    with pytest.raises(SnowflakeError, match="not supported by the local Snowflake"):
        templates.fill(template, {"A": "1"})


@pytest.mark.parametrize("template", ["x\n{{ a", "x\n{{ a b }}", "x\n{{}}", "x\n{{.Name}}"])
def test_what_is_no_template_names_the_line(template: str) -> None:
    with pytest.raises(SnowflakeError, match="no valid template in line 2") as caught:
        templates.fill(template, {"A": "1"})
    assert caught.value.errno == 395018


def test_using() -> None:
    cursor = Cursor("(a => 'one', b => 2, c => $$[1, 2]$$, \"d\" => TRUE)")
    assert templates.using(cursor) == {"A": "one", "B": "2", "C": "[1, 2]", "d": "TRUE"}
    cursor.end()
