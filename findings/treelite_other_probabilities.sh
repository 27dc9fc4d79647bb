#!/usr/bin/env bash
# treelite, whose models FIL and Triton serve, takes two models without a word and answers something else:
# scikit-learn's GradientBoostingClassifier(loss="exponential") gets the probabilities of the other loss, nearer to 0.5
# (the sigmoid of the margin instead of twice the margin), and LightGBM's zero_as_missing is lost, so that zeros go
# where small numbers go. linear_tree is refused, and other options are right.
# Who is hurt: thresholds on probabilities move, and sparse features take other branches.
# Instead: compare some rows with the model's own predict_proba before it is served.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile \
    treelite==4.8.1 lightgbm==4.7.0 scikit-learn==1.9.1 numpy==2.4.6
cd "$folder"
venv/bin/python - treelite lightgbm scikit-learn <<'PYTHON'
import sys
from importlib.metadata import version

import lightgbm
import numpy as np
import treelite
from sklearn.ensemble import GradientBoostingClassifier
from treelite.sklearn import import_model

random = np.random.default_rng(0)
X = random.normal(size=(500, 4))
X[random.random(X.shape) < 0.3] = 0
y = X[:, 0] + (X[:, 1] == 0)
classes = (y > 0.5).astype(int)
seen = {}


def compare(name: str, converted: treelite.Model, own: np.ndarray) -> None:
    off = np.abs(treelite.gtil.predict(converted, X, nthread=1).squeeze() - own)
    seen[name] = "equal" if off.max() < 1e-5 else "most rows differ" if (off > 1e-5).mean() > 0.5 else "some rows differ"


for loss in ("log_loss", "exponential"):
    model = GradientBoostingClassifier(loss=loss, n_estimators=10, random_state=0).fit(X, classes)
    converted = import_model(model)
    compare(f"scikit-learn, {loss}", converted, model.predict_proba(X)[:, 1])
    if loss == "exponential":
        margin = model.decision_function(X)
        half = treelite.gtil.predict(converted, X, nthread=1).squeeze()
        seen["it is the sigmoid of the margin"] = bool(np.allclose(half, 1 / (1 + np.exp(-margin)), atol=1e-5))
for options in ({}, {"zero_as_missing": True}):
    data = lightgbm.Dataset(X, y, params={"verbose": -1, **options})
    model = lightgbm.train({"objective": "regression", "verbose": -1, "num_threads": 1, **options}, data, 10)
    model.save_model("model.txt")
    compare("LightGBM, " + (" ".join(options) or "plain"), treelite.frontend.load_lightgbm_model("model.txt"), model.predict(X))

# Rule: https://treelite.readthedocs.io promises the predictions of the library that trained the model.
# https://scikit-learn.org/stable/modules/generated/sklearn.ensemble.GradientBoostingClassifier.html and
# https://lightgbm.readthedocs.io/en/stable/Parameters.html#zero_as_missing say what the options mean.
expected = {name: "equal" for name in seen} | {"it is the sigmoid of the margin": False}
recorded = expected | {
    "scikit-learn, exponential": "most rows differ",
    "it is the sigmoid of the margin": True,
    "LightGBM, zero_as_missing": "most rows differ",
}

print("versions:", ", ".join(f"{name} {version(name)}" for name in sys.argv[1:]))
print("expected:", expected)
print("seen:    ", seen)
if seen != recorded:
    sys.exit(f"the behaviour has changed: {recorded} was recorded")
PYTHON
