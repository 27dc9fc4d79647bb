#!/usr/bin/env bash
# DuckDB writes a NULL of type ARRAY (FLOAT[2], as embeddings are kept) into Parquet as if the missing array had items:
# as many entries as the array is long, all but the first of them items of a list that is not there. Parquet has one
# entry for a list that is NULL. DuckDB and Polars read the file back; pyarrow, and all that read with it, cannot read
# the column at all. Lists (FLOAT[]) and arrays of one item are written well.
# Who is hurt: whoever hands embeddings with gaps from DuckDB to a reader of another library.
# Instead: cast to a list in the query (CAST(embedding AS FLOAT[])), or leave no NULL.
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
import pyarrow.parquet as pq


def told(array):
    """The entries that the file has for three rows of two numbers each, of which one is NULL, and what pyarrow reads."""
    query = f"SELECT CASE WHEN i = 1 THEN NULL ELSE {array} END AS a FROM range(3) t(i)"
    duckdb.execute(f"COPY ({query}) TO 'a.parquet' (FORMAT parquet)")
    assert duckdb.execute("SELECT COUNT(a) FROM 'a.parquet'").fetchall() == [(2,)]
    try:
        read = pq.read_table("a.parquet")["a"].to_pylist()
    except Exception as error:
        read = f"{type(error).__name__}: {error}"
    return pq.ParquetFile("a.parquet").metadata.row_group(0).column(0).num_values, read


# Rule: parquet-format's LogicalTypes.md (lists) and the record shredding of Dremel that it stands on: a list that is
# NULL is one entry with the definition level of what is above it.
values = [[0.0, 0.5], None, [2.0, 0.5]]
expected = {"array": (5, values), "list": (5, values)}
seen = {
    "array": told("array_value(i::FLOAT, 0.5::FLOAT)"),
    "list": told("[i::FLOAT, 0.5::FLOAT]"),
}
recorded = {
    "array": (6, "ArrowInvalid: Length spanned by list offsets (5) larger than values array (length 4)"),
    "list": (5, values),
}

print("versions:", ", ".join(f"{name} {version(name)}" for name in sys.argv[1:]))
print("entries in the file, and what pyarrow reads")
print("expected:", expected)
print("seen:    ", seen)
if seen != recorded:
    sys.exit(f"the behaviour has changed: {recorded} was recorded")
PYTHON
