#!/usr/bin/env bash
# Means and sums of NumPy arrays of bfloat16 (ml_dtypes; what a JAX array becomes) add up in bfloat16 itself, with 8
# bits: a running sum stops growing at a few hundred times the values, so 1000 threes have the mean 1.02. NumPy's own
# float16 has float32 inside mean, so the same line of code was right before.
# Who is hurt: mean pooling of embeddings, average scores, losses; longer inputs get smaller vectors.
# Instead: x.mean(dtype=np.float32), x.sum(dtype=np.float32), or astype(np.float32) first. Upstream: ml_dtypes issue
# 63 (closed: accumulation is left to NumPy).
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

kinds = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
threes = {name: np.full((1000, 2), 3, kind) for name, kind in kinds.items()}

# Rule: the mean of equal numbers is that number; numpy.mean: "float16 inputs use float32 intermediates".
expected = {"mean of float16": 3.0, "mean of bfloat16": 3.0, "sum of bfloat16": 3000.0, "mean, dtype=float32": 3.0}
seen = {
    "mean of float16": float(threes["float16"].mean(axis=0)[0]),
    "mean of bfloat16": float(threes["bfloat16"].mean(axis=0)[0]),
    "sum of bfloat16": float(threes["bfloat16"].sum(axis=0)[0]),
    "mean, dtype=float32": float(threes["bfloat16"].mean(axis=0, dtype=np.float32)[0]),
}
recorded = {
    "mean of float16": 3.0,
    "mean of bfloat16": 1.0234375,
    "sum of bfloat16": 1024.0,
    "mean, dtype=float32": 3.0,
}

print("versions:", ", ".join(f"{name} {version(name)}" for name in sys.argv[1:]))
print("expected:", expected)
print("seen:    ", seen)
if seen != recorded:
    sys.exit(f"the behaviour has changed: {recorded} was recorded")
PYTHON
