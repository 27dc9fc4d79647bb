#!/usr/bin/env bash
# Times of day in nanoseconds (time64[ns]) lose their last three digits on the way to Python objects: to_pylist() and
# as_py() cut them off without a word. Everything around them does not: times with a date come as pandas' Timestamp,
# durations as Timedelta, both whole; the cast to microseconds and to_pandas() of the same column raise.
# Who is hurt: whoever reads rows as dicts, or compares two files by their Python values: different times are equal.
# Instead: cast to int64 or text before to_pylist(), or to time64("us"), which refuses what it would lose.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile \
    pyarrow==26.0.1 pandas==3.0.5 numpy==2.4.6
cd "$folder"
venv/bin/python - pyarrow pandas <<'PYTHON'
import sys
from importlib.metadata import version

import pyarrow as pa

# One nanosecond after noon, and the last one of the day.
moments = [43_200_000_000_001, 86_399_999_999_999]


def tried(way):
    try:
        return str(way())
    except pa.ArrowInvalid:
        return "raises ArrowInvalid"


clock = pa.array(moments, pa.time64("ns"))
seen = {
    "time, to_pylist": tried(lambda: [str(one) for one in clock.to_pylist()]),
    "time in a list, to_pylist": tried(lambda: str(pa.array([moments], pa.list_(pa.time64("ns"))).to_pylist()[0][0])),
    "time, to_pandas": tried(lambda: clock.to_pandas().tolist()),
    "time, cast to us": tried(lambda: clock.cast(pa.time64("us"))),
    "time, cast to text": tried(lambda: clock.cast(pa.string()).to_pylist()),
    "timestamp, to_pylist": tried(lambda: [str(one) for one in pa.array(moments, pa.timestamp("ns")).to_pylist()]),
    "duration, to_pylist": tried(lambda: [one.value for one in pa.array(moments, pa.duration("ns")).to_pylist()]),
}
# Rule: pyarrow's own, for every other way out of this type, and for the other types of nanoseconds.
expected = {"time, to_pylist": "raises ArrowInvalid, as to_pandas does, or the whole value"}
recorded = {
    "time, to_pylist": "['12:00:00', '23:59:59.999999']",
    "time in a list, to_pylist": "12:00:00",
    "time, to_pandas": "raises ArrowInvalid",
    "time, cast to us": "raises ArrowInvalid",
    "time, cast to text": "['12:00:00.000000001', '23:59:59.999999999']",
    "timestamp, to_pylist": "['1970-01-01 12:00:00.000000001', '1970-01-01 23:59:59.999999999']",
    "duration, to_pylist": "[43200000000001, 86399999999999]",
}

print("versions:", ", ".join(f"{name} {version(name)}" for name in sys.argv[1:]))
print("expected:", expected)
for way, result in seen.items():
    print(f"seen:     {way}: {result}")
if seen != recorded:
    sys.exit(f"the behaviour has changed: {recorded} was recorded")
PYTHON
