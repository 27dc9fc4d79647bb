#!/usr/bin/env bash
# Ray Data hands a batch to map_batches as NumPy arrays (the default) or as a frame of pandas, and takes its values back.
# A null among whole numbers makes doubles of the whole batch: an id above 2**53 in another row comes back as its
# neighbour, also inside objects. With NumPy, null comes back as NaN, days become timestamps and times lose their zone.
# With batch_format="pyarrow" all is as it was. (Without a null in the batch the ids are kept; blocks of which one has
# whole numbers and one doubles may fail to be joined, and that is an error.)
# Who is hurt: results that are joined by a passed-through id (snowflake and hash ids have 60 bits and more).
# Instead: batch_format="pyarrow", or keep ids as text where a column may hold nulls.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile \
    'ray[data]==2.55.1' pyarrow==25.0.1 pandas==3.1.1 numpy==2.4.6
cd "$folder"
RAY_USAGE_STATS_ENABLED=0 venv/bin/python - ray pyarrow pandas numpy 2> log <<'PYTHON' || { tail -n 5 log; exit 1; }
import datetime
import logging
import math
import sys
from importlib.metadata import version

import pyarrow as pa
import ray

ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
ray.data.DataContext.get_current().enable_progress_bars = False

ID = 2**53 + 1
day = datetime.date(2024, 7, 1)
moment = datetime.datetime(2024, 7, 1, tzinfo=datetime.timezone.utc)
table = pa.table(
    {
        "id": pa.array([ID, None, ID, ID]),
        "day": pa.array([day] * 4),
        "moment": pa.array([moment] * 4, pa.timestamp("us", "UTC")),
    }
)


objects = pa.table({"object": pa.array([{"id": ID}, {"id": None}])})


def passed(given: pa.Table, batch_format: str) -> list[dict[str, object]]:
    """What comes back of an identity."""
    found = ray.data.from_arrow(given).map_batches(lambda batch: batch, batch_format=batch_format)
    return [row for reference in found.to_arrow_refs() for row in ray.get(reference).to_pylist()]


def looked_at(batch_format: str) -> dict[str, object]:
    rows = passed(table, batch_format)
    inside = passed(objects, batch_format)[0]["object"]["id"]
    null = rows[1]["id"]
    return {
        "ids off by": [int(row["id"]) - ID for row in rows if row["id"] is not None and not math.isnan(row["id"])],
        "id in an object off by": int(inside) - ID,
        "null": "NaN" if isinstance(null, float) else null,
        "day": type(rows[0]["day"]).__name__,
        "zone": rows[0]["moment"].tzinfo is not None,
    }


seen = {form: looked_at(form) for form in ("numpy", "pandas", "pyarrow")}

# Rule: https://docs.ray.io/en/latest/data/api/doc/ray.data.Dataset.map_batches.html: the function's result is the new
# dataset. It names the forms of batches, and none in which values change.
right = {"ids off by": [0, 0, 0], "id in an object off by": 0, "null": None, "day": "date", "zone": True}
expected = dict.fromkeys(seen, right)
hurt = {"ids off by": [-1, -1, -1], "id in an object off by": -1}
arrays = {"null": "NaN", "day": "datetime", "zone": False}
recorded = {"numpy": right | hurt | arrays, "pandas": right | hurt, "pyarrow": right}

print("versions:", ", ".join(f"{name} {version(name)}" for name in sys.argv[1:]))
print("expected:", expected)
print("seen:    ", seen)
if seen != recorded:
    print(f"the behaviour has changed: {recorded} was recorded")
    sys.exit(1)
PYTHON
