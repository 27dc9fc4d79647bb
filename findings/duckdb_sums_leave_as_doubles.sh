#!/usr/bin/env bash
# DuckDB's sum of whole numbers is a HUGEINT, and Parquet has no such type, so COPY ... TO a Parquet file writes
# DOUBLE: sums above 2^53 change, and the column that was a whole number is a float for every reader. In DuckDB itself
# the value is exact, so a check before the export shows nothing.
# Who is hurt: sums of amounts in cents, of bytes, of ids or hashes (checksums between two stores never agree).
# Instead: cast the sum: sum(x)::BIGINT (raises when too large) or ::DECIMAL(38, 0).
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
import duckdb
import pyarrow.parquet as pq

query = "select sum(x) as total from (values (9007199254740993::bigint), (0)) as t(x)"
duckdb.sql(f"copy ({query}) to 'total.parquet' (format parquet)")
result = duckdb.sql(query)
value = result.fetchall()[0][0]
column = pq.read_table("total.parquet")["total"]

# Rule: DuckDB, "Aggregate functions" and "Numeric types": the sum of integers is an exact HUGEINT.
expected = ["HUGEINT", 9007199254740993, "an exact type", "9007199254740993"]
seen = [str(result.types[0]), value, str(column.type), f"{column[0].as_py():.0f}"]
recorded = ["HUGEINT", 9007199254740993, "double", "9007199254740992"]

print("versions:", ", ".join(f"{name} {version(name)}" for name in sys.argv[1:]))
print("expected:", expected)
print("seen:    ", seen)
if seen != recorded:
    sys.exit(f"the behaviour has changed: {recorded} was recorded")
PYTHON
