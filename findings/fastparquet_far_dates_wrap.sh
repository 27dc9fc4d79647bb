#!/usr/bin/env bash
# A Parquet DATE outside 1677-2262 is read by fastparquet as another date: days are multiplied into 64-bit nanoseconds
# and wrap around. The usual "never" (9999-12-31) becomes 1816, 0001-01-01 becomes 1754. TIMESTAMP columns of the same
# dates are right, as their unit is kept.
# Who is hurt: validity ranges ("valid_to = 9999-12-31") and features such as days left; nothing is raised.
# Instead: read with pyarrow or Polars, or store such columns as TIMESTAMP.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile \
    fastparquet==2026.9.0 numpy==2.4.6 pandas==3.1.1 pyarrow==26.0.1
cd "$folder"
venv/bin/python - fastparquet numpy pandas pyarrow <<'PYTHON'
import sys
import warnings
from importlib.metadata import version

warnings.simplefilter("ignore")
import datetime

import fastparquet
import pyarrow as pa
import pyarrow.parquet as pq

days = [datetime.date(2020, 1, 1), datetime.date(9999, 12, 31), datetime.date(1, 1, 1)]
pq.write_table(pa.table({"day": days, "time": pa.array(days).cast(pa.timestamp("us"))}), "days.parquet")
frame = fastparquet.ParquetFile("days.parquet").to_pandas()

# Rule: Parquet, LogicalTypes, DATE: the number of days from 1970-01-01, an int32; all three are well inside.
expected = {"day": [str(day) for day in days], "time": [str(day) for day in days]}
seen = {name: [str(value)[:10] for value in frame[name]] for name in ("day", "time")}
recorded = {
    "day": ["2020-01-01", "1816-03-29", "1754-08-30"],
    "time": ["2020-01-01", "9999-12-31", "0001-01-01"],
}

print("versions:", ", ".join(f"{name} {version(name)}" for name in sys.argv[1:]))
print("expected:", expected)
print("seen:    ", seen)
if seen != recorded:
    sys.exit(f"the behaviour has changed: {recorded} was recorded")
PYTHON
