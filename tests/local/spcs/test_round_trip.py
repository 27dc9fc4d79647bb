"""What the provider writes, this server reads: whatever goes into a job comes out of the statement.

Also tests ``local/spcs/execute_inference_job.py``.
"""

from __future__ import annotations

import string
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_snowflake_batch.local.parsing import Cursor
from airflow_provider_snowflake_batch.local.spcs import execute_inference_job, specification

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
NAME = st.text(string.ascii_uppercase, min_size=1, max_size=8).map(lambda name: f"X_{name}")


def quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


@given(specification_text=TEXT, function=TEXT, name=NAME, replicas=st.integers(1, 100), query=st.sampled_from([
    "SELECT ')' FROM \"a)b\" WHERE c = '('", "SELECT (1), (2) -- )\n", "SELECT f(g(h(1)))",
]))  # fmt: skip
def test_an_inference_statement_reads_back(
    specification_text: str, function: str, name: str, replicas: int, query: str
) -> None:
    sql = (
        f"EXECUTE INFERENCE JOB SERVICE IN COMPUTE POOL P WITH SPECIFICATION {quoted(specification_text)}\n"
        f"FROM ({query}) MODEL = D.S.M VERSION = V1 FUNCTION = {quoted(function)} NAME = D.S.{name} ASYNC = TRUE "
        f"REPLICAS = {replicas}"
    )
    cursor = Cursor(sql)
    cursor.expect("EXECUTE", "INFERENCE", "JOB", "SERVICE")
    request = execute_inference_job.read(cursor)
    assert (request.specification, request.function) == (specification_text, function)
    assert (request.query, request.name, request.replicas) == (query, ("D", "S", name), replicas)
    assert (request.model, request.version, request.is_async) == (("D", "S", "M"), "V1", True)


@given(st.dictionaries(TEXT, TEXT, max_size=4), st.lists(TEXT, min_size=1, max_size=4))
def test_a_service_specification_reads_back(env: dict[str, str], command: list[str]) -> None:
    container: dict[str, Any] = {"name": "main", "image": "i", "command": command, "env": env}
    text = yaml.safe_dump({"spec": {"containers": [container]}})
    (checked,) = specification.parse(text).containers
    assert (checked.argv, checked.env) == (command, env)


@given(TEXT)
def test_any_literal_is_one_token(text: str) -> None:
    cursor = Cursor(quoted(text))
    assert cursor.string() == text
    cursor.end()
