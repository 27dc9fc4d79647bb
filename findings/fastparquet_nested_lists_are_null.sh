#!/usr/bin/env bash
# A column of lists of lists, or of lists of structs, is read by fastparquet as a column of nulls. One level of lists
# is right, deeper ones vanish without a warning, row for row, whatever they hold.
# Who is hurt: token windows, bounding boxes, chat messages: a model gets "no value" for every row and still answers.
# Instead: read with pyarrow, Polars or DuckDB, which all keep them.
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
import fastparquet
import pyarrow as pa
import pyarrow.parquet as pq

table = pa.table(
    {
        "flat": [[1, 2], [3]],
        "boxes": [[[0, 0], [4, 4]], [[1, 1]]],
        "messages": [[{"role": "user"}], [{"role": "system"}, {"role": "user"}]],
    }
)
pq.write_table(table, "nested.parquet")

# Rule: Parquet, LogicalTypes, Lists: the element of a list may itself be a list or a group.
frame = fastparquet.ParquetFile("nested.parquet").to_pandas()
expected = table.to_pydict()
seen = {}
for name in table.column_names:
    found = [frame[column] for column in frame.columns if column.split(".")[0] == name]
    seen[name] = [value and [int(number) for number in value] for value in found[0]]
recorded = {"flat": [[1, 2], [3]], "boxes": [None, None], "messages": [None, None]}

print("versions:", ", ".join(f"{name} {version(name)}" for name in sys.argv[1:]))
print("expected:", expected)
print("seen:    ", seen)
if seen != recorded:
    sys.exit(f"the behaviour has changed: {recorded} was recorded")
PYTHON
