#!/usr/bin/env bash
# One NaN spoils the order of a whole bfloat16 array (ml_dtypes): np.sort and np.argsort leave numbers unsorted around
# it, so ranks, np.unique and np.searchsorted built on it are wrong. For NumPy's own float types NaN goes to the end
# and the rest is sorted.
# Who is hurt: top-k, ranking and percentile steps over scores in bfloat16: the best k are not the best.
# Instead: scores.astype(np.float32) before sorting; it is exact.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile \
    ml_dtypes==0.6.0 numpy==2.4.6
cd "$folder"
venv/bin/python - ml_dtypes numpy <<'PYTHON'
import sys
import warnings
from importlib.metadata import version

warnings.simplefilter("ignore")
import ml_dtypes
import numpy as np

scores = [3, float("nan"), 1, 2, 5, 4]


def order(kind):
    array = np.array(scores, dtype=kind)
    return {"sort": " ".join(f"{float(x):g}" for x in np.sort(array)), "argsort": np.argsort(array).tolist()}


# Rule: numpy.sort, notes: "nan" values are sorted to the end.
expected = order(np.float16)
seen = order(ml_dtypes.bfloat16)
recorded = {"sort": "3 nan 1 2 4 5", "argsort": [0, 1, 2, 3, 5, 4]}

print("versions:", ", ".join(f"{name} {version(name)}" for name in sys.argv[1:]))
print("expected:", expected)
print("seen:    ", seen)
if seen != recorded:
    sys.exit(f"the behaviour has changed: {recorded} was recorded")
PYTHON
