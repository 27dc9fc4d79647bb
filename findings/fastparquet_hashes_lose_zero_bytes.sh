#!/usr/bin/env bash
# fastparquet cuts the zero bytes at the end of each value of a fixed-length binary column: a UUID or hash that ends
# in 00 comes back one byte short, one of zeros comes back empty. About one value in 256 is hit, so a small sample
# looks right. The values pass through a NumPy bytes array, which cannot keep them. fastparquet issue 504 (closed)
# tells of the same for variable-length columns, which are right today.
# Who is hurt: joins on UUIDs, content hashes or binary keys; the affected rows silently find no partner.
# Instead: pad to the schema's length (value.ljust(16, b"\0")), or read such columns with pyarrow.
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

keys = [bytes(range(1, 17)), bytes(range(1, 16)) + b"\0", bytes(16)]
pq.write_table(pa.table({"id": pa.array(keys, pa.binary(16))}), "keys.parquet")

# Rule: Parquet, FIXED_LEN_BYTE_ARRAY: every value has the length that the schema names.
expected = [16, 16, 16]
seen = [len(value) for value in fastparquet.ParquetFile("keys.parquet").to_pandas()["id"]]
recorded = [16, 15, 0]

print("versions:", ", ".join(f"{name} {version(name)}" for name in sys.argv[1:]))
print("expected:", expected)
print("seen:    ", seen)
if seen != recorded:
    sys.exit(f"the behaviour has changed: {recorded} was recorded")
PYTHON
