#!/usr/bin/env bash
# fastparquet writes a pandas Timedelta as a Parquet TIME, a time of day. Durations of a day and more, and negative
# ones, are outside what that type may hold, yet are written without a word; readers then make of 26 hours what they
# like: pyarrow the clock time 02:00, Polars null. A test that reads back with fastparquet sees nothing.
# Who is hurt: waiting times and ages as features: 26 hours and 2 hours become the same number.
# Instead: write seconds as a number (column.dt.total_seconds()), or use the pyarrow engine (an integer with Arrow
# metadata).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile \
    fastparquet==2026.9.0 numpy==2.4.6 pandas==3.1.1 polars==2.1.0 pyarrow==26.0.1
cd "$folder"
venv/bin/python - fastparquet numpy pandas polars pyarrow <<'PYTHON'
import sys
import warnings
from importlib.metadata import version

warnings.simplefilter("ignore")
import pandas as pd
import polars as pl
import pyarrow.parquet as pq

frame = pd.DataFrame({"wait": pd.to_timedelta(["30min", "26h"])})
frame.to_parquet("wait.parquet", engine="fastparquet")
column = pq.read_table("wait.parquet")["wait"]

# Rule: Parquet, LogicalTypes, TIME: a time of day, so less than 24 hours; a duration has no logical type
# there.
expected = "30 minutes and 26 hours, or an error from the writer"
seen = {
    "type": str(column.type),
    "pyarrow": [str(value) for value in column.to_pylist()],
    "polars": [str(value) for value in pl.read_parquet("wait.parquet")["wait"].to_list()],
}
recorded = {"type": "time64[us]", "pyarrow": ["00:30:00", "02:00:00"], "polars": ["00:30:00", "None"]}

print("versions:", ", ".join(f"{name} {version(name)}" for name in sys.argv[1:]))
print("expected:", expected)
print("seen:    ", seen)
if seen != recorded:
    sys.exit(f"the behaviour has changed: {recorded} was recorded")
PYTHON
