#!/usr/bin/env bash
# Read as one data set, Parquet files get the decimal scale and the time unit of the first file in fastparquet; the
# numbers of the others are taken as they are stored. A price of 1.256 in a file with DECIMAL(10,3) becomes 125.6
# behind a file with DECIMAL(10,1), a microsecond time behind a millisecond one moves by 49949 years, a large uint32
# turns negative. Other readers convert the values or refuse such files; here nothing is raised.
# Who is hurt: tables whose type was widened once (a legal change in Snowflake, Delta and Iceberg), read in one go.
# Instead: read file by file and concatenate, or use pyarrow, which converts or raises.
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
from decimal import Decimal

import fastparquet
import pyarrow as pa
import pyarrow.parquet as pq


def both(first, second):
    pq.write_table(pa.table({"x": first}), "1.parquet")
    pq.write_table(pa.table({"x": second}), "2.parquet")
    return [str(value) for value in fastparquet.ParquetFile(["1.parquet", "2.parquet"]).to_pandas()["x"]]


# Rule: Parquet, LogicalTypes: a decimal is the unscaled number times 10^-scale of its own file's schema;
# TIMESTAMP has the unit, INTEGER the sign, of its own file's schema. Each file is complete in itself.
expected = {
    "decimal": ["1.5", "1.256"],
    "timestamp": ["2020-01-01 00:00:00", "2020-01-01 00:00:00"],
    "unsigned": ["1", "4294967295"],
}
seen = {
    "decimal": both(
        pa.array([Decimal("1.5")], pa.decimal128(10, 1)),
        pa.array([Decimal("1.256")], pa.decimal128(10, 3)),
    ),
    "timestamp": both(
        pa.array([1577836800000], pa.timestamp("ms")),
        pa.array([1577836800000000], pa.timestamp("us")),
    ),
    "unsigned": both(pa.array([1], pa.int32()), pa.array([4294967295], pa.uint32())),
}
recorded = {
    "decimal": ["1.5", "125.60000000000001"],
    "timestamp": ["2020-01-01 00:00:00", "51969-08-29 00:00:00"],
    "unsigned": ["1", "-1"],
}

print("versions:", ", ".join(f"{name} {version(name)}" for name in sys.argv[1:]))
print("expected:", expected)
print("seen:    ", seen)
if seen != recorded:
    sys.exit(f"the behaviour has changed: {recorded} was recorded")
PYTHON
