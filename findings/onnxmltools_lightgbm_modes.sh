#!/usr/bin/env bash
# onnxmltools converts four kinds of LightGBM regressors without a word into ONNX models that predict something else:
# a random forest (boosting_type="rf") answers 1/n_estimators of the right value, reg_sqrt answers the square root,
# linear_tree answers the constants of the leaves without their linear parts, zero_as_missing sends zeros the wrong
# way.
# Plain boosting, dart, poisson, gamma, tweedie and quantile are right, so a test with the default settings shows
# nothing.
# Who is hurt: teams that train with LightGBM and score with ONNX Runtime.
# Instead: compare predictions before and after each conversion on real rows, for the parameters used in production.
# (linear_tree is reported in onnxruntime issue 25623.)
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile \
    lightgbm==4.7.0 numpy==2.4.6 onnx==1.23.2 onnxmltools==1.16.0 onnxruntime==1.32.0 \
    scikit-learn==1.9.1 skl2onnx==1.20.0
cd "$folder"
venv/bin/python - lightgbm numpy onnx onnxmltools onnxruntime scikit-learn skl2onnx <<'PYTHON'
import sys
import warnings
from importlib.metadata import version

warnings.simplefilter("ignore")
import lightgbm
import numpy as np
import onnxruntime
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

TREES = 10
rng = np.random.default_rng(7)
rows = rng.normal(size=(400, 2)).astype(np.float32)
rows[rng.random(rows.shape) < 0.3] = 0
target = 20 + 5 * rows[:, 0] + 3 * (rows[:, 1] == 0)


def farthest(**parameters):
    """The largest difference between LightGBM and the converted model, and the median of their quotients."""
    model = lightgbm.LGBMRegressor(n_estimators=TREES, n_jobs=1, random_state=0, verbose=-1, **parameters)
    right = model.fit(rows, target).predict(rows)
    onnx = convert_lightgbm(model, initial_types=[("rows", FloatTensorType([None, 2]))])
    session = onnxruntime.InferenceSession(onnx.SerializeToString())
    answer = session.run(None, {"rows": rows})[0].ravel()
    return float(np.abs(right - answer).max()), float(np.median(right / answer))


# Rule: LightGBM's page "Parameters" (boosting, linear_tree, zero_as_missing; reg_sqrt: the prediction is
# squared again); a converted model answers what the model answers, up to float32 rounding.
kinds = {
    "boosting": {},
    "dart": {"boosting_type": "dart"},
    "random forest": {"boosting_type": "rf", "subsample": 0.5, "subsample_freq": 1},
    "reg_sqrt": {"reg_sqrt": True},
    "linear_tree": {"linear_tree": True},
    "zero_as_missing": {"zero_as_missing": True},
}
differences = {name: farthest(**parameters) for name, parameters in kinds.items()}
for name, (difference, quotient) in differences.items():
    print(f"{name}: largest difference {difference:.4f}, right value / answer {quotient:.3f}")
expected = {name: "same" for name in kinds}
seen = {name: "same" if difference < 1e-3 else "other" for name, (difference, _) in differences.items()}
seen["random forest"] += f", right value / answer = {differences['random forest'][1]:.0f}"
recorded = {
    "boosting": "same",
    "dart": "same",
    "random forest": "other, right value / answer = 10",
    "reg_sqrt": "other",
    "linear_tree": "other",
    "zero_as_missing": "other",
}

print("versions:", ", ".join(f"{name} {version(name)}" for name in sys.argv[1:]))
print("expected:", expected)
print("seen:    ", seen)
if seen != recorded:
    sys.exit(f"the behaviour has changed: {recorded} was recorded")
PYTHON
