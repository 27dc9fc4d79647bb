#!/usr/bin/env bash
# DuckDB keeps the nanoseconds of Parquet times that are stored as 64-bit numbers (TIMESTAMP_NS), and cuts those of the
# same times stored as INT96 to microseconds (TIMESTAMP): two different times become equal. INT96 is what Spark, Hive
# and Impala write unless told otherwise, and Hive and Impala keep nanoseconds in it. pyarrow reads both alike.
# Who is hurt: whoever deduplicates, joins or orders by event times of such files with DuckDB.
# Instead: let pyarrow read them, or have them written as TIMESTAMP(NANOS).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile duckdb==2.0.1 pyarrow==26.0.1
cd "$folder"
venv/bin/python - duckdb pyarrow <<'PYTHON'
import sys
from importlib.metadata import version

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

# A second after 2026 began, and 1 and 999 nanoseconds more.
second = 1_767_225_601_000_000_000
events = pa.table({"moment": pa.array([second + 1, second + 999], pa.timestamp("ns"))})
pq.write_table(events, "int64.parquet", version="2.6")
pq.write_table(events, "int96.parquet", use_deprecated_int96_timestamps=True)


def told(path):
    query = f"SELECT ANY_VALUE(TYPEOF(moment)), COUNT(DISTINCT moment), MAX(EPOCH_NS(moment)) - {second} FROM '{path}'"
    return duckdb.sql(query).fetchall()[0]


# Rule: parquet-format's Types.md and Parquet's INT96 as Hive and Impala define it: a Julian day and the nanoseconds
# of that day. pyarrow shows that they are in the file.
assert pq.read_table("int96.parquet")["moment"].cast(pa.int64()).to_pylist() == [second + 1, second + 999]
expected = [("TIMESTAMP_NS", 2, 999), ("TIMESTAMP_NS", 2, 999)]
seen = [told("int64.parquet"), told("int96.parquet")]
recorded = [("TIMESTAMP_NS", 2, 999), ("TIMESTAMP", 1, 0)]

print("versions:", ", ".join(f"{name} {version(name)}" for name in sys.argv[1:]))
print("type, distinct times, nanoseconds of the latest; stored as 64-bit numbers, and as INT96")
print("expected:", expected)
print("seen:    ", seen)
if seen != recorded:
    sys.exit(f"the behaviour has changed: {recorded} was recorded")
PYTHON
