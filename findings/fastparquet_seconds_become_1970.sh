#!/usr/bin/env bash
# fastparquet writes a pandas column of type datetime64[s] as Parquet milliseconds, but divides by 1000 where it has
# to multiply: each date of our days becomes 1970-01-01. pyarrow reads the wrong date, fastparquet itself raises on
# its own file. datetime64[s] is common since pandas 2: it is what a NumPy array of days (datetime64[D]) becomes.
# Who is hurt: whoever writes with engine="fastparquet" (pandas, Dask).
# Instead: column.astype("datetime64[us]") before writing, or the pyarrow engine.
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
import numpy as np
import pandas as pd
import pyarrow.parquet as pq

frame = pd.DataFrame({"day": np.array(["2020-01-01", "1965-06-01"], dtype="datetime64[D]")})
frame.to_parquet("days.parquet", engine="fastparquet")
table = pq.read_table("days.parquet")

# Rule: pandas, DataFrame.to_parquet, and Parquet's TIMESTAMP(MILLIS): the number of milliseconds since
# 1970-01-01.
expected = ["datetime64[s]", "2020-01-01 00:00:00", "1965-06-01 00:00:00"]
seen = [str(frame["day"].dtype), *(str(value) for value in table["day"].to_pylist())]
recorded = ["datetime64[s]", "1970-01-01 00:26:17.836000", "1969-12-31 23:57:35.280000"]

print("versions:", ", ".join(f"{name} {version(name)}" for name in sys.argv[1:]))
print("expected:", expected)
print("seen:    ", seen)
if seen != recorded:
    sys.exit(f"the behaviour has changed: {recorded} was recorded")
PYTHON
