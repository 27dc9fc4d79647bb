#!/usr/bin/env bash
# fakesnow, which answers Snowflake statements out of DuckDB, loses on which side of a text LTRIM and RTRIM work: with
# one argument both trim both sides, and with characters a literal is not trimmed at all. TRIM is right, and so are
# LTRIM and RTRIM of a column with characters.
# Who is hurt: unit tests of statements that clean keys (LTRIM(ID, '0')) or keep the indentation of texts pass with
# values that Snowflake never gives.
# Instead: REGEXP_REPLACE(x, '^ +', '') and REGEXP_REPLACE(x, ' +$', '') give the same on both.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile \
    fakesnow==0.12.1 duckdb==2.0.0 sqlglot==30.22.0 snowflake-connector-python==4.8.1
cd "$folder"
venv/bin/python - fakesnow duckdb sqlglot snowflake-connector-python <<'PYTHON'
import sys
import warnings
from importlib.metadata import version

warnings.simplefilter("ignore")
import fakesnow
import snowflake.connector

ASKED = {
    "ltrim of spaces": "LTRIM('  a  ')",
    "rtrim of spaces": "RTRIM('  a  ')",
    "trim of spaces": "TRIM('  a  ')",
    "ltrim of zeros": "LTRIM('00120', '0')",
    "rtrim of zeros": "RTRIM('00120', '0')",
    "ltrim of zeros, column": "LTRIM(X::VARCHAR, '0')",
}
with fakesnow.patch():
    cursor = snowflake.connector.connect(database="D", schema="S").cursor()
    seen = {name: cursor.execute(f"SELECT {sql} FROM (SELECT '00120' AS X)").fetchone()[0] for name, sql in ASKED.items()}

# Rule: https://docs.snowflake.com/en/sql-reference/functions/ltrim removes leading characters, rtrim trailing ones;
# the second argument says which, and is a space by default.
expected = {
    "ltrim of spaces": "a  ",
    "rtrim of spaces": "  a",
    "trim of spaces": "a",
    "ltrim of zeros": "120",
    "rtrim of zeros": "0012",
    "ltrim of zeros, column": "120",
}
recorded = {**expected, "ltrim of spaces": "a", "rtrim of spaces": "a"}
recorded |= {"ltrim of zeros": "00120", "rtrim of zeros": "00120"}

print("versions:", ", ".join(f"{name} {version(name)}" for name in sys.argv[1:]))
print("expected:", expected)
print("seen:    ", seen)
if seen != recorded:
    sys.exit(f"the behaviour has changed: {recorded} was recorded")
PYTHON
