#!/usr/bin/env bash
# An array of structs with a field of type null, in a list or sliced, does not survive a cast to its own type: the cast
# goes through and leaves a child array that is too short, which only validate() tells. Of a table the cast raises, about
# a column in which nothing is wrong. As soon as the null field gets a type in the same cast, all is well.
# Who is hurt: JSON and Parquet of rows whose optional field never had a value, brought to one schema, file by file or
# batch by batch: the batches that have the schema already are the ones that break.
# Instead: leave out the cast where the types are equal, or give the field a type.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile pyarrow==26.0.1
cd "$folder"
venv/bin/python - pyarrow <<'PYTHON'
import sys
from importlib.metadata import version

import pyarrow as pa


def same(array):
    """What becomes of a cast to the array's own type; its values are looked at only when they are valid."""
    cast = array.cast(array.type)
    try:
        cast.validate()
    except pa.ArrowInvalid as error:
        return "invalid: length smaller than expected" if "length smaller" in str(error) else str(error)
    return "equal" if cast.equals(array) else "other values"


def of_a_table(array):
    table = pa.table({"answers": array})
    try:
        return "equal" if table.cast(table.schema).equals(table) else "other values"
    except pa.ArrowInvalid:
        return "raises ArrowInvalid"


record = pa.struct([("score", pa.int64()), ("note", pa.null())])
rows = [{"score": 1, "note": None}, {"score": 2, "note": None}, {"score": 3, "note": None}]
listed = pa.array([rows[:1], rows[1:]], pa.list_(record))
nested = pa.array([{"answer": row} for row in rows], pa.struct([("answer", record)])).slice(1)
typed = pa.struct([("score", pa.int64()), ("note", pa.string())])

seen = {
    "list of structs": same(listed),
    "list of structs, as a table": of_a_table(listed),
    "struct": same(pa.array(rows, record)),
    "struct, sliced": same(pa.array(rows, record).slice(1)),
    "struct in a struct, sliced": same(nested),
    "list of structs, the field as text": str(listed.cast(pa.list_(typed)).to_pylist() == listed.to_pylist()),
}
# Rule: a cast to the type that an array has is no change.
expected = {"each": "equal"}
recorded = {
    "list of structs": "invalid: length smaller than expected",
    "list of structs, as a table": "raises ArrowInvalid",
    "struct": "equal",
    "struct, sliced": "invalid: length smaller than expected",
    "struct in a struct, sliced": "invalid: length smaller than expected",
    "list of structs, the field as text": "True",
}

print("versions:", ", ".join(f"{name} {version(name)}" for name in sys.argv[1:]))
print("expected:", expected)
for way, result in seen.items():
    print(f"seen:     {way}: {result}")
if seen != recorded:
    sys.exit(f"the behaviour has changed: {recorded} was recorded")
PYTHON
