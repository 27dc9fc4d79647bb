#!/usr/bin/env bash
# Numbers in the local testing mode of Snowpark are those of NumPy and Python: products and sums of columns beyond 64
# bits wrap around, sums of whole numbers beside a NULL are rounded to doubles, casts round halves to even, and the
# remainder has the divisor's sign.
# Who is hurt: tests of hashes, ids, money and bins agree with values that Snowflake never gives.
# Instead: test such expressions on Snowflake, or keep them in one function whose cases are taken from there.
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
from snowflake.snowpark.functions import col, lit
from snowflake.snowpark.functions import sum as sum_
from snowflake.snowpark.types import DataType, LongType, StructField, StructType

session = Session.builder.config("local_testing", True).create()


def frame(name: str, kind: DataType, values: list) -> DataFrame:
    return session.create_dataframe([[value] for value in values], StructType([StructField(name, kind)]))


def shown(found: DataFrame) -> list:
    """The first column's values."""
    return [row[0] for row in found.collect()]



big, ids, one_row = (frame("A", LongType(), values) for values in ([2**62], [2**53 + 1, None], [1]))
seen = {
    "2**62 * 2": int(shown(big.select(col("A") * 2))[0]),
    "2**62 * 4": int(shown(big.select(col("A") * 4))[0]),
    "sum of 2**53 + 1 and NULL": int(shown(ids.agg(sum_("A")))[0]),
    "2.5 as INT": int(shown(one_row.select(lit(2.5).cast("int")))[0]),
    "'0.5' as INT": int(shown(one_row.select(lit("0.5").cast("int")))[0]),
    "-7 % 3": int(shown(one_row.select(lit(-7) % lit(3)))[0]),
}

# Rules: https://docs.snowflake.com/en/sql-reference/data-types-numeric: INT is NUMBER(38, 0);
# https://docs.snowflake.com/en/sql-reference/data-type-conversion: casts round half away from zero;
# https://docs.snowflake.com/en/sql-reference/functions/mod: the remainder has the dividend's sign.
expected = {
    "2**62 * 2": 2**63,
    "2**62 * 4": 2**64,
    "sum of 2**53 + 1 and NULL": 2**53 + 1,
    "2.5 as INT": 3,
    "'0.5' as INT": 1,
    "-7 % 3": -1,
}
recorded = {
    "2**62 * 2": -(2**63),
    "2**62 * 4": 0,
    "sum of 2**53 + 1 and NULL": 2**53,
    "2.5 as INT": 2,
    "'0.5' as INT": 0,
    "-7 % 3": 2,
}

print("versions:", ", ".join(f"{name} {version(name)}" for name in sys.argv[1:]))
print("expected:", expected)
print("seen:    ", seen)
if seen != recorded:
    sys.exit(f"the behaviour has changed: {recorded} was recorded")
PYTHON
