#!/usr/bin/env bash
# lleaves, which compiles LightGBM's models into machine code, leaves out the linear models in the leaves of
# linear_tree=True without a word: each leaf answers with its constant. Of other options it refuses what it cannot do,
# and zero_as_missing, rf and dart are right.
# Who is hurt: a container that scores with the compiled model answers something else than the model in the registry.
# Instead: look for is_linear=1 in the text of the model, and call LightGBM for such ones.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile \
    lleaves==1.3.0 llvmlite==0.44.0 lightgbm==4.7.0 numpy==2.4.6 scikit-learn==1.9.1
cd "$folder"
venv/bin/python - lleaves llvmlite lightgbm <<'PYTHON'
import sys
from importlib.metadata import version

import lightgbm
import lleaves
import numpy as np

random = np.random.default_rng(0)
X = random.normal(size=(500, 4))
y = 3 * X[:, 0] - X[:, 1]
OPTIONS = {
    "plain": {},
    "linear_tree": {"linear_tree": True},
    "zero_as_missing": {"zero_as_missing": True},
    "dart": {"boosting": "dart"},
}
seen = {}
for name, options in OPTIONS.items():
    data = lightgbm.Dataset(X, y, params={"verbose": -1, **options})
    model = lightgbm.train({"objective": "regression", "verbose": -1, "num_threads": 1, **options}, data, 10)
    model.save_model(f"{name}.txt")
    compiled = lleaves.Model(f"{name}.txt")
    compiled.compile()
    off = np.abs(compiled.predict(X, n_jobs=1) - model.predict(X))
    seen[name] = "equal" if off.max() < 1e-6 else "most rows differ" if (off > 1e-6).mean() > 0.5 else "some rows differ"

# Rule: https://github.com/siboehm/lleaves promises the predictions of LightGBM's own predict();
# https://lightgbm.readthedocs.io/en/stable/Parameters.html#linear_tree: leaves hold linear models.
expected = dict.fromkeys(OPTIONS, "equal")
recorded = expected | {"linear_tree": "most rows differ"}

print("versions:", ", ".join(f"{name} {version(name)}" for name in sys.argv[1:]))
print("expected:", expected)
print("seen:    ", seen)
if seen != recorded:
    sys.exit(f"the behaviour has changed: {recorded} was recorded")
PYTHON
