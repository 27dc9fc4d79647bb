#!/usr/bin/env bash
# The "max" normalisation means three things: scikit-learn divides a row by its largest absolute value, the ONNX
# operator Normalizer by its largest value. skl2onnx maps the one to the other, so each row whose largest magnitude is
# negative comes out with another size, and a row of negative numbers only with all signs turned.
# Who is hurt: pipelines with Normalizer(norm="max") in front of a model, scored through ONNX.
# Instead: norm="l2" or "l1" (both convert rightly), or dividing in a FunctionTransformer of your own.
# Described upstream in onnx issue 8452 and sklearn-onnx issue 793 (closed, yet the release behaves like this).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 scikit-learn==1.9.1 skl2onnx==1.20.0
cd "$folder"
venv/bin/python - numpy onnx onnxruntime scikit-learn skl2onnx <<'PYTHON'
import sys
import warnings
from importlib.metadata import version

warnings.simplefilter("ignore")
import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from sklearn.preprocessing import Normalizer

rows = np.array([[-4, 2], [-4, -2], [1, 2]], dtype=np.float32)
model = Normalizer(norm="max").fit(rows)
session = onnxruntime.InferenceSession(to_onnx(model, rows).SerializeToString())

# Rule: scikit-learn, sklearn.preprocessing.normalize: with norm='max' the maximum of the absolute values is
# used.
expected = model.transform(rows).tolist()
seen = session.run(None, {"X": rows})[0].tolist()
recorded = [[-2.0, 1.0], [2.0, 1.0], [0.5, 1.0]]

print("versions:", ", ".join(f"{name} {version(name)}" for name in sys.argv[1:]))
print("expected:", expected)
print("seen:    ", seen)
if seen != recorded:
    sys.exit(f"the behaviour has changed: {recorded} was recorded")
PYTHON
