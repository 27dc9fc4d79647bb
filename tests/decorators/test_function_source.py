"""What of a function in a Dag is sent elsewhere, and what is refused because it would be missing there.

Also tests ``jobs/models/function.py``.
"""

from __future__ import annotations

import functools
import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_snowflake_batch.decorators.function_source import called_signature, read_function
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.models.function import FunctionModel

THRESHOLD = 0.5


def leaves_as_it_is(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


def ran(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What the function returns where there is nothing but its own text."""
    model = FunctionModel(function.__name__, read_function(function))
    module: dict[str, Any] = {}
    exec(compile(model.own_code[model.code], "task_function.py", "exec"), module)
    return module[model.name](*args, **kwargs)


def test_decorators_and_indentation_are_left_out() -> None:
    @leaves_as_it_is
    def score(rows, threshold=0.5):
        # Why.
        return rows > threshold

    assert read_function(score) == textwrap.dedent(
        """\
        def score(rows, threshold=0.5):
            # Why.
            return rows > threshold
        """
    )
    assert ran(score, 0.7)


def test_a_text_over_several_lines_stays_as_it_is() -> None:
    # fmt: off
    def score(rows):
        first = """a
  less
                more
"""
        second = f"""{rows}
less"""
        return [
    first, second,
            "next"
        ]
    # fmt: on

    assert ran(score, 1) == score(1)


def test_what_looks_like_a_template_stays_as_it_is() -> None:
    def score(rows):
        return f"{{{{ ds }}}} {rows}" + "{% raw %}"

    assert ran(score, 1) == "{{ ds }} 1{% raw %}"


def test_a_function_may_define_import_and_repeat_what_it_needs() -> None:
    def score(rows):
        global kept
        import math as m
        from functools import reduce

        kept = 1

        class Sum:
            start = 0

            def of(self, values):
                return reduce(lambda total, value: total + m.floor(value), values, self.start + __name__.count("no"))

        def inner(values):
            return [Sum().of(value for value in values) for _ in range(kept)]

        return inner(rows) if rows else score([1.5])

    assert ran(score, []) == [1]


def test_annotations_name_what_they_like() -> None:
    def score(rows: pd.DataFrame, other: Missing = None) -> pd.DataFrame:  # noqa: F821
        found: Missing = rows  # noqa: F821
        return found

    assert ran(score, 3) == 3


def test_coroutines_are_functions() -> None:
    async def score(rows):
        return rows

    assert read_function(score).startswith("async def score(rows):\n")


def uses_a_name_around_it(rows):
    return rows > THRESHOLD


def uses_one_as_a_default(rows, threshold=THRESHOLD):
    return rows > threshold


def uses_one_in_a_function_inside(rows):
    return [leaves_as_it_is(row) for row in rows if (lambda: THRESHOLD)()]


def is_misspelled(rows):
    return row  # noqa: F821


def closure() -> Callable[..., Any]:
    threshold = 0.5

    def score(rows):
        return rows > threshold

    return score


def counting() -> Callable[..., Any]:
    calls = 0

    def score(rows):
        nonlocal calls
        calls += 1
        return rows

    return score


@functools.wraps(is_misspelled)
def wrapped(*args):
    return is_misspelled(*args)


def yields(rows):
    yield rows


class Model:
    def __call__(self, rows):
        return rows


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (uses_a_name_around_it, "uses_a_name_around_it uses 'THRESHOLD' from around it, but runs in a container"),
        (uses_one_as_a_default, "uses_one_as_a_default uses 'THRESHOLD' from"),
        (uses_one_in_a_function_inside, "uses 'THRESHOLD', 'leaves_as_it_is' from"),
        (is_misspelled, "is_misspelled uses 'row' from"),
        (closure(), "score uses 'threshold' from"),
        (counting(), "score cannot stand alone: no binding for nonlocal 'calls'"),
        (wrapped, "is_misspelled has a decorator of its own"),
        (yields, "yields yields: return the predictions"),
        (Model, "takes a function that is written with def, got a class. A class is given to RunBatchOperator"),
        (Model(), "takes a function that is written with def, got Model"),
        (functools.cache(yields), "takes a function that is written with def, got yields"),
        (lambda rows: rows, "takes a function that is written with def, got <lambda>"),
    ],
)
def test_what_would_be_missing_is_refused(function: Callable[..., Any], message: str) -> None:
    with pytest.raises(InvalidJobError, match=f"^@task.snowflake_batch: .*{message}"):
        read_function(function)


def test_a_function_without_a_file_is_refused() -> None:
    made: dict[str, Any] = {}
    exec("def score(rows):\n    return rows", made)
    with pytest.raises(InvalidJobError, match="score has no source file"):
        read_function(made["score"])


def test_the_text_of_a_command_line_is_no_functions_source() -> None:
    """Python 3.13 keeps it under the name that text given to exec has, too."""
    code = (
        "from airflow_provider_snowflake_batch.decorators.function_source import read_function\n"
        "made = {}\n"
        "exec('def score(rows): return rows', made)\n"
        "read_function(made['score'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.stderr.splitlines()[-1].endswith("score has no source file, so its text cannot be had.")


def nothing():
    pass


def positions(rows, threshold, /):
    pass


def any_number(rows, *more):
    pass


def by_name_only(*, rows):
    pass


def context(rows, ds=None):
    pass


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (nothing, "has no parameter for the rows"),
        (by_name_only, "has no parameter for the rows"),
        (positions, "has a parameter 'threshold' that cannot be given by name"),
        (any_number, "has a parameter 'more' that cannot be given by name"),
        (context, r"has a parameter 'ds', which is Airflow's context .* as in context\(day='{{ ds }}'\)"),
    ],
)
def test_parameters_that_cannot_be_given_are_refused(function: Callable[..., Any], message: str) -> None:
    with pytest.raises(InvalidJobError, match=message):
        read_function(function)


def test_a_call_in_the_dag_leaves_the_rows_out() -> None:
    def score(rows, /, threshold, *, day="x", **more):
        pass

    assert str(called_signature(score)) == "(threshold, *, day='x', **more)"
