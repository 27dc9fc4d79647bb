#!/usr/bin/env bash
# Daft keeps Arrow columns of types that it lacks as Python objects, without a word: categories (dictionaries), string
# views, times of day in milliseconds and seconds, decimals of more than 38 digits. to_arrow() and write_parquet() then
# give out pickles of the objects instead of the values. Categories in a Parquet file are read as texts, as expected.
# Who is hurt: a model that passes a frame of pandas with a categorical column, or a table of pyarrow with a dictionary,
# through Daft: the results' keys are bytes that Snowflake loads as BINARY, and a reader that unpickles them runs code.
# Instead: decode first (table.cast, Series.astype(str)), and look for DataType.python() in the schema of a frame.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile daft==0.7.26 pyarrow==25.0.1 pandas==3.1.1
cd "$folder"
DAFT_PROGRESS_BAR=0 venv/bin/python - daft pyarrow pandas <<'PYTHON'
import datetime
import pickle
import sys
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path

import daft
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

texts = ["x", "y"]
GIVEN = {
    "categories of pandas": (daft.from_pandas, pd.DataFrame({"k": pd.Categorical(texts)}), texts),
    "dictionary": (daft.from_arrow, pa.table({"k": pa.array(texts).dictionary_encode()}), texts),
    "string view": (daft.from_arrow, pa.table({"k": pa.array(texts, pa.string_view())}), texts),
    "time in ms": (
        daft.from_arrow, pa.table({"k": pa.array([1, 2], pa.time32("ms"))}),
        [datetime.time(microsecond=1000), datetime.time(microsecond=2000)],
    ),
    "decimal of 70 digits": (
        daft.from_arrow, pa.table({"k": pa.array([1, 2], pa.decimal256(70, 0))}), [Decimal(1), Decimal(2)]
    ),
    "large string": (daft.from_arrow, pa.table({"k": pa.array(texts, pa.large_string())}), texts),
}
seen = {}
for name, (take, columns, values) in GIVEN.items():
    folder = Path(name.replace(" ", "_"))
    take(columns).write_parquet(str(folder))
    written = pq.read_table(next(folder.glob("*.parquet")))["k"].to_pylist()
    if written == values:
        seen[name] = "values"
    elif [pickle.loads(one) for one in written] == values:
        seen[name] = "pickles"
    else:
        seen[name] = repr(written)
pq.write_table(pa.table({"k": pa.array(texts).dictionary_encode()}), "categories.parquet")
seen["dictionary in a file"] = "values" if daft.read_parquet("categories.parquet").to_pydict()["k"] == texts else "?"

# Rule: https://arrow.apache.org/docs/format/Columnar.html#dictionary-encoded-layout is another layout of the same
# values; https://docs.daft.ai has Python objects for what a user puts in as such.
expected = dict.fromkeys(seen, "values")
recorded = dict.fromkeys(GIVEN, "pickles") | {"large string": "values", "dictionary in a file": "values"}

print("versions:", ", ".join(f"{name} {version(name)}" for name in sys.argv[1:]))
print("expected:", expected)
print("seen:    ", seen)
if seen != recorded:
    sys.exit(f"the behaviour has changed: {recorded} was recorded")
PYTHON
