#!/usr/bin/env bash
# A nearest-neighbours model of scikit-learn with weights="distance" becomes a model with equal weights when skl2onnx
# converts it: every answer is the plain mean of the neighbours, even for a row that was in the training data, and the
# classifier's probabilities and labels change with it. Nothing is raised.
# Who is hurt: recommenders and imputers that are scored through ONNX.
# Instead: keep such a model in scikit-learn, or compare both on training rows (whose exact answer is known) first.
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
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor


def converted(model, rows):
    session = onnxruntime.InferenceSession(to_onnx(model, rows).SerializeToString())
    return session.run(None, {"X": rows})[0].ravel().tolist()


known = np.array([[0, 0], [1, 0], [0, 3], [5, 5]], dtype=np.float32)
asked = np.array([[0, 0], [1, 0], [0.25, 0]], dtype=np.float32)
regressor = KNeighborsRegressor(2, weights="distance").fit(known, [0.0, 10.0, 20.0, 30.0])
classifier = KNeighborsClassifier(2, weights="distance").fit(known, [0, 1, 0, 1])

# Rule: scikit-learn, KNeighborsRegressor, weights: 'distance' weights points by the inverse of their
# distance.
expected = {"regressor": regressor.predict(asked).tolist(), "classifier": classifier.predict(asked).tolist()}
seen = {"regressor": converted(regressor, asked), "classifier": converted(classifier, asked)}
recorded = {"regressor": [5.0, 5.0, 5.0], "classifier": [0, 0, 0]}

print("versions:", ", ".join(f"{name} {version(name)}" for name in sys.argv[1:]))
print("expected:", expected)
print("seen:    ", seen)
if seen != recorded:
    sys.exit(f"the behaviour has changed: {recorded} was recorded")
PYTHON
