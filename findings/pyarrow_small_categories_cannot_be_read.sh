#!/usr/bin/env bash
# pyarrow writes categories (dictionaries) of several chunks into one row group with one list of categories, and says in
# the file's Arrow schema that they are numbered with 8 bits, as the chunks were. If they are more than that together,
# pyarrow cannot read the file that it wrote; pandas and Polars number categories with 8 bits wherever these are enough
# for one frame. No error is raised while the file is written. DuckDB, which does not look at the schema, reads it.
# Who is hurt: whoever puts categories of several frames, files or batches into one Parquet file.
# Instead: cast to dictionary(int32(), string()) or to text before writing; read with another reader what is written.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile duckdb==2.0.1 pandas==3.0.1 pyarrow==26.0.1
cd "$folder"
venv/bin/python - duckdb pandas pyarrow <<'PYTHON'
import sys
from importlib.metadata import version

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

texts = [f"v{place:03d}" for place in range(300)]
frames = [pd.DataFrame({"c": pd.Categorical(texts[first : first + 100])}) for first in (0, 100, 200)]
together = pa.concat_tables([pa.Table.from_pandas(frame) for frame in frames])
assert together.schema.field("c").type.index_type == pa.int8()
assert together["c"].to_pylist() == texts
together.validate(full=True)
pq.write_table(together, "c.parquet")


def read():
    try:
        return pq.read_table("c.parquet")["c"].to_pylist() == texts
    except Exception as error:
        return f"{type(error).__name__}: {error}"


# Rule: what is valid in memory and written without an error is read back; the values are in the file.
assert [row for (row,) in duckdb.execute("SELECT c FROM 'c.parquet'").fetchall()] == texts
expected = True
seen = read()
recorded = "ArrowInvalid: Integer value 128 not in range: -128 to 127"

print("versions:", ", ".join(f"{name} {version(name)}" for name in sys.argv[1:]))
print("whether pyarrow reads what it has written")
print("expected:", expected)
print("seen:    ", seen)
if seen != recorded:
    sys.exit(f"the behaviour has changed: {recorded} was recorded")
PYTHON
