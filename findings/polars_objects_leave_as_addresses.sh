#!/usr/bin/env bash
# A Polars column of Python's objects (dtype Object) leaves through Arrow, by to_arrow() or the C interface
# (pyarrow.table(frame)), as fixed_size_binary[8]: the addresses of the objects in this process. Nothing is raised, unlike
# by write_parquet. Written to a file, they are bytes that look like values, and other ones in each run.
# Who is hurt: functions that return Polars frames with objects in a column, whatever takes them as Arrow and stores them.
# Instead: look for polars.Object among frame.dtypes, and give the column a type (Struct, List, String, Binary).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile polars==2.1.0 pyarrow==26.0.1
cd "$folder"
venv/bin/python - polars pyarrow <<'PYTHON'
import sys
from importlib.metadata import version

import polars
import pyarrow

values = [{"k": 1}, {"k": 2}]
frame = polars.DataFrame([polars.Series("y", values, dtype=polars.Object)])


def outcome(make):
    try:
        column = make()
    except Exception as error:
        return f"refused: {type(error).__name__}"
    addresses = [int.from_bytes(item, sys.byteorder) for item in column.to_pylist()]
    kind = "addresses" if addresses == [id(item) for item in values] else "something else"
    return f"{column.type}: {kind}"


# Rule: the Arrow C data interface exports the values of an array, and Polars' own writer of Parquet refuses the type.
expected = ["refused", "refused", "refused: ComputeError"]
seen = [
    outcome(lambda: frame.to_arrow()["y"]),
    outcome(lambda: pyarrow.table(frame)["y"]),
    outcome(lambda: frame.write_parquet("y.parquet")),
]
recorded = ["fixed_size_binary[8]: addresses", "fixed_size_binary[8]: addresses", "refused: ComputeError"]

print("versions:", ", ".join(f"{name} {version(name)}" for name in sys.argv[1:]))
print("expected:", expected)
print("seen:    ", seen)
if seen != recorded:
    sys.exit(f"the behaviour has changed: {recorded} was recorded")
PYTHON
