#!/usr/bin/env bash
# Decision trees, random forests and extra trees of scikit-learn learn where a missing value goes. skl2onnx leaves
# that out, and ONNX Runtime sends every missing value to the right: rows without NaN agree exactly, rows with NaN get
# another leaf. A conversion test on complete rows passes.
# Who is hurt: tabular models that rely on native missing values and are scored through ONNX.
# Instead: impute before the tree, inside the pipeline, or test the converted model on rows with NaN.
# Known upstream as sklearn-onnx issue 1253, not in a release yet.
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
from sklearn.tree import DecisionTreeRegressor

# Missing values belong with the small ones here: their target is 5.
rows = np.array([[1], [2], [3], [np.nan]], dtype=np.float32)
model = DecisionTreeRegressor(random_state=0).fit(rows, [10, 20, 30, 5])
session = onnxruntime.InferenceSession(to_onnx(model, rows).SerializeToString())

# Rule: scikit-learn, user guide 1.10.8 "Missing values support": the side a missing value takes is learnt in
# each split.
expected = model.predict(rows).tolist()
seen = session.run(None, {"X": rows})[0].ravel().tolist()
recorded = [10.0, 20.0, 30.0, 30.0]

print("versions:", ", ".join(f"{name} {version(name)}" for name in sys.argv[1:]))
print("expected:", expected)
print("seen:    ", seen)
if seen != recorded:
    sys.exit(f"the behaviour has changed: {recorded} was recorded")
PYTHON
