#!/usr/bin/env bash
# The local testing mode of Snowpark, in which frames are of pandas, has no third truth value: a comparison with NULL
# is false, its negation is true, and in a join on equality NULL equals NULL. NaN counts as NULL in COALESCE and in sums.
# Who is hurt: tests of feature pipelines pass with rows that Snowflake never gives: rows without a key are joined with
# each other, and filters with != or NOT keep rows whose value is not known.
# Instead: filter on is_not_null() before a join and beside each != in code that is tested so; it changes nothing there.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile \
    'snowflake-snowpark-python[localtest]==1.56.0' pandas==3.1.1 numpy==2.4.6
cd "$folder"
venv/bin/python - snowflake-snowpark-python pandas numpy <<'PYTHON'
import logging
import sys
import warnings
from importlib.metadata import version

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

from snowflake.snowpark import DataFrame, Session
from snowflake.snowpark.functions import coalesce, col, iff, lit
from snowflake.snowpark.types import DataType, DoubleType, LongType, StructField, StructType

session = Session.builder.config("local_testing", True).create()


def frame(name: str, kind: DataType, values: list) -> DataFrame:
    return session.create_dataframe([[value] for value in values], StructType([StructField(name, kind)]))


def shown(found: DataFrame) -> list:
    """The first column's values."""
    return [row[0] for row in found.collect()]


left, right = frame("K", LongType(), [1, None, 2]), frame("L", LongType(), [1, None])
numbers = frame("X", DoubleType(), [float("nan"), None, 1.0])
seen = {
    "joined": shown(left.join(right, left["K"] == right["L"])),
    "joined with anti": shown(left.join(right, left["K"] == right["L"], "anti")),
    "where K != 1": shown(left.filter(col("K") != 1)),
    "where not K in (1)": shown(left.filter(~col("K").in_(1))),
    "where not K between 5 and 6": shown(left.filter(~col("K").between(5, 6))),
    "K > 0": shown(left.select(col("K") > 0)),
    "iff(K != 1)": shown(left.select(iff(col("K") != 1, lit("other"), lit("one")))),
    "coalesce(X, 0)": [str(one) for one in shown(numbers.select(coalesce(col("X"), lit(0.0))))],
}

# Rule: https://docs.snowflake.com/en/sql-reference/ternary-logic: a comparison with NULL is unknown, and so is its
# negation; a filter and a join keep rows for which the condition is true. NaN is a value of FLOAT, no NULL:
# https://docs.snowflake.com/en/sql-reference/data-types-numeric#special-values
expected = {
    "joined": [1],
    "joined with anti": [None, 2],
    "where K != 1": [2],
    "where not K in (1)": [2],
    "where not K between 5 and 6": [1, 2],
    "K > 0": [True, None, True],
    "iff(K != 1)": ["one", "one", "other"],
    "coalesce(X, 0)": ["nan", "0.0", "1.0"],
}
recorded = {
    "joined": [1, None],
    "joined with anti": [2],
    "where K != 1": [None, 2],
    "where not K in (1)": [None, 2],
    "where not K between 5 and 6": [1, None, 2],
    "K > 0": [True, False, True],
    "iff(K != 1)": ["one", "other", "other"],
    "coalesce(X, 0)": ["0.0", "0.0", "1.0"],
}

print("versions:", ", ".join(f"{name} {version(name)}" for name in sys.argv[1:]))
print("expected:", expected)
print("seen:    ", seen)
if seen != recorded:
    sys.exit(f"the behaviour has changed: {recorded} was recorded")
PYTHON
