#!/usr/bin/env bash
# onnxmltools turns an XGBoost regressor with objective="reg:logistic" into an ONNX model whose answers are no
# probabilities but numbers on the margin's scale, from minus to plus infinity: the logistic function is left out, and
# the base score (a probability) is added as it is instead of as its logit, so applying the function afterwards is
# wrong, too. No warning.
# Who is hurt: rates learnt as fractions with XGBRegressor and scored with ONNX Runtime; ranking still looks right.
# Instead: XGBClassifier, whose conversion is right, or objectives without a link (reg:squarederror); compare once on
# real rows.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile \
    numpy==2.4.6 onnx==1.23.2 onnxmltools==1.16.0 onnxruntime==1.32.0 scikit-learn==1.9.1 \
    skl2onnx==1.20.0 xgboost-cpu==3.2.0
cd "$folder"
venv/bin/python - numpy onnx onnxmltools onnxruntime scikit-learn skl2onnx xgboost-cpu <<'PYTHON'
import sys
import warnings
from importlib.metadata import version

warnings.simplefilter("ignore")
import numpy as np
import onnxruntime
import xgboost
from onnxmltools import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType

rows = np.linspace(-1, 1, 200, dtype=np.float32).reshape(-1, 1)
model = xgboost.XGBRegressor(objective="reg:logistic", n_estimators=20, n_jobs=1)
model.fit(rows, (rows[:, 0] > 0.3).astype(np.float32))
onnx = convert_xgboost(model, initial_types=[("rows", FloatTensorType([None, 1]))])
answer = onnxruntime.InferenceSession(onnx.SerializeToString()).run(None, {"rows": rows})[0].ravel()
right = model.predict(rows)

margin = model.predict(rows, output_margin=True)
base = 0.35  # the share of ones, which XGBoost takes as the base score
logit = np.log(base / (1 - base))

# Rule: XGBoost, Parameters: reg:logistic is logistic regression, so predictions lie in [0, 1].
expected = {"within [0, 1]": True, "equal to XGBoost": True}
seen = {
    "within [0, 1]": bool((answer >= 0).all() and (answer <= 1).all()),
    "equal to XGBoost": bool(np.allclose(answer, right, atol=1e-4)),
    "the logistic function of it equal": bool(np.allclose(1 / (1 + np.exp(-answer)), right, atol=1e-4)),
    "answer is margin - logit(base) + base": bool(np.allclose(answer, margin - logit + base, atol=1e-4)),
}
recorded = {
    "within [0, 1]": False,
    "equal to XGBoost": False,
    "the logistic function of it equal": False,
    "answer is margin - logit(base) + base": True,
}

print("versions:", ", ".join(f"{name} {version(name)}" for name in sys.argv[1:]))
print("expected:", expected)
print("seen:    ", seen)
if seen != recorded:
    sys.exit(f"the behaviour has changed: {recorded} was recorded")
PYTHON
