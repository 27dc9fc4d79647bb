#!/usr/bin/env bash
# Several Parquet files read at once get the types of the first file in DuckDB, and values of the others are cast to
# them, rounding without a word: 2.7 becomes 3 behind a file of whole numbers, 1.256 becomes 1.3 behind DECIMAL(10,1),
# a timestamp becomes its day behind a DATE. The order of the file names decides. Polars refuses all three, pyarrow
# the first two.
# Who is hurt: a column that is INTEGER in the first part because it happened to hold whole numbers (pandas, CSV
# imports).
# Instead: read_parquet(..., union_by_name = true), which finds a common type. DuckDB's page "Combining schemas" tells
# of the first file's schema, not of the rounding.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile \
    duckdb==2.0.1 numpy==2.4.6 pyarrow==26.0.1
cd "$folder"
venv/bin/python - duckdb numpy pyarrow <<'PYTHON'
import sys
import warnings
from importlib.metadata import version

warnings.simplefilter("ignore")
import datetime
from decimal import Decimal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq


def second_value(first, second, options=""):
    pq.write_table(pa.table({"x": first}), "part-0.parquet")
    pq.write_table(pa.table({"x": second}), "part-1.parquet")
    rows = duckdb.sql(f"select x from read_parquet(['part-0.parquet', 'part-1.parquet']{options})").fetchall()
    return str(rows[1][0])


pairs = {
    "float": ([1], [2.7]),
    "decimal": (
        pa.array([Decimal("1.0")], pa.decimal128(10, 1)),
        pa.array([Decimal("1.256")], pa.decimal128(10, 3)),
    ),
    "timestamp": ([datetime.date(2020, 1, 1)], [datetime.datetime(2020, 1, 1, 23, 59)]),
}
# Rule: the value that is stored, or an error, as DuckDB itself raises one for a number that is too large for
# the type.
expected = {name: second_value(*pair, ", union_by_name = true") for name, pair in pairs.items()}
seen = {name: second_value(*pair) for name, pair in pairs.items()}
recorded = {"float": "3", "decimal": "1.3", "timestamp": "2020-01-01"}

print("versions:", ", ".join(f"{name} {version(name)}" for name in sys.argv[1:]))
print("expected:", expected)
print("seen:    ", seen)
if seen != recorded:
    sys.exit(f"the behaviour has changed: {recorded} was recorded")
PYTHON
