#!/usr/bin/env bash
# In a folder tree of the Hive kind, DataFusion reads the partition __HIVE_DEFAULT_PARTITION__ as that very text; it
# stands for null. pyarrow (which wrote it here), DuckDB and Polars read null. Rows without a key then form a group of
# their own name, "is null" finds nothing, and a left join brings no match.
# Who is hurt: partitioned outputs with missing keys that are read by DataFusion or what is built on it.
# Instead: nullif(key, '__HIVE_DEFAULT_PARTITION__') in the query, or never partition by a column with nulls.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile \
    datafusion==55.0.0 duckdb==2.0.1 numpy==2.4.6 polars==2.1.0 pyarrow==26.0.1
cd "$folder"
venv/bin/python - datafusion duckdb numpy polars pyarrow <<'PYTHON'
import sys
import warnings
from importlib.metadata import version

warnings.simplefilter("ignore")
import datafusion
import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

pq.write_to_dataset(pa.table({"region": ["north", None], "v": [1, 2]}), "sales", partition_cols=["region"])
context = datafusion.SessionContext()
context.register_parquet("sales", "sales", table_partition_cols=[("region", pa.string())])
batches = context.sql("select region from sales where v = 2").collect()

# Rule: Hive's hive.exec.default.partition.name: the folder of rows whose partition column is null or empty.
duckdb_query = "select region from read_parquet('sales/*/*.parquet', hive_partitioning = true) where v = 2"
answers = {
    "pyarrow": ds.dataset("sales", partitioning="hive").to_table(filter=ds.field("v") == 2)["region"].to_pylist(),
    "duckdb": [row[0] for row in duckdb.sql(duckdb_query).fetchall()],
    "polars": pl.read_parquet("sales", hive_partitioning=True).filter(pl.col("v") == 2)["region"].to_list(),
    "datafusion": [value for batch in batches for value in batch["region"].to_pylist()],
}
expected = dict.fromkeys(answers, [None])
seen = answers
recorded = {**expected, "datafusion": ["__HIVE_DEFAULT_PARTITION__"]}

print("versions:", ", ".join(f"{name} {version(name)}" for name in sys.argv[1:]))
print("expected:", expected)
print("seen:    ", seen)
if seen != recorded:
    sys.exit(f"the behaviour has changed: {recorded} was recorded")
PYTHON
