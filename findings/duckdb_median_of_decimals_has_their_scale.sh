#!/usr/bin/env bash
# In DuckDB the median and the interpolated quantiles of DECIMALs have the scale of the values, and what lies between
# two of them is cut off: the median of 1 and 2 is 1 for DECIMAL(10,0) and 1.5 for INTEGER; that of 1.1 and 1.2 is 1.1.
# Whole-number keys and counts are DECIMAL(38,0) wherever they come from Snowflake.
# Who is hurt: features that are computed from Snowflake's Parquet files (medians of counts, of prices in whole units)
# and compared with those of Snowflake, whose MEDIAN of 1 and 2 is 1.5.
# Instead: median(x::DOUBLE), or a cast to a DECIMAL with more digits.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile \
    duckdb==2.0.1 numpy==2.4.6 polars==2.1.0 pyarrow==26.0.1
cd "$folder"
venv/bin/python - duckdb numpy polars pyarrow <<'PYTHON'
import sys
import warnings
from decimal import Decimal
from importlib.metadata import version

warnings.simplefilter("ignore")
import duckdb
import numpy as np
import polars as pl
import pyarrow as pa

whole = pa.table({"X": pa.array([1, 2], pa.decimal128(38, 0))})
tenths = pa.table({"X": pa.array([Decimal("1.1"), Decimal("1.2")], pa.decimal128(10, 1))})


def of(rows, aggregate):
    return str(duckdb.sql(f"SELECT {aggregate} FROM rows").fetchall()[0][0])


seen = {
    "median of DECIMAL(38,0)": of(whole, "median(X)"),
    "median of INTEGER": of(whole, "median(X::INTEGER)"),
    "quantile_cont of DECIMAL(38,0)": of(whole, "quantile_cont(X, 0.75)"),
    "avg of DECIMAL(38,0)": of(whole, "avg(X)"),
    "median of DECIMAL(10,1)": of(tenths, "median(X)"),
}
# Rule: DuckDB's page of aggregate functions: of an even number of values the median is the mean of the two in the middle,
# and quantile_cont interpolates. NumPy and Polars agree.
expected = {
    "median of DECIMAL(38,0)": "1.5",
    "median of INTEGER": "1.5",
    "quantile_cont of DECIMAL(38,0)": "1.75",
    "avg of DECIMAL(38,0)": "1.5",
    "median of DECIMAL(10,1)": "1.15",
}
assert np.median([1, 2]) == 1.5
assert float(pl.from_arrow(whole)["X"].median()) == 1.5
recorded = {
    **expected,
    "median of DECIMAL(38,0)": "1",
    "quantile_cont of DECIMAL(38,0)": "1",
    "median of DECIMAL(10,1)": "1.1",
}

print("versions:", ", ".join(f"{name} {version(name)}" for name in sys.argv[1:]))
print("expected:", expected)
print("seen:    ", seen)
if seen != recorded:
    sys.exit(f"the behaviour has changed: {recorded} was recorded")
PYTHON
